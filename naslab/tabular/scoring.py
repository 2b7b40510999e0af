"""Scores on the test rows, with intervals: of every competitor, and of the found network's lead over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from naslab.analysis.statistics import Interval, bootstrap_intervals
from naslab.evaluators.training_objective import TrainingObjective

Outputs = npt.NDArray[np.floating]


def judged(outputs: Mapping[str, Outputs], y: npt.NDArray[Any], objective: TrainingObjective) -> pd.DataFrame:
    """Test scores and by how much the first network is better, with bootstrap intervals over the test rows.

    A resample is the same rows for every competitor, so that differences are paired. For metrics that are undefined
    without one of the classes (roc-auc, balanced accuracy) each class is resampled on its own.

    Args:
        outputs: By name, as ``objective`` scores them; the first are those of the found network.
        y: ``(N,)``: the true targets.
        objective: The metric.

    Returns:
        A row per name: ``test`` (an error is not negated) and ``found is better by`` (above 0 where it is), each with
        ``low`` and ``high``, 95 % bootstrap intervals.
    """
    by_class = objective.metric in ("roc-auc", "balanced-accuracy")
    strata = [np.flatnonzero(y == each) for each in np.unique(y)] if by_class else [np.arange(len(y))]

    every = [objective.rows(own, y) for own in outputs.values()]

    def scored(drawn: npt.NDArray[np.int64]) -> list[float]:
        """Every competitor on the same rows, then the found one's lead over each other."""
        ours, *theirs = (objective.of_rows(*(part[drawn] for part in own)) for own in every)
        return [ours, *theirs, *(ours - each for each in theirs)]

    intervals = bootstrap_intervals(strata, np.random.default_rng(0), scored)
    scores, leads = intervals[: len(outputs)], [Interval(np.nan, np.nan, np.nan), *intervals[len(outputs) :]]
    rows = []
    for score, ahead in zip(scores, leads, strict=True):
        low, high = sorted((objective.sign * score.low, objective.sign * score.high))
        rows.append(
            {
                "test": objective.sign * score.value,
                "test low": low,
                "test high": high,
                "found is better by": ahead.value,
                "found is better by low": ahead.low,
                "found is better by high": ahead.high,
            }
        )
    return pd.DataFrame(rows)
