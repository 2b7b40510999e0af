"""Search guided by a learned predictor, in rounds: BANANAS' loop with any predictor."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import cached_property
from itertools import repeat

import numpy as np

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Evaluation
from naslab.evaluators.predictors.catalogue import predictor_spec
from naslab.feasibility import ENUMERABLE
from naslab.optimizers.acquisition import acquire
from naslab.optimizers.base import AskTell
from naslab.optimizers.named import named
from naslab.space import Architecture
from naslab.tasks import Problem

CANDIDATES = ("mutation", "mutation-random", "random", "all")
PATIENCE = 5
"""If mutations give too few new ones, this many times ``parents`` architectures are mutated, as in BANANAS' code."""
TRIES = 1000
"""After this many random draws, nothing new is assumed to be left."""


class PredictorGuided(AskTell):
    """A predictor, fitted to everything evaluated so far, chooses what to evaluate next.

    White, Neiswanger & Savani 2021, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
    Search", algorithm 1; the predictor, the acquisition function and the candidates can be exchanged. It begins with
    ``initial`` random architectures. Then each round fits the predictor once, proposes candidates and evaluates the
    ``round`` best of them.

    *Candidates.* ``"mutation"``: the ``parents`` best architectures are mutated ``pool / parents`` times each, and if
    that gives too few new ones, the next best, up to 5 x ``parents``. For k choices, a mutation makes as many
    random moves as there are successes in k trials of probability 1/k, but at least one; moves keep rules and limits
    (BANANAS' code changes each of NAS-Bench-201's six with probability 1/4). ``"random"``: ``pool`` random
    architectures. ``"mutation-random"``: half of the pool from each. ``"all"``: every architecture.

    *Nothing is evaluated twice*, nor are two architectures of the same data flow (:meth:`SearchSpace.canonical`). Where
    candidates run out, random architectures take their place, and where these run out, the search ends. Equal values of
    the acquisition are ordered at random. Under a constraint everything asked is feasible, as far as
    costs tell: limits on metrics are unknown to it, and what exceeds one is charged, learned from and not returned. The
    predictor ignores
    scores that are not finite; as long as scores are too few or all equal, architectures are drawn at random.

    *Expected improvement* is over the highest predicted mean of what was evaluated: noise in the scores changes it less
    than the highest score. Deviations contain the noise of a training if the predictor's deviations do.

    *Warm start*: the initial architectures are the best of ``warm_up`` random ones by a zero-cost proxy (see
    :mod:`naslab.optimizers.zero_cost` for what the proxy sees and costs).

    Fitting and predicting are not charged on a recorded clock.

    *Defaults* are naslab's own predictor without its trees, which take ten times as long to fit, and expected
    improvement over mutations of the ten best, chosen from a few variants on seeds of nats-tss/cifar100,
    nats-tss/imagenet16-120, pocket-cell/mnist and pocket-mlp/segments; most variants did not differ clearly.

    Before anything is asked, the predictor is fitted to two invented scores, so that a space or a setting that it
    refuses is reported before the search.

    Args:
        problem: The problem.
        rng: Its generator.
        predictor: Written as in :func:`naslab.evaluators.predictors.catalogue.predictor_spec`.
        acquisition: One of :data:`naslab.optimizers.acquisition.ACQUISITIONS`.
        candidates: One of :data:`CANDIDATES`.
        initial: Architectures before the first fit.
        round: Evaluations between two fits.
        pool: How many candidates, at most.
        parents: How many of the best are mutated.
        beta: Weight of the deviation in ``ucb``.
        warm_up: Random architectures that the initial ones are chosen from; 0 for none.
        proxy: Name of the proxy that chooses.
        batch: Rows that the proxy sees.
        score_seconds: Price of a score where time is not measured.

    Raises:
        NaslabError: The predictor or the proxy refuses its options or the space.
        UnknownName: There is no such acquisition, or no such kind of candidates.
        InvalidValue: A number that makes no sense, an acquisition that needs deviations which the predictor does not
            have, or all candidates of a space that can't be listed.
    """

    runs_networks = True

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        predictor: str = "path-kernel[trees=false,power=false]",
        acquisition: str = "expected-improvement",
        candidates: str = "mutation",
        initial: int = 10,
        round: int = 10,
        pool: int = 200,
        parents: int = 10,
        beta: float = 0.5,
        warm_up: int = 0,
        proxy: str = "synflow",
        batch: int = 64,
        score_seconds: float = 0.0,
    ) -> None:
        super().__init__(problem, rng)
        if min(initial, round, pool, parents) < 1 or parents > pool or not 0 <= beta < float("inf"):
            raise InvalidValue(
                f"initial={initial}, round={round}, pool={pool}, parents={parents}, beta={beta}: at least 1, parents "
                "<= pool, beta at least 0"
            )
        if warm_up and warm_up < initial:
            raise InvalidValue(f"warm_up={warm_up}: at least the initial architectures ({initial}), or 0 for none")
        if candidates not in CANDIDATES:
            raise UnknownName(candidates, CANDIDATES, of="candidates")
        if candidates == "all" and self.space.size > ENUMERABLE:
            raise InvalidValue(
                f"candidates=all of {self.space.name!r}, which has {self.space.size:,} architectures. Allowed: at most "
                f"{ENUMERABLE:,}. Fix: candidates=mutation"
            )
        self.acquisition, self.candidates, self.beta = acquisition, candidates, beta
        self.initial, self.round, self.pool, self.parents, self.warm_up = initial, round, pool, parents, warm_up
        self._predictor = predictor_spec(predictor).build(self.space, problem.device)
        self._scores: dict[Architecture, float] = {}
        self._keys: set[str] = set()
        self._looked_at: set[Architecture] = set()
        self._waiting: deque[Architecture] = deque()
        self._refused_in_time()
        self._untrained = None
        if warm_up:
            from naslab.optimizers.zero_cost import Scores  # imports PyTorch

            self._untrained = Scores(problem, rng, proxy, batch, score_seconds)

    def ask(self) -> Architecture | None:
        if not self._waiting:
            self._waiting.extend(self._next_round() if self._keys else self._first_round())
        self.asking_seconds = self._untrained.bill() if self._untrained else 0.0
        return self._waiting.popleft() if self._waiting else None

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        if evaluation.score - evaluation.score == 0.0:  # finite
            self._scores[architecture] = evaluation.score

    def _first_round(self) -> list[Architecture]:
        chosen: list[Architecture] = []
        if self._untrained:
            drawn = dict.fromkeys(self._draw(self.warm_up))
            chosen = self._new(self._untrained.best_first(drawn), self.initial)
        return chosen + self._random(self.initial - len(chosen))

    def _next_round(self) -> list[Architecture]:
        chosen: list[Architecture] = []
        if len(set(self._scores.values())) > 1:
            chosen = self._new(self._ranked(self._candidates()), self.round)
        return chosen + self._random(self.round - len(chosen))

    def _ranked(self, candidates: list[Architecture]) -> list[Architecture]:
        """The most worthwhile first."""
        known = list(self._scores)
        self._predictor.fit(known, list(self._scores.values()), rng=self.rng)
        mean, deviation = self._predictor.predict(known + candidates)
        n = len(known)
        values = acquire(
            self.acquisition, mean[n:], None if deviation is None else deviation[n:],
            incumbent=float(mean[:n].max()), beta=self.beta, rng=self.rng,
        )  # fmt: skip
        order = np.lexsort((self.rng.random(len(values)), -values))
        return [candidates[i] for i in order.tolist()]

    def _candidates(self) -> list[Architecture]:
        """Architectures that were not told; some may have the data flow of one that was."""
        if self.candidates == "all":
            return [a for a in self._all if a not in self._scores]
        mutated = {"mutation": self.pool, "mutation-random": self.pool // 2, "random": 0}[self.candidates]
        found = self._mutations(mutated)
        if self.candidates != "mutation":
            drawn = (a for a in self._draw(PATIENCE * self.pool) if a not in self._scores)
            for architecture in drawn:
                if len(found) >= self.pool:
                    break
                found[architecture] = None
        return list(found)

    def _mutations(self, most: int) -> dict[Architecture, None]:
        found: dict[Architecture, None] = {}
        best = sorted(self._scores, key=self._scores.__getitem__, reverse=True)[: PATIENCE * self.parents]
        for parent in best:
            for _ in range(max(1, most // self.parents)):
                if len(found) >= most:
                    return found
                child = self._mutation(parent)
                if child not in self._scores:
                    found[child] = None
        return found

    def _mutation(self, parent: Architecture) -> Architecture:
        choices = len(self.space.choices)
        moves = max(1, int(self.rng.binomial(choices, 1 / choices)))
        for _ in repeat(None, moves):
            parent = self.problem.mutate(parent, self.rng)
        return parent

    def _random(self, count: int) -> list[Architecture]:
        return self._new(self._draw(TRIES), count)

    def _draw(self, count: int) -> Iterable[Architecture]:
        return (self.problem.sample(self.rng) for _ in range(count))

    def _new(self, architectures: Iterable[Architecture], count: int) -> list[Architecture]:
        """The first ones whose data flow was not asked for; it now counts as asked for."""
        found: list[Architecture] = []
        if count < 1:
            return found
        for architecture in architectures:
            if architecture in self._looked_at:  # a key takes a millisecond
                continue
            self._looked_at.add(architecture)
            key = self.space.canonical(architecture)
            if key not in self._keys:
                self._keys.add(key)
                found.append(architecture)
            if len(found) == count:
                break
        return found

    @cached_property
    def _all(self) -> list[Architecture]:
        return [a for a in self.space.architectures() if self.problem.is_feasible(a)]

    def _refused_in_time(self) -> None:
        invented = list(self._draw(2))
        self._predictor.fit(invented, [0.0, 1.0], rng=self.rng)
        mean, deviation = self._predictor.predict(invented)
        acquire(self.acquisition, mean, deviation, incumbent=0.0, beta=self.beta, rng=self.rng)


@named(predictor="bananas[target=raw]", acquisition="independent-thompson", pool=100, parents=1)
class BANANAS(PredictorGuided):
    """Independent Thompson sampling from an ensemble of perceptrons over path encodings (White et al. 2021).

    Ten random architectures, then in each round ten of a hundred mutations of the best architecture. These are the
    defaults of the authors' code (naszilla), as those of the predictor, which learns raw scores. Deviations: those of
    :class:`PredictorGuided` (what a mutation is; no data flow twice, where the authors' code compares strings of
    operations on NAS-Bench-201, sets of paths on NAS-Bench-101) and of
    :class:`naslab.evaluators.predictors.bananas.BANANAS`.
    """


@named(predictor="nasbowl[target=raw]", acquisition="expected-improvement", round=5, pool=200, parents=10)
class NASBOWL(PredictorGuided):
    """Expected improvement under a Gaussian process with the Weisfeiler-Lehman kernel (Ru et al. 2021).

    Ten random architectures, then the best five of 200 mutations of the ten best in each round: the authors' command
    for NAS-Bench-201 (for NAS-Bench-101 half of their 200 are random: ``nasbowl[candidates=mutation-random]``).

    Deviations: the paper learns the logarithm of the error, which scores other than accuracies do not have
    (``nasbowl[predictor=nasbowl[target=log-error]]``); an improvement is over the highest predicted mean (in the
    authors' code over the observation there); a parent has as many tries as its share of the pool, not 50 more; and
    those of :class:`PredictorGuided` and of :class:`naslab.evaluators.predictors.nasbowl.NASBOWL`.
    """


@named(predictor="tnasp[target=raw]", acquisition="mean", pool=200, parents=10)
class TNASP(PredictorGuided):
    """Highest prediction of TNASP's Transformer (Lu et al. 2021).

    The paper fits its predictor once, to a random sample. Its searches (on DARTS' and ProxylessNAS' spaces) use weights
    shared by all architectures, and it does not state how candidates were proposed. Rounds of mutations of the best are
    our choice; so is leaving out self-evolution, which needs evaluations set aside for it. The predictor has no
    deviations, hence the mean.
    """
