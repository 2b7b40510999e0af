"""Losses of gradient-trained predictors, against sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from naslab.errors import UnknownName
from naslab.evaluators.predictors.losses import LOSSES, hinge, loss_named

F = [0.3, -1.0, 0.25, 2.0]
Y = [1.0, 0.0, 2.0, 0.0]
PAIRS = [(0, 1), (0, 3), (2, 0), (2, 1), (2, 3)]  # the first is better; rows 1 and 3 are equal


def value(name: str, outputs=F, targets=Y) -> float:
    return LOSSES[name](torch.tensor(outputs), torch.tensor(targets)).item()


def test_squared_and_absolute():
    assert value("squared") == pytest.approx(np.mean((np.array(F) - Y) ** 2))
    assert value("absolute") == pytest.approx(np.mean(np.abs(np.array(F) - Y)))


def test_exponential_weighs_by_the_target():
    expected = np.mean([math.exp(y - 1) * (f - y) ** 2 for f, y in zip(F, Y, strict=True)])
    assert value("exponential") == pytest.approx(expected)


def test_hinge_is_the_mean_over_ordered_pairs():
    assert value("hinge") == pytest.approx(np.mean([max(0.0, 0.1 - (F[i] - F[j])) for i, j in PAIRS]))
    wide = hinge(torch.tensor(F), torch.tensor(Y), margin=1.0).item()
    assert wide == pytest.approx(np.mean([max(0.0, 1.0 - (F[i] - F[j])) for i, j in PAIRS]))


def test_bce_is_the_mean_over_ordered_pairs():
    assert value("bce") == pytest.approx(np.mean([-math.log(1 / (1 + math.exp(F[j] - F[i]))) for i, j in PAIRS]))


@pytest.mark.parametrize("name", ["hinge", "bce"])
def test_pairwise_losses_know_only_the_order(name):
    assert value(name, targets=[5.0, -9.0, 7.0, -9.0]) == pytest.approx(value(name))
    assert value(name, outputs=[f + 3 for f in F]) == pytest.approx(value(name), abs=1e-6)


@pytest.mark.parametrize("name", ["hinge", "bce"])
def test_a_batch_without_pairs_says_nothing(name):
    outputs = torch.tensor(F, requires_grad=True)
    loss = LOSSES[name](outputs, torch.ones(4))
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad.tolist() == [0.0] * 4


@pytest.mark.parametrize("name", LOSSES)
def test_members_have_the_mean_of_their_losses(name):
    outputs, targets = torch.tensor([F, [1.0, 2.0, 3.0, 4.0]]), torch.tensor(Y)
    each = [LOSSES[name](row, targets).item() for row in outputs]
    assert LOSSES[name](outputs, targets.expand(2, -1)).item() == pytest.approx(np.mean(each))


def test_an_unknown_loss_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"'hing' of 'loss'. Did you mean 'hinge'"):
        loss_named("hing")
