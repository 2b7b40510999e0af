"""Graph convolutions over operations as nodes, and the predictor of Wen et al. 2020 made of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.evaluators.predictors.layers import Dropout, Linear
from naslab.evaluators.predictors.neural import NeuralPredictor
from naslab.evaluators.predictors.operation_graphs import operation_graphs
from naslab.evaluators.predictors.self_evolution import Evolution
from naslab.evaluators.predictors.training import Inputs, Schedule
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace


class GraphPredictor(NeuralPredictor):
    """Reads operations as nodes.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`.
        loss: See :data:`naslab.evaluators.predictors.losses.LOSSES`.
        schedule: Of the training.
        simplified: Whether dead operations are left out and identities contracted, see
            :func:`~naslab.evaluators.predictors.operation_graphs.operation_graphs`; otherwise all are nodes.
        evolution: See :class:`~naslab.evaluators.predictors.neural.NeuralPredictor`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str,
        loss: str,
        schedule: Schedule,
        simplified: bool = False,
        evolution: Evolution | None = None,
    ) -> None:
        super().__init__(space, target=target, loss=loss, schedule=schedule, evolution=evolution)
        self.simplified = simplified
        self._wiring = Wiring(space)
        self._tokens = len(operation_graphs(self._wiring, [space.first]).vocabulary)

    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        graphs = operation_graphs(self._wiring, architectures, simplified=self.simplified)
        adjacency = torch.from_numpy(graphs.adjacency).float()
        return torch.from_numpy(graphs.tokens), adjacency.expand(len(graphs.tokens), -1, -1)


class GCN(GraphPredictor):
    """The neural predictor: three graph convolutions, the mean of the nodes, two linear layers.

    Wen, Liu, Chen, Li, Bender & Kindermans 2020, "Neural Predictor for Neural Architecture Search", section 3.2 and
    equation (2). Widths, dropout and training are those of the public re-implementation (144, 128; Adam, cosine, 300
    epochs of batches of 10), whose sizes are close to those of the paper; its squared error on NAS-Bench-101 was 3.62
    instead of the paper's 1.95.

    Deviations: one stage; the paper's first stage, a classifier that filters bad architectures out, belongs to a
    search. Every adjacency is normalised once (the re-implementation normalises the reverse one from the normalised
    forward one).

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; the paper has ``"raw"``.
        loss: ``"squared"`` (the paper), ``"hinge"``, ``"bce"``, ``"absolute"`` or ``"exponential"``.
        simplified: See :class:`GraphPredictor`.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        dropout: Rate.
        rounds: Of self-evolution, which needs ``fit(..., validation=...)``; see
            :class:`naslab.evaluators.predictors.self_evolution.Evolution` for its constants.
        alpha: Weight of its auxiliary targets.
        round_epochs: Passes over the training rows in each round.
        round_rate: Learning rate in the rounds.
        target_rate: Step size of the auxiliary targets.
        multiplier_rate: Step size of the multipliers.

    Raises:
        UnknownName: There is no such target or loss.
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        loss: str = "squared",
        simplified: bool = False,
        epochs: int = 300,
        batch: int = 10,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        dropout: float = 0.1,
        rounds: int = 0,
        alpha: float = 0.5,
        round_epochs: int = 30,
        round_rate: float = 1e-5,
        target_rate: float = 0.01,
        multiplier_rate: float = 0.01,
    ) -> None:
        schedule = Schedule(epochs, batch, learning_rate, weight_decay)
        evolution = Evolution(rounds, alpha, round_epochs, round_rate, target_rate, multiplier_rate)
        super().__init__(space, target=target, loss=loss, schedule=schedule, simplified=simplified, evolution=evolution)
        self.dropout = dropout
        Dropout(dropout, torch.Generator())  # refuses a rate that makes no sense

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        return GCNNetwork(self._tokens, columns, Dropout(self.dropout, generator))


class GCNNetwork(nn.Module):
    """Graph convolutions in both directions, and a regressor without bias or activation.

    Args:
        tokens: Number of tokens, padding (0) included.
        columns: Number of features, appended to the mean of the nodes.
        dropout: After every convolution and the first linear layer.
        width: Of the convolutions.
        layers: Number of convolutions.
        regressor: Hidden units of the regressor.
    """

    def __init__(
        self, tokens: int, columns: int, dropout: Dropout, width: int = 144, layers: int = 3, regressor: int = 128
    ) -> None:
        super().__init__()
        self.tokens, self.dropout = tokens, dropout
        sizes = [tokens - 1, *[width] * layers]
        self.convolutions = nn.ModuleList(BidirectionalConvolution(a, b) for a, b in itertools.pairwise(sizes))
        self.first = Linear(width + columns, regressor, bias=False)
        self.last = Linear(regressor, 1, bias=False)

    def forward(self, tokens: Tensor, adjacency: Tensor, features: Tensor) -> Tensor:
        """Tokens ``(B, L)``, adjacency ``(B, L, L)`` (data flows from row to column), features; to ``(B,)``."""
        there = (tokens > 0).to(adjacency.dtype)[:, :, None]
        with_self = adjacency + torch.eye(adjacency.shape[1], device=adjacency.device)
        # In the forward direction a node receives its sources, which are rows: hence the transpose.
        forward, backward = normalised(with_self.transpose(1, 2)), normalised(with_self)
        x = one_hot(tokens, self.tokens)
        for convolution in self.convolutions:
            x = self.dropout(convolution(x, forward, backward))
        pooled = (x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        outputs: Tensor = self.last(self.dropout(self.first(torch.cat([pooled, features], dim=1)))).squeeze(1)
        return outputs


class BidirectionalConvolution(nn.Module):
    """``(relu(A x W+) + relu(A' x W-)) / 2`` for the two directions of the data (Wen et al. 2020, equation 2).

    Args:
        inputs: Features of a node.
        outputs: Features of a node after it.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.both = Linear(inputs, 2 * outputs, bias=False)

    def initialise(self, generator: torch.Generator) -> None:
        # Xavier's, for each direction.
        inputs, outputs = self.both.in_features, self.both.out_features // 2
        bound = (6 / (inputs + outputs)) ** 0.5
        nn.init.uniform_(self.both.weight, -bound, bound, generator=generator)

    def forward(self, x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        """``(B, L, inputs)`` to ``(B, L, outputs)``, with both normalised adjacencies ``(B, L, L)``."""
        onward, back = self.both(x).chunk(2, dim=-1)
        return (functional.relu(forward @ onward) + functional.relu(backward @ back)) / 2


def normalised(adjacency: Tensor) -> Tensor:
    """Rows that sum to one; a row of zeros stays."""
    return adjacency / adjacency.sum(dim=-1, keepdim=True).clamp(min=1)


def one_hot(tokens: Tensor, count: int) -> Tensor:
    """``(..., count - 1)``: one 1 for each token, none for padding (0)."""
    return functional.one_hot(tokens, count)[..., 1:].float()
