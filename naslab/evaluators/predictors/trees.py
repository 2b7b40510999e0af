"""Forests and boosted trees on one-hot codes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.encodings import one_hot
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]

DEEPEST = 16
"""A tree may have two to the power of its depth leaves."""


class _Trees(Predictor):
    """A regressor of scikit-learn on one-hot options and given features."""

    def __init__(self, space: SearchSpace, *, target: str = "rank") -> None:
        super().__init__(space, target=target)
        self._wiring = Wiring(space)

    @abstractmethod
    def _regressor(self, seed: int) -> Any:
        """An unfitted regressor."""

    def _fit(
        self, architectures: list[Architecture], targets: Floats, rng: np.random.Generator, features: Floats | None
    ) -> None:
        self._fitted_to = self._regressor(int(rng.integers(2**31))).fit(self._encoded(architectures, features), targets)

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        mean: Floats = self._fitted_to.predict(self._encoded(architectures, features))
        return Prediction(mean, None)

    def _encoded(self, architectures: list[Architecture], features: Floats | None) -> Floats:
        code = one_hot(self._wiring, architectures)
        return code if features is None else np.concatenate([code, features], axis=1)


class BoostedTrees(_Trees):
    """Gradient-boosted trees with NAS-Bench-Suite-Zero's settings for XGBoost (Krishnakumar et al. 2022).

    500 rounds at a learning rate of 0.3, trees of depth 6, L2 penalty 1. Deviation: scikit-learn's histograms instead
    of XGBoost's exact splits, which are the same where a column has at most 255 values, as one-hot codes do. It
    predicts no standard deviations.

    Args:
        space: The search space.
        target: See :func:`naslab.evaluators.predictors.targets.transform`.
        rounds: Number of trees.
        learning_rate: Weight of every tree.
        depth: Of every tree.

    Raises:
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        rounds: int = 500,
        learning_rate: float = 0.3,
        depth: int = 6,
    ) -> None:
        super().__init__(space, target=target)
        if rounds < 1 or not 1 <= depth <= DEEPEST or not 0 < learning_rate < float("inf"):
            raise InvalidValue(
                f"rounds={rounds}, learning_rate={learning_rate}, depth={depth}. Allowed: at least one round, a rate "
                f"above 0, a depth from 1 to {DEEPEST}"
            )
        self.rounds, self.learning_rate, self.depth = rounds, learning_rate, depth

    def _regressor(self, seed: int) -> HistGradientBoostingRegressor:
        return HistGradientBoostingRegressor(
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_depth=self.depth,
            max_leaf_nodes=2**self.depth,
            min_samples_leaf=1,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )


class RandomForest(_Trees):
    """Breiman's random forest (2001); its deviation is the standard deviation over trees, not calibrated.

    Args:
        space: The search space.
        target: See :func:`naslab.evaluators.predictors.targets.transform`.
        trees: Number of trees.

    Raises:
        InvalidValue: No trees.
    """

    def __init__(self, space: SearchSpace, *, target: str = "rank", trees: int = 500) -> None:
        super().__init__(space, target=target)
        if trees < 1:
            raise InvalidValue(f"trees={trees}. Allowed: at least 1")
        self.trees = trees

    def _regressor(self, seed: int) -> RandomForestRegressor:
        return RandomForestRegressor(self.trees, max_features=1 / 3, random_state=seed)

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        code = self._encoded(architectures, features).astype(np.float32)  # trees compare float32
        each = np.stack([tree.predict(code) for tree in self._fitted_to.estimators_])
        return Prediction(each.mean(axis=0), each.std(axis=0))
