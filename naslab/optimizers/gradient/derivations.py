"""From a distribution over architectures to one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch

from naslab.choice import Architecture
from naslab.errors import UnknownName

if TYPE_CHECKING:
    from naslab.optimizers.gradient.search import OneShotSearch

SAMPLES, BETWEEN = 100, 10


class Derivation(ABC):
    """How a search ends."""

    @abstractmethod
    def derive(self, search: OneShotSearch, *, final: bool) -> Architecture:
        """The architecture that the search would return; it keeps the limits and the rules of the space.

        Args:
            search: As it is now.
            final: Whether this is the end, where more may be spent on it than after every epoch.
        """


class Argmax(Derivation):
    """The most probable feasible architecture: without limits and rules, of each choice the most probable option."""

    def derive(self, search: OneShotSearch, *, final: bool) -> Architecture:
        logits = [each.detach().double().numpy() for each in search.model.logits]
        if not search.space.rules and not search.problem.constraint.limits:
            return tuple(int(each.argmax()) for each in logits)
        return search.feasible.most_probable(logits)


class SampleAndRank(Derivation):
    """Of 100 feasible draws from the distribution the best with the shared weights, on all validation rows; of ten,
    before the end."""

    def derive(self, search: OneShotSearch, *, final: bool) -> Architecture:
        logits = [each.detach().double().numpy() for each in search.model.logits]
        rng = np.random.default_rng(0)  # asking must not change the search
        drawn = search.feasible.sample(logits, rng, SAMPLES if final else BETWEEN)
        distinct = sorted({tuple(row) for row in drawn.tolist()})
        with torch.inference_mode():
            return max(distinct, key=search.score)


DERIVATIONS: dict[str, type[Derivation]] = {"argmax": Argmax, "sample-and-rank": SampleAndRank}


def new_derivation(name: str) -> Derivation:
    """A derivation by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in DERIVATIONS:
        raise UnknownName(name, DERIVATIONS, of="derivation")
    return DERIVATIONS[name]()
