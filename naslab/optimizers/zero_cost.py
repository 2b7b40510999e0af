"""Strategies that look at untrained networks before they ask: NASWOT, AREA, zero-cost warm-up and move proposals.

Scores come from a zero-cost proxy, any of :data:`naslab.evaluators.zero_cost.catalogue.PROXIES`, on a batch of the
problem's training rows. **Where a problem has no rows (NAS-Bench-201's), standard normal noise stands in for them**,
with random labels.

**What scoring costs.** On a measured clock (``TASK@live``) it costs CPU seconds, as all else does. On a recorded clock
(a table's) every network that is scored costs ``score_seconds``, charged with the next evaluation; scores are kept, and
none is charged twice. The default is 0, as in the papers: Mellor et al. 2021 give AREA the same 12,000 s as evolution
and report NASWOT's scoring apart (306.19 s for 1,000 cells: ``score_seconds=0.306`` charges that); Abdelfattah et al.
2021 count trained models. No table has recorded such a price, and measured seconds would make traces differ from run to
run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.evaluators.threads import one_thread
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.optimizers.base import AskTell, Wait
from naslab.optimizers.named import named
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.space import Architecture
from naslab.tasks import Problem


class Scores:
    """Scores of a problem's architectures, each computed once.

    A score depends on the run and on the architecture alone (initial weights are keyed by both), not on what was scored
    before: a resumed run sees the same scores. An architecture that the proxy is not defined for (without a ReLU,
    where codes of ReLUs are compared) has the worst score. If it is defined for none, that is an error.

    Args:
        problem: The problem.
        rng: Draws the key of the weights and of the batch.
        proxy: Name of a proxy.
        batch: Rows of the batch.
        price: Seconds that one score costs where time is not measured.

    Raises:
        UnknownName: There is no such proxy.
        InvalidValue, InvalidDataset: The proxy can't be computed for these rows, or the price is not allowed.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, proxy: str, batch: int, price: float) -> None:
        if not 0 <= price < float("inf"):
            raise InvalidValue(f"score_seconds={price}: seconds that one score costs, 0 or more")
        batch_key, self._key = rng.integers(2**63, size=2).tolist()
        device = problem.device
        self._evaluator = ZeroCost(problem.space, problem.train, [proxy], batch=batch, seed=batch_key, device=device)
        self._known: dict[Architecture, float] = {}
        self._price, self._paid = price, 0
        self._defined, self._refusal = False, InvalidValue("")

    def __getitem__(self, architecture: Architecture) -> float:
        if architecture not in self._known:
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((self._key, *architecture))))
            try:
                with one_thread():
                    self._known[architecture] = self._evaluator.evaluate(architecture, rng=rng).score
                self._defined = True
            except InvalidValue as error:
                self._known[architecture], self._refusal = WORST, error
        return self._known[architecture]

    def know(self, scores: Mapping[Architecture, float]) -> None:
        """Take scores that were computed before: they are free."""
        self._known.update(scores)
        self._paid, self._defined = len(self._known), True

    def best_first(self, architectures: Iterable[Architecture]) -> list[Architecture]:
        """Sorted by score, the highest first; equal ones stay in order.

        Raises:
            InvalidValue: The proxy was defined for none of those that were ever scored.
            InvalidSpace: An architecture can't be built.
        """
        found = sorted(architectures, key=self.__getitem__, reverse=True)
        if not self._defined:
            raise self._refusal
        return found

    def bill(self) -> float:
        """The price of what was scored since the last bill."""
        new, self._paid = len(self._known) - self._paid, len(self._known)
        return self._price * new


class NASWOT(AskTell):
    """The best of N random architectures by the score of the untrained network; nothing is trained to find it.

    Mellor et al. 2021, "Neural Architecture Search without Training", algorithm 1. The winner is evaluated once, so
    that the trace records its reward, and is returned whatever the result; then the search ends. Among equal scores the
    one drawn first wins. Deviation: the best score starts from minus infinity, not from 0, because proxies other than
    the paper's may be negative. Scoring is not charged on a recorded clock unless ``score_seconds`` says so: see
    :mod:`naslab.optimizers.zero_cost`.

    Args:
        problem: The problem. Under a constraint feasible architectures are drawn; limits on metrics are refused.
        rng: Its generator.
        samples: N; the paper has 10, 100 and 1,000.
        proxy: The proxy's name.
        batch: Rows that it sees; 128 in the paper.
        score_seconds: Price of a score where time is not measured.
    """

    runs_networks = True

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        samples: int = 100,
        proxy: str = "naswot",
        batch: int = 128,
        score_seconds: float = 0.0,
    ) -> None:
        super().__init__(problem, rng)
        problem.require_known_limits(type(self).__name__)
        if samples < 1:
            raise InvalidValue(f"samples={samples}: at least 1 architecture to choose from")
        self.samples = samples
        self._scores = Scores(problem, rng, proxy, batch, score_seconds)
        self._winner: Architecture | None = None
        self._told = False

    def ask(self) -> Architecture | None:
        if self._told:
            return None
        drawn = [self.problem.sample(self.rng) for _ in range(self.samples)]
        self._winner = self._scores.best_first(drawn)[0]
        self.asking_seconds = self._scores.bill()
        return self._winner

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self._told = True

    def best(self) -> Architecture | None:
        """The winner; None before it was evaluated, for example because the budget is too small."""
        return self._winner if self._told else None


class ZeroCostEvolution(RegularizedEvolution):
    """Regularized evolution that looks at untrained networks first.

    *Warm-up*: the initial population is the best of ``samples`` random architectures by score, each only once. They are
    evaluated best first, so that the best is the oldest. If too few draws are different, random ones fill it up.
    *Move proposals*: with probability ``greedy`` a child is the best by score of ``proposals`` neighbours of its parent
    (of all, if there are fewer), else a random neighbour. Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight
    NAS"; the numbers (probability, order, population of 64, tournaments of 10 without replacement) are those of the
    example in the authors' repository; they say that the paper did not run it. Scoring is not charged on a recorded
    clock unless ``score_seconds`` says so: see :mod:`naslab.optimizers.zero_cost`.

    Args:
        problem: The problem. Under a constraint only feasible architectures are scored.
        rng: Its generator.
        proxy: The proxy's name.
        samples: Random architectures of the warm-up, at least the population; 0 for none.
        proposals: Neighbours that are scored for a child; 1 for a plain mutation.
        greedy: Probability that a child is the best of its proposals.
        batch: Rows that the proxy sees.
        score_seconds: Price of a score where time is not measured.
        population: As in regularized evolution.
        sample: As in regularized evolution: size of a tournament.
        replacement: As in regularized evolution.
    """

    runs_networks = True

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        proxy: str = "synflow",
        samples: int = 0,
        proposals: int = 1,
        greedy: float = 0.75,
        batch: int = 64,
        score_seconds: float = 0.0,
        population: int = 64,
        sample: int = 10,
        replacement: bool = False,
    ) -> None:
        super().__init__(problem, rng, population=population, sample=sample, replacement=replacement)
        if samples and samples < population:
            raise InvalidValue(f"samples={samples}: at least the population ({population}), or 0 for no warm-up")
        if proposals < 1 or not 0 <= greedy <= 1:
            raise InvalidValue(f"proposals={proposals}, greedy={greedy}: at least 1, and a probability from 0 to 1")
        self.samples, self.proposals, self.greedy = samples, proposals, greedy
        self._scores = Scores(problem, rng, proxy, batch, score_seconds)
        self._waiting: deque[Architecture] | None = None if samples else deque()

    def ask(self) -> Architecture | Wait:
        asked = super().ask()
        self.asking_seconds = self._scores.bill()
        return asked

    def newcomer(self) -> Architecture:
        if self._waiting is None:
            different = dict.fromkeys(self.candidates())
            self._waiting = deque(self._scores.best_first(different)[: self.population])
        return self._waiting.popleft() if self._waiting else super().newcomer()

    def candidates(self) -> list[Architecture]:
        """What the initial population is chosen from."""
        return [self.problem.sample(self.rng) for _ in range(self.samples)]

    def child(self, parent: Architecture) -> Architecture:
        if self.proposals == 1 or self.rng.random() >= self.greedy:
            return super().child(parent)
        around = self.problem.neighbors(parent)
        if not around:
            return super().child(parent)
        drawn = [around[i] for i in self.rng.permutation(len(around))[: self.proposals].tolist()]
        return self._scores.best_first(drawn)[0]


@named(proxy="naswot", samples=20, batch=128, population=10, sample=3)
class AREA(ZeroCostEvolution):
    """Assisted regularized evolution: the initial population is the best of a larger random sample by NASWOT's score.

    Mellor et al. 2021, algorithm 2; everything after the initial population is regularized evolution. The algorithm
    keeps the best N of M; for NAS-Bench-201 the paper takes 10 of 20. AREA draws tournaments of 3 *without*
    replacement. The paper's table compares it with the evolution of the NAS-Bench-201 scripts, which draw *with*
    replacement: ``area[replacement=true]``. AREA's driver was never published: the order in which the population is
    evaluated, and so dies, is naslab's (best first).
    """


@named(samples=3000)
class ZeroCostWarmUp(ZeroCostEvolution):
    """Regularized evolution from the best 64 of 3,000 random architectures by synflow (Abdelfattah et al. 2021)."""


@named(proposals=24)
class ZeroCostMoves(ZeroCostEvolution):
    """Regularized evolution whose child is, with probability 3/4, the best of 24 neighbours by synflow.

    Abdelfattah et al. 2021. A cell of NAS-Bench-201 has 24 neighbours in all.
    """
