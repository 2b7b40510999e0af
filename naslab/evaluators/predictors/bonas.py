"""BONAS' predictor: a graph network whose last layer is replaced by Bayesian linear regression (Shi et al. 2020)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import BayesianRidge
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import array
from naslab.evaluators.predictors.base import Floats, Prediction
from naslab.evaluators.predictors.graph_networks import GraphPredictor
from naslab.evaluators.predictors.layers import Linear
from naslab.evaluators.predictors.neural import Held
from naslab.evaluators.predictors.training import Inputs, Schedule, Training, outputs_of
from naslab.evaluators.threads import one_thread
from naslab.space import Architecture, SearchSpace


class BONAS(GraphPredictor):
    """Four graph convolutions of width 64, read at a node that all others lead to; Bayesian regression on top.

    Shi, Pi, Xu, Li, Kwok & Zhang 2020, "Bridging the Gap between Sample-based and One-shot Neural Architecture Search
    with BONAS", section 3; sizes and training as in the authors' code (batch normalisation, batches of 128, Adam).
    After training, the last layer is replaced by Bayesian linear regression on its inputs, with precisions by evidence
    maximisation. Deviations of predictions include the noise and the regression weights' uncertainty, not the graph
    network's.

    Deviations: regression on the transformed targets instead of on the logit of the accuracy, hence no sigmoid; normal
    weights with a gamma prior on both precisions (scikit-learn's ``BayesianRidge``) where the authors' code has none; a
    last batch that is not full is left out.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; the paper has ``"raw"``.
        loss: Of the graph network: ``"exponential"`` (the paper), or another of
            :data:`naslab.evaluators.predictors.losses.LOSSES`.
        simplified: See :class:`~naslab.evaluators.predictors.graph_networks.GraphPredictor`.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.

    Raises:
        UnknownName: There is no such target or loss.
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        loss: str = "exponential",
        simplified: bool = False,
        epochs: int = 100,
        batch: int = 128,
        learning_rate: float = 1e-3,
    ) -> None:
        schedule = Schedule(epochs, batch, learning_rate, cosine=False)
        super().__init__(space, target=target, loss=loss, schedule=schedule, simplified=simplified)
        self._regression = BayesianRidge()

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        return GlobalNodeNetwork(self._tokens, columns)

    def _train(self, training: Training, held: Held | None) -> None:
        super()._train(training, held)
        *inputs, targets = training.rows
        self._regression = BayesianRidge().fit(self._embedded(training.model, tuple(inputs)), array(targets.double()))

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        assert self.model is not None
        with one_thread():
            known = [self._embedded(self.model, inputs) for inputs in self._blocks(architectures, features)]
            mean, deviation = self._regression.predict(np.concatenate(known), return_std=True)
        return Prediction(mean, deviation)

    def _embedded(self, model: nn.Module, inputs: Inputs) -> Floats:
        assert isinstance(model, GlobalNodeNetwork)
        embedded: Floats = array(outputs_of(model.embedder, inputs).double())
        return embedded


class GlobalNodeNetwork(nn.Module):
    """A graph network and a linear layer.

    Args:
        tokens: Number of tokens, padding (0) included.
        columns: Number of features, appended to the embedding.
    """

    def __init__(self, tokens: int, columns: int) -> None:
        super().__init__()
        self.embedder = Embedder(tokens)
        self.last = Linear(self.embedder.width + columns, 1)

    def forward(self, tokens: Tensor, adjacency: Tensor, features: Tensor) -> Tensor:
        """Tokens ``(B, L)``, adjacency ``(B, L, L)`` (data flows from row to column), features; to ``(B,)``."""
        outputs: Tensor = self.last(self.embedder(tokens, adjacency, features)).squeeze(1)
        return outputs


class Embedder(nn.Module):
    """Graph convolutions with batch normalisation, over the graph and a global node that receives all other nodes.

    Args:
        tokens: Number of tokens, padding (0) included.
        width: Of the convolutions.
        layers: Number of convolutions.
    """

    def __init__(self, tokens: int, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        self.layers = nn.ModuleList(Convolution(width if i else tokens, width) for i in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(layers))

    def forward(self, tokens: Tensor, adjacency: Tensor, features: Tensor) -> Tensor:
        """``(B, width + k)``: the global node, and the features."""
        there = functional.pad(tokens > 0, (0, 1), value=True)
        # A row receives itself and its sources; the last row, the global node, receives all that is not padding.
        taken = functional.pad(adjacency.transpose(1, 2), (0, 1, 0, 1)) + torch.eye(
            there.shape[1], device=tokens.device
        )
        taken[:, -1, :-1] = (tokens > 0).to(taken.dtype)
        # The last token is the global node's own, not an operation's.
        x = functional.one_hot(functional.pad(tokens - 1, (0, 1), value=self.tokens - 1).clamp(min=0), self.tokens)
        x = x.to(taken.dtype) * there[:, :, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = functional.relu(normed_where(norm, layer(x, taken), there))  # padding is no part of the batch
        return torch.cat([x[:, -1], features], dim=1)


def normed_where(norm: nn.Module, x: Tensor, there: Tensor) -> Tensor:
    """``(B, L, C)``: the batch normalisation of the nodes that are ``there`` ``(B, L)``; zeros for all others.

    On the CPU it sees a selection. Elsewhere a selection would wait for its size, so that sums leave out what is not
    there; the two differ by rounding.
    """
    assert isinstance(norm, nn.BatchNorm1d)
    if x.device.type == "cpu":
        return torch.zeros_like(x).masked_scatter(there[:, :, None], norm(x[there]))
    return weighted_norm(norm, x, there)


def weighted_norm(norm: nn.BatchNorm1d, x: Tensor, there: Tensor) -> Tensor:
    """:func:`normed_where` by sums."""
    weight, count = there[:, :, None].to(x.dtype), there.sum()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean, norm.running_var
    if norm.training:
        assert norm.momentum is not None
        mean = (x * weight).sum(dim=(0, 1)) / count
        variance = ((x - mean).square() * weight).sum(dim=(0, 1)) / count
        with torch.no_grad():
            norm.running_mean.lerp_(mean.detach(), norm.momentum)
            norm.running_var.lerp_(variance.detach() * count / (count - 1), norm.momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
    scaled: Tensor = (x - mean) * (variance + norm.eps).rsqrt() * norm.weight + norm.bias
    return scaled * weight


class Convolution(nn.Module):
    """``A x W + b``.

    Args:
        inputs: Features of a node.
        outputs: Features of a node after it.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, device="meta"))
        self.bias = nn.Parameter(torch.empty(outputs, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.uniform_(self.weight, -0.05, 0.05, generator=generator)
        nn.init.uniform_(self.bias, -(len(self.bias) ** -0.5), len(self.bias) ** -0.5, generator=generator)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """``(B, L, inputs)`` to ``(B, L, outputs)``."""
        return adjacency @ (x @ self.weight) + self.bias
