"""Strategies that begin with what was good on other tasks: a portfolio, chosen greedily from their rewards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.optimizers.multi_fidelity.bohb import BOHB
from naslab.optimizers.named import named
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.space import Architecture
from naslab.tasks import Problem


def greedy(scores: npt.NDArray[np.float64]) -> list[int]:
    """Candidates in the order in which a greedy portfolio takes them.

    Each next one lowers most the mean over tasks of the regret of the best one taken so far, regrets being scaled on
    each task to 0 for its best candidate and 1 for its worst; what is no number has regret 1. Ties: the candidate whose
    own mean regret is lower, then the earlier one. As soon as none lowers it any more, those taken are set aside and
    the rest is ordered in the same way; by one task, candidates are thus simply ranked.

    Args:
        scores: ``(candidates, tasks)``; higher is better.
    """
    finite = np.isfinite(scores)
    best, worst = np.where(finite, scores, -np.inf).max(axis=0), np.where(finite, scores, np.inf).min(axis=0)
    spread = np.where(best > worst, best - worst, 1.0)
    regrets = np.where(finite, (best - np.where(finite, scores, 0.0)) / spread, 1.0)
    own, left, order = regrets.mean(axis=1), list(range(len(scores))), []
    covered = np.ones(scores.shape[1])
    while left:
        means = np.minimum(covered, regrets[left]).mean(axis=1)
        taken = left[int(np.lexsort((own[left], means))[0])]
        if means.min() >= covered.mean() and not (covered == 1.0).all():
            covered = np.ones(scores.shape[1])
            continue
        left.remove(taken)
        order.append(taken)
        covered = np.minimum(covered, regrets[taken])
    return order


class Portfolio:
    """The architectures to begin with, best first.

    As in Auto-sklearn 2.0 (Feurer et al. 2022) and Auto-PyTorch Tabular (Zimmer et al. 2021), in the order of
    :func:`greedy` by the rewards of the other tasks, scaled as in their code (``greedy_portfolio.py`` of
    mfeurer/ASKL2.0_experiments). Deviations: their candidates are the best of a long search on each of some hundred
    data sets, here they are random architectures, of which every reward is read at every source; where their portfolio
    ends, because the best candidate of every task is in it, this one begins a second round, since a few tasks would
    give as few members.

    Args:
        problem: With sources.
        candidates: How many architectures are drawn. Under a constraint they are feasible, as far as costs tell.

    Raises:
        InvalidValue: There are no sources, or fewer than two candidates.
    """

    def __init__(self, problem: Problem, candidates: int) -> None:
        if not problem.sources:
            raise InvalidValue("a portfolio is chosen by the rewards of other tasks: give sources=TASK or TASK+TASK")
        if candidates < 2:
            raise InvalidValue(f"candidates={candidates}: at least 2")
        self.problem, self.candidates = problem, candidates

    def members(self, rng: np.random.Generator) -> Iterator[Architecture]:
        """Draw the candidates, read their rewards, and give the best first.

        Raises:
            InvalidValue: The sources have none of them.
        """
        sources = self.problem.sources
        drawn = dict.fromkeys(self.problem.sample(rng) for _ in range(self.candidates))
        found = [each for each in drawn if all(source.space.is_valid(each) for source in sources)]
        if not found:
            raise InvalidValue(
                f"none of {len(drawn)} random architectures is recorded in all of {'+'.join(s.id for s in sources)}"
            )
        scores = np.array([[source.read(each, rng).score for source in sources] for each in found], float)
        return iter([found[i] for i in greedy(scores)])


class PortfolioEvolution(RegularizedEvolution):
    """Ageing evolution whose initial population is a :class:`Portfolio`; moves are those of evolution.

    Args:
        problem: The problem.
        rng: Its generator.
        sources: Tasks whose rewards are read, ``a+b``; none of them is the one that is searched.
        candidates: Architectures that the portfolio is chosen from.
        population: Number of architectures alive, of which those are random that the portfolio lacks.
        sample: Size of a tournament.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        sources: str = "",
        candidates: int = 100,
        population: int = 10,
        sample: int = 3,
    ) -> None:
        super().__init__(problem, rng, population=population, sample=sample)
        self._portfolio = Portfolio(problem, candidates)
        self._members: Iterator[Architecture] = iter(())

    def newcomer(self) -> Architecture:
        if self._newcomers == 1:
            self._members = self._portfolio.members(self.rng)
        return next(self._members, None) or super().newcomer()


@named()
class PortfolioBOHB(BOHB):
    """BOHB whose first trials are a :class:`Portfolio`, as Auto-PyTorch Tabular's (Zimmer et al. 2021).

    Args:
        problem: The problem.
        rng: Its generator.
        sources: Tasks whose rewards are read, ``a+b``; none of them is the one that is searched.
        candidates: Architectures that the portfolio is chosen from.
        members: How many of it are begun before BOHB's own.
        **options: As of :class:`~naslab.optimizers.multi_fidelity.bohb.BOHB`.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        sources: str = "",
        candidates: int = 100,
        members: int = 16,
        **options: Any,
    ) -> None:
        super().__init__(problem, rng, **options)
        if not 1 <= members <= candidates:
            raise InvalidValue(f"members={members}: from 1 to the number of candidates ({candidates})")
        self.members, self._portfolio = members, Portfolio(problem, candidates)
        self._first: Iterator[Architecture] = iter(())

    def newcomer(self, rung: int) -> Architecture:
        if not self.trials:
            self._first = self._portfolio.members(self.rng)
        member = next(self._first, None) if len(self.trials) < self.members else None
        if member is None:
            return super().newcomer(rung)
        self._known.add(member)
        return member
