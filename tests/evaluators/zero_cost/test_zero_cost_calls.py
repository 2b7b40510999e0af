"""Which ReLUs the output depends on: read off the graph, as gradients say."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

import naslab
from naslab.compiler import compile_network
from naslab.evaluators.zero_cost.shared import CODES, Pass


def passed(network: nn.Module, x: torch.Tensor) -> Pass:
    return Pass(network, x, None, torch.Generator(), {CODES})


def by_gradients(known: Pass) -> list[bool]:
    known.__dict__["forward"] = dataclasses.replace(known.forward, reached=None)
    return known.reached


def test_the_graph_says_what_gradients_say():
    space, rng = naslab.search_space("pocket-cell"), np.random.default_rng(0)
    x, dead = torch.randn(4, 1, 8, 8), 0
    for _ in range(12):
        network = compile_network(space, space.sample(rng), cut=False)
        known = passed(network, x)
        assert known.forward.reached is not None
        assert known.reached == by_gradients(passed(network, x))
        assert len(known.reached) == len(known.forward.agreements)
        dead += known.reached.count(False)
    assert dead  # else this would prove nothing


class Outside(nn.Module):
    """One ReLU in a module that the output does not need, one in none."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.linear = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.idle(x)
        return self.linear(functional.relu(x))


def test_relus_outside_modules_are_left_to_gradients():
    x = torch.randn(4, 4, requires_grad=True)
    graph = fx.symbolic_trace(Outside())
    for network in (Outside(), graph):
        known = passed(network, x)
        assert known.forward.reached is None
        assert known.reached == [False, True]
