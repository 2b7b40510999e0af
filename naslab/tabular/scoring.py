"""Scores on the test rows, with intervals: of every competitor, and of the found network's lead over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from naslab.analysis.statistics import Interval, bootstrap_interval
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
    found, *_ = outputs.values()
    by_class = objective.metric in ("roc-auc", "balanced-accuracy")
    strata = [np.flatnonzero(y == each) for each in np.unique(y)] if by_class else [np.arange(len(y))]
    rows = []
    for own in outputs.values():
        score = _interval(lambda drawn, own=own: objective.score(own[drawn], y[drawn]), strata)  # type: ignore[misc]
        ahead = Interval(np.nan, np.nan, np.nan)
        if own is not found:
            ahead = _interval(
                lambda drawn, own=own: (  # type: ignore[misc]
                    objective.score(found[drawn], y[drawn]) - objective.score(own[drawn], y[drawn])
                ),
                strata,
            )
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


def _interval(score: Callable[[npt.NDArray[np.int64]], float], strata: Sequence[npt.NDArray[np.int64]]) -> Interval:
    def statistic(drawn: Any, axis: int) -> Any:
        return np.apply_along_axis(lambda each: score(each.astype(np.int64)), axis, drawn)

    rows = [stratum.astype(np.float64) for stratum in strata]
    return bootstrap_interval(rows, np.random.default_rng(0), statistic=statistic)
