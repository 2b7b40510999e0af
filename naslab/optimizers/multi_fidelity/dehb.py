"""DEHB: differential evolution in Hyperband's brackets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from naslab.evaluators import Evaluation
from naslab.optimizers.base import Query
from naslab.optimizers.multi_fidelity.climbing import LOST
from naslab.optimizers.multi_fidelity.halving import Bracket, Brackets, climb
from naslab.space import Architecture
from naslab.tasks import Problem

Vector = npt.NDArray[np.float64]

SCALE, CROSSOVER = 0.5, 0.5
PARENTS = 3  # of a mutant
TRIES = 100


class Individual(NamedTuple):
    """A member of a sub-population.

    Attributes:
        score: At the sub-population's rung.
        vector: ``(decisions,)``, each in [0, 1].
        trial: Its trial.
    """

    score: float
    vector: Vector
    trial: int


class DEHB(Brackets):
    """Hyperband whose new trials are children by differential evolution, of a sub-population per rung.

    Awad et al. 2021, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization":
    rand/1/bin with F = 0.5 and CR = 0.5 on vectors in the unit cube (options are equal parts of an axis), in
    HpBandSter's brackets. A sub-population is as large as the most trials that a bracket has at its rung, and its
    members are parents in turn. In each bracket's first turn, rungs above its first take the best trials of the
    sub-population below that have not been there. Otherwise a child is begun at the rung: of a parent there and a
    mutant of the best at the rung below, as many as the bracket has at this rung (at a bracket's first rung: of the
    rung's own), and of all rungs' where those are fewer than three. It takes its parent's place unless it is worse.

    Deviations: a parent's place without a member, at first all of them, takes a uniform draw. Trials that go on
    continue their training. A child that is invalid, or breaks a limit on costs, is drawn again, and after 100 of them
    a uniform draw is taken. As published, a child may be an architecture that was evaluated before, and is charged.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.

    Attributes:
        populations: One per rung; a place is empty until a trial has reached it.
    """

    def __init__(
        self, problem: Problem, rng: np.random.Generator, *, eta: int = 3, lowest: int = 0, highest: int = 0
    ) -> None:
        found, sizes = climb(problem, eta, "hpbandster", lowest, highest)
        super().__init__(problem, rng, found, sizes)
        most = [
            max(each[rung - len(found)] for each in sizes if len(each) >= len(found) - rung)
            for rung in range(len(found))
        ]
        self.populations: list[list[Individual | None]] = [[None] * size for size in most]
        self._parents = [0] * len(found)
        self._been: list[set[int]] = [set() for _ in found]
        self._under_way: dict[int, tuple[int, Vector]] = {}

    def candidate(self, bracket: Bracket) -> Query:
        rung = bracket.rung
        place = self._parents[rung]
        self._parents[rung] = (place + 1) % len(self.populations[rung])
        best = self._promotable(rung) if bracket.turn == 0 and rung > bracket.first else None
        if best is not None:
            trial, vector, query = best.trial, best.vector, self.go_on(best.trial, rung)
        else:
            parent = self.populations[rung][place]
            architecture, vector = self._uniform(rung) if parent is None else self._child(parent, bracket)
            trial, query = len(self.trials), self.begin(architecture, rung)
        self._under_way[trial] = (place, vector)
        self._been[rung].add(trial)
        return query

    def filled(self, bracket: Bracket, ranked: list[int]) -> None:
        """Who goes on is up to the sub-population, not to the rung."""

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        place, vector = self._under_way.pop(trial)
        held = self.populations[rung][place]
        if score > LOST and (held is None or score >= held.score):
            self.populations[rung][place] = Individual(score, vector, trial)
        super().reached(trial, rung, score, evaluation)

    def _ranked(self, rung: int) -> list[Individual]:
        """The members of a sub-population, best first."""
        return sorted((each for each in self.populations[rung] if each is not None), key=lambda each: -each.score)

    def _promotable(self, rung: int) -> Individual | None:
        return next((each for each in self._ranked(rung - 1) if each.trial not in self._been[rung]), None)

    def _child(self, parent: Individual, bracket: Bracket) -> tuple[Architecture, Vector]:
        first = bracket.rung == bracket.first
        members = self._ranked(bracket.rung) if first else self._ranked(bracket.rung - 1)[: bracket.size]
        if len(members) < PARENTS:
            members = [each for rung in range(len(self.rungs)) for each in self._ranked(rung)]
        pool = [each.vector for each in members]
        while len(pool) < PARENTS:
            pool.append(self.rng.random(len(parent.vector)))
        for _ in range(TRIES):
            vector = crossed(parent.vector, mutant(pool, self.rng), self.rng)
            architecture = self._decoded(vector)
            if self.space.is_valid(architecture) and self.problem.is_feasible(architecture):
                return architecture, vector
        return self._uniform(bracket.rung)

    def _uniform(self, rung: int) -> tuple[Architecture, Vector]:
        """A new trial's architecture, and a random place of the cube that stands for it."""
        architecture, sizes = self.newcomer(rung), self.space.sizes
        options = (np.array(architecture[: len(sizes)]) + self.rng.random(len(sizes))) / np.array(sizes)
        numbers = zip(self.space.ranges, architecture[len(sizes) :], strict=True)
        return architecture, np.array([*options, *(each.to_unit(value) for each, value in numbers)], float)

    def _decoded(self, vector: Vector) -> Architecture:
        sizes = self.space.sizes
        options = (min(int(place * size), size - 1) for place, size in zip(vector.tolist(), sizes, strict=False))
        numbers = zip(self.space.ranges, vector[len(sizes) :].tolist(), strict=True)
        return self.space.normal((*options, *(each.from_unit(place) for each, place in numbers)))


def mutant(pool: list[Vector], rng: np.random.Generator) -> Vector:
    """rand/1: one of a pool, and half the difference of two others; what leaves the unit cube is drawn again."""
    base, plus, minus = (pool[i] for i in rng.permutation(len(pool))[:PARENTS])
    moved = base + SCALE * (plus - minus)
    return np.where((moved < 0) | (moved > 1), rng.random(len(moved)), moved)


def crossed(parent: Vector, other: Vector, rng: np.random.Generator) -> Vector:
    """Binomial crossover: each coordinate of the other with probability 1/2, and one of them in any case."""
    taken = (rng.random(len(parent)) < CROSSOVER) | (rng.permutation(len(parent)) == 0)
    return np.where(taken, other, parent)
