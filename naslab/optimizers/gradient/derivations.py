"""From a distribution over architectures to one architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from naslab.compiler.devices import numbers
from naslab.compiler.network import compile_network
from naslab.errors import UnknownName
from naslab.evaluators.fitting import Placed, fit, torch_generator
from naslab.optimizers.gradient.base import SharedWeightsSearch
from naslab.space import Architecture, Recipe

SAMPLES, BETWEEN = 100, 10
RETRAINED = 5
POPULATION, PARENTS, GENERATIONS, BRED, CHANGE, TRIES = 50, 10, 20, 25, 0.1, 10


class Derivation(ABC):
    """How the result of a search is derived. Draws use a separate generator, so that the search is not changed."""

    @abstractmethod
    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        """The architecture that the search would return; it keeps the limits and the rules of the space.

        Args:
            search: As it is now.
            final: Whether the search has ended; then more may be spent on it.
        """


class Argmax(Derivation):
    """The most probable architecture: the most probable option of each choice.

    A space may have a rule of its own (``discretise``), such as DARTS' two strongest inputs per node. If that breaks a
    limit or a rule, the result is the most probable architecture that keeps them. PC-DARTS' weights of edges have a say
    in a space's own rule alone: they weigh edges against each other, and without such a rule every edge stays. A weight
    multiplies all options of its edge alike, so that neither an edge's best option nor the order of architectures by
    probability depends on it.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        space, logits = search.space, search.logits()
        own: Callable[..., Architecture] | None = getattr(space, "discretise", None)
        if own is not None:
            weighed = search.model.edge_weights() or {}  # PC-DARTS: an edge counts as its operation times its weight
            edges = dict(zip(weighed, numbers(weighed.values()), strict=True))
            names = [choice.name for choice in space.choices]
            weights = {name: softmax(each) for name, each in zip(names, logits, strict=True)}
            found = own({name: share * edges.get(name, 1.0) for name, share in weights.items()})
        else:
            found = space.normal(tuple(int(each.argmax()) for each in logits))
        if space.is_valid(found) and search.problem.is_feasible(found):
            return found
        return search.feasible.most_probable(logits)


class SampleAndRank(Derivation):
    """The best of 100 feasible draws, by the shared weights on all validation rows; before the end, of ten draws."""

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        return self.ranked(search, SAMPLES if final else BETWEEN)[0]

    def ranked(self, search: SharedWeightsSearch, count: int) -> list[Architecture]:
        """The distinct ones of ``count`` draws, the best first; of equal ones the one drawn first."""
        distinct = dict.fromkeys(self.candidates(search, count))
        return sorted(distinct, key=search.score, reverse=True)

    def candidates(self, search: SharedWeightsSearch, count: int) -> Sequence[Architecture]:
        """What is ranked."""
        return search.draws(count, np.random.default_rng(search.ending))


class TopAndRank(SampleAndRank):
    """The best, by the shared weights, of the 100 most probable feasible ones (SETN); before the end, of ten.

    Of equally good ones the most probable.
    """

    def candidates(self, search: SharedWeightsSearch, count: int) -> Sequence[Architecture]:
        return search.feasible.top(search.logits(), count)


class Evolution(SampleAndRank):
    """Evolution over the shared weights (SPOS; Guo et al. 2020, algorithm 1); before the end, the best of ten draws.

    50 draws, then 20 generations of 50: up to 25 mutations of one of the ten best so far that draw each choice anew
    with probability 0.1, up to 25 crossovers of two of these, each kind tried 250 times, and draws in the place of what
    lacks. All candidates are different and keep limits and rules (the released code): 1,050 in all. It ends early where
    500 draws find nothing new (released: goes on for ever). The last generation may win (released: it is scored, not
    ranked). Of equally good ones the one scored first counts as better.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        if not final:
            return super().derive(search, final=False)
        rng = np.random.default_rng(search.ending)
        scores: dict[Architecture, float] = {}

        def add(made: Iterable[Architecture], most: int) -> None:
            """Score what is new and allowed, until there are as many."""
            for child in map(search.space.normal, made):
                if len(scores) >= most:
                    return
                if child not in scores and search.space.is_valid(child) and search.problem.is_feasible(child):
                    scores[child] = search.score(child)

        for generation in range(GENERATIONS + 1):
            before, best = len(scores), sorted(scores, key=scores.__getitem__, reverse=True)[:PARENTS]
            if generation:
                add((_mutated(best, search.space.sizes, rng) for _ in range(TRIES * BRED)), before + BRED)
                add((_crossed(best, rng) for _ in range(TRIES * BRED)), len(scores) + BRED)
            add((a for _ in range(TRIES) for a in search.draws(POPULATION, rng)), before + POPULATION)
            if len(scores) == before:
                break
        return max(scores, key=scores.__getitem__)


class Retrain(SampleAndRank):
    """The five best of :class:`SampleAndRank`, trained from scratch: the one with the best validation accuracy.

    They are trained as the shared weights were (batch, learning rate, weight decay, epochs), as Bender et al. 2018 and
    Li & Talwalkar 2019 end their searches.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        if not final:
            return super().derive(search, final=False)
        candidates, rng = self.ranked(search, SAMPLES)[:RETRAINED], np.random.default_rng(search.ending)
        train, held = (Placed(each.x, each.y) for each in (search.train_batches, search.held_batches))
        recipe = Recipe(
            search.epochs, search.train_batches.size, search.learning_rate, weight_decay=search.weight_decay
        )

        def accuracy(architecture: Architecture) -> float:
            problem, generator = search.problem, torch_generator(rng)
            network = compile_network(search.space, architecture, generator=generator, device=problem.device)
            record = fit(network, train, recipe, torch_generator(rng), {"held": held}, precision=problem.precision)
            return float(record.scored["held"][-1][0])

        return max(candidates, key=accuracy)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one choice."""
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def _crossed(parents: Sequence[Architecture], rng: np.random.Generator) -> Architecture:
    """Each choice from one of two of the parents."""
    one, other = (parents[int(rng.integers(len(parents)))] for _ in range(2))
    picked = rng.random(len(one)) < 0.5
    return tuple(a if first else b for a, b, first in zip(one, other, picked.tolist(), strict=True))


def _mutated(parents: Sequence[Architecture], sizes: Sequence[int], rng: np.random.Generator) -> Architecture:
    """One of the parents, each choice drawn anew with a probability of 0.1."""
    parent = parents[int(rng.integers(len(parents)))]
    changed = rng.random(len(parent)) < CHANGE
    return tuple(int(rng.integers(k)) if c else a for a, k, c in zip(parent, sizes, changed.tolist(), strict=True))


DERIVATIONS: dict[str, type[Derivation]] = {
    "argmax": Argmax,
    "sample-and-rank": SampleAndRank,
    "top-and-rank": TopAndRank,
    "evolution": Evolution,
    "retrain": Retrain,
}


def new_derivation(name: str) -> Derivation:
    """A derivation by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in DERIVATIONS:
        raise UnknownName(name, DERIVATIONS, of="derivation")
    return DERIVATIONS[name]()
