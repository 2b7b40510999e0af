"""Bayesian optimisation and multi-objective evolution through Optuna's ask-and-tell interface."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import Trial, TrialState

from naslab.errors import InvalidValue, UnknownMetric
from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell
from naslab.space import Architecture, Choice
from naslab.tasks import Problem

optuna.logging.set_verbosity(optuna.logging.WARNING)  # else every run of a comparison announces its study
VALID_TRIES = 10


class OptunaOptimizer(AskTell):
    """A strategy of Optuna's on a search space.

    A choice among increasing numbers (a width) is an integer for Optuna, any other choice is categorical. Limits
    reach the sampler as Optuna's constraints: how far each is exceeded, relative to the limit. Combinations that the
    space forbids are reported as failed, and Optuna is asked again; after ten of them a uniform feasible architecture
    is evaluated instead, which Optuna is told as a trial of its own. Repeated architectures are evaluated and charged
    again. A score that is not finite is reported as a failed trial.
    """

    directions: Sequence[Literal["maximize", "minimize"]] = ("maximize",)

    def __init__(self, problem: Problem, rng: np.random.Generator, sampler: BaseSampler) -> None:
        super().__init__(problem, rng)
        self._study = optuna.create_study(sampler=sampler, directions=[*self.directions])
        self._distributions = {choice.name: _distribution(choice) for choice in self.space.choices}
        self._trial: Trial | None = None

    def ask(self) -> Architecture:
        for _ in range(VALID_TRIES):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numerical warnings of the samplers' models
                self._trial = self._study.ask(self._distributions)
            architecture = tuple(int(self._trial.params[choice.name]) for choice in self.space.choices)
            if self.space.is_valid(architecture):
                return architecture
            self._study.tell(self._trial, state=TrialState.FAIL)
        # The sampler has not learnt the rules, but the space knows them.
        architecture = self.problem.sample(self.rng)
        names = [choice.name for choice in self.space.choices]
        self._study.enqueue_trial(dict(zip(names, architecture, strict=True)))
        self._trial = self._study.ask(self._distributions)
        return architecture

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        trial = self._trial
        if trial is None:
            return
        for limit in self.problem.constraint.limits:
            trial.set_constraint(limit.metric, self.problem.cost(limit.metric, architecture) / limit.maximum - 1)
        values = self.objectives(architecture, evaluation)
        if np.isfinite(values).all():
            self._study.tell(trial, values)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def objectives(self, architecture: Architecture, evaluation: Evaluation) -> list[float]:
        """What the study optimises, in the order of :attr:`directions`."""
        return [evaluation.score]


class OptunaTPE(OptunaOptimizer):
    """Tree-structured Parzen estimator over all choices jointly.

    Bergstra et al. 2011; multivariate as Falkner et al. 2018 (BOHB) use it. Optuna's ``TPESampler``.

    Args:
        problem: The problem.
        rng: Its generator.
        startup: Random architectures before the model is used.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, *, startup: int = 10) -> None:
        _at_least(1, "startup", startup)
        super().__init__(problem, rng, _sampler(TPESampler, rng, n_startup_trials=startup, multivariate=True))


class OptunaGP(OptunaOptimizer):
    """Gaussian process with expected improvement (constrained where the problem is); about 0.1 s per ask.

    Optuna's ``GPSampler``, which also models the noise of the evaluations.

    Args:
        problem: The problem.
        rng: Its generator.
        startup: Random architectures before the model is used.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, *, startup: int = 10) -> None:
        _at_least(1, "startup", startup)
        super().__init__(problem, rng, _sampler(GPSampler, rng, n_startup_trials=startup))


class OptunaNSGAII(OptunaOptimizer):
    """Multi-objective evolution: the score against a cost, so that one run covers the trade-off.

    Deb et al. 2002. Optuna's ``NSGAIISampler``. As every strategy, it returns the feasible architecture
    with the best score; its trace contains the Pareto front.

    Args:
        problem: The problem.
        rng: Its generator.
        cost: The second objective, one of the problem's costs.
        population: Size of a generation.
    """

    directions = ("maximize", "minimize")

    def __init__(
        self, problem: Problem, rng: np.random.Generator, *, cost: str = "params", population: int = 20
    ) -> None:
        if cost not in problem.costs:
            raise UnknownMetric(cost, problem.costs)
        _at_least(2, "population", population)
        self.cost = cost
        super().__init__(problem, rng, _sampler(NSGAIISampler, rng, population_size=population))

    def objectives(self, architecture: Architecture, evaluation: Evaluation) -> list[float]:
        return [evaluation.score, float(self.problem.cost(self.cost, architecture))]


def _distribution(choice: Choice) -> BaseDistribution:
    options = choice.options
    numbers = all(isinstance(option, int | float) and not isinstance(option, bool) for option in options)
    if numbers and all(a < b for a, b in itertools.pairwise(options)):
        return IntDistribution(0, len(options) - 1)
    return CategoricalDistribution(tuple(range(len(options))))


def _sampler(kind: Callable[..., BaseSampler], rng: np.random.Generator, **options: Any) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind(seed=int(rng.integers(2**32 - 1)), **options)


def _at_least(smallest: int, name: str, value: int) -> None:
    if value < smallest:
        raise InvalidValue(f"{name}={value}: at least {smallest}")
