"""Shake-shake, shake-drop and dropout at a share of a maximum: what they do in training and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Norm, build, initialised
from naslab.errors import InvalidSpace

DRAWS = 400


def module(op: ops.Operation, features: int = 3, width: int | None = None, seed: int = 0) -> nn.Module:
    shapes = (features,), (width or features,)
    with torch.device("meta"):
        made = build(op, *shapes, Norm())
    return initialised(made, torch.Generator().manual_seed(seed))


def factors(part: nn.Module, *, training: bool) -> tuple[np.ndarray, np.ndarray]:
    """What ones become in many calls, and what a gradient of ones becomes."""
    part.train(training)
    forward, backward = [], []
    for _ in range(DRAWS):
        x = torch.ones(2, 3, requires_grad=True)
        y = part(x)
        y.sum().backward()
        assert x.grad is not None
        for values, told in ((forward, y.detach()), (backward, x.grad)):
            assert len(told.unique()) == 1  # one draw for all rows
            values.append(told[0, 0].item())
    return np.array(forward), np.array(backward)


def test_shake_drop_draws_forward_and_backward_apart() -> None:
    """b + a - b a with b ~ Bernoulli(p): 1 with probability p, else a ~ U(-1, 1) forward, c ~ U(0, 1) backward."""
    forward, backward = factors(module(ops.ShakeDrop(most=0.8, share=0.5)), training=True)
    kept = np.isclose(forward, 1, atol=1e-6)
    assert kept.mean() == pytest.approx(0.6, abs=0.08)
    np.testing.assert_array_equal(kept, np.isclose(backward, 1, atol=1e-6))
    a, c = forward[~kept], backward[~kept]
    assert (a.min() < -0.9, a.max() > 0.9, c.min() > 0, c.min() < 0.1, c.max() > 0.9) == (True,) * 5
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.2
    forward, backward = factors(module(ops.ShakeDrop(most=0.8, share=0.5)), training=False)
    assert set(forward.round(6)) == set(backward.round(6)) == {0.6}  # the mean


def test_published_shake_drop_draws_at_prediction_instead() -> None:
    part = module(ops.ShakeDrop(most=0.8, share=0.5, inverted=True))
    assert set(factors(part, training=True)[0].round(6)) == {0.8}  # .6 + .5 - .6 * .5
    forward, _ = factors(part, training=False)
    kept = np.isclose(forward, 1, atol=1e-6)
    assert kept.mean() == pytest.approx(0.6, abs=0.08)
    assert 0 <= forward[~kept].min() < 0.1


@pytest.mark.parametrize("inverted", [False, True])
def test_shake_shake_weighs_two_branches(inverted: bool) -> None:
    block = module(ops.PreActivationBlock(shake_shake=True, inverted=inverted))
    for branch, value in ((block.branch, 1.0), (block.other, 3.0)):
        branch[-1].weight.data.zero_()  # type: ignore[index, union-attr]
        branch[-1].bias.data.fill_(value)  # type: ignore[index, union-attr]
    told: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    for training in (True, False):
        block.train(training)
        for _ in range(100):
            block.zero_grad()
            y = block(torch.zeros(4, 3))
            assert len(y.unique()) == 1
            y[0, 0].backward()
            one, other = (branch[-1].bias.grad[0].item() for branch in (block.branch, block.other))  # type: ignore[index, union-attr]
            assert one + other == pytest.approx(1)
            told[training].append((y[0, 0].item(), one, other))
    random, fixed = (np.array(told[not inverted]), np.array(told[inverted]))
    np.testing.assert_allclose(fixed, [[2, 0.5, 0.5]] * 100, rtol=0, atol=1e-6)
    a, c = (3 - random[:, 0]) / 2, random[:, 1]
    assert (a.min() < 0.05, a.max() > 0.95, c.min() < 0.05, c.max() > 0.95) == (True,) * 4
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.3


@pytest.mark.parametrize("width", [3, 5])
def test_a_pre_activation_block_is_what_its_formula_says(width: int) -> None:
    block = module(ops.PreActivationBlock(), 3, width).double()
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def normalised(z: Tensor) -> Tensor:
        return ((z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()).relu()

    first, second = (part for part in block.branch if isinstance(part, nn.Linear))  # type: ignore[union-attr]
    h = normalised(x)
    residual = x if width == 3 else block.shortcut(h)  # type: ignore[operator]
    torch.testing.assert_close(block(x), residual + second(normalised(first(h))))


@pytest.mark.parametrize(
    ("op", "rate"),
    [
        (ops.ScaledDropout(most=0.8, share=0.5, least=0.05), 0.4),
        (ops.ScaledDropout(most=0.04, share=1.0, least=0.05), 0.0),
        (ops.ScaledDropout(most=1.0), 1.0),
        (ops.ScaledDropout(most=0.0, share=0.0, everything=True), 1.0),
    ],
)
def test_dropout_at_a_share_of_a_maximum(op: ops.ScaledDropout, rate: float) -> None:
    part = module(op).train()
    assert op.rate == rate
    told = part(torch.ones(100, 200))
    assert (told == 0).float().mean().item() == pytest.approx(rate, abs=0.02)
    assert told.unique().tolist() == pytest.approx(sorted({0.0, 1 / (1 - rate)} if 0 < rate < 1 else {1.0 - rate}))
    assert part.eval()(torch.ones(2, 2)).tolist() == [[1, 1], [1, 1]]


def test_noise_follows_from_the_generator_and_goes_on() -> None:
    block = ops.PreActivationBlock(shake_shake=True, shake_drop=ops.ShakeDrop())
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    one, same, other = (module(block, seed=seed).train() for seed in (0, 0, 1))
    told = [[part(x) for _ in range(3)] for part in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(told[0], told[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(told[0], told[2], strict=True))
    assert not torch.equal(told[0][0], told[0][1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.ScaledDropout(most=1.5), "a rate of 1.5; allowed: 0 to 1"),
        (lambda: ops.ShakeDrop(most=0.6, share=2), "a probability of 1.2; allowed: 0 to 1"),
        (lambda: ops.PreActivationBlock().output_shape((3, 4), 2), "allowed: vectors"),
    ],
)
def test_what_is_no_noise_is_refused(make, message) -> None:
    with pytest.raises(InvalidSpace, match=message):
        make()
