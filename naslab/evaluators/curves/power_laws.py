"""Extrapolating learning curves by families of rising functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize

from naslab.evaluators.curves.base import CurveEvaluator, Floats


class Family(NamedTuple):
    """A function of the epoch and its parameters, with bounds and where a fit begins; values are scaled to 0 to 1."""

    function: Callable[..., Floats]
    start: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


FAMILIES = {
    "pow3": Family(lambda x, c, a, p: c - a * x**-p, (1.0, 1.0, 1.0), (0.0, 0.0, 0.01), (2.0, 4.0, 5.0)),
    "pow4": Family(
        lambda x, c, a, b, p: c - (a * x + b) ** -p,
        (1.0, 1.0, 0.5, 1.0),
        (0.0, 0.01, 0.0, 0.01),
        (2.0, 50.0, 50.0, 5.0),
    ),
    "exp4": Family(
        lambda x, c, a, b, p: c - np.exp(b - a * x**p),
        (1.0, 0.5, 0.0, 0.8),
        (0.0, 0.01, -5.0, 0.05),
        (2.0, 5.0, 5.0, 2.0),
    ),
    "ilog2": Family(lambda x, c, a: c - a / np.log(x + 1), (1.0, 0.5), (0.0, 0.0), (2.0, 4.0)),
    "janoschek": Family(
        lambda x, a, b, k, d: a - (a - b) * np.exp(-((k * x) ** d)),
        (1.0, 0.0, 0.3, 1.0),
        (0.0, -4.0, 1e-3, 0.05),
        (2.0, 1.0, 5.0, 3.0),
    ),
    "mmf": Family(
        lambda x, a, b, k, d: a - (a - b) / (1 + (k * x) ** d),
        (1.0, 0.0, 0.3, 1.0),
        (0.0, -4.0, 1e-3, 0.05),
        (2.0, 1.0, 5.0, 3.0),
    ),
    "vap": Family(
        lambda x, a, b, c: np.exp(a + b / x + c * np.log(x)), (0.0, -1.0, 0.0), (-3.0, -9.0, 0.0), (0.7, 0.0, 1.0)
    ),
    "log-power": Family(
        lambda x, a, b, c: a / (1 + (x / np.exp(b)) ** c), (1.0, 0.5, -1.0), (0.0, -3.0, -5.0), (2.0, 4.0, 0.0)
    ),
    "loglog-linear": Family(lambda x, a, b: np.log(a * x + b), (0.1, 1.5), (0.0, 1.0), (2.0, 6.0)),
}
"""Domhan et al. 2015, table 1, as far as they rise; values of a curve are scaled by its own minimum and maximum."""

NOISE = 1e-4
"""The variance below which a fit counts as exact, of scaled values."""


class PowerLaws(CurveEvaluator):
    """The value after the last epoch, by a weighted ensemble of functions fitted to the beginning.

    Domhan et al. 2015, "Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of
    Learning Curves". Each family of :data:`FAMILIES` is fitted by bounded least squares; beside them stands the
    constant last value. Deviation: the paper samples weights and parameters by Markov chains; here each is fitted once,
    and weighs ``exp(-AICc / 2)`` (Hurvich & Tsai 1989), so that few values allow few parameters: a family with p needs
    p + 3 values. What is predicted lies between the worst value seen and the best one plus their distance.
    """

    def judge(self, epochs: Floats, values: Floats) -> float:
        return extrapolated(epochs, values, float(self.fidelities[-1]))


def extrapolated(epochs: Floats, values: Floats, until: float) -> float:
    """The value at an epoch, from those before; see :class:`PowerLaws`.

    Args:
        epochs: ``(n,)``, rising from at least 1.
        values: ``(n,)``.
        until: The epoch that is asked for.
    """
    low, span = values.min(), np.ptp(values)
    if not span or len(values) < 3:
        return float(values[-1])
    scaled = (values - low) / span
    found, weights = [scaled[-1]], [_evidence(scaled - scaled[-1], 0)]
    for family in FAMILIES.values():
        if len(family.start) + 2 < len(scaled):
            bounds, seen = (family.low, family.high), (family.function, epochs, scaled)
            fit = optimize.least_squares(_residuals, family.start, bounds=bounds, max_nfev=60, args=seen)
            found.append(float(family.function(np.array([until]), *fit.x)[0]))
            weights.append(_evidence(fit.fun, len(family.start)))
    shares = np.exp(np.array(weights) - max(weights))
    return float(low + span * (np.clip(found, 0.0, 2.0) @ shares) / shares.sum())


def _residuals(parameters: Floats, function: Callable[..., Floats], epochs: Floats, values: Floats) -> Floats:
    return function(epochs, *parameters) - values


def _evidence(residuals: Floats, parameters: int) -> float:
    """Minus half the corrected Akaike criterion of normal residuals, whose variance is a parameter, too."""
    n, k = len(residuals), parameters + 1
    return -0.5 * float(n * np.log(np.square(residuals).mean() + NOISE) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
