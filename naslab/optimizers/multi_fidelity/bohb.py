"""BOHB: Hyperband whose trials are drawn from a model of the good ones."""

from __future__ import annotations

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.multi_fidelity.halving import Hyperband
from naslab.optimizers.multi_fidelity.parzen import Parzen
from naslab.optimizers.prior import Prior
from naslab.space import Architecture
from naslab.tasks import Problem

SMALLEST = 1e-32
"""Densities below count as this."""
TRIES = 100
"""Uniform draws for an architecture that no trial has; then one is repeated."""


class BOHB(Hyperband):
    """Hyperband whose new trials come from a model of what was good at the highest rung with enough results.

    Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", algorithm 2. A share of the
    trials is uniform. For each of the others ``samples`` architectures are drawn from the density of the good results
    (with wider kernels of ranges), and the one is begun whose density among the good is the largest multiple of that
    among the bad. With N results at a rung, the good are the best max(d + 1, ``good`` N), the bad the worst
    max(d + 1, N - good), d being the number of decisions; the model begins with d + 3 results at one rung.

    Deviations from the paper and its code (HpBandSter): the densities are those of
    :class:`~naslab.optimizers.multi_fidelity.parzen.Parzen`, which sum to one and do not depend on the order of options
    (HpBandSter's do neither) and have no smallest bandwidth; what is not active is summed out, not imputed. No
    architecture has two trials, so that nothing is paid for twice, unless a hundred uniform draws find no other. What
    breaks a rule or a limit on costs is not considered; what failed, or exceeds a limit on a metric, is bad.
    ``bohb-nb201`` is what the scripts of NAS-Bench-201 ran.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        brackets: ``"hpbandster"`` or ``"hyperband"``: see :class:`Hyperband`.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.
        samples: Draws from the good density for one trial.
        good: The share of results that are good.
        random_fraction: The share of uniform trials.
        widening: By how much kernels of ranges are wider where they are drawn from than where they are compared.
        prior: An architecture in the notation of its space: what would be uniform is drawn around it instead, see
            :class:`~naslab.optimizers.prior.Prior`.
        confidence: How sure of it the user is, from 0 to 1.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        eta: int = 3,
        brackets: str = "hpbandster",
        lowest: int = 0,
        highest: int = 0,
        samples: int = 64,
        good: float = 0.15,
        random_fraction: float = 1 / 3,
        widening: float = 3.0,
        prior: str = "",
        confidence: float = 0.5,
    ) -> None:
        super().__init__(problem, rng, eta=eta, brackets=brackets, lowest=lowest, highest=highest)
        if samples < 1 or not 0 < good < 1 or not 0 <= random_fraction <= 1 or not widening > 0:
            raise InvalidValue(
                f"samples={samples}, good={good}, random_fraction={random_fraction}, widening={widening}: at least 1, "
                "between 0 and 1, 0 to 1, and above 0"
            )
        self.samples, self.good, self.random_fraction = samples, good, random_fraction
        self.widening, self.prior = widening, Prior(problem, prior, confidence)
        self._results: list[list[tuple[float, Architecture]]] = [[] for _ in self.rungs]
        self._known: set[Architecture] = set()
        self._model: tuple[Parzen, Parzen] | None = None

    def newcomer(self, rung: int) -> Architecture:
        drawn = self._uniform() if self.rng.random() < self.random_fraction else self._modelled()
        self._known.add(drawn)
        return drawn

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        self._results[rung].append((score, self.trials[trial]))
        self._model = None
        super().reached(trial, rung, score, evaluation)

    def _uniform(self) -> Architecture:
        for sample in (self.prior.sample, self.problem.sample):
            for _ in range(TRIES):
                drawn = sample(self.rng)
                if drawn not in self._known:
                    return drawn
        return drawn

    def _modelled(self) -> Architecture:
        least = len(self.space.decisions_in_order) + 1
        results = next((each for each in reversed(self._results) if len(each) >= least + 2), None)
        if results is None:
            return self._uniform()
        good, bad = self._model = self._model or self._fitted(results, least)
        drawn = dict.fromkeys(good.draw(self.rng, self.widening) for _ in range(self.samples))  # each once, in order
        candidates = [a for a in drawn if a not in self._known and self._allowed(a)]
        if not candidates:
            return self._uniform()
        ratios = np.maximum(good.density(candidates), SMALLEST) / np.maximum(bad.density(candidates), SMALLEST)
        return candidates[int(ratios.argmax())]

    def _fitted(self, results: list[tuple[float, Architecture]], least: int) -> tuple[Parzen, Parzen]:
        ranked = [architecture for _, architecture in sorted(results, key=lambda each: -each[0])]
        good = max(least, int(self.good * len(ranked)))
        bad = max(least, len(ranked) - good)
        return Parzen(self.space, ranked[:good]), Parzen(self.space, ranked[-bad:])

    def _allowed(self, architecture: Architecture) -> bool:
        return self.space.is_valid(architecture) and self.problem.is_feasible(architecture)
