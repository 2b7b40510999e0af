"""BANANAS' predictor: an ensemble of perceptrons over truncated path encodings (White et al. 2021)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import array
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.base import Floats, Prediction
from naslab.evaluators.predictors.neural import NeuralPredictor
from naslab.evaluators.predictors.paths import PathFeatures
from naslab.evaluators.predictors.training import Inputs, Schedule, outputs_of
from naslab.evaluators.predictors.wiring import Wiring
from naslab.evaluators.threads import one_thread
from naslab.space import Architecture, SearchSpace


class BANANAS(NeuralPredictor):
    """Five perceptrons of ten layers of 20 units that read which paths lead through a cell.

    White, Neiswanger & Savani 2021, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture
    Search", section 3; sizes and training are those of the authors' code (Adam .01 with betas .9 and .99, 150 epochs of
    batches of 32, mean absolute error, 30 paths).

    The deviation of a prediction is the standard deviation of the members' outputs. Independent Thompson sampling uses
    it; it includes no label noise and is not calibrated.

    Deviations: only features of the encoding that occur in training are kept, the shortest first (the weights of others
    are never trained); a path with a zero on it is no path; members see the same batches; a last batch that is not full
    is left out.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; the paper has ``"raw"``.
        loss: ``"absolute"`` (the authors' code), ``"squared"``, ``"hinge"``, ``"bce"`` or ``"exponential"``.
        members: Number of perceptrons.
        paths: Features that are kept, 0 for all.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.

    Raises:
        UnknownName: There is no such target or loss.
        InvalidValue: A number that makes no sense, or a cell with too many paths.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        loss: str = "absolute",
        members: int = 5,
        paths: int = 30,
        epochs: int = 150,
        batch: int = 32,
        learning_rate: float = 0.01,
    ) -> None:
        schedule = Schedule(epochs, batch, learning_rate, betas=(0.9, 0.99), cosine=False)
        super().__init__(space, target=target, loss=loss, schedule=schedule)
        if members < 1 or paths < 0:
            raise InvalidValue(f"members={members}, paths={paths}. Allowed: at least one member, at least 0 paths")
        self.members, self.paths = members, paths
        self._wiring = Wiring(space)
        self._features: PathFeatures | None = None

    def _prepare(self, architectures: Sequence[Architecture]) -> None:
        self._features = PathFeatures(self._wiring, architectures, self.paths)

    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        assert self._features is not None
        return (torch.from_numpy(self._features(architectures)),)

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        assert self._features is not None
        return Perceptrons(self.members, self._features.columns + columns)

    def _objective(self, model: nn.Module, inputs: Inputs, targets: Tensor) -> Tensor:
        return self.loss(model(*inputs).T, targets.expand(self.members, -1))

    def _scores_of(self, model: nn.Module, inputs: Inputs) -> Floats:
        means: Floats = array(outputs_of(model, inputs).double().mean(dim=1))
        return means

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        assert self.model is not None
        with one_thread():
            each = [array(outputs_of(self.model, inputs).double()) for inputs in self._blocks(architectures, features)]
        outputs = np.concatenate(each)
        return Prediction(outputs.mean(axis=1), outputs.std(axis=1))


class Perceptrons(nn.Module):
    """An ensemble in one batched computation.

    Args:
        members: M.
        inputs: Features of a row.
        width: Of hidden layers.
        layers: Number of hidden layers.
    """

    def __init__(self, members: int, inputs: int, width: int = 20, layers: int = 10) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers, 1]
        self.layers = nn.ModuleList(Batched(members, before, after) for before, after in itertools.pairwise(sizes))

    def forward(self, paths: Tensor, features: Tensor) -> Tensor:
        """``(B, paths)`` and ``(B, k)`` to each member's output, ``(B, M)``."""
        x = torch.cat([paths, features], dim=1)
        for i, layer in enumerate(self.layers):
            x = layer(functional.relu(x) if i else x)
        return x[:, :, 0].T


class Batched(nn.Module):
    """An affine map for each member.

    Args:
        members: M.
        inputs: Features that go in.
        outputs: Features that come out.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs, device="meta"))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        bound = (6 / (self.weight.shape[1] + self.weight.shape[2])) ** 0.5  # Xavier's, as in Keras
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, B, inputs)``, or ``(B, inputs)`` for all, to ``(M, B, outputs)``."""
        return torch.baddbmm(self.bias, x.expand(len(self.weight), -1, -1), self.weight)
