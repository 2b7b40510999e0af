"""Feasible architectures listed one by one: for any predicate, on small spaces; with the methods of a diagram."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.feasibility.diagram import EXCLUDED, Floats, Probabilities
from naslab.space import Architecture

ENUMERABLE = 200_000
"""A space is enumerated if it has at most this many architectures."""


class Enumerated:
    """A list of architectures with the methods of a :class:`naslab.feasibility.Diagram`.

    Args:
        architectures: ``(N, choices)`` option indices, all different.
    """

    def __init__(self, architectures: npt.NDArray[np.int64]) -> None:
        self.architectures = architectures

    @cached_property
    def paths(self) -> float:
        """The number of architectures."""
        return float(len(self.architectures))

    def log_probability(self, p: Probabilities) -> float:
        """Logarithm of the probability that a draw is one of the architectures."""
        logs = self._logs(p)
        largest = logs.max(initial=-np.inf)
        return float(largest if largest == -np.inf else largest + np.log(np.exp(logs - largest).sum()))

    def marginals(self, p: Probabilities) -> tuple[float, list[Floats]]:
        """See :meth:`naslab.feasibility.Diagram.marginals`."""
        log_probability = self.log_probability(p)
        weights = self._weights(p, log_probability)
        columns = zip(self.architectures.T, p, strict=True)
        return log_probability, [np.asarray(np.bincount(c, weights, len(each)), np.float64) for c, each in columns]

    def sample(self, p: Probabilities, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """See :meth:`naslab.feasibility.Diagram.sample`."""
        cumulative = np.cumsum(self._weights(p, self.log_probability(p)))
        if not cumulative[-1] > 0:
            raise InvalidValue(EXCLUDED)
        rows = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
        drawn: npt.NDArray[np.int64] = self.architectures[np.minimum(rows, len(cumulative) - 1)]
        return drawn

    def best(self, p: Probabilities) -> Iterator[tuple[Architecture, float]]:
        """See :meth:`naslab.feasibility.Diagram.best`."""
        logs = self._logs(p)
        for row in np.lexsort((*self.architectures.T[::-1], -logs)).tolist():
            if logs[row] > -np.inf:
                yield tuple(self.architectures[row].tolist()), float(logs[row])

    def _logs(self, p: Probabilities) -> Floats:
        with np.errstate(divide="ignore"):
            columns = [np.log(each)[column] for column, each in zip(self.architectures.T, p, strict=True)]
        logs: Floats = np.sum(columns, axis=0)
        return logs

    def _weights(self, p: Probabilities, log_probability: float) -> Floats:
        if log_probability == -np.inf:
            return np.zeros(len(self.architectures))
        weights: Floats = np.exp(self._logs(p) - log_probability)
        return weights
