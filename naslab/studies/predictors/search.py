"""The study of predictor-guided search: ordinary comparisons, and how far their rewards are from the best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from naslab.analysis.data import COMPLETE, NO_FEASIBLE, FloatArray
from naslab.analysis.statistics import bootstrap_interval, widening
from naslab.running import Progress
from naslab.running.comparison import compare
from naslab.running.results import Results
from naslab.studies.base import Outcome
from naslab.tables import find_table, table_names

SEEDS = 100
EVALUATIONS = "150"
"""As many as White et al. 2021 give each strategy."""
SECONDS = "12000s"
BASELINE = "regularized-evolution"
OPTIMIZERS = ("random", BASELINE, "optuna-tpe", "bananas", "nasbowl", "predictor-guided")
IMPORTED = "nats-tss"
TASKS = (
    *(f"{IMPORTED}/{dataset}" for dataset in ("cifar10", "cifar100", "imagenet16-120")),
    *(f"nasbench201/{dataset}" for dataset in ("cifar10", "cifar100", "imagenet16-120")),
    "pocket-cell/mnist",
    "pocket-mlp/mnist",
    "pocket-mlp/segments",
)
TIMED = f"{IMPORTED}/cifar10"
PACKAGED = "nasbench201"
"""The same trainings as the imported table's: compared apart, so that no test counts a network twice."""
SLOW, SLOW_SEEDS = ("random", BASELINE, "predictor-guided", "tnasp"), 20
"""Strategies that are compared with tnasp, which fits a Transformer in every round: a minute a run."""
HOW_TO_IMPORT = (
    f"The table {IMPORTED!r} is not stored: its tasks, and the comparison in simulated seconds, are left out. Import "
    "it (naslab table import nasbench201.csv.gz --schema experiments/tables/nasbench201.toml --name nats-tss) and "
    "choose another folder."
)


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: comparisons in folders of it, each with its page."""
    here = [task for task in TASKS if _table_name(task) in table_names()]
    command = "naslab reproduce predictor-search"
    found: list[tuple[str, pd.DataFrame]] = []
    pages: list[Path] = []
    packaged = [task for task in here if _table_name(task) == PACKAGED]
    for name, tasks, budget, optimizers, seeds in (
        ("tnasp", [TIMED], SECONDS, SLOW, SLOW_SEEDS),
        ("seconds", [TIMED], SECONDS, OPTIMIZERS, SEEDS),
        ("packaged", packaged, EVALUATIONS, OPTIMIZERS, SEEDS),
        ("evaluations", [task for task in here if task not in packaged], EVALUATIONS, OPTIMIZERS, SEEDS),
    ):
        if not tasks or not set(tasks) <= set(here):
            continue
        folder = out / name
        results = compare(tasks, optimizers, budget=budget, seeds=seeds, out=folder, workers=workers, progress=progress)
        rewards = reward_regret(results)
        notes = [" ".join(description.split()), *([] if TIMED in here else [HOW_TO_IMPORT])]
        notes += [f"Another comparison of this study: {page}" for page in pages]
        caption = (
            "How far the reward of what was found is below the best reward in the table (means of recorded trainings); "
            f"mean over {seeds} seeds, 95 % bootstrap intervals, widened for few runs. A dash: a run found "
            f"nothing. 'share': divided by that of {BASELINE}, "
            "both resampled."
        )
        tables = [("Regret of the reward", rewards, caption)]
        tables.append(("Seconds of a run", seconds_of(folder), "Measured wall seconds, everything included."))
        pages.append(results.report(title=f"{title}: {budget} each", notes=notes, tables=tables, command=command))
        found.append((f"{title}, regret of the reward after {budget} ({name})", rewards))
    return Outcome(found, pages[-1])


def reward_regret(results: Results) -> pd.DataFrame:
    """Per task and strategy the mean regret of the reward, and its share of the baseline's, with intervals."""
    rows = []
    for task_id, task in results.tasks.items():
        table = find_table(_table_name(task_id))
        reading = table.tasks[task_id.partition("/")[2]].reward
        sign = 1.0 if table.columns[reading.column].direction == "max" else -1.0
        best_first = sign * table.mean(reading.column, reading.epochs)
        regrets: dict[str, FloatArray] = {}
        for optimizer in results.optimizers:
            frame = results.frame
            ended = frame[(frame["task"] == task_id) & (frame["optimizer"] == optimizer)]
            runs = ended[ended["status"] == COMPLETE]
            picked = [table.row(task.problem.space.from_string(each)) for each in runs["architecture"]]
            regrets[optimizer] = np.nanmax(best_first) - best_first[picked]
            if (ended["status"] == NO_FEASIBLE).any():  # a mean over the others would reward failing
                regrets[optimizer] = np.empty(0)
        for optimizer, values in regrets.items():
            rng = np.random.default_rng(0)
            interval = bootstrap_interval([values], rng, statistic=_mean)
            share = (1.0, np.nan, np.nan) if optimizer == BASELINE else _share(values, regrets[BASELINE], rng)
            rows.append(
                {
                    "task": task_id, "optimizer": optimizer, "runs": len(values),
                    "regret": interval.value, "low": interval.low, "high": interval.high,
                    "share": share[0], "share low": share[1], "share high": share[2],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _table_name(task_id: str) -> str:
    """A pocket benchmark has a table for each dataset."""
    return task_id.replace("/", "-") if task_id.startswith("pocket-") else task_id.partition("/")[0]


def seconds_of(folder: Path) -> pd.DataFrame:
    """Measured seconds of the runs in a comparison's folder, per task and strategy."""
    lines = [json.loads(line) for line in (folder / "times.jsonl").read_text(encoding="utf-8").splitlines()]
    grouped = pd.DataFrame(lines).groupby(["task", "optimizer"], sort=False)["wall_seconds"]
    return grouped.agg(runs="count", median="median", max="max").reset_index()


def _share(
    values: FloatArray, baseline: FloatArray, rng: np.random.Generator, resamples: int = 2000
) -> Sequence[float]:
    """A mean as a share of another mean, with its interval; NaN where the other is zero."""
    if not (len(values) and len(baseline) and baseline.mean() > 0):
        return np.nan, np.nan, np.nan
    tops, bottoms = (
        each[rng.integers(len(each), size=(resamples, len(each)))].mean(axis=1) for each in (values, baseline)
    )
    drawn = np.divide(tops, bottoms, out=np.full(resamples, np.inf), where=bottoms > 0)
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    share = float(values.mean() / baseline.mean())
    if min(len(values), len(baseline)) < 2:
        return share, np.nan, np.nan
    wider = widening([len(values), len(baseline)])
    return share, max(0.0, share + wider * (float(low) - share)), share + wider * (float(high) - share)


def _mean(values: FloatArray, axis: int) -> FloatArray:
    return np.asarray(values.mean(axis=axis))
