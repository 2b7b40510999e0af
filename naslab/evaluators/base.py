"""What an evaluator is: it says how good an architecture is and what finding out cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from naslab.choice import Architecture

Fidelity: TypeAlias = int | str
"""How thorough an evaluation is: a number of epochs, or a name that the evaluator defines."""

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Evaluation(NamedTuple):
    """What one evaluation found.

    Attributes:
        score: Higher is better. Not finite where the evaluation failed.
        seconds: What the search is charged.
        metrics: Anything else worth recording, by name.
    """

    score: float
    seconds: float
    metrics: Mapping[str, float] = _NOTHING


class Evaluator(ABC):
    """Judges architectures of one space.

    Attributes:
        clock: ``"recorded"`` where ``seconds`` are a function of the arguments (a table's), ``"measured"`` where
            they are measured on this machine: then they are kept out of traces.
        stateful: Whether an evaluation depends on those before it (shared weights). A run of such an evaluator is
            resumed by evaluating again what is recorded.
    """

    clock: ClassVar[Literal["recorded", "measured"]] = "recorded"
    stateful: ClassVar[bool] = False

    @abstractmethod
    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        """Judge one architecture.

        Args:
            architecture: Of the evaluator's space.
            fidelity: How thoroughly; the task's default where None.
            rng: The only source of randomness. It is reset for every evaluation: don't keep it.
        """

    def evaluate_many(
        self,
        architectures: Sequence[Architecture],
        *,
        fidelity: Fidelity | None = None,
        rng: np.random.Generator,
    ) -> list[Evaluation]:
        """Judge several architectures, one by one unless an evaluator knows better."""
        return [self.evaluate(a, fidelity=fidelity, rng=rng) for a in architectures]
