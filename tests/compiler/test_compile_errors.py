"""What is wrong is said in one line that names node, edge and choice, when the space or the supernet is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from small import CELL, close, toy
from torch import nn
from toy_spaces import graph_of

from naslab import Choice, SearchSpace, ops
from naslab.compiler import Sparse, compile_network, compile_supernet
from naslab.compiler.primitives import Norm, build
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue, NaslabError
from naslab.ops import AvgPool, Classifier, Conv, FactorizedReduction, Identity, Linear, MaxPool, ReLU, Zero

VECTOR, IMAGE = {"shape": (4,)}, {"shape": (4, 6, 6)}
WIDE = Choice("wide", (2, 4))


@dataclass(frozen=True)
class Liar(ops.Operation):
    """A third party's operation whose module does something else than it states."""

    kind: str = "shape"


@build.register
def _(op: Liar, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return nn.Flatten() if op.kind == "shape" else nn.Linear(shape[0] + 1, shape[0])


GRAPHS = {
    "cycle": (
        lambda: graph_of(("x", "a", ReLU()), ("a", "b", ReLU()), ("b", "a", ReLU()), ("b", "y", ReLU()), x=VECTOR),
        ["cycle", "'a'", "'b'"],
    ),
    "edge without an operation": (
        lambda: graph_of(("x", "a", ReLU()), ("a", "y", None), x=VECTOR),
        ["edge 'a' -> 'y'", "no operation"],
    ),
    "widths that do not fit a sum": (
        lambda: graph_of(("x", "a", Linear()), ("x", "y", ReLU()), ("a", "y", ReLU()), x=VECTOR, a={"width": 3}),
        ["node 'y'", "'x'", "'a'", "(4,)", "(3,)"],
    ),
    "a chosen width that does not fit a sum": (
        lambda: graph_of(("x", "a", Linear()), ("x", "y", ReLU()), ("a", "y", ReLU()), x=VECTOR, a={"width": WIDE}),
        ["node 'y'", "'x'", "'a'", "'wide' is option 0"],
    ),
    "a stated width that the operation can't set": (
        lambda: graph_of(("x", "y", ReLU()), x=VECTOR, y={"width": 5}),
        ["'x' -> 'y'", "ReLU()", "width 5"],
    ),
    "a sum where only a concatenation fits": (
        lambda: graph_of(("x", "a", Conv()), ("x", "y", Identity()), ("a", "y", MaxPool()), x=IMAGE, a={"width": 6}),
        ["node 'y'", "does not fit", "(4, 6, 6)", "(6, 6, 6)"],
    ),
    "a concatenation of two image sizes": (
        lambda: graph_of(
            ("x", "a", Conv(stride=2)), ("x", "y", Identity()), ("a", "y", Identity()), x=IMAGE, y={"combine": "concat"}
        ),
        ["node 'y'", "does not fit", "(4, 6, 6)", "(4, 3, 3)"],
    ),
    "a concatenation of vectors and images": (
        lambda: graph_of(
            ("x", "a", Classifier()), ("x", "y", Identity()), ("a", "y", Identity()), x=IMAGE, y={"combine": "concat"}
        ),
        ["node 'y'", "does not fit", "(4,)", "(4, 6, 6)"],
    ),
    "a concatenation that states another width": (
        lambda: graph_of(
            ("x", "a", ReLU()), ("x", "y", ReLU()), ("a", "y", ReLU()), x=VECTOR, y={"combine": "concat", "width": 7}
        ),
        ["node 'y'", "width 7", "8 features"],
    ),
    "an image size that does not fit for every choice": (
        lambda: graph_of(
            ("x", "y", Choice("c", (Conv(), Conv(stride=2)))), ("x", "z", Conv()), ("y", "z", Conv()), x=IMAGE
        ),
        ["node 'z'", "'c' is option 1"],
    ),
    "two outputs": (
        lambda: graph_of(("x", "a", ReLU()), ("x", "b", ReLU()), x=VECTOR),
        ["one output", "'a'", "'b'"],
    ),
    "an option that is no operation": (
        lambda: graph_of(("x", "y", Choice("c", (ReLU(), 3))), x=VECTOR),
        ["'x' -> 'y'", "3 is not an operation", "'c' is option 1"],
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_makes_no_sense_is_no_space(name):
    graph, words = GRAPHS[name]
    with pytest.raises(InvalidSpace) as error:
        SearchSpace(graph())
    assert_says(error, words)


MODULES = {
    "an even kernel": (graph_of(("x", "y", Conv(kernel=2)), x=IMAGE), ["edge 'x->y'", "Conv(kernel=2", "(4, 7, 7)"]),
    "an even kernel among options": (
        graph_of(("x", "a", ReLU()), ("a", "y", Choice("c", (Conv(kernel=2), Conv(kernel=2)))), x=IMAGE),
        ["edge 'a->y'", "Conv(kernel=2"],
    ),
    "a convolution of vectors": (graph_of(("x", "y", Conv()), x=VECTOR), ["edge 'x->y'", "(4,)"]),
    "a classifier of vectors": (graph_of(("x", "y", Classifier()), x=VECTOR), ["edge 'x->y'", "Classifier()", "(4,)"]),
    "a linear map of images": (graph_of(("x", "y", Linear()), x=IMAGE), ["edge 'x->y'", "Linear()", "(4, 6, 6)"]),
    "a reduction that does not reduce": (
        graph_of(("x", "y", FactorizedReduction(stride=1)), x=IMAGE),
        ["edge 'x->y'", "delivers (4, 3, 3)", "states (4, 6, 6)"],
    ),
    "a module of another shape": (
        graph_of(("x", "y", Liar()), x=IMAGE),
        ["edge 'x->y'", "Liar(kind='shape')", "delivers (144,)", "states (4, 6, 6)"],
    ),
    "a module of another input": (
        graph_of(("x", "y", Liar("input")), x=VECTOR),
        ["edge 'x->y'", "Liar(kind='input')", "refuses", "(4,)"],
    ),
}


def compiled(space: SearchSpace, form: str) -> Any:
    if form == "network":
        return compile_network(space, (0,) * len(space.sizes))
    return compile_supernet(space, form)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("form", ["network", "mixed", "categorical"])
def test_a_module_that_does_not_fit_is_named_with_its_edge(name, form):
    graph, words = MODULES[name]
    space = SearchSpace(graph)
    with pytest.raises(InvalidSpace) as error:
        compiled(space, form)
    assert_says(error, words)


@pytest.mark.parametrize("form", ["network", "mixed", "categorical"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("same", ["'x' -> 'a'", "'a' -> 'y'", "'same'"]),
        ("training", ["'a' -> 'y'", "'training'"]),
        ("forward", ["'a' -> 'y'", "'forward'"]),
        ("graph", ["'a' -> 'y'", "'graph'"]),
        ("space", ["'a' -> 'y'", "'space'"]),
        ("", ["'a' -> 'y'", "''"]),
    ],
)
def test_names_of_modules_are_free_and_unique(form, name, words):
    graph = graph_of(("x", "a", Linear()), ("a", "y", Linear()), x=VECTOR)
    graph.edges["x", "a"]["name"], graph.edges["a", "y"]["name"] = "same", name
    space = SearchSpace(graph)
    with pytest.raises(InvalidSpace) as error:
        compiled(space, form)
    assert_says(error, words)


def test_names_that_only_differ_in_what_becomes_of_dots():
    graph = graph_of(("x", "a", Linear()), ("a", "y", Linear()), x=VECTOR)
    graph.edges["x", "a"]["name"], graph.edges["a", "y"]["name"] = "block.1", "block_1"
    with pytest.raises(InvalidSpace, match="block_1"):
        compile_network(SearchSpace(graph), ())


def test_a_supernet_has_one_input():
    graph = graph_of(("x", "y", Linear()), ("z", "y", Linear()), x=VECTOR, z=VECTOR, y={"width": 2})
    space = SearchSpace(graph)
    with pytest.raises(InvalidSpace, match=r"one input.*'x', 'z'"):
        compile_supernet(space)
    net, x, z = compile_network(space, ()), torch.ones(2, 4), torch.full((2, 4), 2.0)
    close(net(x, z), net.get_submodule("x->y")(x) + net.get_submodule("z->y")(z))


@pytest.mark.parametrize("form", ["mix", "", None, "Mixed"])
def test_a_form_that_does_not_exist(form):
    with pytest.raises(InvalidValue, match="choices"):
        compile_supernet(toy(), form)


# ---- architectures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ((), ["0 entries", "3 choices"]),
        ((0, 0), ["2 entries", "3 choices"]),
        ((0, 0, 0, 0), ["4 entries", "3 choices"]),
        ((0, 5, 0), ["'xy'", "0 to 4", "not 5"]),
        ((0, 0, -1), ["'ay'", "0 to 4", "not -1"]),
        ((0, 0.5, 0), ["not a list of 3 option numbers"]),
        ((0, "1", 0), ["not a list of 3 option numbers"]),
        (None, ["None"]),
        ("abc", ["abc"]),
    ],
)
def test_a_wrong_architecture_is_refused_by_network_and_extraction(architecture, words):
    space = toy()
    for called in (lambda: compile_network(space, architecture), lambda: compile_supernet(space).extract(architecture)):
        with pytest.raises(InvalidArchitecture) as error:
            called()
        assert_says(error, words)


# ---- decisions ---------------------------------------------------------------------------------------------------

W = torch.ones(5)
GOOD = {"xa": 0, "xy": W, "ay": Sparse(W, (1, 2))}
DECISIONS = {
    "one missing": ({"xa": 0, "ay": 1}, ["no decision", "'xy'", "xa, xy, ay"]),
    "none": ({}, ["no decision", "'xa'"]),
    "an unknown choice": ({**GOOD, "xb": 0}, ["'xb'", "Did you mean"]),
    "too few": ([0, 1], ["2 decisions", "3 choices", "xa, xy, ay"]),
    "too many": ([0, 1, 2, 3], ["4 decisions", "3 choices"]),
    "an index too large": ({**GOOD, "xa": 5}, ["'xa'", "0 to 4", "not 5"]),
    "an index below zero": ({**GOOD, "ay": -1}, ["'ay'", "0 to 4", "not -1"]),
    "too few weights": ({**GOOD, "xy": torch.ones(4)}, ["'xy'", "(5,)", "(4,)"]),
    "weights of two dimensions": ({**GOOD, "xy": torch.ones(5, 1)}, ["'xy'", "(5,)", "(5, 1)"]),
    "a number as weights": ({**GOOD, "xy": torch.tensor(1.0)}, ["'xy'", "(5,)", "()"]),
    "sparse, too few weights": ({**GOOD, "xy": Sparse(torch.ones(3), (0,))}, ["'xy'", "(5,)", "(3,)"]),
    "sparse, no weights": ({**GOOD, "xy": Sparse([1, 0, 0, 0, 0], (0,))}, ["'xy'", "no weight vector"]),
    "sparse, none active": ({**GOOD, "xy": Sparse(W, ())}, ["'xy'", "active=()"]),
    "sparse, unknown active": ({**GOOD, "xy": Sparse(W, (0, 5))}, ["'xy'", "active=(0, 5)", "0 to 4"]),
    "sparse, active below zero": ({**GOOD, "xy": Sparse(W, (-1,))}, ["'xy'", "active=(-1,)"]),
    "sparse, active twice": ({**GOOD, "xy": Sparse(W, (2, 2))}, ["'xy'", "active=(2, 2)", "once"]),
    "sparse, hard and several": ({**GOOD, "xy": Sparse(W, (0, 1), "scalar", hard=True)}, ["'xy'", "one active"]),
    "sparse, hard and dropped": ({**GOOD, "xy": Sparse(W, (0,), hard=True)}, ["'xy'", "inactive='scalar'"]),
    "sparse, unknown inactive": ({**GOOD, "xy": Sparse(W, (0,), "ignore")}, ["'xy'", "'ignore'", "'drop', 'scalar'"]),
    "a string": ({**GOOD, "xy": "1"}, ["'xy'", "'1'", "no index"]),
    "nothing": ({**GOOD, "xy": None}, ["'xy'", "None", "no index"]),
    "a fraction": ({**GOOD, "xy": 1.0}, ["'xy'", "1.0", "no index"]),
    "a list of weights": ({**GOOD, "xy": [1, 0, 0, 0, 0]}, ["'xy'", "no index"]),
    "an array of weights": ({**GOOD, "xy": np.ones(5)}, ["'xy'", "no index"]),
    "no decisions": (None, ["None", "xa, xy, ay"]),
    "a number": (3, ["3", "xa, xy, ay"]),
    "a word": ("abc", ["'xa'", "'a'", "no index"]),
}


@pytest.fixture(scope="module")
def supernets() -> dict[str, Any]:
    net = compile_supernet(toy())
    return {"mixed": net, "categorical": net.view("categorical")}


@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_a_wrong_decision_is_named_with_its_choice(supernets, form, name):
    decisions, words = DECISIONS[name]
    with pytest.raises(InvalidValue) as error:
        supernets[form](torch.zeros(2, 2, 4, 4), decisions)
    assert_says(error, words)


@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_the_good_decisions_run(supernets, form):
    x = torch.randn(2, 2, 4, 4, generator=torch.Generator())
    y = supernets[form](x, GOOD)
    assert y.shape == x.shape
    torch.testing.assert_close(supernets[form](x, {**GOOD, "xa": np.int64(0)}), y)
    rows = torch.stack([W, 2 * W, W])
    torch.testing.assert_close(supernets[form](x, rows), supernets[form](x, {"xa": W, "xy": 2 * W, "ay": W}))


def test_edges_by_a_name_that_is_no_choice(supernets):
    """A weight that would scale nothing is a mistake."""
    for net in supernets.values():
        with pytest.raises(InvalidValue, match=r"'xz'.*Did you mean"):
            net(torch.zeros(2, 2, 4, 4), GOOD, {"xz": torch.tensor(1.0)})


def test_a_zero_that_is_the_whole_network_still_compiles():
    space = SearchSpace(graph_of(("x", "y", Zero()), x=VECTOR))
    for net in (compile_network(space, ()), lambda x: compile_supernet(space)(x, ())):
        close(net(torch.ones(2, 4)), torch.zeros(2, 4))


def test_a_pooling_that_is_stated_well_compiles_beside_all_of_this():
    space = SearchSpace(graph_of(("x", "y", Choice("c", (*CELL, AvgPool(kernel=5)))), x=IMAGE))
    assert compile_supernet(space)(torch.zeros(2, 4, 6, 6), (5,)).shape == (2, 4, 6, 6)


def assert_says(error: pytest.ExceptionInfo[NaslabError], words: list[str]) -> None:
    message = str(error.value)
    assert [word for word in words if word not in message] == [], message
    assert "\n" not in message
