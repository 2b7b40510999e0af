"""ReNAS: a convolutional network over the cell's matrices of types and costs, trained by pairs (Xu et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.primitives import Conv2d
from naslab.errors import InvalidSpace
from naslab.evaluators.predictors.layers import Linear
from naslab.evaluators.predictors.neural import NeuralPredictor
from naslab.evaluators.predictors.training import Inputs, Schedule
from naslab.evaluators.predictors.wiring import ZERO, Wiring
from naslab.space import Architecture, SearchSpace

MOST_NODES = 32
"""Most nodes of all cells together: the network's first linear layer grows with its square."""


class ReNAS(NeuralPredictor):
    """LeNet-5 over three matrices of the cell: the type of each edge's operation, its MACs and its parameters.

    Xu, Wang, Han, Tang, Jui, Xu & Xu 2021, "ReNAS: Relativistic Evaluation of Neural Architecture Search", sections 3.1
    and 3.2; sizes and training are those of the authors' code (two convolutions with batch normalisation, layers of 120
    and 84; Adam .001, 200 epochs, one batch of up to 1024; channels standardised by the training rows).

    Deviations: entries are edges where the paper's cells have operations on nodes. The paper has MACs and parameters of
    each of nine cells (19 channels); here they are added up over the network, which after standardisation says the same
    where cells differ by a factor. A cost that depends on several choices is put on the edges that depend on the last
    of them. The network is that of the last epoch, not the one that fits its training rows best.

    Args:
        space: The search space; its cells may have :data:`MOST_NODES` nodes together.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; pairwise losses learn from the order only.
        loss: ``"hinge"`` (the paper), ``"bce"`` (the authors' code), ``"squared"``, ``"absolute"``, ``"exponential"``.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.

    Raises:
        UnknownName: There is no such target or loss.
        InvalidSpace: Cells with more nodes.
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        loss: str = "hinge",
        epochs: int = 200,
        batch: int = 1024,
        learning_rate: float = 1e-3,
    ) -> None:
        schedule = Schedule(epochs, batch, learning_rate, cosine=False)
        super().__init__(space, target=target, loss=loss, schedule=schedule)
        self._wiring = Wiring(space)
        self._means, self._deviations = np.zeros(0, np.float32), np.ones(0, np.float32)
        self.nodes = sum(cell.nodes for cell in self._wiring.cells)
        if self.nodes > MOST_NODES:
            raise InvalidSpace(
                f"renas reads cells of at most {MOST_NODES} nodes; space {space.name!r} has {self.nodes}. Fix: another "
                "predictor"
            )

    def _prepare(self, architectures: Sequence[Architecture]) -> None:
        known = cost_matrices(self._wiring, architectures)
        deviations = known.std(axis=0)
        self._means, self._deviations = known.mean(axis=0), np.where(deviations > 0, deviations, 1)

    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        matrices = cost_matrices(self._wiring, architectures)
        return (torch.from_numpy((matrices - self._means) / self._deviations),)

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        return LeNet(self.nodes, columns)


def cost_matrices(wiring: Wiring, architectures: Sequence[Architecture]) -> npt.NDArray[np.float32]:
    """``(n, 3, V, V)``: at (tail, head) the number of the edge's operation, 0 for zero, its MACs and its parameters."""
    options = wiring.options(architectures)
    nodes = sum(cell.nodes for cell in wiring.cells)
    matrices = np.zeros((len(options), 3, nodes, nodes), np.float32)
    places: dict[int, list[tuple[int, int]]] = {}  # of each choice: the edges that depend on it
    start = 0
    for cell in wiring.cells:
        operations = cell.operations(options)
        for column, edge in enumerate(cell.edges):
            place = (start + edge.tail, start + edge.head)
            matrices[:, 0, *place] = np.where(operations[:, column] == ZERO, 0, operations[:, column])
            for choice in edge.scope:
                places.setdefault(choice, []).append(place)
        start += cell.nodes
    for channel, metric in enumerate(("macs", "params"), start=1):
        for factor in wiring.space.cost_model.factors[metric]:
            on = places.get(factor.scope[-1], []) if factor.scope else []
            for place in on:
                matrices[:, channel, *place] += factor.table[tuple(options[:, i] for i in factor.scope)] / len(on)
    return matrices


class LeNet(nn.Module):
    """Two convolutions and three linear layers.

    Args:
        nodes: V.
        columns: Number of features, appended to the convolutions' outputs.
    """

    def __init__(self, nodes: int, columns: int) -> None:
        super().__init__()
        self.first = Conv2d(3, 38, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(38)
        self.second = Conv2d(38, 128, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(128)
        self.linear = nn.ModuleList(Linear(a, b) for a, b in ((128 * nodes * nodes + columns, 120), (120, 84), (84, 1)))

    def forward(self, matrices: Tensor, features: Tensor) -> Tensor:
        """``(B, 3, V, V)`` and ``(B, k)`` to ``(B,)``."""
        x = functional.relu(self.first_norm(self.first(matrices)))
        x = functional.relu(self.second_norm(self.second(x)))
        x = torch.cat([x.flatten(1), features], dim=1)
        for i, layer in enumerate(self.linear):
            x = layer(functional.relu(x) if i else x)
        return x[:, 0]
