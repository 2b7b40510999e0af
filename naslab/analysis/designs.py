"""How runs of two optimizers belong together, and what follows: the test, the effect, the interval, and their words.

Runs are *independent*, unless the comparison says that runs of one seed are *paired*: those began with the same random
numbers, so that what they share is not what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from naslab.analysis.data import FloatArray, ResultsData
from naslab.analysis.paired import FEWEST_PAIRS, paired_improvement, signed_rank, signed_rank_tests
from naslab.analysis.statistics import (
    FEWEST,
    Interval,
    mann_whitney_holm,
    probability_of_improvement,
    van_elteren,
)

Strata: TypeAlias = Sequence[FloatArray]


@dataclass(frozen=True)
class Design:
    """What is tested how, and how it is said."""

    scores: Callable[[ResultsData, str, str], FloatArray]
    """Of the runs of one optimizer on one task."""
    tests: Callable[[Mapping[str, FloatArray]], pd.DataFrame]
    """Every pair on one task: ``a, b, n a, n b, p``, and where the test has a direction of its own, ``leans``."""
    test: Callable[[Strata, Strata, np.random.Generator], tuple[float, int]]
    """Of two optimizers over all tasks: p, and which way it leans (0: as the probability of improvement does)."""
    improvement: Callable[[Strata, Strata, np.random.Generator], Interval]
    """P(a > b) over all tasks."""
    fewest: int
    """Below this number of runs nothing is tested."""
    name: str
    """The test over all tasks, in short."""
    of_tasks: str
    """The same in full."""
    of_task: str
    """The test on one task."""
    probability: str
    """What P(a > b) is."""
    interval: str
    """What its interval is no narrower than."""
    seed: str
    """Which run of the other optimizer one is compared with; empty for any."""
    resampled: str
    """What a resample consists of."""
    says: str
    """What the reader must know; empty for nothing."""


INDEPENDENT = Design(
    scores=ResultsData.scores,
    tests=mann_whitney_holm,
    test=lambda better, than, rng: (van_elteren(better, than, rng), 0),
    improvement=probability_of_improvement,
    fewest=FEWEST,
    name="van Elteren's test",
    of_tasks="van Elteren's test, Wilcoxon's rank sum stratified by task",
    of_task="two-sided Mann-Whitney U, exact or by permutations for few runs",
    probability="probability that a run of a is better than one of b (ties count one half)",
    interval="Newcombe's score interval",
    seed="",
    resampled="resampled within task and optimizer",
    says="",
)
PAIRED = Design(
    scores=ResultsData.by_seed,
    tests=signed_rank_tests,
    test=lambda better, than, rng: signed_rank(better, than),
    improvement=paired_improvement,
    fewest=FEWEST_PAIRS,
    name="Wilcoxon's signed-rank test of runs paired by seed",
    of_tasks="Wilcoxon's signed-rank test of runs paired by seed, stratified by task, exact",
    of_task="Wilcoxon's two-sided signed-rank test of runs paired by seed, exact",
    probability="share of seeds on which the run of a is better than that of b (ties count one half)",
    interval="Wilson's score interval",
    seed=" with the same seed",
    resampled="seeds resampled within task",
    says=(
        "Runs are paired: on each task those of one seed began with the same random numbers, whatever their optimizer, "
        "and are compared with each other alone. Where the ranks and the share of seeds won say different things, "
        "neither is called better."
    ),
)


def design(data: ResultsData) -> Design:
    """That of a comparison."""
    return PAIRED if data.paired else INDEPENDENT
