"""Feasible architectures known only through a test and draws: TabNAS' estimates of what a diagram computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.feasibility.diagram import Floats, Probabilities
from naslab.space import Architecture

Test = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]]

TRIES = 1_000_000


class Sampled:
    """Architectures that pass a test, with the methods of a :class:`naslab.feasibility.Diagram` but estimated answers.

    P(V) is estimated as in TabNAS (Yang et al. 2022, section 3.3): from ``N`` draws from q, the present policy held
    fixed, by the mean of p/q for feasible draws and zero for others. The value is the share of draws that are
    feasible; the gradient follows the feasible draws, and is zero where there are none. Every call draws anew.

    Args:
        test: Which rows of ``(N, choices)`` are feasible.
        samples: N.
        rng: Draws for the estimates.
    """

    paths = float("nan")
    """The number of feasible architectures is not known."""

    def __init__(self, test: Test, samples: int, rng: np.random.Generator) -> None:
        self.test, self.samples, self.rng = test, samples, rng

    def log_probability(self, p: Probabilities) -> float:
        """The logarithm of the share of draws that are feasible; minus infinity where none is."""
        return _log_share(len(self._kept(p)), self.samples)

    def marginals(self, p: Probabilities) -> tuple[float, list[Floats]]:
        """The log-probability, and each option's share of the feasible draws; the policy itself if none is feasible."""
        kept = self._kept(p)
        log_share = _log_share(len(kept), self.samples)
        if not len(kept):
            return log_share, [each.copy() for each in p]
        columns = zip(kept.T, p, strict=True)
        return log_share, [np.bincount(column, minlength=len(each)) / len(kept) for column, each in columns]

    def sample(self, p: Probabilities, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """Draws until ``count`` are feasible: exact, however long it takes.

        Raises:
            InvalidValue: None of a million draws was feasible.
        """
        found: list[npt.NDArray[np.int64]] = []
        missing, failures = count, 0
        while missing > 0:
            drawn = _draw(p, rng, max(missing, min(self.samples, 4096)))
            kept = drawn[self.test(drawn)][:missing]
            failures = 0 if len(kept) else failures + len(drawn)
            if failures >= TRIES:
                raise InvalidValue(f"none of {TRIES:,} draws was feasible. Fix: backend='exact'")
            found.append(kept)
            missing -= len(kept)
        return np.concatenate(found)

    def best(self, p: Probabilities) -> Iterator[tuple[Architecture, float]]:
        """The feasible ones among ``N`` draws, the most probable first."""
        kept = np.unique(self._kept(p), axis=0)
        with np.errstate(divide="ignore"):
            logs = sum(np.log(each)[column] for column, each in zip(kept.T, p, strict=True))
        for row in np.argsort(-np.asarray(logs), kind="stable").tolist():
            yield tuple(kept[row].tolist()), float(np.asarray(logs)[row])

    def _kept(self, p: Probabilities) -> npt.NDArray[np.int64]:
        drawn = _draw(p, self.rng, self.samples)
        return drawn[self.test(drawn)]


def _draw(p: Probabilities, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    cumulative = [np.cumsum(each) for each in p]
    columns = [
        np.minimum(np.searchsorted(each, rng.random(count) * each[-1], side="right"), len(each) - 1)
        for each in cumulative
    ]
    return np.stack(columns, axis=1)


def _log_share(kept: int, samples: int) -> float:
    return float(np.log(kept / samples)) if kept else -float("inf")
