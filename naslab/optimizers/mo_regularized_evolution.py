"""Regularized evolution with several objectives."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from naslab.analysis.fronts import ranks
from naslab.evaluators import Evaluation
from naslab.optimizers.named import named
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.space import Architecture
from naslab.tasks import Problem


@named(population=50, sample=5)
class MORegularizedEvolution(RegularizedEvolution):
    """Regularized evolution whose tournaments are won by the non-dominated rank within the population.

    MO-REA of Salinas et al. 2022 (Syne Tune, "multi-objective regularized evolution"): Real et al. 2019 with the score
    replaced by the rank of non-dominated sorting (Deb et al. 2002, section III-A); the oldest still dies, however good.
    Deviations: of one rank the first drawn wins, as among equal scores in the single-objective algorithm (Syne Tune
    orders a rank by an epsilon net), so that with the score alone this is ``regularized-evolution``, run for run; and
    defaults, which were 100 members and tournaments of 10 there. As every strategy, it returns the feasible
    architecture with the best score; the front of its run is in its trace. What failed, or exceeds a limit on a metric,
    has the last rank.

    Args:
        problem: The problem.
        rng: Its generator.
        population: Number of architectures alive.
        sample: Size of a tournament.
        replacement: Whether a tournament may draw the same member twice.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, **options: Any) -> None:
        super().__init__(problem, rng, **options)
        self._living: deque[tuple[tuple[float, ...], Architecture]] = deque(maxlen=self.population)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        values = self.problem.values(architecture, evaluation)
        if not (np.isfinite(values).all() and self.problem.keeps(evaluation)):
            values = (-np.inf,) * len(values)
        self._living.append((values, architecture))
        order = ranks(np.array([told for told, _ in self._living]))
        self._alive = deque(
            ((-float(rank), member) for rank, (_, member) in zip(order, self._living, strict=True)), self.population
        )
