"""The loss that networks are trained by, and the metric that they are scored by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue, UnknownMetric

Kind: TypeAlias = Literal["classification", "regression", "dense"]

METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy", "balanced-accuracy", "roc-auc", "log-loss"),
    "regression": ("r2", "rmse", "mae"),
    "dense": ("end-point-error",),
}
"""The first of each is the default."""
_ERRORS = ("log-loss", "rmse", "mae", "end-point-error")
_LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class TrainingObjective:
    """Classification by cross-entropy, regression by the mean squared error, or dense prediction; and a metric.

    Networks give one number per class (logits; anything that a softmax turns into probabilities, such as their
    logarithms), for regression one number, and for dense prediction what has the shape of a target: numbers for each
    position (disparity is one, optical flow two). Its loss is its metric.

    Scores are higher-is-better: errors (log-loss in nats, rmse, mae, end-point-error) are **negated**. Shares
    (accuracies, area under the ROC curve, r2) are in percent.

    Attributes:
        kind: ``"classification"``, ``"regression"`` or ``"dense"``.
        metric: ``"accuracy"``; ``"balanced-accuracy"`` (share of right rows, averaged over the classes that occur);
            ``"roc-auc"`` (two classes; ties count one half); ``"log-loss"``; ``"r2"`` (explained share of the variance
            of the rows that are scored); ``"rmse"``; ``"mae"``; ``"end-point-error"`` (Euclidean distance of a
            position's numbers from the true ones, averaged over all positions).
        class_weights: What a row of each class weighs in the loss; 1 where empty. They change no metric.
        scale: One unit of the outputs in the target's own unit, which rmse, mae and end-point-error are in.
    """

    kind: Kind = "classification"
    metric: str = "accuracy"
    class_weights: tuple[float, ...] = ()
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in METRICS:
            raise InvalidValue(f"kind={self.kind!r}. Allowed: {', '.join(METRICS)}")
        if self.metric not in METRICS[self.kind]:
            raise UnknownMetric(self.metric, METRICS[self.kind], of=self.kind)
        if self.class_weights and self.kind != "classification":
            raise InvalidValue(f"class weights, kind={self.kind!r}: it has no classes")
        if not all(0 < number < math.inf for number in (*self.class_weights, self.scale)):
            raise InvalidValue("class weights and scale must be above 0 and finite")

    @property
    def sign(self) -> int:
        """The metric's own value is ``sign * score``: -1 for errors."""
        return -1 if self.metric in _ERRORS else 1

    @property
    def unit(self) -> str:
        """The unit of a score; empty for nats and for the target's own unit."""
        return "" if self.metric in _ERRORS else "%"

    def score(self, outputs: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """The score of one network.

        Args:
            outputs: ``(N, classes)``, ``(N, 1)`` for regression, ``(N, numbers, *positions)`` for dense prediction.
            y: ``(N,)``: classes, or numbers in the unit of the outputs; the shape of the outputs where they are dense.

        Returns:
            Higher is better. For accuracy a row with a NaN, or whose largest output is infinite, is wrong; other
            metrics are NaN where any output is not finite. So are roc-auc of one class and r2 of equal targets.

        Raises:
            InvalidValue: Dense outputs of another shape than the targets.
        """
        return self.of_rows(*self.rows(outputs, y))

    def rows(self, outputs: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        """What each row contributes to the score, for :meth:`of_rows`: a few ``(N,)``, computed once however many
        selections of the rows are scored. Arguments as of :meth:`score`.
        """
        with np.errstate(invalid="ignore"):
            if self.kind == "dense":
                check_dense(outputs.shape, y.shape)
                distances = np.linalg.norm((outputs.astype(np.float64) - y) * self.scale, axis=1)
                return (distances.reshape(len(y), -1).mean(axis=1),)
            finite = np.isfinite(outputs).all(axis=1)
            if self.metric == "accuracy":
                return ((outputs.argmax(axis=1) == y) & np.isfinite(outputs.max(axis=1)),)
            # Copied only where it must be; a selection without such rows has a score.
            outputs = outputs.astype(np.float64) if finite.all() else np.where(finite[:, None], outputs, np.nan)
            if self.kind == "regression":
                error = (outputs[:, 0] - y) * self.scale
                if self.metric == "mae":
                    return (np.abs(error),)
                return (error**2,) if self.metric == "rmse" else (error**2, y.astype(np.float64) * self.scale)
            if self.metric == "balanced-accuracy":
                return np.where(finite, outputs.argmax(axis=1) == y, np.nan), y
            if self.metric == "log-loss":
                from scipy import special  # SciPy takes a second, and searches on a table need none of it

                log_probabilities = special.log_softmax(outputs, axis=1)[np.arange(len(y)), y]
                return (np.maximum(log_probabilities, math.log(_LEAST_PROBABILITY)),)
            return outputs[:, 1] - outputs[:, 0], y

    def of_rows(self, first: npt.NDArray[Any], truth: npt.NDArray[Any] | None = None) -> float:
        """The score of rows, or of a selection of them: what :meth:`rows` gave, selected alike."""
        if self.metric == "r2":
            variance = float(np.var(truth)) if truth is not None else 0.0
            return 100.0 * (1 - float(first.mean()) / variance) if variance else math.nan
        if self.metric == "rmse":
            return -math.sqrt(float(first.mean()))
        if truth is None:
            return float(first.mean()) * {"accuracy": 100.0, "mae": -1.0, "end-point-error": -1.0}.get(self.metric, 1.0)
        if self.metric == "balanced-accuracy":
            return 100.0 * float(np.mean([first[truth == each].mean() for each in np.unique(truth)]))
        return _area(first, truth == 1, truth == 0)


def check_dense(outputs: Sequence[int], y: Sequence[int]) -> None:
    """Refuse targets that would be compared with something else than what they are targets of.

    Raises:
        InvalidValue: The shapes differ.
    """
    if tuple(outputs) != tuple(y):
        raise InvalidValue(f"dense prediction: outputs of shape {tuple(outputs)}, targets of shape {tuple(y)}")


def _area(scores: npt.NDArray[np.float64], ones: npt.NDArray[np.bool_], zeros: npt.NDArray[np.bool_]) -> float:
    """The area under the ROC curve, in percent."""
    positive, negative = int(ones.sum()), int(zeros.sum())
    if not positive or not negative or np.isnan(scores).any():
        return math.nan
    from scipy import stats

    ranks = stats.rankdata(scores)[ones]
    return 100.0 * float(ranks.sum() - positive * (positive + 1) / 2) / (positive * negative)


ACCURACY = TrainingObjective()
"""The default: cross-entropy and accuracy."""
