"""Gradients of the architecture, against gradients written by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from gradient_toys import rows, toy_task
from torch.func import functional_call
from torch.nn import functional

from naslab.errors import UnknownName
from naslab.optimizers.gradient.sampled_updates import new_update
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.updates import Learner, unrolled_step


def built(**options) -> OneShotSearch:
    search = OneShotSearch(toy_task().problem, np.random.default_rng(0), batch=16, architecture_decay=0.0, **options)
    search.model.supernet.double()
    with torch.no_grad():
        for i, logits in enumerate(search.model.logits):
            logits.data = torch.tensor([0.2, -0.1 * i, 0.5], dtype=torch.float64)
    search.optimizer = torch.optim.SGD(search.model.architecture, lr=1.0)  # so that a step is the gradient
    return search


def batch(seed: int):
    drawn = rows(16, seed)
    return torch.from_numpy(drawn.x).double(), torch.from_numpy(drawn.y)


def learner(search: OneShotSearch) -> Learner:
    return Learner(search.model, search.relaxation, search.optimizer, search.weight_optimizer, search.generator)


def taken(search: OneShotSearch, train, held) -> list[torch.Tensor]:
    """The gradient that an update follows."""
    before = [logits.detach().clone() for logits in search.model.logits]
    search.update.update(learner(search), train, held)
    return [old - new.detach() for old, new in zip(before, search.model.logits, strict=True)]


def loss_by_hand(search: OneShotSearch, weights: dict, logits, x, y) -> torch.Tensor:
    mixture = [torch.softmax(each, 0) for each in logits]
    return functional.cross_entropy(functional_call(search.model.supernet, weights, (x, mixture)), y)


def unrolled_by_hand(search: OneShotSearch, train, held) -> list[torch.Tensor]:
    """Differentiate through ``w' = w - xi (m + g + decay w)``, twice, with nothing of naslab's updates."""
    logits = [each.detach().clone().requires_grad_() for each in search.model.logits]
    weights = {name: w.detach().clone().requires_grad_() for name, w in search.model.supernet.named_parameters()}
    group = search.weight_optimizer.param_groups[0]
    gradients = torch.autograd.grad(
        loss_by_hand(search, weights, logits, *train), list(weights.values()), create_graph=True
    )
    moved = {}
    for (name, w), parameter, g in zip(weights.items(), search.model.weights, gradients, strict=True):
        m = search.weight_optimizer.state.get(parameter, {}).get("momentum_buffer")
        moment = 0 if m is None else group["momentum"] * m
        moved[name] = w - group["lr"] * (moment + g + group["weight_decay"] * w)
    return list(torch.autograd.grad(loss_by_hand(search, moved, logits, *held), logits))


def with_momentum(search: OneShotSearch) -> None:
    """One step of the weights, so that there is a momentum to unroll."""
    x, y = batch(9)
    search.model.loss([[torch.softmax(each, 0).detach() for each in search.model.logits]], x, y, "mixed").backward()
    search.weight_optimizer.step()


def test_first_order_is_the_gradient_of_the_validation_loss():
    search, train, held = built(), batch(0), batch(1)
    logits = [each.detach().clone().requires_grad_() for each in search.model.logits]
    weights = dict(search.model.supernet.named_parameters())
    expected = torch.autograd.grad(loss_by_hand(search, weights, logits, *held), logits)
    for found, by_hand in zip(taken(search, train, held), expected, strict=True):
        torch.testing.assert_close(found, by_hand)


@pytest.mark.parametrize(("update", "tolerance"), [("second-order-exact", 1e-10), ("second-order", 2e-5)])
def test_second_order_is_the_gradient_through_an_unrolled_step(update, tolerance):
    search, train, held = built(update=update, learning_rate=0.3), batch(0), batch(1)
    with_momentum(search)
    expected = unrolled_by_hand(search, train, held)
    first = built(learning_rate=0.3)
    first.model.supernet.load_state_dict(search.model.supernet.state_dict())
    before = copy.deepcopy(search.model.supernet.state_dict())
    found = taken(search, train, held)
    for ours, by_hand in zip(found, expected, strict=True):
        assert (ours - by_hand).abs().max() < tolerance * by_hand.abs().max()
    simpler = taken(first, train, held)
    gap = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(simpler, expected, strict=True))
    assert gap > 100 * tolerance  # else first order would do
    for name, value in search.model.supernet.state_dict().items():
        assert torch.equal(value, before[name])


def test_stochastic_relaxations_are_unrolled_with_the_same_draws():
    """Finite differences of another draw would be off by orders of magnitude."""
    updates = {}
    for update in ("second-order", "second-order-exact"):
        search = built(update=update, relaxation="gumbel-softmax", learning_rate=0.3)
        search.generator.manual_seed(4)
        updates[update] = taken(search, batch(0), batch(1))
    for a, b in zip(*updates.values(), strict=True):
        assert (a - b).abs().max() < 1e-3 * b.abs().max()


def test_an_unrolled_step_is_the_step_of_sgd_without_nesterov():
    search = built(learning_rate=0.3)
    with_momentum(search)
    twin = copy.deepcopy(search.model.supernet)
    group = search.weight_optimizer.param_groups[0]
    sgd = torch.optim.SGD(
        twin.parameters(), group["lr"], momentum=group["momentum"], weight_decay=group["weight_decay"]
    )
    gradients = [torch.randn_like(w) for w in twin.parameters()]
    for ours, w, g in zip(search.model.weights, twin.parameters(), gradients, strict=True):
        sgd.state[w]["momentum_buffer"] = search.weight_optimizer.state[ours]["momentum_buffer"].clone()
        w.grad = g
    xi, found = unrolled_step(search.weight_optimizer, search.model.weights, gradients)
    sgd.step()
    assert xi == 0.3
    for ours, w in zip(found, twin.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), w.detach())


def test_no_update_leaves_the_logits():
    search = built(update="none")
    assert all(not each.any() for each in taken(search, batch(0), batch(1)))
    with pytest.raises(UnknownName, match="first-order"):
        new_update("first-oder")
