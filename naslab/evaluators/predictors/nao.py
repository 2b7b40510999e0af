"""NAO's predictor: an LSTM encoder with a regressor, and a decoder that writes the architecture (Luo et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.layers import LSTM, Dropout, Embedding, Linear
from naslab.evaluators.predictors.neural import NeuralPredictor
from naslab.evaluators.predictors.positions import edge_tokens
from naslab.evaluators.predictors.self_evolution import Evolution
from naslab.evaluators.predictors.training import Inputs, Schedule
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace


class NAO(NeuralPredictor):
    """Encoder, regressor and decoder of the sequence of operations.

    Luo, Tian, Qin, Chen & Liu 2018, "Neural Architecture Optimization", section 3.2; sizes and training are those of
    the authors' PyTorch code (embeddings of 32, one LSTM layer of 64 on either side, attention in the decoder,
    ``trade_off`` .8, Adam .001, batches of 100, norm of the gradient at most 5). An architecture's embedding is the
    normalised mean of the encoder's normalised outputs; the decoder starts from it and is trained by teacher forcing.

    Deviations: the sequence is one token for each edge of the space's cells (where edges lie is the same for all), the
    regressor has no sigmoid because targets are standardised, and 300 epochs instead of 1000 (SemiNAS has 100). The
    step along the gradient in the space of embeddings, by which NAO finds new architectures, belongs to a search and is
    not here.

    Args:
        space: The search space.
        target: See :class:`~naslab.evaluators.predictors.base.Predictor`; the paper has ``"raw"``.
        loss: Of the regressor: ``"squared"`` (the paper), ``"hinge"``, ``"bce"``, ``"absolute"`` or ``"exponential"``.
        trade_off: Weight of the regressor's loss; the decoder's has the rest.
        epochs: Passes over the training rows.
        batch: Rows of a step.
        learning_rate: Of Adam.
        dropout: Rate, before the regressor.
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
        trade_off: float = 0.8,
        epochs: int = 300,
        batch: int = 100,
        learning_rate: float = 1e-3,
        dropout: float = 0.1,
        rounds: int = 0,
        alpha: float = 0.5,
        round_epochs: int = 30,
        round_rate: float = 1e-4,
        target_rate: float = 0.01,
        multiplier_rate: float = 0.01,
    ) -> None:
        super().__init__(
            space,
            target=target,
            loss=loss,
            schedule=Schedule(epochs, batch, learning_rate, cosine=False, clip=5.0),
            evolution=Evolution(rounds, alpha, round_epochs, round_rate, target_rate, multiplier_rate),
        )
        if not 0 <= trade_off <= 1:
            raise InvalidValue(f"trade_off={trade_off}. Allowed: 0 to 1")
        Dropout(dropout, torch.Generator())  # refuses a rate that makes no sense
        self.trade_off, self.dropout = trade_off, dropout
        self._wiring = Wiring(space)

    def _inputs(self, architectures: Sequence[Architecture]) -> Inputs:
        return (torch.from_numpy(edge_tokens(self._wiring, architectures)),)

    def _network(self, columns: int, generator: torch.Generator) -> nn.Module:
        return Autoencoder(1 + len(self._wiring.vocabulary), columns, Dropout(self.dropout, generator))

    def _objective(self, model: nn.Module, inputs: Inputs, targets: Tensor) -> Tensor:
        assert isinstance(model, Autoencoder)
        tokens, features = inputs
        encoded, embedding = model.encode(tokens)
        regression = self.loss(model.regress(embedding, features), targets)
        logits = model.decode(tokens, encoded, embedding)
        written = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        return self.trade_off * regression + (1 - self.trade_off) * written


class Autoencoder(nn.Module):
    """Encoder, regressor and decoder.

    Args:
        tokens: Number of tokens; 0 is the decoder's start token.
        columns: Number of features, appended to the regressor's input.
        dropout: Before the regressor.
        width: Of the encoder's token embeddings.
        hidden: Of both LSTMs, and of the decoder's token embeddings.
    """

    def __init__(self, tokens: int, columns: int, dropout: Dropout, width: int = 32, hidden: int = 64) -> None:
        super().__init__()
        self.dropout = dropout
        self.read = Embedding(tokens, width)
        self.encoder = LSTM(width, hidden)
        self.regressor = Linear(hidden + columns, 1)
        self.shown = Embedding(tokens, hidden)
        self.decoder = LSTM(hidden, hidden)
        self.attention = Linear(2 * hidden, hidden)
        self.out = Linear(hidden, tokens)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """Tokens ``(B, T)`` and features ``(B, k)`` to predictions ``(B,)``."""
        return self.regress(self.encode(tokens)[1], features)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T)`` to outputs ``(B, T, hidden)`` and the embedding ``(B, hidden)``, both of Euclidean norm 1."""
        outputs, _ = self.encoder(self.read(tokens))
        outputs = functional.normalize(outputs, dim=-1)
        return outputs, functional.normalize(outputs.mean(dim=1), dim=-1)

    def regress(self, embedding: Tensor, features: Tensor) -> Tensor:
        """``(B, hidden)`` and ``(B, k)`` to predictions ``(B,)``."""
        outputs: Tensor = self.regressor(torch.cat([self.dropout(embedding), features], dim=1)).squeeze(1)
        return outputs

    def decode(self, tokens: Tensor, encoded: Tensor, embedding: Tensor) -> Tensor:
        """Logits of each token ``(B, T, tokens)``, from those before it and the encoder's outputs."""
        shown = self.shown(functional.pad(tokens[:, :-1], (1, 0)))
        start = embedding[None]
        outputs, _ = self.decoder(shown, (start, start))
        mixed = (outputs @ encoded.transpose(1, 2)).softmax(dim=-1) @ encoded
        logits: Tensor = self.out(torch.tanh(self.attention(torch.cat([mixed, outputs], dim=-1))))
        return logits
