"""Bayesian optimisation and multi-objective evolution through Optuna's ask-and-tell interface."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import Trial, TrialState

from naslab.errors import InvalidValue, UnknownMetric
from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell, Query
from naslab.space import Architecture, Decision, Range
from naslab.tasks import Problem
from naslab.tasks.objective import SCORE

optuna.logging.set_verbosity(optuna.logging.ERROR)  # else every run announces its study, and what is not installed
VALID_TRIES = 10
_UNDECIDED = object()
_DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}


class OptunaOptimizer(AskTell):
    """A strategy of Optuna's on a search space.

    A choice among increasing numbers (a width) is an integer for Optuna, any other choice is categorical, a range is a
    number. Where decisions are conditional, Optuna is asked for active ones alone, one after the other. Limits reach
    the sampler as Optuna's constraints: how far each is exceeded, relative to the limit, be it on a cost or a metric.
    Combinations that the space forbids are reported as failed, and Optuna is asked again; after ten of them a uniform
    feasible architecture is evaluated instead, which Optuna is told as a trial of its own. Repeated architectures are
    evaluated and charged again. A score that is not finite is reported as a failed trial. Several
    of Optuna's trials may be open.
    """

    directions: Sequence[Literal["maximize", "minimize"]] = ("maximize",)

    def __init__(self, problem: Problem, rng: np.random.Generator, sampler: BaseSampler) -> None:
        super().__init__(problem, rng)
        self._study = optuna.create_study(sampler=sampler, directions=[*self.directions])
        self._distributions = {each.name: _distribution(each) for each in self.space.decisions_in_order}
        self._open: dict[int, Trial] = {}
        self._begun = 0

    def ask(self) -> Architecture | Query:
        return self.begin()

    def begin(self) -> Architecture:
        """The architecture of a new trial."""
        trial, architecture = self._valid()
        self._open[self._begun] = trial
        self._begun += 1
        return architecture

    def _valid(self) -> tuple[Trial, Architecture]:
        for _ in range(VALID_TRIES):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numerical warnings of the samplers' models
                trial, architecture = self._asked()
            if self.space.is_valid(architecture):
                return trial, architecture
            self._study.tell(trial, state=TrialState.FAIL)
        # The sampler has not learnt the rules, but the space knows them.
        architecture = self.problem.sample(self.rng)
        decisions, active = self.space.decisions(architecture), self.space.active(architecture)
        self._study.enqueue_trial({name: decisions[name] for name in active})
        return self._asked()[0], architecture

    def _asked(self) -> tuple[Trial, Architecture]:
        """A trial of the study, and its architecture."""
        space = self.space
        trial = self._study.ask({} if space.conditions else self._distributions)
        if not space.conditions:
            return trial, tuple(trial.params[name] for name in self._distributions)
        values: list[Any] = [_UNDECIDED] * len(self._distributions)
        asked = True
        while asked:
            asked = False
            for i, on in enumerate(space.conditions.active(tuple(values))):
                if on and values[i] is _UNDECIDED:
                    values[i], asked = _suggested(trial, space.decisions_in_order[i]), True
        rest = zip(values, space.conditions.idle, strict=True)
        return trial, tuple(idle if value is _UNDECIDED else value for value, idle in rest)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self.told(Query(architecture), evaluation)

    def told(self, query: Query, evaluation: Evaluation) -> None:
        number = min(self._open, default=None) if query.trial is None else query.trial
        trial, architecture = self._open.pop(number, None) if number is not None else None, query.architecture
        if trial is None:
            return
        values = self.objectives(architecture, evaluation)
        if self._constrain(trial, architecture, evaluation) and np.isfinite(values).all():
            self._study.tell(trial, values)
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def _constrain(self, trial: Trial, architecture: Architecture, evaluation: Evaluation) -> bool:
        """Say how far limits are exceeded; whether all is known: metrics of an evaluation that failed are not."""
        for limit in self.problem.constraint.limits:
            found = self.problem.value(limit.metric, architecture, evaluation)
            if math.isnan(found):
                return False
            trial.set_constraint(limit.metric, found / limit.maximum - 1)
        return True

    def objectives(self, architecture: Architecture, evaluation: Evaluation) -> list[float]:
        """What the study optimises, in the order of :attr:`directions`."""
        return [evaluation.score]


class OptunaTPE(OptunaOptimizer):
    """Tree-structured Parzen estimator over all choices jointly.

    Bergstra et al. 2011; multivariate as Falkner et al. 2018 (BOHB) use it. Optuna's ``TPESampler``; where decisions
    are conditional, those that are active together are modelled together. What other workers are evaluating counts as
    bad (Optuna's ``constant_liar``), so that it is not asked for again.

    Args:
        problem: The problem.
        rng: Its generator.
        startup: Random architectures before the model is used.
    """

    concurrent = True

    def __init__(self, problem: Problem, rng: np.random.Generator, *, startup: int = 10) -> None:
        _at_least(1, "startup", startup)
        options = {"n_startup_trials": startup, "multivariate": True, "group": bool(problem.space.conditions)}
        options["constant_liar"] = True
        super().__init__(problem, rng, _sampler(TPESampler, rng, **options))


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
    """Multi-objective evolution: all objectives at once, so that one run covers their trade-off.

    Deb et al. 2002. Optuna's ``NSGAIISampler``. As every strategy, it returns the feasible architecture
    with the best score; the front of its run is in its trace.

    Args:
        problem: The problem.
        rng: Its generator.
        cost: The second objective where the problem has the score alone, one of its costs.
        population: Size of a generation.
    """

    concurrent = True

    def __init__(
        self, problem: Problem, rng: np.random.Generator, *, cost: str = "params", population: int = 20
    ) -> None:
        _at_least(2, "population", population)
        if len(problem.objectives) == 1:
            if cost not in problem.costs:
                raise UnknownMetric(cost, problem.costs, see="optuna-nsgaii[cost=NAME], or --objectives score,NAME")
            problem = problem.optimising([SCORE.name, cost])
        self.directions = [_DIRECTIONS[each.direction] for each in problem.objectives]
        super().__init__(problem, rng, _sampler(NSGAIISampler, rng, population_size=population))

    def objectives(self, architecture: Architecture, evaluation: Evaluation) -> list[float]:
        return [self.problem.value(each.name, architecture, evaluation) for each in self.problem.objectives]


def _distribution(decision: Decision) -> BaseDistribution:
    if isinstance(decision, Range):
        if decision.integer:
            return IntDistribution(int(decision.low), int(decision.high), log=decision.log)
        return FloatDistribution(decision.low, decision.high, log=decision.log)
    options = decision.options
    numbers = all(isinstance(option, int | float) and not isinstance(option, bool) for option in options)
    if numbers and all(a < b for a, b in itertools.pairwise(options)):
        return IntDistribution(0, len(options) - 1)
    return CategoricalDistribution(tuple(range(len(options))))


def _suggested(trial: Trial, decision: Decision) -> Any:
    """The value of one decision in a trial."""
    kind = _distribution(decision)
    if isinstance(kind, FloatDistribution):
        return trial.suggest_float(decision.name, kind.low, kind.high, log=kind.log)
    if isinstance(kind, IntDistribution):
        return trial.suggest_int(decision.name, kind.low, kind.high, log=kind.log)
    assert isinstance(kind, CategoricalDistribution)
    return trial.suggest_categorical(decision.name, kind.choices)


def _sampler(kind: Callable[..., BaseSampler], rng: np.random.Generator, **options: Any) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind(seed=int(rng.integers(2**32 - 1)), **options)


def _at_least(smallest: int, name: str, value: int) -> None:
    if value < smallest:
        raise InvalidValue(f"{name}={value}: at least {smallest}")
