"""NAO's autoencoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.layers import Dropout, built
from naslab.evaluators.predictors.nao import NAO, Autoencoder

SPACE = naslab.search_space("nasbench201")
TOKENS = torch.tensor([[1, 3, 2, 4], [2, 2, 4, 1]])


def autoencoder() -> Autoencoder:
    def make() -> Autoencoder:
        return Autoencoder(5, 0, Dropout(0.0, torch.Generator()), width=3, hidden=4)

    return built(make, torch.Generator().manual_seed(0))


def test_the_embedding_is_the_normalised_mean_of_normalised_outputs():
    net = autoencoder()
    outputs = net.encoder(net.read(TOKENS))[0].detach().numpy()
    outputs /= np.linalg.norm(outputs, axis=-1, keepdims=True)
    mean = outputs.mean(axis=1)
    encoded, embedding = net.encode(TOKENS)
    np.testing.assert_allclose(encoded.detach().numpy(), outputs, atol=1e-6)
    np.testing.assert_allclose(
        embedding.detach().numpy(), mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6
    )
    expected = embedding @ net.regressor.weight.T + net.regressor.bias
    torch.testing.assert_close(net(TOKENS, torch.empty(2, 0)), expected[:, 0])


def test_the_decoder_sees_what_comes_before_a_token_alone():
    net = autoencoder()
    encoded, embedding = net.encode(TOKENS)
    logits = net.decode(TOKENS, encoded, embedding)
    changed = TOKENS.clone()
    changed[:, 2] = 3
    after = net.decode(changed, encoded, embedding)
    torch.testing.assert_close(after[:, :3], logits[:, :3])
    assert not torch.allclose(after[:, 3], logits[:, 3])


def test_the_loss_weighs_both_parts():
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(20)]
    made = NAO(SPACE, epochs=1, trade_off=0.3, dropout=0.0)
    made.fit(cells, range(20), rng=rng)
    tokens, features = made._tensors(cells, None)
    targets = torch.linspace(-1, 1, 20)
    encoded, embedding = made.model.encode(tokens)
    logits = made.model.decode(tokens, encoded, embedding)
    written = np.mean(
        [-functional.log_softmax(logits[i, t], 0)[tokens[i, t]].item() for i in range(20) for t in range(6)]
    )
    squared = (made.model(tokens, features) - targets).square().mean().item()
    found = made._objective(made.model, (tokens, features), targets).item()
    assert found == pytest.approx(0.3 * squared + 0.7 * written, rel=1e-5)


def test_it_learns_to_write_architectures():
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(60)]
    made = NAO(SPACE, epochs=200, trade_off=0.2, learning_rate=0.01)
    made.fit(cells, range(60), rng=rng)
    (tokens, _) = made._tensors(cells, None)
    encoded, embedding = made.model.eval().encode(tokens)
    right = (made.model.decode(tokens, encoded, embedding).argmax(dim=-1) == tokens).double().mean().item()
    assert right > 0.8  # a fifth by chance


def test_a_trade_off_outside_0_to_1_is_refused():
    with pytest.raises(InvalidValue, match="0 to 1"):
        NAO(SPACE, trade_off=1.5)
