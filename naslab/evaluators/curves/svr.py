"""A support vector machine that learns where curves end."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import NuSVR

from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluator, TaskLike
from naslab.evaluators.curves.base import CurveEvaluator, Floats

FOLDS = 3


class LcSVR(CurveEvaluator):
    """Predicts the last value of a curve from its beginning, by support vector regression on whole curves of others.

    Baker et al. 2017, "Accelerating Neural Architecture Search using Performance Prediction". Features are the values
    seen with their first and second differences; the regression (nu-SVR, radial kernel) has the C, gamma and nu with
    the best R^2 in threefold cross-validation among ``draws`` random ones: logarithms of C and gamma uniform between
    1e-5 and 10, nu uniform. Deviations: features and targets are standardised; the architecture itself is no feature.

    Args:
        source: As for :class:`CurveEvaluator`.
        fidelities: Likewise.
        epochs: Likewise.
        draws: Random settings that are tried.
    """

    learns = True

    def __init__(self, source: Evaluator, fidelities: tuple[int, ...], epochs: int, *, draws: int = 1000) -> None:
        super().__init__(source, fidelities, epochs)
        if draws < 1:
            raise InvalidValue(f"draws={draws}: at least 1")
        self.draws = draws

    @classmethod
    def for_task(
        cls,
        task: TaskLike,
        rng: np.random.Generator,
        *,
        labels: int = 100,
        epochs: int = 0,
        split: str = "valid",
        **options: Any,
    ) -> CurveEvaluator:
        """Fitted to whole curves of uniformly drawn architectures; those whose training failed are left out.

        Args:
            task: As for :class:`CurveEvaluator`.
            rng: For the draws, the trainings and the settings that are tried.
            labels: How many architectures are drawn; one that is drawn again counts once.
            epochs: How many epochs are looked at.
            split: Whose curve.
            **options: Of the evaluator.
        """
        made = super().for_task(task, rng, epochs=epochs, split=split, **options)
        assert isinstance(made, LcSVR)
        drawn = list(dict.fromkeys(task.problem.sample(rng) for _ in range(labels)))
        curves = [(a, *made.curve(a, made.fidelities[-1], rng)[:2]) for a in drawn]
        known = [(a, epochs_, values) for a, epochs_, values in curves if np.isfinite(values).all()]
        if len(known) < 2 * FOLDS:
            raise InvalidValue(f"labels={labels} gave {len(known)} whole curves. Allowed: at least {2 * FOLDS}")
        rows = np.array([_features(values[epochs_ <= made.epochs]) for _, epochs_, values in known])
        made.fit(rows, np.array([values[-1] for _, _, values in known]), rng)
        made.learned = [a for a, _, _ in known]
        return made

    def fit(self, rows: Floats, targets: Floats, rng: np.random.Generator) -> None:
        """Learn from the features of beginnings, ``(n, d)``, and last values, ``(n,)``."""
        self._middle, self._spread = targets.mean(), targets.std() or 1.0
        scaled = (targets - self._middle) / self._spread
        folds = KFold(FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
        scales, nus = 10 ** rng.uniform(-5, 1, (self.draws, 2)), 1 - rng.random(self.draws)
        models = [
            make_pipeline(StandardScaler(), NuSVR(C=c, gamma=gamma, nu=nu))
            for (c, gamma), nu in zip(scales.tolist(), nus.tolist(), strict=True)
        ]
        found = [cross_val_score(model, rows, scaled, cv=folds, scoring="r2").mean() for model in models]
        self._model = models[int(np.argmax(found))].fit(rows, scaled)

    def judge(self, epochs: Floats, values: Floats) -> float:
        return float(self._model.predict(_features(values)[None])[0] * self._spread + self._middle)


def _features(values: Floats) -> Floats:
    return np.concatenate([values, np.diff(values), np.diff(values, 2)])
