"""A Gaussian process over learning curves: where trainings that were paused would end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Floats = npt.NDArray[np.float64]

JITTER = 1e-6
PRIOR = np.array([(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (-1.5, 1.0), (0.0, 0.5), (-1.5, 1.0), (-4.0, 1.0)])
"""Mean and deviation of the logarithms of: the length scale, the variances of end, common and own part, the exponent
and the offset of the decay, and the variance of the noise."""
ITERATIONS = 15


class Normal(NamedTuple):
    """Means and variances of noisy observations, each ``(m,)``."""

    mean: Floats
    variance: Floats


class CurveProcess:
    """What a trial scores after ``t`` of its training is ``end(x) + common(t) + own(t) + noise``.

    Swersky, Snoek & Adams 2014, "Freeze-Thaw Bayesian Optimization". The end depends on the architecture, by a Matern
    5/2 kernel on its features; every curve departs from it by a process of its own that dies out, with the kernel
    ``(b / (t + t' + b))^a`` of a mixture of exponential decays. Deviation: a second such process is common to all
    curves. The paper's curves are independent given their ends, so that it can't learn how curves rise here.

    Given ends and common part, curves are independent, so that a fit takes the time of a matrix of as many rows as
    there are curves, not observations. Hyperparameters maximise the marginal likelihood times a prior (normal on their
    logarithms), by L-BFGS from where they were. Ends and targets have mean 0 and variance about 1; features are scaled
    so that two rows have a mean squared distance of 1.
    """

    def __init__(self) -> None:
        self.hyperparameters = PRIOR[:, 0].copy()

    def fit(self, features: Floats, curves: Sequence[Mapping[float, float]], *, tune: bool) -> None:
        """Learn from curves.

        Args:
            features: ``(n, d)``, a row per trial.
            curves: For each, the scores by the part of the training that they follow, above 0; none may be empty.
            tune: Whether the hyperparameters are fitted again.
        """
        spread = 2 * features.var(axis=0).sum()
        self._scale = 1 / np.sqrt(spread) if spread > 1e-12 else 1.0
        self._rows = features * self._scale
        self._squares = _squared_distances(self._rows, self._rows)
        self._times = [np.array(sorted(curve)) for curve in curves]
        self._scores = [np.array([curve[time] for time in sorted(curve)]) for curve in curves]
        self._grid = np.unique(np.concatenate(self._times))
        self._alike: dict[tuple[float, ...], list[int]] = {}
        for trial, each in enumerate(self._times):
            self._alike.setdefault(tuple(each), []).append(trial)
        self._columns = [len(curves) + np.searchsorted(self._grid, times) for times in self._times]
        if tune:
            bounds = [(mean - 4 * deviation, mean + 4 * deviation) for mean, deviation in PRIOR]
            self.hyperparameters = optimize.minimize(
                self._loss, self.hyperparameters, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS}
            ).x
        self._condition(self.hyperparameters)

    def predict(self, trials: Sequence[int], times: Floats) -> Normal:
        """What trials of the fit will score."""
        weights, constant, own = np.zeros((len(trials), self._size)), np.zeros(len(trials)), np.zeros(len(trials))
        shared: dict[tuple[tuple[float, ...], float], tuple[Floats, Floats]] = {}  # by trials whose times are alike
        for i, (trial, time) in enumerate(zip(trials, times.tolist(), strict=True)):
            seen = tuple(self._times[trial])
            if (seen, time) not in shared:
                cross = self._own(np.array([time]), self._times[trial])[0]
                shared[seen, time] = cross, linalg.cho_solve(self._factors[seen], cross)
            cross, explained = shared[seen, time]
            weights[i, trial] = 1 - explained.sum()
            weights[i, self._columns[trial]] -= explained
            constant[i] = explained @ self._scores[trial]
            own[i] = cross @ explained
        return self._predicted(weights, constant, times, -own)

    def predict_new(self, features: Floats, times: Floats) -> Normal:
        """What new trials will score, ``features`` being ``(m, d)``."""
        n = len(self._rows)
        cross = self._end(_squared_distances(features * self._scale, self._rows))
        weights = np.zeros((len(features), self._size))
        weights[:, :n] = linalg.cho_solve((self._prior[:n, :n], True), cross.T).T
        left = np.exp(self.hyperparameters[1]) - np.einsum("ij,ij->i", cross, weights[:, :n])
        return self._predicted(weights, np.zeros(len(features)), times, left)

    def _predicted(self, weights: Floats, constant: Floats, times: Floats, further: Floats) -> Normal:
        """Of ``weights @ (ends, common)`` plus what is new at ``times``: the common part there, the own, the noise."""
        n, hyper = len(self._rows), self.hyperparameters
        cross = np.exp(hyper[2]) * self._decay(times, self._grid)
        common = linalg.cho_solve((self._prior[n:, n:], True), cross.T).T
        weights[:, n:] += common
        half = linalg.solve_triangular(self._posterior, self._prior.T @ weights.T, lower=True)
        alone = self._decay(times, times, paired=True)
        variance = np.square(half).sum(axis=0) + further + (np.exp(hyper[2]) + np.exp(hyper[3])) * alone
        variance += np.exp(hyper[6]) - np.einsum("ij,ij->i", cross, common)
        return Normal(weights @ self._mean + constant, np.maximum(variance, JITTER))

    def _condition(self, hyper: Floats) -> float:
        """Condition on the curves; returns their log marginal likelihood, up to a constant."""
        self.hyperparameters, n = hyper, len(self._rows)
        self._size = n + len(self._grid)
        prior = np.zeros((self._size, self._size))
        prior[:n, :n] = self._end(self._squares)
        prior[n:, n:] = np.exp(hyper[2]) * self._decay(self._grid, self._grid)
        prior[np.diag_indices(self._size)] += JITTER
        self._prior = linalg.cholesky(prior, lower=True)
        self._factors: dict[tuple[float, ...], tuple[Floats, bool]] = {}
        information, evidence, likelihood = np.zeros((self._size, self._size)), np.zeros(self._size), 0.0
        for key, alike in self._alike.items():
            times, trials, columns = np.array(key), np.array(alike), self._columns[alike[0]]
            noise = (np.exp(hyper[6]) + JITTER) * np.eye(len(times))
            self._factors[key] = linalg.cho_factor(self._own(times, times) + noise, lower=True)
            precision = linalg.cho_solve(self._factors[key], np.eye(len(times)))
            scores = np.array([self._scores[trial] for trial in alike])
            solved = scores @ precision
            information[trials, trials] += precision.sum()
            information[np.ix_(trials, columns)] += precision.sum(axis=0)
            information[np.ix_(columns, trials)] += precision.sum(axis=0)[:, None]
            information[np.ix_(columns, columns)] += len(trials) * precision
            evidence[trials] += solved.sum(axis=1)
            evidence[columns] += solved.sum(axis=0)
            likelihood -= 0.5 * np.einsum("ij,ij", solved, scores)
            likelihood -= len(trials) * np.log(np.diag(self._factors[key][0])).sum()
        inner = self._prior.T @ information @ self._prior
        inner[np.diag_indices(self._size)] += 1
        self._posterior = linalg.cholesky(inner, lower=True)
        half = linalg.solve_triangular(self._posterior, self._prior.T @ evidence, lower=True)
        self._mean = self._prior @ linalg.solve_triangular(self._posterior, half, lower=True, trans=1)
        return float(likelihood + 0.5 * half @ half - np.log(np.diag(self._posterior)).sum())

    def _loss(self, hyper: Floats) -> float:
        away = (hyper - PRIOR[:, 0]) / PRIOR[:, 1]
        return 0.5 * float(away @ away) - self._condition(hyper)

    def _end(self, squares: Floats) -> Floats:
        r = np.sqrt(5 * squares) / np.exp(self.hyperparameters[0])
        kernel: Floats = np.exp(self.hyperparameters[1]) * (1 + r + r * r / 3) * np.exp(-r)
        return kernel

    def _own(self, a: Floats, b: Floats) -> Floats:
        kernel: Floats = np.exp(self.hyperparameters[3]) * self._decay(a, b)
        return kernel

    def _decay(self, a: Floats, b: Floats, *, paired: bool = False) -> Floats:
        exponent, offset = np.exp(self.hyperparameters[4:6])
        decayed: Floats = (offset / ((a if paired else a[:, None]) + b + offset)) ** exponent
        return decayed


def _squared_distances(a: Floats, b: Floats) -> Floats:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    bounded: Floats = np.maximum(squares, 0.0)
    return bounded
