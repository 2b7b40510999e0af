"""The study of sample efficiency: REINFORCE against PPO, each at its best of one grid, and random search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.data import FloatArray
from naslab.analysis.report import write_page
from naslab.analysis.statistics import bootstrap_interval, holm, wilcoxon_over_tasks
from naslab.analysis.style import new_axes, palette, style
from naslab.running import Progress
from naslab.studies.base import Outcome, environment, in_processes
from naslab.studies.policy_search.sample_efficiency import KINDS, MODE, TARGETS, Run, samples_needed

BUDGET = 3000
NEVER = 1e12
"""The samples that an unreached target counts as, where they are ranked."""
TUNING, SEEDS = range(1000, 1040), range(100)
RATES = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8)
RANDOM, REINFORCE, PPO = "random", "REINFORCE", "PPO"
DEFAULTS = {REINFORCE: "reinforce", PPO: "ppo"}
CLAIM = {REINFORCE: 3000, PPO: 1500}
"""The samples that the blog states for 20 choices of 7 options."""

Found = dict[str, int | None]


def grid() -> dict[str, list[str]]:
    """The settings of both strategies. PPO with one epoch is REINFORCE in batches: its probability ratio is one."""
    return {
        REINFORCE: [f"reinforce[learning_rate={rate:g}]" for rate in RATES]
        + [f"ppo[batch={batch},epochs=1,learning_rate={rate:g}]" for batch in (5, 20) for rate in RATES],
        PPO: [
            f"ppo[batch={batch},epochs={epochs},learning_rate={rate:g}]"
            for batch in (5, 20)
            for epochs in (4, 10)
            for rate in RATES
        ],
    }


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: settings are chosen on some landscapes and judged on others."""
    keep = out / "results.jsonl"
    settings = [name for names in grid().values() for name in names]
    tuning = _runs(settings, TUNING)
    tried = _frame(tuning, in_processes(samples_needed, tuning, workers, progress, keep))
    chosen = choose(tried)
    judged = _runs([RANDOM, *DEFAULTS.values()], SEEDS)
    judged += [
        Run(kind, name, seed, BUDGET)
        for kind in KINDS
        for name in dict.fromkeys(name for (k, _, _), name in chosen.items() if k == kind)
        if name not in DEFAULTS.values()
        for seed in SEEDS
    ]
    found = _frame(judged, in_processes(samples_needed, judged, workers, progress, keep))
    best = compared(found, chosen)
    defaults = compared(found, {(kind, target, m): DEFAULTS[m] for kind, target, m in chosen})
    with style():
        sections = [_answer(best, defaults, found, chosen), _rates(tried)]
    page = write_page(
        sections, out / "report", title, "naslab reproduce sample-efficiency", environment(),
        [" ".join(description.split())],
    )  # fmt: skip
    return Outcome([(title, best)], page)


def choose(tried: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """For each landscape, target and method the setting with the smallest geometric mean of samples."""
    chosen = {}
    for kind in KINDS:
        for target in (*TARGETS, MODE):
            of = tried[(tried["kind"] == kind) & (tried["target"] == target)]
            means = of.groupby("optimizer")["log samples"].mean()
            for method, names in grid().items():
                chosen[kind, target, method] = str(means.loc[names].idxmin())
    return chosen


def compared(found: pd.DataFrame, chosen: dict[tuple[str, str, str], str]) -> pd.DataFrame:
    """A row for each landscape and target: medians, and how many times as many samples REINFORCE takes.

    The ratio is that of geometric means over the same landscapes; its interval is a bootstrap over landscapes; p is of
    Wilcoxon's signed-rank test of the logarithms, adjusted by Holm over the table.
    """
    rows = []
    for kind in KINDS:
        for target in (*TARGETS, MODE):
            row: dict[str, Any] = {"landscape": kind, "target": target}
            logs = {}
            for method in (REINFORCE, PPO, RANDOM):
                name = chosen.get((kind, target, method), RANDOM)
                of = found[(found["kind"] == kind) & (found["target"] == target) & (found["optimizer"] == name)]
                logs[method] = of.sort_values("seed")["log samples"].to_numpy()
                row |= _median(method, of["samples"].to_numpy())
                if method != RANDOM:
                    row[f"{method}'s setting"] = name
            difference = logs[REINFORCE] - logs[PPO]
            ratio = bootstrap_interval([difference], np.random.default_rng(0), statistic=_mean)
            row |= {"ratio": np.exp(ratio.value), "ratio low": np.exp(ratio.low), "ratio high": np.exp(ratio.high)}
            row["p"] = wilcoxon_over_tasks(logs[REINFORCE], logs[PPO])  # ratios such as 4/2 and 8/4 are equal
            rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.assign(**{"p (Holm)": holm(frame.pop("p"))})


def _median(method: str, samples: FloatArray) -> dict[str, float]:
    """The median with its interval; NaN where half of the runs did not reach the target."""
    names = (method, f"{method} low", f"{method} high")
    if not len(samples):
        return dict.fromkeys(names, np.nan)
    interval = bootstrap_interval([samples], np.random.default_rng(0), statistic=_middle)
    return dict(zip(names, [value if value <= BUDGET else np.nan for value in interval], strict=True))


def _mean(values: FloatArray, axis: int) -> FloatArray:
    return np.asarray(values.mean(axis=axis))


def _middle(values: FloatArray, axis: int) -> FloatArray:
    return np.asarray(np.median(values, axis=axis))


def _runs(names: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    return [Run(kind, name, seed, BUDGET) for kind in KINDS for name in names for seed in seeds]


def _frame(work: Sequence[Run], found: Sequence[Found]) -> pd.DataFrame:
    """One row for each run and target. For logarithms, what was not reached counts as the budget."""
    rows = [
        (w.kind, w.optimizer, w.seed, target, NEVER if samples is None else float(samples), samples is not None)
        for w, result in zip(work, found, strict=True)
        for target, samples in result.items()
    ]
    frame = pd.DataFrame(rows, columns=["kind", "optimizer", "seed", "target", "samples", "reached"])
    return frame.assign(**{"log samples": np.log(frame["samples"].clip(upper=BUDGET))})


def _answer(
    best: pd.DataFrame, defaults: pd.DataFrame, found: pd.DataFrame, chosen: dict[tuple[str, str, str], str]
) -> Section:
    section = Section("REINFORCE against PPO")
    section.says.append(
        "A blog post (Hao Chen 2019, NAS - Where Are We Now) says from experience that a good architecture with 20 "
        f"choices of 7 options takes about {CLAIM[REINFORCE]:,} samples with REINFORCE, {CLAIM[PPO]:,} with PPO: a "
        "ratio of 2."
    )
    for row in best[best["target"] == "best 0.1 %"].to_dict("records"):
        section.says.append(
            f"{row['landscape']}: until one of the best 0.1 % is evaluated, REINFORCE takes {_count(row[REINFORCE])} "
            f"samples (median of {len(SEEDS)}), PPO {_count(row[PPO])}, random search {_count(row[RANDOM])}; "
            f"ratio {row['ratio']:.2f} [{row['ratio low']:.2f}, {row['ratio high']:.2f}]."
        )
    caption = (
        f"Medians over {len(SEEDS)} landscapes with 95 % bootstrap intervals; a dash: more than {BUDGET:,}. Ratio: "
        "samples of REINFORCE over those of PPO, geometric mean over landscapes, what is not reached counted as "
        f"{BUDGET:,}; p: Wilcoxon's signed-rank test."
    )
    section.add(
        "best", "Each at its best setting", best,
        f"{caption} Settings chosen for each row on {len(TUNING)} other landscapes. ppo with epochs=1 is REINFORCE in "
        "batches.",
    )  # fmt: skip
    section.add("defaults", "As they are by default", defaults, caption)
    looks = palette([REINFORCE, PPO, RANDOM])
    for kind in KINDS:
        ax = new_axes()
        for method, look in looks.items():
            name = chosen.get((kind, "best 0.1 %", method), RANDOM)
            of = found[(found["kind"] == kind) & (found["target"] == "best 0.1 %") & (found["optimizer"] == name)]
            samples = np.sort(of.loc[of["reached"], "samples"])
            reached = np.arange(len(samples) + 1) / len(SEEDS)
            ax.step(
                [1, *samples, BUDGET], [*reached, reached[-1]], where="post",
                color=look.colour, ls=look.line, label=method,
            )  # fmt: skip
        ax.set(xlabel="samples", ylabel="share that found one", xscale="log", ylim=(0, 1.02))
        ax.set(xlim=(3, BUDGET), title=kind)
        ax.legend(frameon=False)
        section.draw(
            f"found-{kind}", f"Until one of the best 0.1 % is found: {kind}", ax,
            f"Searches on {len(SEEDS)} landscapes, each strategy at the setting of the table.",
        )  # fmt: skip
    return section


def _rates(tried: pd.DataFrame) -> Section:
    section = Section("Against the learning rate")
    section.says.append(f"{len(TUNING)} landscapes per setting: those on which the settings above were chosen.")
    lines = {
        "REINFORCE": "reinforce[learning_rate={:g}]",
        "REINFORCE, batch 20": "ppo[batch=20,epochs=1,learning_rate={:g}]",
        "PPO, batch 5, 10 epochs": "ppo[batch=5,epochs=10,learning_rate={:g}]",
        "PPO, batch 20, 4 epochs": "ppo[batch=20,epochs=4,learning_rate={:g}]",
        "PPO, batch 20, 10 epochs": "ppo[batch=20,epochs=10,learning_rate={:g}]",
    }
    looks = palette(lines)
    means = np.exp(tried.groupby(["kind", "target", "optimizer"])["log samples"].mean())
    for kind, target in ((kind, target) for kind in ("additive", "pairs, noisy") for target in list(TARGETS)[:3:2]):
        ax = new_axes(left=0.65)
        for label, name in lines.items():
            values = [means.loc[kind, target, name.format(rate)] for rate in RATES]
            ax.plot(
                RATES, values, color=looks[label].colour, ls=looks[label].line, marker=looks[label].marker, label=label
            )
        ax.set(xlabel="learning rate", ylabel="samples", xscale="log", yscale="log", title=f"{kind}: {target}")
        ax.legend(frameon=False, fontsize=6)
        section.draw(
            f"rate-{kind}-{target}", f"Samples against the learning rate: {kind}, {target}", ax,
            f"Geometric means; what is not reached counts as {BUDGET:,}.",
        )  # fmt: skip
    reached = tried.groupby(["kind", "optimizer", "target"], sort=False)["reached"].mean()
    table = means.rename("samples").reset_index().merge(reached.rename("reached").reset_index())
    section.add("grid", "The whole grid", table, "Geometric mean of samples, and the share of runs that got there.")
    return section


def _count(value: float) -> str:
    return f"more than {BUDGET:,}" if np.isnan(value) else f"{value:,.0f}"
