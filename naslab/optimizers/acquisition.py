"""Acquisition functions: how much an architecture is worth evaluating. Higher is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from naslab.errors import InvalidValue, UnknownName

Floats = npt.NDArray[np.float64]

MEAN = "mean"
ACQUISITIONS = ("independent-thompson", "expected-improvement", "ucb", MEAN)


def acquire(
    name: str,
    mean: Floats,
    deviation: Floats | None,
    *,
    incumbent: float,
    beta: float,
    rng: np.random.Generator,
) -> Floats:
    """Values of an acquisition function.

    White et al. 2021 (BANANAS), section 4, give all of them for a predicted mean and standard deviation:

    * ``independent-thompson``: one draw from the normal distribution of each architecture, independently;
    * ``expected-improvement``: ``d (z Phi(z) + phi(z))``, ``z = (mean - incumbent) / d`` (Mockus 1975);
    * ``ucb``: ``mean + beta d`` (Srinivas et al. 2010);
    * ``mean``: the mean alone, for predictors without deviations.

    Args:
        name: One of :data:`ACQUISITIONS`.
        mean: ``(n,)``.
        deviation: ``(n,)`` of at least 0, or None.
        incumbent: The value to improve on, on the scale of the mean.
        beta: Weight of the deviation in ``ucb``.
        rng: For ``independent-thompson``.

    Raises:
        UnknownName: There is no such function.
        InvalidValue: It needs deviations, and there are none.
    """
    if name not in ACQUISITIONS:
        raise UnknownName(name, ACQUISITIONS, of="acquisition")
    if name == MEAN:
        return mean
    if deviation is None:
        raise InvalidValue(
            f"acquisition={name} of a predictor that has no deviations. Fix: acquisition={MEAN}, or a predictor that "
            "has them, such as path-kernel, nasbowl, bananas or bonas"
        )
    if name == "independent-thompson":
        drawn: Floats = rng.normal(mean, deviation)
        return drawn
    if name == "ucb":
        return mean + beta * deviation
    return _expected_improvement(mean - incumbent, deviation)


def _expected_improvement(gain: Floats, deviation: Floats) -> Floats:
    z = np.divide(gain, deviation, out=np.zeros_like(gain), where=deviation > 0)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.where(deviation > 0, gain * special.ndtr(z) + deviation * density, np.maximum(gain, 0))
