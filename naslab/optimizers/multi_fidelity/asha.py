"""Asynchronous successive halving: who goes on is decided after every result."""

from __future__ import annotations

from bisect import insort

import numpy as np

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Evaluation
from naslab.optimizers.base import Query
from naslab.optimizers.multi_fidelity.climbing import LOST, Climbing
from naslab.optimizers.multi_fidelity.rungs import rungs
from naslab.tasks import Problem

RULES = ("count", "quantile", "stopping")


class Rung:
    """Results at one fidelity, best first; of equal ones the earlier is better.

    Attributes:
        ranked: (loss, trial) in order, the loss being the negative score.
        waiting: Those of them that have not gone on.
    """

    def __init__(self) -> None:
        self.ranked: list[tuple[float, int]] = []
        self.waiting: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self.ranked)

    def add(self, trial: int, score: float) -> None:
        """Note a result."""
        for each in (self.ranked, self.waiting):
            insort(each, (-score, trial), key=lambda entry: entry[0])  # after its equals

    def take(self) -> int:
        """The best that has not gone on, which now does."""
        return self.waiting.pop(0)[1]

    def by_count(self, eta: int) -> bool:
        """Whether the best that has not gone on is among the best floor(n / eta) of n: the paper's rule."""
        return bool(self.waiting) and self.waiting[0] in self.ranked[: len(self) // eta]

    def quantile(self, eta: int) -> float:
        """The loss that the best 1 in ``eta`` do not exceed, interpolated between neighbours."""
        below, part = divmod(len(self) - 1, eta)
        loss = self.ranked[below][0]
        return loss + (self.ranked[below + 1][0] - loss) * part / eta if part else loss

    def by_quantile(self, eta: int) -> bool:
        """Whether the best that has not gone on, of two or more, is within the quantile: Syne Tune's rule."""
        return len(self) > 1 and bool(self.waiting) and self.waiting[0][0] <= self.quantile(eta)


class ASHA(Climbing):
    """Successive halving that waits for nothing: a free worker takes a trial that may go on, or begins one.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2. From the highest rung down the
    best trial that has not gone on is promoted

    * ``rule=count``: if it is among the best floor(n / eta) of the rung's n results (the paper's),
    * ``rule=quantile``: if its loss is at most the rung's 1/eta quantile, interpolated linearly, of at least two
      results (Syne Tune's promotion type): of two results the better goes on, which the paper's rule leaves.

    With ``rule=stopping`` (Syne Tune's stopping type, of its last releases with promotion) a trial goes on at once if
    it is within that quantile when it reaches a rung, the first at a rung always; otherwise it has ended for good.
    A trial that fails, or exceeds a limit on a metric, enters no rung. Deviation: the highest rung is the highest
    fidelity, for Syne Tune as well, which has none there.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        rule: ``"count"``, ``"quantile"`` or ``"stopping"``.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.

    Attributes:
        results: Those at each rung.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        eta: int = 3,
        rule: str = "count",
        lowest: int = 0,
        highest: int = 0,
    ) -> None:
        if rule not in RULES:
            raise InvalidValue(f"rule {UnknownName(rule, RULES)}")
        super().__init__(problem, rng, rungs(problem.fidelities, eta, lowest=lowest or None, highest=highest or None))
        self.eta, self.rule = eta, rule
        self.results = [Rung() for _ in self.rungs]
        self._going: list[tuple[int, int]] = []

    def ask(self) -> Query:
        if self._going:
            trial, rung = self._going.pop(0)
            return self.go_on(trial, rung)
        if self.rule != "stopping":
            for rung in reversed(range(self.top)):
                if self.promotes(self.results[rung]):
                    return self.go_on(self.results[rung].take(), rung + 1)
        return self.begin(self.newcomer(0), 0)

    @property
    def top(self) -> int:
        """The place of the rung from which nobody goes on."""
        return len(self.rungs) - 1

    def promotes(self, rung: Rung) -> bool:
        """Whether the best trial that waits at a rung may go on."""
        return rung.by_count(self.eta) if self.rule == "count" else rung.by_quantile(self.eta)

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        if score == LOST:
            return
        self.results[rung].add(trial, score)
        if self.rule == "stopping" and rung < self.top and -score <= self.results[rung].quantile(self.eta):
            self._going.append((trial, rung + 1))
