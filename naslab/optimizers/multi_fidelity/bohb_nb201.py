"""BOHB as the scripts of NAS-Bench-201 ran it: a row of a published table, not a multi-fidelity search."""

from __future__ import annotations

import math

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell, Query
from naslab.optimizers.multi_fidelity.code_density import CodeDensity
from naslab.space import Architecture
from naslab.tasks import Problem

BRACKETS = ((9, 3, 1), (3, 1), (3,))
"""Evaluations per label. HpBandSter's brackets between 12 and 200 with eta 3, whose labels are 22.2, 66.7 and 200."""
LABELS = 3
GOOD_PERCENT = 15
SMALLEST = 1e-32


class BOHBNB201(AskTell):
    """The BOHB row of NAS-Bench-201, for comparison with the published numbers; search with ``bohb`` instead.

    Dong & Yang 2020, section 5, by their script of 2020-03-15 over HpBandSter (Falkner et al. 2018). Three things in it
    are not BOHB, and are kept:

    * The budgets are mere labels: every evaluation is at the task's own fidelity (12 epochs there) and charged as such,
      also that of a cell which is promoted. Repeats are charged.
    * What is returned is the best among what ran under the largest label.
    * The densities are statsmodels': bandwidths are standard deviations of option *numbers* and may exceed 1, which
      makes densities negative, and a kernel counts the options that occur in its data, not those of the space.

    Deviations: a table of naslab's charges no validation pass (2.4 to 4.2 s each), and rewards are what it recorded: of
    a table that holds means over seeds, the script's draw of a seed is absent. Combinations that a rule or a
    limit forbids are not considered. A bracket's evaluations do not overlap the next bracket's.

    Args:
        problem: The problem; its space has choices alone, all of them always active.
        rng: Its generator.
        samples: Draws from the good density, of which the best is evaluated.
        random_fraction: The share of uniform draws once there is a model.
        min_bandwidth: The smallest bandwidth.

    Raises:
        InvalidValue: The space has ranges or conditional decisions.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        samples: int = 4,
        random_fraction: float = 0.0,
        min_bandwidth: float = 0.3,
    ) -> None:
        super().__init__(problem, rng)
        if problem.space.ranges or problem.space.conditions:
            raise InvalidValue(
                f"bohb-nb201 on {problem.space.name!r}: the published script knows choices alone, all of them active. "
                "Fix: bohb"
            )
        if samples < 1 or not 0 <= random_fraction <= 1 or not min_bandwidth > 0:
            raise InvalidValue(
                f"samples={samples}, random_fraction={random_fraction}, min_bandwidth={min_bandwidth}: at least 1, 0 "
                "to 1, and above 0"
            )
        self.samples, self.random_fraction, self.min_bandwidth = samples, random_fraction, min_bandwidth
        self._brackets = 0
        self._stages: list[int] = []
        self._queue: list[Architecture | None] = []  # None is drawn when its turn comes
        self._stage: list[tuple[float, Architecture]] = []  # losses of the stage under way
        self._label = 0
        self._results: list[list[tuple[float, Architecture]]] = [[] for _ in range(LABELS)]
        self._models: dict[int, tuple[CodeDensity, CodeDensity]] = {}

    def ask(self) -> Architecture:
        if not self._queue:
            self._advance()
        queued = self._queue.pop(0)
        return self._drawn() if queued is None else queued

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        loss = math.inf if evaluation.failure or not self.problem.keeps(evaluation) else -evaluation.score
        self._stage.append((loss, architecture))
        if max(self._models, default=-1) <= self._label:
            self._results[self._label].append((loss, architecture))
            self._fit(self._label)

    def rank(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        return super().rank(query, evaluation, feasible and self._label == LABELS - 1)

    def _advance(self) -> None:
        """The next stage: the best of the last one in the order in which they ran, or a new bracket."""
        if self._stages:
            number = self._stages.pop(0)
            losses = [loss for loss, _ in self._stage]
            order = sorted(range(len(losses)), key=losses.__getitem__)[:number]
            self._queue = [self._stage[i][1] for i in sorted(order) if losses[i] < math.inf]
            self._queue += [None] * (number - len(self._queue))
            self._label += 1
        else:
            first, *self._stages = BRACKETS[self._brackets % len(BRACKETS)]
            self._brackets += 1
            self._queue = [None] * first
            self._label = LABELS - 1 - len(self._stages)
        self._stage = []

    def _fit(self, label: int) -> None:
        results = self._results[label]
        n, least = len(results), len(self.space.sizes) + 1
        good, bad = (max(least, percent * n // 100) for percent in (GOOD_PERCENT, 100 - GOOD_PERCENT))
        codes = [architecture for _, architecture in sorted(results, key=lambda each: each[0])]
        if n >= good + least:  # both have more rows than there are choices
            pair = codes[:good], codes[good : good + bad]
            first, second = (CodeDensity(np.array(rows, float), self.min_bandwidth) for rows in pair)
            self._models[label] = first, second

    def _drawn(self) -> Architecture:
        if not self._models or self.rng.random() < self.random_fraction:
            return self.problem.sample(self.rng)
        good, bad = self._models[max(self._models)]
        best, least = None, math.inf
        for _ in range(self.samples):
            candidate = good.draw(self.rng, self.space.sizes)
            if not self._allowed(candidate):
                continue
            g, b = good(candidate), bad(candidate)
            # Where a density is no number: as Python's max() treats it in the published code.
            ratio = (b if b > SMALLEST else SMALLEST) / (SMALLEST if g < SMALLEST else g)
            if not math.isfinite(ratio) and math.isfinite(g):
                best = candidate  # an option that none of the bad ones has
                break
            if ratio < least:
                best, least = candidate, ratio
        return self.problem.sample(self.rng) if best is None else best

    def _allowed(self, architecture: Architecture) -> bool:
        return self.space.is_valid(architecture) and self.problem.is_feasible(architecture)
