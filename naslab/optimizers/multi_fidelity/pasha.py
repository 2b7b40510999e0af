"""Progressive ASHA: as few rungs as are needed to rank the best trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from naslab.evaluators import Evaluation
from naslab.optimizers.multi_fidelity.asha import ASHA
from naslab.optimizers.multi_fidelity.climbing import LOST
from naslab.tasks import Problem

PERCENTILE = 90


class PASHA(ASHA):
    """ASHA that opens a further rung only when the two highest open ones rank their trials differently.

    Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", with the promotion rule of
    Syne Tune (``asha[rule=quantile]``). It begins with two rungs. After each result at the higher of them the trials
    there are ranked by both. Ranks are soft: trials within epsilon of each other at the lower rung may change places.
    Where any other does, a rung is opened. Epsilon is the 90th percentile of how far pairs of trials at the higher rung
    are apart in the end whose order swapped and swapped back along their learning curves; without such pairs 0. Where
    trials start from scratch, their curves are the scores at their rungs.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.

    Attributes:
        epsilon: Differences up to this are noise.
    """

    def __init__(
        self, problem: Problem, rng: np.random.Generator, *, eta: int = 3, lowest: int = 0, highest: int = 0
    ) -> None:
        super().__init__(problem, rng, eta=eta, rule="quantile", lowest=lowest, highest=highest)
        self.epsilon = 0.0
        self._open = 1
        self._curves: dict[int, dict[int, float]] = {}
        self._apart: list[float] = []

    @property
    def top(self) -> int:
        return self._open

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        super().reached(trial, rung, score, evaluation)
        if score == LOST:
            return
        curve = self._curves.setdefault(trial, {})
        curve.update(evaluation.curve)
        curve[self.rungs[rung]] = score
        if rung != self.top or rung == len(self.rungs) - 1:
            return
        ranked = [each for _, each in self.results[rung].ranked]
        for other in ranked:
            apart = crossing(curve, self._curves[other])
            if apart is not None:
                self._apart.append(apart)
        self.epsilon = float(np.percentile(self._apart, PERCENTILE)) if self._apart else 0.0
        lower = {each: -loss for loss, each in self.results[rung - 1].ranked}
        if not same_ranking(ranked, [lower[each] for each in ranked], self.epsilon):
            self._open += 1
            self._apart = []


def crossing(one: dict[int, float], other: dict[int, float]) -> float | None:
    """How far two curves are apart at the last epoch of both, if their order swapped and swapped back before it."""
    epochs = sorted(one.keys() & other.keys())
    gaps = [gap for gap in (one[epoch] - other[epoch] for epoch in epochs) if math.isfinite(gap) and gap]
    swaps = sum((a > 0) != (b > 0) for a, b in pairwise(gaps))
    return abs(gaps[-1]) if swaps > 1 else None


def same_ranking(ranked: Sequence[int], lower: Sequence[float], epsilon: float) -> bool:
    """Whether trials, best first, are ranked alike by their scores at a lower rung, up to epsilon.

    Args:
        ranked: Trials in their order at the higher rung.
        lower: Their scores at the lower rung, in the same order.
        epsilon: Each place belongs to all whose lower score is within it of the lower score ranked there.
    """
    there = sorted(lower, reverse=True)
    return all(abs(score - place) <= epsilon for score, place in zip(lower, there, strict=True))
