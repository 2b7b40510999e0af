"""The study of TabNAS against other rewards and other searches under limits, where every network's truth is known."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from naslab.analysis.contents import Section
from naslab.analysis.report import write_page
from naslab.analysis.style import legend_above, log_ticks, new_axes, palette, style
from naslab.running import Progress, constrained_task
from naslab.studies.base import Outcome, environment
from naslab.studies.tabnas import tuning
from naslab.studies.tabnas.cells import cells_sections
from naslab.studies.tabnas.limited import RULES, Run, limits
from naslab.studies.tabnas.limited_report import curve, draw_curves, summary
from naslab.studies.tabnas.tuning import OURS, SEARCHES, Runner, Tuned
from naslab.tasks import Constraint

TASKS = ("pocket-mlp/segments", "pocket-mlp/mnist")
SHARED, SHARED_STEPS = "pocket-mlp/segments@shared", 1600
SHARED_METHODS = (OURS, "PPO, exact", "soft", "hard", "absolute", "linear", "indicator", *SEARCHES)


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: tables, figures and a page."""
    runner = Runner(workers, progress, out / "results.jsonl")
    cells = [(task, "params", limit) for task in TASKS for limit in limits(task, "params", tuning.SHARES)]
    table = tuning.tuned(cells, runner)
    shared = runner.runs(
        [
            Run(SHARED, "params", m, o, s, (SHARED_STEPS,))
            for m in limits(TASKS[0], "params", tuning.SHARES)
            for o in sorted({_default(method) for method in SHARED_METHODS})
            for s in tuning.SEEDS
        ]
    )
    shared["method"] = shared["optimizer"].map({_default(method): method for method in SHARED_METHODS})
    final = table.runs[table.runs["evaluations"] == tuning.CHECKPOINTS[-1]]
    overall = summary(final, ["rule", "method"])
    on_cells = cells_sections(runner)
    with style():
        sections = [
            tuning.judged_section(table, f"{len(TASKS)} tasks x {len(tuning.SHARES)} limits"),
            _curves(final),
            _shared(shared),
            _tuning(table),
            *on_cells,
        ]
    command = "naslab reproduce tabnas-tradeoff"
    versions = environment("torch", "optuna")
    page = write_page(sections, out / "report", title, command, versions, [" ".join(description.split())])
    best = overall[overall["rule"] == "best"].sort_values("regret").drop(columns=["rule", "nothing"])
    return Outcome([(f"{title}: mean regret, {RULES['best']}", best)], page)


def _default(method: str) -> str:
    """A method with the parameters that its paper or this package gives it."""
    return {OURS: "tabnas", "PPO, exact": "ppo", "absolute": "tunas"}.get(
        method, method if method in SEARCHES else f"mnasnet-reinforce[reward={method},beta={_MNASNET.get(method, 0)}]"
    )


_MNASNET = {"soft": -0.07, "hard": -1.0, "linear": -0.1}


def _curves(final: pd.DataFrame) -> Section:
    section = Section("Trade-off: test accuracy against the limit")
    best = final[final["rule"] == "best"]
    for task in TASKS:
        ax = _tradeoff(best[best["task"] == task], task)
        name = task.replace("/", "-")
        section.draw(f"tradeoff-{name}", task, ax, f"Rule: {RULES['best']}. Bands: 95 % bootstrap over seeds.")
    per_cell = summary(best, ["task", "limit", "method"]).drop(columns="nothing")
    section.add("cells", "By task and limit", per_cell, f"Rule: {RULES['best']}; {len(tuning.SEEDS)} seeds each.")
    return section


def _tradeoff(runs: pd.DataFrame, task: str) -> Axes:
    optimum = {
        m: constrained_task(task, Constraint.parse({"params": m})).optimum or 0.0 for m in runs["limit"].unique()
    }
    ax = new_axes(height=3.0)
    looks = palette([*tuning.SEARCHES, *tuning.variants()])  # a method looks the same in every figure
    for name in [each for each in looks if each in set(runs["method"])]:
        rows, look = curve(runs[runs["method"] == name], "limit", "method"), looks[name]
        top = rows["limit"].map(optimum)
        ax.plot(
            rows["limit"], top - rows["regret"], color=look.colour, ls=look.line, marker=look.marker, ms=3, label=name
        )
        ax.fill_between(rows["limit"], top - rows["high"], top - rows["low"], color=look.colour, alpha=0.15, lw=0)
    front = sorted(optimum.items())
    ax.plot([m for m, _ in front], [v for _, v in front], color="black", lw=1.2, label="best there is")
    ax.set(xlabel="limit on parameters", ylabel="test accuracy, %")
    log_ticks(ax, optimum)
    legend_above(ax)
    return ax


def _shared(shared: pd.DataFrame) -> Section:
    section = Section("Over shared weights")
    section.says.append(
        f"{SHARED}: {SHARED_STEPS:,} steps of weights that all networks share, instead of recorded trainings; default "
        f"parameters; {len(tuning.SHARES)} limits x {len(tuning.SEEDS)} seeds. Re-ranked: of ten finalists (of a "
        "policy the most probable, of the others the best scored) the one with the best score on all validation rows."
    )
    frame = summary(shared, ["rule", "method"])
    shown = frame.assign(rule=frame["rule"].map(RULES)).sort_values(["rule", "regret"], kind="stable")
    section.add("shared", "Mean regret", shown, "95 % bootstrap, stratified by limit.")
    reranked = shared[shared["rule"] == "rerank"]
    section.draw(
        "tradeoff-shared", "Trade-off", _tradeoff(reranked.assign(task=TASKS[0]), TASKS[0]), f"Rule: {RULES['rerank']}."
    )
    return section


def _tuning(found: Tuned) -> Section:
    section, chosen = Section("How hard each is to tune"), found.chosen
    for rule in ("best", "most-probable"):
        runs = found.tuning[found.tuning["rule"] == rule]
        rated = runs.assign(rate=runs["setting"].str.extract(r"lr ([\d.]+)", expand=False).astype(float))
        betas = {method: _beta(settings[rule]) for method, settings in chosen.items()}
        at_best = rated[[_beta(s) == betas[m] for m, s in zip(rated["method"], rated["setting"], strict=True)]]
        ax = draw_curves(curve(at_best, "rate", "method"), "rate", "method", xlabel="learning rate")
        section.draw(f"rate-{rule}", f"Learning rate, {RULES[rule]}", ax, "Each method at its best beta.")
        rates = {method: settings[rule].rpartition("lr ")[2] for method, settings in chosen.items()}
        soft = rated[
            [
                m in tuning.BETAS and s.endswith(f"lr {rates[m]}")
                for m, s in zip(rated["method"], rated["setting"], strict=True)
            ]
        ]
        soft = soft.assign(beta=[-float(_beta(s)) for s in soft["setting"]])
        ax = draw_curves(curve(soft, "beta", "method"), "beta", "method", xlabel="-beta")
        section.draw(f"beta-{rule}", f"Beta, {RULES[rule]}", ax, "Each reward at its best learning rate.")
    rows = [{"method": m, **{RULES[r]: s for r, s in settings.items()}} for m, settings in chosen.items()]
    caption = f"{len(tuning.TUNING_SEEDS)} seeds x {len(TASKS) * len(tuning.SHARES)} cells each."
    section.add("settings", "Chosen", pd.DataFrame(rows), caption)
    return section


def _beta(setting: str) -> str:
    found = re.match(r"beta (-[\d.]+)", setting)
    return found[1] if found else "0"
