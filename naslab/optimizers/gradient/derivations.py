"""From a distribution over architectures to one architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.errors import UnknownName
from naslab.evaluators.fitting import fit, torch_generator
from naslab.optimizers.gradient.base import SharedWeightsSearch
from naslab.space import Architecture, Recipe

SAMPLES, BETWEEN = 100, 10
RETRAINED = 5
POPULATION, PARENTS, GENERATIONS, MUTATED, CHANGE = 50, 10, 20, 25, 0.1


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

    A space may have a rule of its own (``discretise``), such as DARTS' two strongest inputs per node. If that breaks
    a limit or a rule, the result is the most probable architecture that keeps them.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        space, logits = search.space, search.logits()
        own: Callable[..., Architecture] | None = getattr(space, "discretise", None)
        if own is not None:
            edges = search.model.edge_weights() or {}  # PC-DARTS: an edge counts as its operation times its weight
            names = [choice.name for choice in space.choices]
            weights = {name: softmax(each) for name, each in zip(names, logits, strict=True)}
            found = own({name: share * float(edges.get(name, 1.0)) for name, share in weights.items()})
        else:
            found = tuple(int(each.argmax()) for each in logits)
        if space.is_valid(found) and search.problem.is_feasible(found):
            return found
        return search.feasible.most_probable(logits)


class SampleAndRank(Derivation):
    """The best of 100 feasible draws, by the shared weights on all validation rows; before the end, of ten draws."""

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        return self.ranked(search, SAMPLES if final else BETWEEN)[0]

    def ranked(self, search: SharedWeightsSearch, count: int) -> list[Architecture]:
        """The distinct ones of ``count`` draws, the best first."""
        distinct = sorted(set(self.candidates(search, count)))
        return sorted(distinct, key=search.score, reverse=True)

    def candidates(self, search: SharedWeightsSearch, count: int) -> Sequence[Architecture]:
        """What is ranked."""
        return search.draws(count, np.random.default_rng(search.ending))


class TopAndRank(SampleAndRank):
    """The best, by the shared weights, of the 100 most probable feasible ones (SETN); before the end, of ten."""

    def candidates(self, search: SharedWeightsSearch, count: int) -> Sequence[Architecture]:
        return search.feasible.top(search.logits(), count)


class Evolution(SampleAndRank):
    """Evolution over the shared weights (SPOS; Guo et al. 2020, algorithm 1); before the end, the best of ten draws.

    20 generations of 50: 25 crossovers of two of the ten best so far, and 25 mutations of one of them that draw each
    choice anew with probability 0.1. What breaks a limit or a rule is made again.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        if not final:
            return super().derive(search, final=False)
        rng = np.random.default_rng(search.ending)
        known = {a: search.score(a) for a in search.draws(POPULATION, rng)}
        for _ in range(GENERATIONS):
            parents = sorted(known, key=lambda a: (-known[a], a))[:PARENTS]
            crossed = [_crossed(search, parents, rng) for _ in range(POPULATION - MUTATED)]
            mutated = [_mutated(search, parents, rng) for _ in range(MUTATED)]
            for child in (*crossed, *mutated):
                if child not in known:
                    known[child] = search.score(child)
        return max(sorted(known), key=lambda a: known[a])


class Retrain(SampleAndRank):
    """The five best of :class:`SampleAndRank`, trained from scratch: the one with the best validation accuracy.

    They are trained as the shared weights were (batch, learning rate, weight decay, epochs), as Bender et al. 2018 and
    Li & Talwalkar 2019 end their searches.
    """

    def derive(self, search: SharedWeightsSearch, *, final: bool) -> Architecture:
        if not final:
            return super().derive(search, final=False)
        candidates, rng = self.ranked(search, SAMPLES)[:RETRAINED], np.random.default_rng(search.ending)
        train, held = (Rows(each.x.numpy(), each.y.numpy()) for each in (search.train_batches, search.held_batches))
        recipe = Recipe(
            search.epochs, search.train_batches.size, search.learning_rate, weight_decay=search.weight_decay
        )

        def accuracy(architecture: Architecture) -> float:
            network = compile_network(search.space, architecture, generator=torch_generator(rng))
            record = fit(network, train, recipe, torch_generator(rng), {"held": held})
            return float(record.scored["held"][-1][0])

        return max(candidates, key=accuracy)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one choice."""
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def _crossed(search: SharedWeightsSearch, parents: list[Architecture], rng: np.random.Generator) -> Architecture:
    """Each choice from one of two parents among the best."""

    def made() -> Architecture:
        one, other = (parents[int(rng.integers(len(parents)))] for _ in range(2))
        picked = rng.random(len(one)) < 0.5
        return tuple(a if first else b for a, b, first in zip(one, other, picked.tolist(), strict=True))

    return _kept(search, made, rng)


def _mutated(search: SharedWeightsSearch, parents: list[Architecture], rng: np.random.Generator) -> Architecture:
    """One of the best, each choice drawn anew with a probability of 0.1."""

    def made() -> Architecture:
        parent = parents[int(rng.integers(len(parents)))]
        changed = rng.random(len(parent)) < CHANGE
        sizes = search.space.sizes
        return tuple(int(rng.integers(k)) if c else a for a, k, c in zip(parent, sizes, changed.tolist(), strict=True))

    return _kept(search, made, rng)


def _kept(search: SharedWeightsSearch, made: Callable[[], Architecture], rng: np.random.Generator) -> Architecture:
    """The first that keeps limits and rules; if none of a hundred does, a feasible draw."""
    for _ in range(100):
        child = made()
        if search.space.is_valid(child) and search.problem.is_feasible(child):
            return child
    return search.draws(1, rng)[0]


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
