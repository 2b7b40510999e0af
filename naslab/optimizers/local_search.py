"""Local search."""

from __future__ import annotations

import numpy as np

from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell, Wait
from naslab.space import Architecture
from naslab.tasks import Problem

RESTART_TRIES = 1000


class LocalSearch(AskTell):
    """Hill climbing over the whole neighbourhood, restarted from a random architecture at every local optimum.

    White et al. 2021, "Exploring the Loss Landscape in Neural Architecture Search", algorithm 1: evaluate every
    neighbour, move to the best if it beats the current architecture, else restart. Neighbours are visited in random
    order, so that a run that ends within a neighbourhood is not biased towards the first choice. Nothing is evaluated
    twice (the score seen first stands); the search ends when no new architecture is found. What exceeds a limit on a
    metric, which only its evaluation tells, is never moved to. With several workers the neighbours are evaluated beside
    each other, and all of them are awaited.
    """

    concurrent = True

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self._scores: dict[Architecture, float] = {}
        self._current: Architecture | None = None
        self._around: list[Architecture] = []
        self._waiting: list[Architecture] = []
        self._under_way: set[Architecture] = set()

    def ask(self) -> Architecture | Wait | None:
        if not self._waiting and self._under_way:
            return Wait()
        while not self._waiting:
            best = max(self._around, key=self._scores.__getitem__, default=None)
            if self._current is None or best is None or self._scores[best] <= self._scores[self._current]:
                best = self._restart()
                if best is None:
                    return None
            self._current = best
            self._around = self.problem.neighbors(best)
            unseen = [a for a in self._around if a not in self._scores]
            self._waiting = [unseen[i] for i in self.rng.permutation(len(unseen)).tolist()]
            if best not in self._scores:
                self._waiting.append(best)
        asked = self._waiting.pop()
        self._under_way.add(asked)
        return asked

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self._under_way.discard(architecture)
        good = evaluation.score - evaluation.score == 0.0 and self.problem.keeps(evaluation)
        self._scores[architecture] = evaluation.score if good else -float("inf")

    def _restart(self) -> Architecture | None:
        for _ in range(RESTART_TRIES):
            architecture = self.problem.sample(self.rng)
            if architecture not in self._scores:
                return architecture
        return None
