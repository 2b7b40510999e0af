"""A Gaussian process over several groups of features, its hyperparameters by marginal likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Floats = npt.NDArray[np.float64]

JITTER = 1e-6
CHUNK = 2000
"""Rows that are predicted at once."""


class Posterior(NamedTuple):
    """Means and variances of noisy observations, each ``(m,)``."""

    mean: Floats
    variance: Floats


class GaussianProcess:
    """Regression by a sum of Matern 5/2 kernels, one for each group of features, and noise.

    Rasmussen & Williams 2006, chapters 2, 4.2 and 5.4. Every kernel has a variance and a length scale. They and the
    variance of the noise maximise the marginal likelihood times a prior (normal on their logarithms), by L-BFGS from
    the prior's mode with exact gradients. Features are scaled so that the mean squared distance between two training
    rows is 1 in every group; a group that is the same for all rows is left out.

    Args:
        most: Hyperparameters are fitted to at most this many rows, drawn at random.
    """

    VARIANCE = (0.0, 1.0)
    """Mean and deviation of the prior of a kernel's log variance. Targets have variance one."""
    LENGTH = (0.0, 1.0)
    """The same of the log length scale."""
    NOISE = (-3.0, 1.5)
    """The same of the noise's log variance."""

    def __init__(self, most: int = 500) -> None:
        self.most = most

    def fit(self, groups: Sequence[Floats], targets: Floats, rng: np.random.Generator) -> None:
        """Learn from groups of ``(n, features)`` each and targets ``(n,)`` of mean 0 and variance about 1."""
        self._scales = [_scale(group) for group in groups]
        self._rows = list(self._scaled(groups))
        n = len(targets)
        drawn = rng.permutation(n)[: self.most]
        squares = [_squared_distances(rows[drawn], rows[drawn]) for rows in self._rows]
        self.hyperparameters = self._most_likely(squares, targets[drawn])
        covariance = self._covariance([_squared_distances(rows, rows) for rows in self._rows], n, n)
        covariance[np.diag_indices(n)] += self.noise + JITTER
        self._factor = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        self._weights = linalg.cho_solve((self._factor, True), targets, check_finite=False)
        inverse, _ = linalg.lapack.dpotri(self._factor, lower=1)
        self._precision = np.diag(inverse).copy()
        self._targets = targets

    def predict(self, groups: Sequence[Floats]) -> Posterior:
        """The posterior of new observations, noise included."""
        total = len(groups[0])
        mean, variance = np.empty(total), np.empty(total)
        for start in range(0, total, CHUNK):
            part = slice(start, start + CHUNK)
            rows = list(self._scaled([group[part] for group in groups]))
            squares = [_squared_distances(a, b) for a, b in zip(rows, self._rows, strict=True)]
            cross = self._covariance(squares, len(mean[part]), len(self._targets))
            mean[part] = cross @ self._weights
            explained = linalg.solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
            variance[part] = self.signal + self.noise - np.einsum("ij,ij->j", explained, explained)
        return Posterior(mean, np.maximum(variance, JITTER))

    def leave_one_out(self) -> Posterior:
        """Predictions of every training row from all others, with the hyperparameters kept (equation 5.12)."""
        return Posterior(self._targets - self._weights / self._precision, 1 / self._precision)

    @property
    def signal(self) -> float:
        """The kernels' summed variances."""
        return float(np.exp(self.hyperparameters[: len(self._rows)]).sum())

    @property
    def noise(self) -> float:
        """The variance of the noise."""
        return float(np.exp(self.hyperparameters[-1]))

    def _scaled(self, groups: Sequence[Floats]) -> Iterator[Floats]:
        for group, scale in zip(groups, self._scales, strict=True):
            if scale:
                yield group * scale

    def _most_likely(self, squares: Sequence[Floats], targets: Floats) -> Floats:
        """Log variances, log length scales, log noise."""
        k = len(squares)
        prior = np.asarray([self.VARIANCE] * k + [self.LENGTH] * k + [self.NOISE])
        bounds = [(-8.0, 4.0)] * k + [(-4.0, 4.0)] * k + [(-8.0, 1.0)]
        loss = _Loss(squares, targets, prior)
        found = optimize.minimize(
            loss, prior[:, 0], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
        )
        best: Floats = found.x
        return best

    def _covariance(self, squares: Sequence[Floats], rows: int, columns: int) -> Floats:
        k = len(squares)
        total = np.zeros((rows, columns))
        for i, square in enumerate(squares):
            total += np.exp(self.hyperparameters[i]) * _matern(square, self.hyperparameters[k + i])
        return total


class _Loss:
    """The negative log posterior of hyperparameters (Rasmussen & Williams, equations 5.8 and 5.9), and its gradient."""

    def __init__(self, squares: Sequence[Floats], targets: Floats, prior: Floats) -> None:
        self.squares, self.targets, self.prior = squares, targets, prior

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        k, n = len(self.squares), len(self.targets)
        parts = [np.exp(x[i]) * _matern(square, x[k + i]) for i, square in enumerate(self.squares)]
        covariance = sum(parts, np.zeros((n, n)))
        covariance[np.diag_indices(n)] += np.exp(x[-1]) + JITTER
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        weights = linalg.cho_solve((factor, True), self.targets, check_finite=False)
        lower, _ = linalg.lapack.dpotri(factor, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        inner = inverse - np.outer(weights, weights)
        gradient = np.empty(len(x))
        for i, (part, square) in enumerate(zip(parts, self.squares, strict=True)):
            gradient[i] = 0.5 * np.einsum("ij,ij", inner, part)
            slope = np.exp(x[i]) * _matern_slope(square, x[k + i])
            gradient[k + i] = 0.5 * np.einsum("ij,ij", inner, slope)
        gradient[-1] = 0.5 * np.exp(x[-1]) * np.trace(inner)
        away = (x - self.prior[:, 0]) / self.prior[:, 1]
        value = 0.5 * self.targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        return float(value), gradient + away / self.prior[:, 1]


def _matern(squares: Floats, log_length: float) -> Floats:
    r = np.sqrt(5 * squares) / np.exp(log_length)
    kernel: Floats = (1 + r + r * r / 3) * np.exp(-r)
    return kernel


def _matern_slope(squares: Floats, log_length: float) -> Floats:
    """Derivative with respect to the log length scale."""
    r = np.sqrt(5 * squares) / np.exp(log_length)
    slope: Floats = r * r * (1 + r) / 3 * np.exp(-r)
    return slope


def _scale(rows: Floats) -> float:
    """The factor that makes the mean squared distance of two rows 1; 0 where all are equal."""
    mean = 2 * rows.var(axis=0).sum()
    return float(1 / np.sqrt(mean)) if mean > 1e-12 else 0.0


def _squared_distances(a: Floats, b: Floats) -> Floats:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    bounded: Floats = np.maximum(squares, 0.0)
    return bounded
