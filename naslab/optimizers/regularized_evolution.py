"""Regularized (ageing) evolution."""

from __future__ import annotations

from collections import deque

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell, Wait
from naslab.space import Architecture
from naslab.tasks import Problem


class RegularizedEvolution(AskTell):
    """Tournament selection in a population whose oldest member dies.

    Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", algorithm 1. Defaults are
    those of the NAS-Bench-201 scripts: population 10, tournaments of 3 drawn *with* replacement (Mellor et al. 2021
    write without), a child differs from its parent by one move. A child that was evaluated before is evaluated and
    charged again. Deviation: all moves are equally likely. The scripts draw a node of the cell, then one of its
    incoming edges, so that in NAS-Bench-201 an edge changes with probability 1/3, 1/6 or 1/9, by the node that it leads
    to, not 1/6. With theirs the cells found on ``nasbench201/cifar10`` are worse by 0.056 points [0.043, 0.069] after
    100 evaluations, by 0.015 [0.010, 0.020] after 300 (4,000 runs each: ``benchmarks/node_mutation.py --seeds 4000``).
    Under a constraint, parents and children are feasible. A score that is not finite loses every
    tournament, and so does what exceeds a limit on a metric, which only its evaluation tells. With several workers it
    does not wait: parents are drawn from those that have been evaluated.

    Args:
        problem: The problem.
        rng: Its generator.
        population: Number of architectures alive.
        sample: Size of a tournament.
        replacement: Whether a tournament may draw the same member twice.
    """

    concurrent = True

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        population: int = 10,
        sample: int = 3,
        replacement: bool = True,
    ) -> None:
        super().__init__(problem, rng)
        if population < 1 or sample < 1 or (sample > population and not replacement):
            raise InvalidValue(
                f"population={population}, sample={sample}: at least 1, and without replacement sample <= population"
            )
        self.population, self.sample, self.replacement = population, sample, replacement
        self._alive: deque[tuple[float, Architecture]] = deque(maxlen=population)
        self._newcomers = 0

    def ask(self) -> Architecture | Wait:
        alive = self._alive
        if self._newcomers < self.population:
            self._newcomers += 1
            return self.newcomer()
        if not alive:  # all are still being evaluated
            return Wait()
        if self.replacement:
            drawn = [alive[int(u * len(alive))] for u in self.rng.random(self.sample).tolist()]
        else:
            drawn = [alive[i] for i in self.rng.permutation(len(alive))[: self.sample].tolist()]
        parent = drawn[0]
        for other in drawn[1:]:
            if other[0] > parent[0]:
                parent = other
        return self.child(parent[1])

    def newcomer(self) -> Architecture:
        """The next member of the initial population."""
        return self.problem.sample(self.rng)

    def child(self, parent: Architecture) -> Architecture:
        """The child of a parent."""
        return self.problem.mutate(parent, self.rng)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        score = evaluation.score
        good = score - score == 0.0 and self.problem.keeps(evaluation)
        self._alive.append((score if good else -float("inf"), architecture))
