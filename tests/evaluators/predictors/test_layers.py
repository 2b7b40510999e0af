"""Layers whose randomness comes from a generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.layers import LSTM, Dropout, Embedding, LayerNorm, built


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dropout_keeps_the_expectation_and_its_rate():
    dropout = Dropout(0.1, generator())
    dropped = dropout(torch.ones(400, 1000))
    zeros = (dropped == 0).double().mean().item()
    assert zeros == pytest.approx(26 / 256, abs=4 * (0.1 * 0.9 / 400_000) ** 0.5)
    assert dropped.max().item() == pytest.approx(256 / 230)
    assert dropped.mean().item() == pytest.approx(1, abs=0.003)


def test_dropout_masks_are_the_generators_and_never_the_same_again():
    first, again = Dropout(0.5, generator()), Dropout(0.5, generator())
    x = torch.ones(3, 50)
    masks = [first(x) for _ in range(3)]
    assert all(torch.equal(mask, again(x)) for mask in masks)
    assert not torch.equal(masks[0], masks[1])


def test_dropout_reaches_past_the_end_of_its_buffer():
    dropout = Dropout(0.5, generator())
    held = [dropout(torch.ones(50_000)) for _ in range(4)]  # a buffer holds 65,536
    assert all(0.4 < (part == 0).double().mean() < 0.6 for part in held)
    assert dropout(torch.ones(100_000)).shape == (100_000,)


def test_a_buffer_outlives_what_replaces_it():
    dropout = Dropout(0.5, generator())
    x = torch.ones(50_000, requires_grad=True)
    y = dropout(x)
    dropout(x)  # needs a new buffer
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_dropout_is_off_when_predicting_and_at_rate_zero():
    x = torch.ones(10)
    assert Dropout(0.5, generator()).eval()(x) is x
    assert Dropout(0.0, generator())(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_makes_no_sense_is_refused(rate):
    with pytest.raises(InvalidValue, match="from 0 to below 1"):
        Dropout(rate, generator())


def test_padding_is_embedded_as_zeros_and_stays():
    embedding = built(lambda: Embedding(4, 6), generator())
    embedded = embedding(torch.tensor([[0, 2]]))
    embedded.sum().backward()
    assert embedded[0, 0].tolist() == [0.0] * 6
    assert embedding.weight.grad[0].tolist() == [0.0] * 6
    assert embedding.weight.grad[2].tolist() == [1.0] * 6


def test_built_networks_depend_on_the_generator_alone(global_randomness):
    def make() -> nn.Module:
        return nn.ModuleList([Embedding(5, 300), LayerNorm(7), LSTM(3, 4)])

    first, same, other = (built(make, generator(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert first["0.weight"][1:].std().item() == pytest.approx(1, abs=0.1)
    assert first["1.weight"].tolist() == [1.0] * 7
    assert all(first[name].abs().max() <= 0.5 for name in first if name.startswith("2."))


def test_lstm_computes_with_the_values_it_was_given():
    lstm = built(lambda: LSTM(2, 3), generator())
    x = torch.randn(2, 4, 2, generator=generator(1))
    h, c = torch.zeros(2, 3), torch.zeros(2, 3)
    for t in range(4):
        gates = x[:, t] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    torch.testing.assert_close(lstm(x)[0][:, -1], h)
