"""The study of TabNAS' parts: how the gradient is corrected, what is drawn, and what is returned in the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.report import write_page
from naslab.analysis.style import legend_above, new_axes, palette, style
from naslab.running import Progress
from naslab.studies.base import Outcome, environment, in_processes
from naslab.studies.tabnas import tuning
from naslab.studies.tabnas.limited import RULES, Run, judge, limits
from naslab.studies.tabnas.limited_report import against, curve, draw_curves, summary
from naslab.studies.tabnas.tradeoff import TASKS

SAMPLES = (1, 5, 50, 3072)
RATES = (0.05, 0.1, 0.2)
STEPS = 300
RATE = 0.1
EXACT = "exact, conditional"
POLICY_RULES = ("most-probable", "sample", "argmax", "best")


def variants() -> dict[str, str]:
    """Correction and sampling -> how the optimizer is written, without its learning rate."""
    corrections = {
        "none": "correction=none",
        **{f"N = {n}": f"correction=monte-carlo,samples={n}" for n in SAMPLES},
        "exact": "correction=exact",
    }
    return {
        f"{correction}, {sampling}": f"{options},sampling={sampling}"
        for correction, options in corrections.items()
        for sampling in ("conditional", "reject")
    }


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: tables, figures and a page."""
    cells = [(task, limit) for task in TASKS for limit in limits(task, "params", tuning.SHARES)]
    names = {
        f"tabnas[{options},learning_rate={rate}]": (method, rate)
        for method, options in variants().items()
        for rate in RATES
    }
    work = [Run(t, "params", m, o, s, (STEPS,)) for t, m in cells for o in names for s in tuning.SEEDS]
    found = in_processes(judge, work, workers, progress, out / "results.jsonl")
    runs = pd.DataFrame([row for rows in found for row in rows])
    runs[["method", "rate"]] = runs["optimizer"].map(names).to_list()
    chosen = best_rates(runs)
    at_best = pd.concat(
        [
            runs[(runs["method"] == method) & (runs["rule"] == rule) & (runs["rate"] == rate)]
            for (method, rule), rate in chosen.items()
        ]
    )
    with style():
        sections = [_parts(at_best, runs, chosen), _rates(runs), _teaching(runs)]
    command = "naslab reproduce tabnas-ablation"
    page = write_page(sections, out / "report", title, command, environment("torch"), [" ".join(description.split())])
    table = summary(at_best, ["rule", "method"])
    shown = table[table["rule"] == "most-probable"].drop(columns="rule").sort_values("regret", kind="stable")
    return Outcome([(f"{title}: mean regret, {RULES['most-probable']}", shown)], page)


def best_rates(runs: pd.DataFrame) -> Mapping[tuple[str, str], float]:
    """For each method and rule, the learning rate with the least mean regret.

    Chosen and judged on the same runs: the best of three rates looks better than it is, for every method alike.
    """
    means = runs.groupby(["method", "rule", "rate"], sort=False)["regret"].mean().reset_index()
    best = means.sort_values("regret", kind="stable").drop_duplicates(["method", "rule"])
    return {(line["method"], line["rule"]): line["rate"] for line in best.to_dict("records")}


def _parts(at_best: pd.DataFrame, runs: pd.DataFrame, chosen: Mapping[tuple[str, str], float]) -> Section:
    section = Section("What each part is worth")
    section.says.append(
        f"Mean regret in points of test accuracy over {len(TASKS)} tasks x {len(tuning.SHARES)} limits x "
        f"{len(tuning.SEEDS)} seeds after {STEPS} evaluations; rejected draws are not evaluated and not counted. "
        "Rows: the correction of the gradient by P(V) (none, Monte-Carlo with N draws, exact) and "
        "how draws are made feasible. Each row and rule has its best learning rate of the "
        "grid. Where a rule returns nothing, the smallest network is judged."
    )
    for rule in POLICY_RULES:
        rows = summary(at_best[at_best["rule"] == rule], ["method"])
        rows["lr"] = [chosen[method, rule] for method in rows["method"]]
        caption = "95 % bootstrap, stratified by task and limit."
        section.add(f"parts-{rule}", f"Returned: {RULES[rule]}", rows.sort_values("regret", kind="stable"), caption)
    same = runs[(runs["rule"] == "most-probable") & (runs["rate"] == RATE)]
    caption = f"Returned: {RULES['most-probable']}; learning rate {RATE} for all. Wilcoxon over tasks x limits."
    section.add("tests", f"Against {EXACT}", against(same, EXACT), caption)
    return section


def _rates(runs: pd.DataFrame) -> Section:
    section = Section("Against the learning rate and against N")
    for rule in ("most-probable", "best"):
        conditional = runs[(runs["rule"] == rule) & runs["method"].str.endswith("conditional")]
        frame = curve(conditional, "rate", "method")
        ax = draw_curves(frame, "rate", "method", xlabel="learning rate")
        section.draw(f"rate-{rule}", f"Learning rate, {RULES[rule]}", ax, "Conditional draws. Bands: 95 % bootstrap.")
        sampled = runs[(runs["rule"] == rule) & (runs["rate"] == RATE) & runs["method"].str.startswith("N = ")]
        sampled = sampled.assign(
            N=sampled["method"].str.extract(r"N = (\d+)", expand=False).astype(int),
            draws=sampled["method"].str.partition(", ")[2],
        )
        ax = draw_curves(curve(sampled, "N", "draws"), "N", "draws", xlabel="N")
        section.draw(f"samples-{rule}", f"N, {RULES[rule]}", ax, f"Learning rate {RATE}. Bands: 95 % bootstrap.")
    return section


def _teaching(runs: pd.DataFrame) -> Section:
    section = Section("Which steps teach")
    section.says.append(
        "With conditional draws every step teaches: it updates the policy. The paper's search draws from the policy, "
        "and a step whose draw is infeasible teaches nothing. The share of steps that teach is then P(V). It is shown "
        f"here along the search for the variant that rejects (exact correction, learning rate {RATE}), mean over seeds."
    )
    rejecting = runs[(runs["method"] == "exact, reject") & (runs["rate"] == RATE) & (runs["rule"] == "best")]
    ax, rows = new_axes(), []
    looks = palette([f"{task}, {100 * share:.0f} %" for task in TASKS for share in tuning.SHARES])
    for task in TASKS:
        for share, limit in zip(tuning.SHARES, limits(task, "params", tuning.SHARES), strict=True):
            here = rejecting[(rejecting["task"] == task) & (rejecting["limit"] == limit)]
            path = np.exp(np.array(here["log P(V)"].to_list())).mean(axis=0)
            steps = np.arange(1, len(path) + 1) * (STEPS // len(path))
            look = looks[f"{task}, {100 * share:.0f} %"]
            ax.plot([0, *steps], [share, *path], color=look.colour, ls=look.line, label=f"{task}, {100 * share:.0f} %")
            rows.append(
                {
                    "task": task,
                    "limit": limit,
                    "P(V) at the start": share,
                    "mean over the search": path.mean(),
                    "at the end": path[-1],
                    "conditional draws": 1.0,
                }
            )
    ax.set(xlabel="step", ylabel="P(V)", ylim=(0, 1.02))
    legend_above(ax)
    section.draw("teaching", "Share of draws that are feasible", ax, f"{len(tuning.SEEDS)} seeds.")
    section.add("teaching", "Share of steps that teach", pd.DataFrame(rows), "Rejection wastes the rest.")
    return section
