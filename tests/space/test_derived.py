"""Widths that follow from the whole architecture: NAS-Bench-101's channels, and what can't be had then."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import dataclass
from math import comb

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from toy_spaces import graph_of

from naslab.compiler import compile_network, compile_supernet
from naslab.errors import InvalidSpace, InvalidValue
from naslab.feasibility import Feasibility
from naslab.ops import Conv, Identity, MaxPool, PooledLinear, Zero
from naslab.space import Choice, Derived, SearchSpace, at_most
from naslab.testing import check_search_space


@dataclass(frozen=True)
class Share:
    """The output's channels, shared among the blocks that it concatenates; the first ones get what is left over."""

    block: int
    blocks: int
    channels: int

    def __call__(self, taken):
        read = [b for b in range(self.blocks) if not taken[f"{b}->out"].is_zero]
        share, rest = divmod(self.channels, max(1, len(read)))
        return share + (self.block in read and read.index(self.block) < rest)


def shared_channels(blocks=3, channels=8):
    """A cell whose blocks share the output's channels, as NAS-Bench-101's do; at most four of its edges."""
    graph, names = graph_of(x={"shape": (2, 6, 6)}), []

    def edge(source, name, node, op):
        names.append(name)
        graph.add_edge(source, node, op=Choice(name, (Zero(), op)))

    for b in range(blocks):
        graph.add_nodes_from((f"sum{b}", f"block{b}"), width=Derived(Share(b, blocks, channels)))
        edge("x", f"in->{b}", f"sum{b}", Conv(kernel=1))
        for a in range(b):
            edge(f"block{a}", f"{a}->{b}", f"sum{b}", Conv(kernel=1))
        graph.add_edge(f"sum{b}", f"block{b}", op=Choice(f"op{b}", (Conv(), MaxPool())))
        edge(f"block{b}", f"{b}->out", "cell", Identity())
    graph.add_node("cell", combine="concat")
    graph.add_node("y", width=3)
    graph.add_edge("cell", "y", op=PooledLinear())
    return SearchSpace(graph, name="shared channels", rules=[at_most(4, names, (1,))])


@pytest.fixture(scope="module")
def space():
    return shared_channels()


def test_the_network_has_the_widths_and_costs_that_are_stated(space):
    assert space.size == sum(comb(9, k) for k in range(5)) * 2**3
    rng = np.random.default_rng(0)
    widths = set()
    for a in {space.sample(rng) for _ in range(50)}:
        network = compile_network(space, a, cut=False)
        cost = space.cost(a)
        assert sum(p.numel() for p in network.parameters()) == cost.params
        with FlopCounterMode(display=False) as counter:
            network.eval()(torch.zeros(1, *space.input_shape(a)))
        assert counter.get_total_flops() == 2 * cost.macs
        assert space.cost_model.value("macs", a) == cost.macs
        cut = sum(p.numel() for p in compile_network(space, a).parameters())
        assert space.cost(a, "reachable").params <= cut <= cost.params  # a bias stays where no input arrives
        widths.add(space.shapes(a)[0]["block0"][0])
    assert {3, 4, 8} <= widths
    assert space.ends == ((2, 6, 6), 3)


def test_it_is_a_space_like_others(space):
    check_search_space(space, samples=10)
    copy = pickle.loads(pickle.dumps(space))
    a = space.sample(np.random.default_rng(3))
    assert copy.cost(a) == space.cost(a)
    by_width = {space.canonical(a) for a in itertools.islice(space.architectures(), 300)}
    assert any("to 4" in key for key in by_width) and any("to 8" in key for key in by_width)  # noqa: PT018


def test_encodings_do_not_name_what_is_derived(space):
    vocabulary = space.encode(space.first, "adjacency").vocabulary
    kinds = {"input", "output", "Zero()", "Identity()", "MaxPool(kernel=3, stride=1)", "PooledLinear() to 3"}
    convolutions = {f"Conv(kernel={k}, stride=1, order='relu-conv-bn')" for k in (1, 3)}
    assert set(vocabulary) == kinds | convolutions


def test_limits_are_kept_by_enumeration_and_by_draws(space):
    space = shared_channels(blocks=2)
    within = [a for a in space.architectures() if space.cost(a).params <= 200]
    found = Feasibility(space, {"params": 200})
    assert found.backend == "enumerate"
    assert sorted(found.top([np.zeros(2)] * len(space.sizes), 10**6)) == sorted(within)
    drawn = Feasibility(space, {"params": 200}, "monte-carlo", samples=400)
    assert drawn.fraction() == pytest.approx(len(within) / 2 ** len(space.sizes), rel=0.35)
    assert set(map(tuple, drawn.sample([np.zeros(2)] * len(space.sizes), np.random.default_rng(0), 20))) <= set(within)
    with pytest.raises(InvalidValue, match=r"the smallest there is: params="):
        Feasibility(space, {"params": 1})


@pytest.mark.parametrize("choices", ["mixed", "categorical"])
def test_a_supernet_is_refused(space, choices):
    with pytest.raises(InvalidSpace, match=r"^the widths of space 'shared channels' are derived .* supernets"):
        compile_supernet(space, choices)


@pytest.mark.parametrize("backend", ["exact", "bounds"])
def test_exact_limits_are_refused(space, backend):
    with pytest.raises(InvalidValue, match=r"are derived from whole architectures.*Allowed: 'enumerate'"):
        Feasibility(space, {"params": 200}, backend)


def nothing(taken):
    return 0 * len(taken)


def test_a_width_that_is_no_number_is_refused():
    with pytest.raises(InvalidSpace, match=r"node 'y': width 0 is not a positive number"):
        SearchSpace(graph_of(("x", "y", Conv()), x={"shape": (2, 6, 6)}, y={"width": Derived(nothing)}))
