"""What a predictor is: an evaluator that learns from architectures and their scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity, TaskLike
from naslab.evaluators.predictors.features import FeatureScale
from naslab.evaluators.predictors.targets import transform
from naslab.evaluators.stopwatch import Stopwatch
from naslab.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]


class Prediction(NamedTuple):
    """What a predictor says of ``n`` architectures, on the scale of its transformed targets: higher is better.

    Attributes:
        mean: ``(n,)``.
        deviation: ``(n,)`` standard deviations: of what would be measured, label noise included, where the predictor
            models it (Gaussian processes, Bayesian regression); of its members' means in an ensemble (``bananas``,
            ``random-forest``), without any noise. None where the predictor has none.
    """

    mean: Floats
    deviation: Floats | None


class Predictor(Evaluator):
    """Learns scores of architectures.

    Subclasses define :meth:`_fit` and :meth:`_predict`; what reaches them was checked and transformed here.

    Args:
        space: The search space.
        target: What is learned, see :func:`naslab.evaluators.predictors.targets.transform`. Predictions are on that
            scale.

    Attributes:
        device: Where a network runs, if it has one: the CPU, unless it was made for a problem that is elsewhere. It is
            no hyperparameter.
    """

    device = "cpu"
    clock = "measured"
    learns = True

    def __init__(self, space: SearchSpace, *, target: str = "rank") -> None:
        transform([0.0, 1.0], target)  # refuses an unknown name before anything is learned
        self.space, self.target = space, target
        self._fitted = False
        self._scale: FeatureScale | None = None

    @classmethod
    def for_task(cls, task: TaskLike, rng: np.random.Generator, *, labels: int = 100, **options: Any) -> Predictor:
        """A predictor fitted to the task's rewards of uniformly drawn architectures.

        Args:
            task: Where architectures and rewards come from; failed evaluations are left out.
            rng: For the draws, the rewards and the fit.
            labels: How many architectures are drawn; one that is drawn again counts once.
            **options: Of the predictor.
        """
        if labels < 2:
            raise InvalidValue(f"labels={labels}. Allowed: at least 2")
        fitted = cls(task.problem.space, **options)
        fitted.device = task.problem.device
        drawn = list(dict.fromkeys(task.problem.sample(rng) for _ in range(labels)))
        found = task.reward().evaluate_many(drawn, rng=rng)
        rewards = [(a, each.score) for a, each in zip(drawn, found, strict=True) if np.isfinite(each.score)]
        fitted.fit([a for a, _ in rewards], [score for _, score in rewards], rng=rng)
        fitted.learned = [a for a, _ in rewards]
        return fitted

    def fit(
        self,
        architectures: Sequence[Architecture],
        scores: npt.ArrayLike,
        *,
        rng: np.random.Generator,
        features: npt.ArrayLike | None = None,
    ) -> None:
        """Learn from scores; what was learned before is forgotten.

        Args:
            architectures: ``n`` of the space, two at least; one may occur more than once.
            scores: ``(n,)``, higher is better.
            rng: The only source of randomness.
            features: ``(n, k)`` further columns, such as zero-cost scores. Any scale will do, and failures need not be
                finite: see :class:`naslab.evaluators.predictors.features.FeatureScale`. Predictions then need them,
                too.

        Raises:
            InvalidArchitecture: One is not of this space.
            InvalidValue: Fewer than two scores, scores that are all equal, one that is not finite, or numbers of rows
                that differ.
        """
        checked = self._checked(architectures)
        labels = checked_scores(checked, scores)
        targets = self._targets(labels)
        table = None if features is None else checked_features(features, len(checked))
        scale = None if table is None else FeatureScale(table)
        self._fitted = False
        self._fit(checked, targets, rng, None if scale is None or table is None else scale(table))
        self._fitted, self._scale = True, scale

    def predict(self, architectures: Sequence[Architecture], *, features: npt.ArrayLike | None = None) -> Prediction:
        """Predict scores.

        Args:
            architectures: ``n`` of the space.
            features: ``(n, k)`` the columns that it was fitted with, None for none.

        Raises:
            InvalidArchitecture: One is not of this space.
            InvalidValue: It was not fitted, or the features are not those it was fitted with.
        """
        if not self._fitted:
            raise InvalidValue(f"{type(self).__name__} predicts before it was fitted. Fix: call fit() first")
        checked = self._checked(architectures)
        if (features is None) != (self._scale is None):
            known = "without features" if self._scale is None else f"with {self._scale.columns} features"
            raise InvalidValue(f"{type(self).__name__} was fitted {known}. Fix: predict from the same columns")
        table = None
        if features is not None and self._scale is not None:
            table = self._scale(checked_features(features, len(checked), self._scale.columns))
        if not checked:
            return Prediction(np.empty(0), None)
        return self._predict(checked, table)

    def half_width(self, level: float) -> float:
        """Half-width of the central interval around a mean that should hold a measurement with probability ``level``.

        In units of the deviations of :meth:`predict`; by default the normal distribution's.

        Raises:
            InvalidValue: It was not fitted, or the level is not between 0 and 1.
        """
        if not self._fitted:
            raise InvalidValue(f"{type(self).__name__} has no intervals before it was fitted. Fix: call fit() first")
        if not 0 < level < 1:
            raise InvalidValue(f"level={level}. Allowed: between 0 and 1")
        return self._half_width(level)

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return self.evaluate_many([architecture], fidelity=fidelity, rng=rng)[0]

    def evaluate_many(
        self,
        architectures: Sequence[Architecture],
        *,
        fidelity: Fidelity | None = None,
        rng: np.random.Generator,
    ) -> list[Evaluation]:
        """The predicted means as scores, with ``metrics["deviation"]`` where there is one; seconds in equal shares."""
        if fidelity is not None:
            raise InvalidValue(f"fidelity {fidelity!r}: a predictor has none. Fix: give no fidelity")
        watch = Stopwatch(self.device)
        mean, deviation = self.predict(architectures)
        seconds = watch.seconds() / max(1, len(architectures))
        metrics: list[dict[str, float]] = [{} for _ in mean]
        if deviation is not None:
            metrics = [{"deviation": each} for each in deviation.tolist()]
        return [Evaluation(score, seconds, known) for score, known in zip(mean.tolist(), metrics, strict=True)]

    def _targets(self, scores: Floats) -> Floats:
        """``(n,)`` transformed scores."""
        return transform(scores, self.target)

    @abstractmethod
    def _fit(
        self,
        architectures: list[Architecture],
        targets: Floats,
        rng: np.random.Generator,
        features: Floats | None,
    ) -> None:
        """Learn from checked architectures, the targets from :meth:`_targets`, and scaled features ``(n, k)``."""

    @abstractmethod
    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        """Predict, on the scale of the targets."""

    def _half_width(self, level: float) -> float:
        return float(special.ndtri((1 + level) / 2))

    def _checked(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        return [self.space.architecture(a) for a in architectures]


def checked_scores(architectures: Sequence[Architecture], scores: npt.ArrayLike) -> Floats:
    try:
        labels = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        raise InvalidValue("scores that are no numbers. Fix: give one number to each architecture") from None
    if labels.shape != (len(architectures),):
        raise InvalidValue(f"{len(architectures)} architectures with scores of shape {labels.shape}: give one to each")
    if len(labels) < 2:
        raise InvalidValue(f"{len(labels)} scores to learn from. Allowed: at least 2")
    broken = np.flatnonzero(~np.isfinite(labels))
    if len(broken):
        first = int(broken[0])
        raise InvalidValue(
            f"the score of architecture {architectures[first]} (number {first}) is {labels[first]}, and {len(broken)} "
            f"of {len(labels)} are not finite. Fix: leave failed evaluations out"
        )
    if labels.min() == labels.max():
        raise InvalidValue(f"all {len(labels)} scores are {labels[0]}: there is nothing to learn from them")
    return labels


def checked_features(features: npt.ArrayLike, rows: int, columns: int | None = None) -> Floats:
    table = np.asarray(features, np.float64)
    if table.ndim != 2 or len(table) != rows or table.shape[1] != (columns or max(1, table.shape[1])):
        wanted = f"({rows}, {columns or 'k'})"
        raise InvalidValue(f"features of shape {table.shape}. Allowed: {wanted}, one row per architecture")
    return table
