"""Rewards that weigh quality against a resource, for strategies that may exceed the limit while they search.

``quality`` is higher-is-better and positive, ``ratio`` the resource over its limit, T/T0. Each function documents its
sign: the more is consumed, the lower the reward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def soft(quality: float, ratio: float, beta: float) -> float:
    """``Q (T/T0)^beta`` with beta < 0: MnasNet's soft constraint (Tan et al. 2019, equation 2 with alpha = beta)."""
    return float(quality * ratio**beta)


def hard(quality: float, ratio: float, beta: float) -> float:
    """``Q min((T/T0)^beta, 1)`` with beta < 0: MnasNet's hard constraint (alpha = 0), no bonus below the limit.

    Erratum: the TabNAS slides print ``max`` for ``min``, which would reward being below the limit and never punish
    being above it; TuNAS' code has ``min``.
    """
    return float(quality * min(ratio**beta, 1.0))


def absolute(quality: float, ratio: float, beta: float) -> float:
    """``Q + beta |T/T0 - 1|`` with beta < 0: TuNAS (Bender et al. 2020, section 3.2). It punishes being below the
    limit, too."""
    return quality + beta * abs(ratio - 1.0)


def linear(quality: float, ratio: float, beta: float) -> float:
    """``(1 + beta) Q + beta T/T0`` with -1 <= beta <= 0: MONAS' mixed reward ``a Q - (1 - a) T`` (Hsu et al. 2018,
    equation 5), a = 1 + beta, with the resource in units of its limit."""
    return (1.0 + beta) * quality + beta * ratio


def indicator(quality: float, ratio: float, beta: float) -> float:
    """``Q`` within the limit, zero beyond it; beta is ignored."""
    return quality if ratio <= 1.0 else 0.0


LEAST = 0.01


class Quality:
    """From scores to qualities, which are positive: a product with a resource must not turn its sign.

    A scaled score of at least 0.01 is the quality: an accuracy in percent becomes one from 0 to 1, and a published beta
    keeps its meaning. Below 0.01 quality falls smoothly towards zero. Where the first score of a run is negative (rmse,
    log-loss, r2 below zero), its size is the unit of error, and a score ``-e`` has the quality ``unit / (unit + e)``,
    so that the first quality is 1/2: there beta weighs the resource against relative changes of the error.

    Args:
        scale: Score to quality, where the first score is not negative.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._unit: float | None = None

    def __call__(self, score: float) -> float:
        """The quality of a finite score: above 0, and the higher, the higher the score."""
        if self._unit is None:
            self._unit = max(-score, 0.0)
        if self._unit:
            return self._unit / (self._unit - score) if score < 0 else 1 + score / self._unit
        scaled = self.scale * score
        return scaled if scaled >= LEAST else LEAST**2 / (2 * LEAST - scaled)


REWARDS: Mapping[str, Callable[[float, float, float], float]] = {
    "soft": soft,
    "hard": hard,
    "absolute": absolute,
    "linear": linear,
    "indicator": indicator,
}
