"""Linear regression on one-hot codes: what a sum over choices explains."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV

from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.encodings import one_hot
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]

PENALTIES = np.logspace(-3, 3, 13)


class Ridge(Predictor):
    """Ridge regression on one-hot options (Hoerl & Kennard 1970): every option of every choice adds its own number.

    What is nearly such a sum (latency on many devices) needs few measurements. The penalty is the one of 13 between
    1e-3 and 1e3 with the smallest leave-one-out error. It predicts no standard deviations.

    Args:
        space: The search space.
        target: See :func:`naslab.evaluators.predictors.targets.transform`.
    """

    def __init__(self, space: SearchSpace, *, target: str = "rank") -> None:
        super().__init__(space, target=target)
        self._wiring = Wiring(space)

    def _fit(
        self, architectures: list[Architecture], targets: Floats, rng: np.random.Generator, features: Floats | None
    ) -> None:
        self._model = RidgeCV(alphas=PENALTIES).fit(self._encoded(architectures, features), targets)

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        return Prediction(self._model.predict(self._encoded(architectures, features)), None)

    def _encoded(self, architectures: list[Architecture], features: Floats | None) -> Floats:
        code = one_hot(self._wiring, architectures)
        return code if features is None else np.concatenate([code, features], axis=1)
