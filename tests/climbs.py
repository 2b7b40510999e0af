"""Runs of strategies over rungs, by hand: what they ask, given what every trial reaches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import naslab
from naslab.evaluators import Evaluation
from naslab.optimizers import AskTell, Query, Wait
from naslab.tasks import Problem

Scores = Callable[[int, int], float]
"""What a trial reaches at a number of epochs."""

NINE = (3, 1, 2, 9, 4, 8, 5, 7, 6)
"""What nine trials reach, at all fidelities."""


def built(factory: Callable[..., AskTell], fidelities: tuple[int, ...] = (1, 3, 9), **options: Any) -> Any:
    problem = Problem(naslab.search_space("nasbench201"), fidelities=fidelities, fidelity=fidelities[-1])
    return factory(problem, np.random.default_rng(0), **options)


def nine(trial: int, epochs: int) -> float:
    return float(NINE[trial]) if trial < len(NINE) else 0.0


def climbed(strategy: AskTell, asks: int, scores: Scores = nine, workers: int = 1) -> list[tuple[int, Any]]:
    """Ask and tell, with as many evaluations under way as workers; returns (trial, epochs) in the order asked."""
    asked: list[tuple[int, Any]] = []
    under_way: list[Query] = []
    trials: list[Any] = []
    while len(asked) < asks:
        query = strategy.ask()
        assert not isinstance(query, Wait)
        assert isinstance(query, Query)
        if query.trial is None:
            query = query._replace(trial=len(trials))
            trials.append(query.architecture)
        assert query.trial is not None
        assert query.architecture == trials[query.trial]
        asked.append((query.trial, query.fidelity))
        under_way.append(query)
        if len(under_way) == workers:
            done = under_way.pop(0)
            score = scores(done.trial or 0, int(done.fidelity or 0))
            strategy.receive(done, Evaluation(score, 1.0, failed="" if math.isfinite(score) else "error: none"), True)
    return asked
