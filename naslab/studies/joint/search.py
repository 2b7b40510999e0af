"""The same strategies at equal seconds: with the recipe of the task's table, and with the recipe searched, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.data import COMPLETE
from naslab.analysis.intervals import mean_columns, probability_of_improvement
from naslab.analysis.statistics import holm
from naslab.running import Progress
from naslab.running.comparison import compare
from naslab.running.results import Results
from naslab.studies.base import Outcome

TASK = "pocket-mlp/segments"
FIXED, JOINT = "live", "joint"
OPTIMIZERS = ("random", "regularized-evolution", "optuna-tpe")
SEEDS = 30
SECONDS = "15s"


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder."""
    tasks = [f"{TASK}@{mode}" for mode in (FIXED, JOINT)]
    results = compare(tasks, OPTIMIZERS, budget=SECONDS, seeds=SEEDS, out=out, workers=workers, progress=progress)
    table = gains(results)
    caption = (
        f"Test accuracy of what each strategy returned after {SECONDS}, mean over {SEEDS} seeds with Student's 95 % "
        "interval; the gain with Welch's; P: the probability that a run with the recipe searched beats one with the "
        "fixed recipe (Mann-Whitney), p of the same test after Holm's correction over the strategies. The truth of "
        "the fixed recipe is the mean of three recorded trainings, that of a joint search one new training. A run that "
        "returned nothing counts as an accuracy of 0."
    )
    page = results.report(
        title=title,
        command="naslab reproduce joint-search",
        notes=[" ".join(description.split())],
        tables=[("What searching the recipe is worth", table, caption)],
    )
    return Outcome([(f"{title}: {TASK}, {SECONDS}", table)], page)


def gains(results: Results) -> pd.DataFrame:
    """Per strategy the truths with the fixed and with the searched recipe, and how far they are apart."""
    rows, tests = [], []
    for optimizer in results.optimizers:
        fixed, searched = (_truths(results, f"{TASK}@{mode}", optimizer) for mode in (FIXED, JOINT))
        test = stats.ttest_ind(searched, fixed, equal_var=False)
        interval = test.confidence_interval(0.95)
        beats = probability_of_improvement([searched], [fixed], np.random.default_rng(0))
        tests.append(float(stats.mannwhitneyu(searched, fixed).pvalue))
        rows.append(
            {
                "optimizer": optimizer,
                "runs": min(len(fixed), len(searched)),
                **mean_columns(fixed, "fixed recipe"),
                **mean_columns(searched, "joint"),
                "gain": float(searched.mean() - fixed.mean()),
                "gain low": float(interval.low),
                "gain high": float(interval.high),
                "P": beats.value,
                "P low": beats.low,
                "P high": beats.high,
            }
        )
    return pd.DataFrame(rows).assign(p=holm(tests))


def _truths(results: Results, task: str, optimizer: str) -> np.ndarray:
    frame = results.frame
    rows = frame[(frame["task"] == task) & (frame["optimizer"] == optimizer)]
    return rows["truth"].where(rows["status"] == COMPLETE, 0.0).to_numpy(float)
