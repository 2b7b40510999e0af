"""Successive halving and Hyperband: the best part of a rung goes on when all of the rung is told."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.base import Query
from naslab.optimizers.multi_fidelity.climbing import LOST, Climbing
from naslab.optimizers.multi_fidelity.rungs import brackets, rungs
from naslab.tasks import Problem


class Bracket:
    """One bracket: how many evaluations each of its rungs still takes, and what they found.

    Args:
        sizes: Evaluations at each of its rungs.
        first: The place of its first rung among all rungs.
        turn: How often all brackets had been begun before it.

    Attributes:
        rung: The place of the rung that is being filled.
        results: At that rung, as (score, trial), in the order in which they ended.
        promoted: Trials that have yet to be asked for at that rung, best first.
    """

    def __init__(self, sizes: Sequence[int], first: int, turn: int) -> None:
        self.sizes, self.first, self.rung, self.turn = list(sizes), first, first, turn
        self.asked = 0
        self.results: list[tuple[float, int]] = []
        self.promoted: list[int] = []

    @property
    def size(self) -> int:
        """Evaluations at its present rung."""
        return self.sizes[self.rung - self.first]

    @property
    def waits(self) -> bool:
        """Whether all of the rung is under way."""
        return self.asked >= self.size

    def add(self, trial: int, score: float) -> list[int] | None:
        """Note a result; the trials of the rung, best first, if it is full. Ties: what ended earlier is better."""
        self.results.append((score, trial))
        if len(self.results) < self.size:
            return None
        ranked = [trial for score, trial in sorted(self.results, key=lambda each: -each[0]) if score > LOST]
        self.rung, self.asked, self.results = self.rung + 1, 0, []
        return ranked

    def shrink(self, most: int) -> None:
        """Let no more than some trials take part in its present rung; without any it ends."""
        place = self.rung - self.first
        self.sizes[place] = min(self.sizes[place], most)
        if most == 0:
            del self.sizes[place:]

    @property
    def ended(self) -> bool:
        """Whether all of its rungs are full."""
        return self.rung - self.first == len(self.sizes)


class Brackets(Climbing):
    """A strategy that goes through brackets again and again; while one waits for results, the next begins.

    Args:
        problem: The problem.
        rng: Its generator.
        rungs: Fidelities, rising.
        sizes: The brackets, in turn, each the number of trials at the highest rungs.
    """

    def __init__(
        self, problem: Problem, rng: np.random.Generator, rungs: tuple[int, ...], sizes: Sequence[Sequence[int]]
    ) -> None:
        super().__init__(problem, rng, rungs)
        self.sizes = sizes
        self.begun = 0
        self._open: list[Bracket] = []
        self._bracket_of: dict[int, Bracket] = {}

    def ask(self) -> Query:
        bracket = next((each for each in self._open if not each.waits), None)
        if bracket is None:
            turn, which = divmod(self.begun, len(self.sizes))
            sizes = self.sizes[which]
            bracket = Bracket(sizes, len(self.rungs) - len(sizes), turn)
            self._open.append(bracket)
            self.begun += 1
        query = self.candidate(bracket)
        bracket.asked += 1
        self._bracket_of[len(self.trials) - 1 if query.trial is None else query.trial] = bracket
        return query

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        bracket = self._bracket_of.pop(trial)
        ranked = bracket.add(trial, score)
        if ranked is not None:
            if not bracket.ended:
                self.filled(bracket, ranked)
            if bracket.ended:
                self._open.remove(bracket)

    @abstractmethod
    def candidate(self, bracket: Bracket) -> Query:
        """What is evaluated next at a bracket's rung."""

    @abstractmethod
    def filled(self, bracket: Bracket, ranked: list[int]) -> None:
        """A rung is full, and the bracket at its next one; ``ranked`` are the full rung's trials, best first."""


class Halving(Brackets):
    """Brackets in which the best trials of a rung go on to the next one.

    Args:
        problem: The problem.
        rng: Its generator.
        rungs: Fidelities, rising.
        sizes: The brackets, in turn.
        refill: Whether new trials, begun at the higher rung, take the places of those that can't go on because too many
            failed; otherwise the places are dropped, and a bracket ends where nobody goes on.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        rungs: tuple[int, ...],
        sizes: Sequence[Sequence[int]],
        refill: bool = False,
    ) -> None:
        super().__init__(problem, rng, rungs, sizes)
        self.refill = refill

    def candidate(self, bracket: Bracket) -> Query:
        if bracket.promoted:
            return self.go_on(bracket.promoted.pop(0), bracket.rung)
        return self.begin(self.newcomer(bracket.rung), bracket.rung)

    def filled(self, bracket: Bracket, ranked: list[int]) -> None:
        bracket.promoted = ranked[: bracket.size]
        if not self.refill:
            bracket.shrink(len(ranked))


class SuccessiveHalving(Halving):
    """Many trials at the lowest rung; the best of each rung, one in ``eta``, go on to the next. Then again.

    Jamieson & Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization". Of n trials at
    a rung the best floor(n / eta) go on. With several workers the next round begins while one waits for its last
    results.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        trials: Trials at the lowest rung; by default (0) as many as leave one at the highest.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        eta: int = 3,
        trials: int = 0,
        lowest: int = 0,
        highest: int = 0,
    ) -> None:
        found = rungs(problem.fidelities, eta, lowest=lowest or None, highest=highest or None)
        least = eta ** (len(found) - 1)
        if trials and trials < least:
            raise InvalidValue(f"trials={trials}: at least {least}, so that one reaches the last of {len(found)} rungs")
        super().__init__(problem, rng, found, [[(trials or least) // eta**i for i in range(len(found))]])


class Hyperband(Halving):
    """Rounds of successive halving that begin with many trials at a low rung, fewer at a higher one, and so on.

    Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", algorithm 1, and, as
    ``brackets=hpbandster``, that of HpBandSter (Falkner et al. 2018): fewer trials in the middle brackets, rungs that
    descend from the highest by ``eta``, and fresh trials in place of those that failed. Deviations: rungs are whole
    numbers of epochs that the task has, so that 1 to 243 has six (HpBandSter loses one); Li's rise from the lowest, and
    the last step to the highest may be smaller than ``eta``. With several workers the next bracket begins while one
    waits for its last results.

    Args:
        problem: The problem.
        rng: Its generator.
        eta: The factor between rungs.
        brackets: ``"hyperband"`` or ``"hpbandster"``.
        lowest: The lowest rung, in epochs; by default (0) the task's lowest.
        highest: The highest rung, in epochs; by default (0) the task's highest.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        eta: int = 3,
        brackets: str = "hyperband",
        lowest: int = 0,
        highest: int = 0,
    ) -> None:
        found, sizes = climb(problem, eta, brackets, lowest, highest)
        super().__init__(problem, rng, found, sizes, refill=brackets == "hpbandster")


def climb(
    problem: Problem, eta: int, kind: str, lowest: int, highest: int
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The rungs of a kind of brackets, and the brackets; an end that is 0 is the task's."""
    anchor: Literal["lowest", "highest"] = "highest" if kind == "hpbandster" else "lowest"
    found = rungs(problem.fidelities, eta, lowest=lowest or None, highest=highest or None, anchor=anchor)
    return found, brackets(found, eta, kind)
