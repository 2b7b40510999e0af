"""What the studies of zero-cost proxies share: ensembles beside their parts, and their tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.statistics import RESAMPLES, bootstrap_weights
from naslab.correlation import page
from naslab.correlation.study import Correlations
from naslab.evaluators.zero_cost.az_nas import PARTS
from naslab.evaluators.zero_cost.ensembles import VOTERS, Floats, borda, copeland, log_rank, vote_accuracy

MOST_PAIRS = 6000
"""Architectures up to which the pairwise accuracy has an interval: it costs the square of their number."""

ENSEMBLED = ("vote (wins)", "Borda", "log-rank", "AZ-NAS")
ENSEMBLES = (
    f"Ensembles over the architectures that are judged: vote (wins minus losses), Borda and log-rank of "
    f"{', '.join(VOTERS)}; AZ-NAS: the log-rank of its four parts."
)


def with_ensembles(found: Correlations) -> Correlations:
    """The same with further columns: ensembles over the pool that is judged, where their parts were scored."""
    columns, (vote, mean_rank, logarithms, az_nas) = {}, ENSEMBLED
    if set(VOTERS) <= set(found.scores):
        pool = worst_for_missing(found.scores, VOTERS)
        columns = {vote: copeland(pool), mean_rank: borda(pool), logarithms: log_rank(pool)}
    if set(PARTS) <= set(found.scores):
        columns[az_nas] = log_rank(worst_for_missing(found.scores, PARTS))
    return dataclasses.replace(found, scores=found.scores.assign(**columns))


def pairwise_vote(found: Correlations, rng: np.random.Generator) -> dict[str, float]:
    """The pairwise accuracy of the vote, with its bootstrap interval over architectures where there are not too many.

    Without an interval its bounds are NaN.
    """
    pool = worst_for_missing(found.scores, VOTERS)
    n = len(pool)
    weights = bootstrap_weights(n, rng, RESAMPLES // 4) * n if n <= MOST_PAIRS else np.empty((0, n))
    accuracy = vote_accuracy(pool, found.truth, weights)
    low, high = np.quantile(accuracy.resampled, [0.025, 0.975]) if len(accuracy.resampled) else (np.nan, np.nan)
    return {"value": accuracy.share, "low": float(low), "high": float(high)}


def worst_for_missing(scores: pd.DataFrame, names: tuple[str, ...]) -> Floats:
    """``(n, names)``: what is not finite is minus infinity."""
    pool = scores[list(names)].to_numpy(float)
    return np.where(np.isfinite(pool), pool, -np.inf)


def about(found: Correlations, heading: str, *, each_other: bool = True) -> list[Section]:
    """Sections on one task, under headings that say which."""
    against, top, matrix, size, basis = page.sections(found)
    chosen = [against, top, *([matrix] if each_other else []), size, basis]
    for section in chosen:
        section.title = f"{heading}: {section.title[0].lower()}{section.title[1:]}"
    return chosen


def spearman_of(found: Correlations) -> dict[str, dict[str, Any]]:
    """Evaluator -> Spearman's value, low and high."""
    rows = found.statistics[found.statistics["statistic"] == "Spearman"].itertuples(index=False)
    return {str(row.evaluator): {"value": row.value, "low": row.low, "high": row.high} for row in rows}
