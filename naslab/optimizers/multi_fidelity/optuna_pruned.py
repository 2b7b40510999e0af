"""Optuna's sampler with Optuna's pruner: trainings that fall behind the others are stopped."""

from __future__ import annotations

import numpy as np
from optuna.pruners import PercentilePruner
from optuna.trial import TrialState

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.base import Query
from naslab.optimizers.multi_fidelity.rungs import rungs
from naslab.optimizers.optuna_samplers import OptunaTPE
from naslab.tasks import Problem


class OptunaPruned(OptunaTPE):
    """TPE whose trials are asked for fidelity by fidelity, as long as Optuna's ``PercentilePruner`` lets them.

    Of trials that were trained to the end, some percent have the best scores at each fidelity: a trial goes on while
    its best score so far is among theirs. 50 is a median rule (Golovin et al. 2017, "Google Vizier: A Service for
    Black-Box Optimization"; there others count by the mean of their scores so far, here by the score at the fidelity).
    TPE learns from pruned trials, too. Those that fail, or exceed a limit on a metric, never go on. Trials that may go
    on are asked for before new ones are begun.

    Args:
        problem: The problem.
        rng: Its generator.
        startup: Random architectures before the model is used.
        percentile: How many percent go on, above 0 and at most 100.
        unpruned: Trials that are trained to the end before any is pruned.
    """

    continues = True

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        startup: int = 10,
        percentile: float = 50.0,
        unpruned: int = 5,
    ) -> None:
        rungs(problem.fidelities, 2)  # refuses what has no order, or no choice
        if not 0 < percentile <= 100 or unpruned < 1:
            raise InvalidValue(f"percentile={percentile}, unpruned={unpruned}: above 0 and at most 100; at least 1")
        super().__init__(problem, rng, startup=startup)
        self._study.pruner = PercentilePruner(percentile, n_startup_trials=unpruned)
        self.rungs = sorted(each for each in problem.fidelities if isinstance(each, int))
        self._going: list[Query] = []

    def ask(self) -> Query:
        return self._going.pop(0) if self._going else Query(self.begin(), self.rungs[0])

    def told(self, query: Query, evaluation: Evaluation) -> None:
        assert isinstance(query.fidelity, int)
        assert query.trial is not None
        rung = self.rungs.index(query.fidelity)
        last, stops = rung + 1 == len(self.rungs), evaluation.failure or not self.problem.keeps(evaluation)
        if last or stops:
            super().told(query, evaluation)
            return
        trial = self._open[query.trial]
        trial.report(evaluation.score, query.fidelity)
        if trial.should_prune():
            self._constrain(trial, query.architecture, evaluation)
            self._study.tell(self._open.pop(query.trial), state=TrialState.PRUNED)
        else:
            self._going.append(Query(query.architecture, self.rungs[rung + 1], query.trial))
