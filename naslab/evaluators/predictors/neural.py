"""What predictors that learn by gradients have in common: a loss, a training, the choice of an epoch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor, nn

from naslab.compiler.devices import array, moved
from naslab.errors import InvalidValue
from naslab.evaluators.fitting import torch_generator
from naslab.evaluators.predictors.base import Floats, Prediction, Predictor, checked_features, checked_scores
from naslab.evaluators.predictors.features import FeatureScale
from naslab.evaluators.predictors.layers import built
from naslab.evaluators.predictors.losses import LOSSES, ORDER_ONLY, loss_named
from naslab.evaluators.predictors.self_evolution import Evolution, evolve, on_scale
from naslab.evaluators.predictors.training import Inputs, Schedule, Training, outputs_of
from naslab.evaluators.threads import one_thread, tiny_is_zero
from naslab.space import Architecture, SearchSpace

_ARCHITECTURES_AT_ONCE = 4096  # when predicting: adjacencies of large graphs are not held for all of them


class Validation(NamedTuple):
    """Architectures beside those that are trained on.

    Attributes:
        architectures: Of the space.
        scores: ``(v,)``, on the scale of the training scores.
        features: ``(v, k)`` the columns that the training has, if it has any.
    """

    architectures: Sequence[Architecture]
    scores: npt.ArrayLike
    features: npt.ArrayLike | None = None


class Held(NamedTuple):
    """A validation set as a training sees it.

    Attributes:
        inputs: What the network takes.
        scores: ``(v,)`` as they were given.
        labels: ``(v,)`` on the scale of the training's targets.
    """

    inputs: Inputs
    scores: Floats
    labels: Floats


class _Aside(NamedTuple):
    """A checked validation set, with scaled features."""

    architectures: list[Architecture]
    scores: Floats
    labels: Floats
    features: Floats | None


class NeuralPredictor(Predictor):
    """A network trained by gradients, on one core or on a GPU.

    Subclasses say what it reads (:meth:`_inputs`) and what it is (:meth:`_network`).

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`.
        loss: See :data:`naslab.evaluators.predictors.losses.LOSSES`.
        schedule: Of the training.
        evolution: What follows the training, see :mod:`naslab.evaluators.predictors.self_evolution`; by default
            nothing.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str,
        loss: str,
        schedule: Schedule,
        evolution: Evolution | None = None,
    ) -> None:
        super().__init__(space, target=target)
        self.loss, self.schedule, self.evolution = loss_named(loss), schedule, evolution or Evolution()
        if self.evolution.rounds and loss in ORDER_ONLY:
            others = ", ".join(name for name in LOSSES if name not in ORDER_ONLY)
            raise InvalidValue(
                f"rounds={self.evolution.rounds} of self-evolution with loss={loss}, under which outputs have no scale "
                f"to measure errors on. Allowed: {others}, or rounds=0"
            )
        self._aside: _Aside | None = None
        self.model: nn.Module | None = None

    def fit(
        self,
        architectures: Sequence[Architecture],
        scores: npt.ArrayLike,
        *,
        rng: np.random.Generator,
        features: npt.ArrayLike | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Learn from scores; what was learned before is forgotten.

        Args:
            architectures: See :meth:`Predictor.fit`.
            scores: Likewise.
            rng: Likewise.
            features: Likewise.
            validation: With self-evolution, the architectures of its constraints. Otherwise the network is kept from
                the epoch with the highest Kendall tau on these (the first of equals); without validation, from the
                last.

        Raises:
            InvalidArchitecture: One is not of this space.
            InvalidValue: See :meth:`Predictor.fit`; or self-evolution without validation.
        """
        if self.evolution.rounds and validation is None:
            raise InvalidValue(
                f"rounds={self.evolution.rounds} of self-evolution without validation architectures. Fix: "
                "fit(..., validation=Validation(architectures, scores)), or rounds=0"
            )
        self._aside = None
        if validation is not None:
            known = checked_scores(self._checked(architectures), scores)
            self._aside = self._checked_validation(validation, known, features)
        try:
            super().fit(architectures, scores, rng=rng, features=features)
        finally:
            self._aside = None

    def _prepare(self, architectures: Sequence[Architecture]) -> None:
        """Called before :meth:`_inputs`: keeps what it needs of the training's architectures."""

    @abstractmethod
    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        """What the network reads of architectures, each tensor on the CPU with one row per architecture."""

    @abstractmethod
    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        """A network from inputs and ``(B, columns)`` features to outputs ``(B,)``.

        Args:
            columns: Number of features, may be 0.
            generator: Of dropout masks; initial values are set later.
        """

    def _objective(self, model: nn.Module, inputs: Inputs, targets: Tensor) -> Tensor:
        return self.loss(model(*inputs), targets)

    def _train(self, training: Training, held: Held | None) -> None:
        """The whole training."""
        if held is None or self.evolution.rounds:
            training.run()
        if held is None:
            return
        if self.evolution.rounds:
            scores = partial(outputs_of, training.model)
            evolve(training, self.evolution, held.inputs, held.labels, lambda x: training.model(*x), scores)
            return
        best = -np.inf
        kept: dict[str, Tensor] = {}

        def keep_best() -> None:
            nonlocal best, kept
            tau = stats.kendalltau(self._scores_of(training.model, held.inputs), held.scores).statistic
            if not kept or tau > best:
                best = float(np.nan_to_num(tau, nan=-np.inf))
                kept = {name: value.clone() for name, value in training.model.state_dict().items()}

        training.run(after=keep_best)
        training.model.load_state_dict(kept)

    def _scores_of(self, model: nn.Module, inputs: Inputs) -> Floats:
        """Predicted means, ``(n,)``."""
        means: Floats = array(outputs_of(model, inputs).double())
        return means

    def _fit(
        self,
        architectures: list[Architecture],
        targets: Floats,
        rng: np.random.Generator,
        features: Floats | None,
    ) -> None:
        columns = 0 if features is None else features.shape[1]
        self._prepare(architectures)
        with one_thread(), tiny_is_zero():
            generator = torch_generator(rng)
            model = built(lambda: self._network(columns, generator), generator).to(self.device)
            inputs = self._tensors(architectures, features)
            aside = self._aside
            held = aside and Held(self._tensors(aside.architectures, aside.features), aside.scores, aside.labels)

            def objective(inputs: Inputs, targets: Tensor) -> Tensor:
                return self._objective(model, inputs, targets)

            wanted = moved(torch.from_numpy(targets.astype(np.float32)), self.device)
            self._train(Training(model, objective, inputs, wanted, self.schedule, generator), held)
        self.model = model

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        assert self.model is not None
        with one_thread(), tiny_is_zero():
            means = [self._scores_of(self.model, inputs) for inputs in self._blocks(architectures, features)]
        return Prediction(np.concatenate(means), None)

    def _blocks(self, architectures: list[Architecture], features: Floats | None) -> Iterator[Inputs]:
        for start in range(0, len(architectures), _ARCHITECTURES_AT_ONCE):
            part = slice(start, start + _ARCHITECTURES_AT_ONCE)
            yield self._tensors(architectures[part], None if features is None else features[part])

    def _checked_validation(self, validation: Validation, known: Floats, features: npt.ArrayLike | None) -> _Aside:
        architectures = self._checked(validation.architectures)
        scores = checked_scores(architectures, validation.scores)
        if (features is None) != (validation.features is None):
            raise InvalidValue("features of only one of training and validation. Fix: give both the same columns")
        table = None
        if features is not None and validation.features is not None:
            scale = FeatureScale(checked_features(features, len(known)))
            table = scale(checked_features(validation.features, len(architectures), scale.columns))
        return _Aside(architectures, scores, on_scale(scores, known, self.target), table)

    def _tensors(self, architectures: Sequence[Architecture], features: Floats | None) -> Inputs:
        table = np.empty((len(architectures), 0)) if features is None else features
        tensors = (*self._inputs(architectures), torch.from_numpy(table.astype(np.float32)))
        return tuple(moved(each, self.device) for each in tensors)
