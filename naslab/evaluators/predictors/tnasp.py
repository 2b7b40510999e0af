"""TNASP: a Transformer over the operations of a cell, with a Laplacian positional encoding (Lu et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import moved
from naslab.errors import UnknownName
from naslab.evaluators.predictors.layers import Dropout, Embedding, LayerNorm, Linear
from naslab.evaluators.predictors.neural import NeuralPredictor
from naslab.evaluators.predictors.positions import cell_adjacency, edge_tokens, eigenvectors, laplacians
from naslab.evaluators.predictors.self_evolution import Evolution
from naslab.evaluators.predictors.training import Inputs, Schedule
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace

POSITIONS = ("laplacian", "eigenvectors", "none")


class TNASP(NeuralPredictor):
    """Transformer predictor.

    Lu, Li, Tan, Yang & Liu 2021, "TNASP: A Transformer-based NAS Predictor with a Self-evolution Framework", section
    3.1. Its code is not public. Sizes and training are those of PINAT (Lu et al. 2023, same first author, same splits),
    whose supplement and code are public: embeddings of 80, three post-norm encoder layers of four heads of width 64
    with 512 hidden units, the sum of the tokens, 96 hidden units without bias or activation, Adam with weight decay,
    cosine.

    One token for each edge of the space's cells, its operation. The positional encoding is the Laplacian ``D - A`` of
    the cell without its zero edges: a learned map takes its columns (one per node of the cell) to the tokens, another
    its rows to the embedding, as in PINAT's code for NAS-Bench-201.

    Deviations: tokens are averaged, which for NAS-Bench-201 equals the released sum divided by four, up to the factor
    2/3; labels are standardised by the training labels, not by constants of the whole table; ``target`` and ``loss``
    can be others.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; the paper has ``"raw"``.
        loss: ``"squared"`` (the paper), ``"hinge"``, ``"bce"`` (its supplement), ``"absolute"`` or ``"exponential"``.
        positions: ``"laplacian"``; ``"eigenvectors"`` of the symmetric normalised Laplacian, whose signs are random in
            each training batch, as in Dwivedi & Bresson 2021; ``"none"``.
        cut: Whether operations that are zero or on no path through the cell are left out instead of being tokens.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        most_steps: Most steps of an epoch, 0 for no limit (the released code); see
            :class:`naslab.evaluators.predictors.training.Schedule`. More than 200 rows take no longer than 200.
        dropout: Rate.
        rounds: Of self-evolution (section 3.2 of the paper), which needs ``fit(..., validation=...)``; see
            :class:`naslab.evaluators.predictors.self_evolution.Evolution` for its constants.
        alpha: Weight of its auxiliary targets.
        round_epochs: Passes over the training rows in each round.
        round_rate: Learning rate in the rounds.
        target_rate: Step size of the auxiliary targets.
        multiplier_rate: Step size of the multipliers.

    Raises:
        UnknownName: There is no such target, loss or positional encoding.
        InvalidValue: A number that makes no sense.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        target: str = "rank",
        loss: str = "squared",
        positions: str = "laplacian",
        cut: bool = False,
        epochs: int = 300,
        batch: int = 10,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        most_steps: int = 20,
        dropout: float = 0.1,
        rounds: int = 0,
        alpha: float = 0.5,
        round_epochs: int = 30,
        round_rate: float = 1e-5,
        target_rate: float = 0.01,
        multiplier_rate: float = 0.01,
    ) -> None:
        super().__init__(
            space,
            target=target,
            loss=loss,
            schedule=Schedule(epochs, batch, learning_rate, weight_decay, most_steps=most_steps),
            evolution=Evolution(rounds, alpha, round_epochs, round_rate, target_rate, multiplier_rate),
        )
        if positions not in POSITIONS:
            raise UnknownName(positions, POSITIONS, of="positions")
        Dropout(dropout, torch.Generator())  # refuses a rate that makes no sense
        self.positions, self.cut, self.dropout = positions, cut, dropout
        self._wiring = Wiring(space)

    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        tokens = torch.from_numpy(edge_tokens(self._wiring, architectures, cut=self.cut))
        if self.positions == "none":
            return (tokens,)
        adjacency = cell_adjacency(self._wiring, architectures)
        if self.positions == "laplacian":
            return tokens, torch.from_numpy(laplacians(adjacency))
        return tokens, torch.from_numpy(eigenvectors(adjacency).transpose(0, 2, 1).copy())

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        return TransformerNetwork(
            1 + len(self._wiring.vocabulary),
            sum(len(cell.edges) for cell in self._wiring.cells),
            0 if self.positions == "none" else sum(cell.nodes for cell in self._wiring.cells),
            columns,
            Dropout(self.dropout, generator),
            flips=generator if self.positions == "eigenvectors" else None,
        )


class TransformerNetwork(nn.Module):
    """Encoder and regressor.

    Args:
        vocabulary: Number of tokens, padding included.
        tokens: T, tokens of an architecture.
        nodes: V, nodes of the cells; 0 for no positional encoding.
        columns: Number of features, appended to the encoder's output.
        dropout: Used wherever something is dropped.
        flips: Where given, the rows of positional encodings change their signs at random while training.
        width: Of embeddings.
        layers: Of the encoder.
        heads: Of an attention.
        head_width: Of a head.
        hidden: Units of a feed-forward part.
        regressor: Hidden units of the regressor.
    """

    def __init__(
        self,
        vocabulary: int,
        tokens: int,
        nodes: int,
        columns: int,
        dropout: Dropout,
        flips: torch.Generator | None = None,
        width: int = 80,
        layers: int = 3,
        heads: int = 4,
        head_width: int = 64,
        hidden: int = 512,
        regressor: int = 96,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary, width)
        self.to_tokens = Linear(nodes, tokens) if nodes else None
        self.to_embedding = Linear(nodes, width) if nodes else None
        self.flips = flips
        self.dropout = dropout
        self.norm = LayerNorm(width, eps=1e-6)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, head_width, hidden, dropout) for _ in range(layers))
        self.first = Linear(width + columns, regressor, bias=False)
        self.last = Linear(regressor, 1, bias=False)

    def forward(self, tokens: Tensor, *others: Tensor) -> Tensor:
        """Tokens ``(B, T)``, 0 for padding; positions ``(B, K, V)``, if any; features ``(B, k)`` to ``(B,)``."""
        *positions, features = others
        x = self.embedding(tokens)
        if self.to_tokens is not None and self.to_embedding is not None:
            x = x + self.to_embedding(self.to_tokens(self._signed(positions[0])).transpose(1, 2))
        x = self.norm(self.dropout(x))
        there = tokens > 0
        # Off the CPU rows count as padded, because to look would be to wait; the two means differ by rounding.
        padded = there.device.type != "cpu" or not bool(there.all())
        for layer in self.layers:
            x = layer(x, there[:, None, None, :] if padded else None)
        if padded:
            pooled = (x * there[:, :, None]).sum(dim=1) / there.sum(dim=1, keepdim=True).clamp(min=1)
        else:
            pooled = x.mean(dim=1)
        known = torch.cat([pooled, features], dim=1) if features.shape[1] else pooled
        outputs: Tensor = self.last(self.dropout(self.first(known))).squeeze(1)
        return outputs

    def _signed(self, positions: Tensor) -> Tensor:
        if self.flips is None or not self.training:
            return positions
        draws = torch.randint(0, 2, (*positions.shape[:2], 1), generator=self.flips, device="cpu")
        return positions * (2 * moved(draws, positions.device) - 1)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part, each added to its input and normalised (Vaswani et al. 2017).

    Args:
        width: Of its input and output.
        heads: Number of heads.
        head_width: Of each head.
        hidden: Units of the feed-forward part.
        dropout: Of attention weights and of what is added.
    """

    def __init__(self, width: int, heads: int, head_width: int, hidden: int, dropout: Dropout) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = Linear(width, 3 * heads * head_width, bias=False)
        self.out = Linear(heads * head_width, width, bias=False)
        self.attention_norm = LayerNorm(width, eps=1e-6)
        self.expand = Linear(width, hidden)
        self.contract = Linear(hidden, width)
        self.forward_norm = LayerNorm(width, eps=1e-6)
        self.dropout = dropout

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        """``(B, T, width)`` to the same; keys that are not ``there`` (broadcast to ``(B, heads, T, T)``) are masked."""
        rows, tokens, _ = x.shape
        q, k, v = self.query_key_value(x).view(rows, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if there is not None:
            logits = logits.masked_fill(~there, -1e9)
        mixed = self.dropout(logits.softmax(dim=-1)) @ v
        x = self.attention_norm(x + self.dropout(self.out(mixed.transpose(1, 2).reshape(rows, tokens, -1))))
        contracted: Tensor = self.contract(functional.relu(self.expand(x)))
        normed: Tensor = self.forward_norm(x + self.dropout(contracted))
        return normed
