"""The study of TabNAS' toy example: every reward, correction, learning rate and rule of selection on one grid."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.contents import Section
from naslab.analysis.report import write_page
from naslab.analysis.statistics import holm
from naslab.analysis.style import legend_above, log_ticks, new_axes, palette, style
from naslab.running import Progress
from naslab.studies.base import Outcome, environment, experiment_folder, in_processes
from naslab.studies.tabnas.toy import Variant, simulate

REPETITIONS = 4000
RATES, STEPS = (0.02, 0.05, 0.1, 0.2), (500, 2000)
RULES = {"most_probable": "most probable feasible", "hit": "50 draws", "argmax": "argmax of each layer"}
RECORDED_REPETITIONS = 400
METHODS: dict[str, Variant] = {
    "TabNAS, exact, conditional draws": Variant(conditional=True),
    "TabNAS, exact, rejection": Variant(),
    "TabNAS, N = 50, rejection": Variant(correction="slide", samples=50),
    "TabNAS, N = 5, rejection": Variant(correction="slide", samples=5),
    "no correction, rejection": Variant(correction="none"),
    **{f"soft, beta = {b:g}": Variant("soft", b) for b in (-0.07, -0.5, -1.0, -2.0, -4.0)},
    **{f"hard, beta = {b:g}": Variant("hard", b) for b in (-0.5, -1.0, -2.0, -4.0, -8.0)},
    **{f"absolute, beta = {b:g}": Variant("absolute", b) for b in (-0.5, -1.0, -1.5, -2.0, -3.0, -5.0)},
    **{f"linear, beta = {b:g}": Variant("linear", b) for b in (-0.1, -0.3, -0.5, -0.7)},
    "indicator": Variant("indicator"),
}


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: tables, figures and a page."""
    named = {name: as_variant(line) for name, line in recorded_variants().items()}
    grid = [
        (name, dataclasses.replace(variant, learning_rate=rate, steps=steps))
        for name, variant in METHODS.items()
        for rate in RATES
        for steps in STEPS
    ]
    samples = [(n, Variant(correction="slide", samples=n, learning_rate=0.05)) for n in (1, 2, 3, 4, 5, 7, 10, 20, 50)]
    everything = [*named.values(), *(v for _, v in grid), *(v for _, v in samples)]
    found = in_processes(_shares, everything, workers, progress, out / "results.jsonl")
    recorded = _beside_recorded(recorded_variants(), found[: len(named)])
    results = pd.DataFrame(
        [
            {"method": name, "learning rate": v.learning_rate, "steps": v.steps, **_with_intervals(shares)}
            for (name, v), shares in zip(grid, found[len(named) : len(named) + len(grid)], strict=True)
        ]
    )
    best = _best(results)
    by_samples = pd.DataFrame(
        [{"N": n, **_with_intervals(s)} for (n, _), s in zip(samples, found[len(named) + len(grid) :], strict=True)]
    )
    with style():
        sections = [_judged(best, results), _tuning(results, by_samples), _agreement(recorded)]
    page = write_page(
        sections, out / "report", title, "naslab reproduce tabnas-toy", environment(), [" ".join(description.split())]
    )
    return Outcome([(title, best)], page)


def _shares(variant: Variant) -> dict[str, float]:
    """The share of repetitions that ended well, by rule; seeded by the variant, so that its place does not matter."""
    key = [int(byte) for byte in repr(variant).encode()]
    outcome = simulate(variant, REPETITIONS, np.random.default_rng(np.random.SeedSequence(key)))
    names = (*RULES, "argmax_infeasible", "feasible_probability", "taught")
    return {name: float(np.mean(getattr(outcome, name))) for name in names}


def _with_intervals(shares: dict[str, float]) -> dict[str, float]:
    """Wilson's intervals for proportions; only "50 draws" is no proportion, but a mean of probabilities."""
    row: dict[str, float] = {}
    for rule, label in RULES.items():
        bounds = stats.binomtest(round(shares[rule] * REPETITIONS), REPETITIONS).proportion_ci(method="wilson")
        row |= {label: shares[rule], f"{label} low": bounds.low, f"{label} high": bounds.high}
    row["argmax infeasible"] = shares["argmax_infeasible"]
    row["P(V) at the end"] = shares["feasible_probability"]
    row["steps that teach"] = shares["taught"]
    return row


def _best(results: pd.DataFrame) -> pd.DataFrame:
    """Every family under its best parameters, chosen under each rule of selection separately."""
    family = results["method"].str.replace(r", beta = .*", "", regex=True)
    rows = []
    for name, group in results.groupby(family, sort=False):
        row: dict[str, Any] = {"method": name}
        for label in RULES.values():
            top = group.sort_values(label, ascending=False, kind="stable").to_dict("records")[0]
            row |= {label: top[label], f"{label} low": top[f"{label} low"], f"{label} high": top[f"{label} high"]}
            beta = str(top["method"]).partition(", beta = ")[2]
            row[f"with ({label})"] = f"lr {top['learning rate']:g}, {top['steps']} steps" + (
                f", beta {beta}" if beta else ""
            )
        rows.append(row)
    return pd.DataFrame(rows)


def _judged(best: pd.DataFrame, results: pd.DataFrame) -> Section:
    section = Section("Which reward finds the best feasible network")
    section.says.append(
        f"Each cell is the share of {REPETITIONS:,} repetitions that end with the best feasible network, 4-2, under a "
        "rule of selection. Each method has its best learning rate, steps and beta of one grid, chosen for each rule."
    )
    section.add("best", "Every method at its best", best, "Wilson 95 % intervals. Chosen and judged on the same runs.")
    section.add("grid", "The whole grid", results, f"{REPETITIONS:,} repetitions each.")
    return section


def _tuning(results: pd.DataFrame, by_samples: pd.DataFrame) -> Section:
    section = Section("How hard each is to tune")
    label = RULES["most_probable"]
    families = ("soft", "hard", "absolute", "linear")
    ax, betas = new_axes(), set[float]()
    for family, look in palette(families).items():
        rows = results[results["method"].str.startswith(f"{family}, beta") & (results["steps"] == 2000)]
        rows = rows[rows["learning rate"] == 0.05].assign(
            beta=lambda f: -f["method"].str.split("= ").str[1].astype(float)
        )
        rows = rows.sort_values("beta")
        betas |= set(rows["beta"])
        ax.plot(rows["beta"], rows[label], color=look.colour, ls=look.line, marker=look.marker, label=family)
        ax.fill_between(rows["beta"], rows[f"{label} low"], rows[f"{label} high"], color=look.colour, alpha=0.2, lw=0)
    ax.set(
        xlabel="-beta",
        ylabel="share that finds 4-2",
        ylim=(0, 1.02),
    )
    log_ticks(ax, betas)
    legend_above(ax)
    section.draw(
        "beta",
        "Soft rewards against beta",
        ax,
        f"Learning rate 0.05, 2,000 steps. Selected: {label}. Bands: Wilson 95 % intervals.",
    )
    ax = new_axes()
    names = [name for name in METHODS if "beta" not in name]
    for name, look in palette(names).items():
        rows = results[(results["method"] == name) & (results["steps"] == 500)]
        ax.plot(rows["learning rate"], rows[label], color=look.colour, ls=look.line, marker=look.marker, label=name)
    ax.set(xlabel="learning rate", ylabel="share that finds 4-2", ylim=(0, 1.02))
    log_ticks(ax, rows["learning rate"])
    legend_above(ax)
    section.draw("rate", "Rejection against the learning rate", ax, f"500 steps. Selected: {label}.")
    ax = new_axes()
    for rule, look in palette(RULES.values()).items():
        ax.plot(by_samples["N"], by_samples[rule], color=look.colour, ls=look.line, marker=look.marker, label=rule)
    ax.set(xlabel="N", ylabel="share that finds 4-2", ylim=(0, 1.02))
    log_ticks(ax, by_samples["N"])
    legend_above(ax)
    section.draw(
        "samples",
        "The Monte-Carlo correction against N",
        ax,
        "The estimate of P(V) from N draws; learning rate 0.05, 500 steps.",
    )
    section.add("samples", "Against N", by_samples, f"{REPETITIONS:,} repetitions each; Wilson 95 % intervals.")
    return section


def _agreement(frame: pd.DataFrame) -> Section:
    section = Section("Agreement with an earlier implementation")
    section.says.append(
        f"Shares found here in {REPETITIONS:,} repetitions beside those that an independent implementation found in "
        f"{RECORDED_REPETITIONS}; Fisher's exact test of two proportions, Holm's correction over the whole table. "
        f"Rejected at 1 %: {int((frame['p (Holm)'] < 0.01).sum())} of {len(frame)}."
    )
    section.add("agreement", "Ours and theirs", frame, "Variants of the released code are among them, bugs included.")
    return section


def _beside_recorded(recorded: dict[str, dict[str, str]], found: Sequence[dict[str, float]]) -> pd.DataFrame:
    rows = []
    for (name, line), shares in zip(recorded.items(), found, strict=True):
        for what in ("argmax", "argmax_infeasible", "most_probable"):
            ours, theirs = round(shares[what] * REPETITIONS), round(float(line[what]) * RECORDED_REPETITIONS)
            counts = np.array([[ours, REPETITIONS - ours], [theirs, RECORDED_REPETITIONS - theirs]])
            p = float(stats.fisher_exact(counts)[1])
            rows.append({"variant": name, "share": what, "ours": shares[what], "theirs": float(line[what]), "p": p})
    frame = pd.DataFrame(rows)
    return frame.assign(**{"p (Holm)": holm(frame["p"])})


def recorded_variants() -> dict[str, dict[str, str]]:
    """The recorded table: its rows by the name of the variant."""
    lines = (experiment_folder() / "published" / "tabnas_toy.csv").read_text(encoding="utf-8").splitlines()
    return {line["variant"]: line for line in csv.DictReader(lines)}


def as_variant(line: dict[str, str]) -> Variant:
    """A row of the recorded table as a variant."""
    return Variant(
        line["reward"],
        float(line["beta"]),
        line["correction"],  # type: ignore[arg-type]
        int(line["samples"]),
        line["conditional"] == "1",
        float(line["learning_rate"]),
        int(line["steps"]),
        line["accumulate"] == "1",
        float(line["bonus"]),
    )
