"""CTNAS' comparator: a graph network that says which of two architectures is better (Chen et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import array, moved
from naslab.evaluators.predictors.base import Floats
from naslab.evaluators.predictors.graph_networks import GraphPredictor, normalised
from naslab.evaluators.predictors.layers import Embedding, Linear
from naslab.evaluators.predictors.neural import Held
from naslab.evaluators.predictors.training import Inputs, Schedule, Training, outputs_of
from naslab.space import SearchSpace


class CTNAS(GraphPredictor):
    """Learns the probability that one architecture is better than another; a score is its mean over the training rows.

    Chen, Guo, Chen, Li, Wang & Tan 2021, "Contrastive Neural Architecture Search with Neural Architecture Comparators",
    section 3.2: a graph convolutional network embeds both, a linear layer on both embeddings gives the logit; binary
    cross-entropy on pairs of the training rows. Sizes and training are those of the authors' code (token embeddings and
    four convolutions of 128, each added to its input, mean of the nodes; Adam 2e-4 with betas .5 and .999, weight decay
    5e-4, batches of 256 pairs); each epoch pairs every row with one drawn at random. The prediction is the mean
    probability of being better than each architecture of the training rows; it has no other scale.

    Deviations: 300 epochs instead of 1000; adjacencies are normalised by row; the authors compare the predicted
    architectures with one another, so that a prediction depends on what else is predicted. Exploring with pseudo-labels
    (section 3.4) belongs to a search and is not here. The loss is the method and no option; equal labels make no pair.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; only the order of targets matters.
        simplified: See :class:`~naslab.evaluators.predictors.graph_networks.GraphPredictor`.
        epochs: Passes over the training rows.
        batch: Pairs of a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.

    Raises:
        UnknownName: There is no such target.
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        simplified: bool = False,
        epochs: int = 300,
        batch: int = 256,
        learning_rate: float = 2e-4,
        weight_decay: float = 5e-4,
    ) -> None:
        schedule = Schedule(epochs, batch, learning_rate, weight_decay, betas=(0.5, 0.999), cosine=False)
        super().__init__(space, target=target, loss="bce", schedule=schedule, simplified=simplified)
        self._generator = torch.Generator()
        self._known: Inputs = ()

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        self._generator = generator
        return Comparator(self._tokens, columns)

    def _objective(self, model: nn.Module, inputs: Inputs, targets: Tensor) -> Tensor:
        order = torch.randperm(len(targets), generator=self._generator, device="cpu")
        other = moved(order, targets.device)
        first, second = model(*inputs).unbind(dim=1)
        unequal = targets != targets[other]
        logits, better = first + second[other], targets > targets[other]
        if targets.device.type != "cpu":  # a selection would wait for its size
            each = functional.binary_cross_entropy_with_logits(logits, better.to(logits.dtype), reduction="none")
            return (each * unequal).sum() / unequal.sum().clamp(min=1)
        logits, better = logits[unequal], better[unequal]
        summed = functional.binary_cross_entropy_with_logits(logits, better.to(logits.dtype), reduction="sum")
        return summed / max(1, len(logits))

    def _train(self, training: Training, held: Held | None) -> None:
        *inputs, _ = training.rows
        self._known = tuple(inputs)
        super()._train(training, held)

    def _scores_of(self, model: nn.Module, inputs: Inputs) -> Floats:
        first = outputs_of(model, inputs)[:, 0]
        second = outputs_of(model, self._known)[:, 1]
        means: Floats = array(torch.sigmoid(first[:, None] + second).double().mean(dim=1))
        return means


class Comparator(nn.Module):
    """What an architecture adds to the logit of "the first is better": as the first of the pair, and as the second.

    The linear layer on both embeddings is a sum of one for each, so that all pairs of n and m cost n + m.

    Args:
        tokens: Number of tokens, padding (0) included.
        columns: Number of features, appended to the embedding.
        width: Of embeddings and convolutions.
        layers: Number of convolutions.
    """

    def __init__(self, tokens: int, columns: int, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.embedding = Embedding(tokens, width)
        self.layers = nn.ModuleList(Linear(width, width) for _ in range(layers))
        self.last = Linear(width + columns, 2)

    def forward(self, tokens: Tensor, adjacency: Tensor, features: Tensor) -> Tensor:
        """Tokens ``(B, L)``, adjacency ``(B, L, L)`` (data flows from row to column), features; to ``(B, 2)``."""
        there = (tokens > 0).to(adjacency.dtype)[:, :, None]
        taken = normalised(adjacency.transpose(1, 2) + torch.eye(adjacency.shape[1], device=adjacency.device))
        x = self.embedding(tokens)
        for layer in self.layers:
            x = functional.relu(taken @ layer(x) + x)
        pooled = (x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        logits: Tensor = self.last(torch.cat([pooled, features], dim=1))
        return logits
