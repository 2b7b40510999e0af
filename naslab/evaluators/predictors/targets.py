"""What predictors learn: transformations of the labels, which matter more than the choice of the predictor.

On NAS-Bench-201 the same kernel ridge regression reaches a Kendall tau of .39 at 78 labels with raw accuracies and .62
with ranks: a few cells that do not train at all carry most of the variance of raw accuracies.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from naslab.errors import InvalidValue, UnknownName

Floats = npt.NDArray[np.float64]
TARGETS = ("raw", "log-error", "power", "rank")


def transform(scores: npt.ArrayLike, target: str) -> Floats:
    """Scores as targets, of mean zero and (but for ties among ranks) variance one; higher remains better.

    Args:
        scores: ``(n,)`` finite, not all equal.
        target: ``"raw"``: standardised. ``"log-error"``: minus the logarithm of the error rate, standardised; scores
            have to be accuracies, in percent or (where all are at most 1) as fractions, and a perfect accuracy has half
            of the smallest error above zero. ``"power"``: the power transform of standardised scores under which they
            look most normal (Yeo & Johnson 2000), which suits any scores. ``"rank"``: normal scores,
            ``ndtri((r - 3/8) / (n + 1/4))`` of the ranks r (Blom 1958), ties sharing their mean rank.

    Raises:
        UnknownName: There is no such target.
        InvalidValue: Scores that can't be accuracies.
    """
    values = np.asarray(scores, np.float64)
    if target == "rank":
        values = special.ndtri((stats.rankdata(values) - 0.375) / (len(values) + 0.25))
    elif target == "log-error":
        values = -np.log(_errors(values))
    elif target == "power":
        values, _ = stats.yeojohnson((values - values.mean()) / values.std())
    elif target != "raw":
        raise UnknownName(target, TARGETS, of="target")
    deviation = values.std()
    standard: Floats = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return standard


def _errors(values: Floats) -> Floats:
    most = 1.0 if values.max() <= 1 else 100.0
    if values.min() < 0 or values.max() > most:
        raise InvalidValue(
            f"target 'log-error' of scores from {values.min():g} to {values.max():g}. Allowed: accuracies, 0 to 1 or 0 "
            "to 100. Fix: target='rank'"
        )
    errors = most - values
    smallest = errors[errors > 0].min()
    return np.where(errors > 0, errors, smallest / 2)
