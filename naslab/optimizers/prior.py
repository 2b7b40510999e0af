"""Where a user expects good architectures, and strategies that begin there."""

from __future__ import annotations

import numpy as np
from scipy import special

from naslab.errors import InvalidValue
from naslab.optimizers.random_search import RandomSearch
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.space import Architecture, Range
from naslab.tasks import Problem

TRIES = 1000


class Prior:
    """A distribution around an architecture that a user believes to be good.

    As in NePS (Mallik et al. 2023, "PriorBand"), decisions are independent. With probability ``confidence`` a choice
    takes the option of the centre, else a uniform one. A range is drawn from a normal distribution around the centre on
    its unit scale, cut off at both ends, with a standard deviation of 1 - confidence. Deviations: NePS shares the rest
    among the *other* options only, by which a weak belief in one of two speaks against it; decisions that are not
    active in the centre are uniform; draws that are invalid, or break a limit on costs, are drawn again, and after
    1,000 of them a uniform architecture is taken.

    Args:
        problem: The problem.
        centre: The architecture, in the notation of its space (``space.to_string``); empty for a uniform distribution.
        confidence: How sure the user is, from 0 to 1.

    Raises:
        InvalidArchitecture: The centre is none of the space.
        InvalidValue: The confidence is not from 0 to 1.
    """

    def __init__(self, problem: Problem, centre: str, confidence: float) -> None:
        if not 0 <= confidence <= 1:
            raise InvalidValue(f"confidence={confidence}: from 0 (uniform choices) to 1 (the prior's architecture)")
        self.problem, self.confidence = problem, confidence
        self.centre = problem.space.from_string(centre) if centre else None

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A draw, which keeps the space's rules and the limits on costs."""
        if self.centre is not None:
            for _ in range(TRIES):
                architecture = self._draw(self.centre, rng)
                if self.problem.space.is_valid(architecture) and self.problem.is_feasible(architecture):
                    return architecture
        return self.problem.sample(rng)

    def _draw(self, centre: Architecture, rng: np.random.Generator) -> Architecture:
        space = self.problem.space
        found: list[float] = []
        for i, (decision, active) in enumerate(
            zip(space.decisions_in_order, space.conditions.active(centre), strict=True)
        ):
            if isinstance(decision, Range):
                unit = _cut_normal(decision.to_unit(centre[i]), 1 - self.confidence, rng) if active else rng.random()
                found.append(decision.from_unit(unit))
            elif active and rng.random() < self.confidence:
                found.append(centre[i])
            else:
                found.append(int(rng.integers(space.sizes[i])))
        return space.normal(tuple(found))


class PriorRandomSearch(RandomSearch):
    """Random search among what a user believes to be good: draws from a :class:`Prior`, with replacement.

    Args:
        problem: The problem.
        rng: Its generator.
        prior: An architecture in the notation of its space; empty for uniform draws.
        confidence: How sure the user is, from 0 to 1.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, *, prior: str = "", confidence: float = 0.5) -> None:
        super().__init__(problem, rng)
        self.prior = Prior(problem, prior, confidence)

    def ask(self) -> Architecture:
        return self.prior.sample(self.rng)


class PriorEvolution(RegularizedEvolution):
    """Ageing evolution whose initial population is drawn from a :class:`Prior`; moves are those of evolution.

    Args:
        problem: The problem.
        rng: Its generator.
        prior: An architecture in the notation of its space; empty for uniform draws.
        confidence: How sure the user is, from 0 to 1.
        population: Number of architectures alive.
        sample: Size of a tournament.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        prior: str = "",
        confidence: float = 0.5,
        population: int = 10,
        sample: int = 3,
    ) -> None:
        super().__init__(problem, rng, population=population, sample=sample)
        self.prior = Prior(problem, prior, confidence)

    def newcomer(self) -> Architecture:
        return self.prior.sample(self.rng)


def _cut_normal(centre: float, deviation: float, rng: np.random.Generator) -> float:
    """A draw from a normal distribution that is cut off at 0 and 1."""
    if deviation == 0:
        return centre
    low, high = special.ndtr(-centre / deviation), special.ndtr((1 - centre) / deviation)
    return float(centre + deviation * special.ndtri(low + rng.random() * (high - low)))
