"""NAS-Bench-101: which matrices are cells, strings, keys, moves, and a network written by hand."""

from __future__ import annotations

import itertools
import math
import random

import networkx as nx
import numpy as np
import pytest
import torch
from compiled import assert_costs_are_those_of_modules, batch, close, shaken
from published_cells import WIDTHS, concatenated, numberings, stated, utilised, written
from torch import nn
from torch.nn import functional

import naslab
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.search_spaces.nasbench101 import EDGES, EXAMPLE, nasbench101
from naslab.search_spaces.nasbench101_cell import OPERATIONS, Cell, cell_of, channels
from naslab.search_spaces.nasbench101_matrices import valid_matrices
from naslab.testing import check_search_space

CHAIN = "01 12 23 34 45 56|13m31"


@pytest.fixture(scope="module")
def space():
    return nasbench101()


@pytest.fixture(scope="module")
def small():
    """Widths of 5, 10 and 20: shares differ by one where two, three, or four vertices are concatenated."""
    return nasbench101(5, (2, 5, 6), channels=5, cells_per_stack=1)


def samples(space, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


# ---- which matrices are cells --------------------------------------------------------------------------------------


def test_a_matrix_is_a_cell_if_at_most_nine_edges_are_used(space):
    assert valid_matrices().sum() == 1_538_083
    assert space.size == 1_538_083 * 3**5 == 373_754_169
    draw = random.Random(0)
    valid = 0
    for _ in range(300):
        bits = [draw.random() < draw.choice((0.3, 0.5, 0.7)) for _ in EDGES]
        edges = tuple(edge for edge, bit in zip(EDGES, bits, strict=True) if bit)
        used = utilised(Cell(edges, OPERATIONS[:1] * 5))
        assert space.is_valid((*map(int, bits), 0, 1, 2, 0, 1)) == (0 < len(used) <= 9)
        valid += 0 < len(used) <= 9
    assert 50 < valid < 250


def test_samples_are_uniform(space):
    """Over the matrices that the rule accepts: how often each edge is there, and each operation."""
    table, drawn = valid_matrices(), np.array(samples(space, 1500))
    for i in range(len(EDGES)):
        share = table.take(1, axis=i).sum() / table.sum()
        assert abs(drawn[:, i].mean() - share) < 4 * math.sqrt(share * (1 - share) / len(drawn))
    for i in range(len(EDGES), drawn.shape[1]):
        assert np.allclose(np.bincount(drawn[:, i], minlength=3) / len(drawn), 1 / 3, atol=0.05)


def test_it_conforms(small):
    check_search_space(small, samples=10)


# ---- strings and specifications -------------------------------------------------------------------------------------


@pytest.mark.parametrize("string", [EXAMPLE, CHAIN, "06|33333", "01 16 23 45|3m1m3"])
def test_strings_and_specifications_come_back(space, string):
    a = space.from_string(string)
    assert space.to_string(a) == string
    matrix, operations = space.spec(a)
    b = space.from_spec(matrix, operations)  # pruned: another tuple, the same network
    assert (space.spec(b), space.canonical(b)) == ((matrix, operations), space.canonical(a))
    assert (space.official_key(b), space.cost(b)) == (space.official_key(a), space.cost(a))


def test_a_pruned_matrix_is_that_of_the_public_code(space):
    """Vertices 2 and 4 are on no path; the others move up."""
    a = space.from_string("01 04 13 16 23 35 56|313m1")
    operations = ["input", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"]
    matrix = [[0, 1, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert space.spec(a) == (matrix, operations)
    assert space.to_string(space.from_spec(matrix, operations)) == "01 12 16 23 36|33133"
    assert space.from_string("01 12 14 23 34|331") == space.from_spec(matrix, operations)


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "is not a cell of NAS-Bench-101 such as '01 02"),
        ("01 16", "is not a cell"),
        ("01 16|33x33", "is not a cell"),
        ("16 01|33333", "is not a cell"),
        ("01 01 16|33333", "is not a cell"),
        ("01 17|33333", "is not a cell"),
        ("01 10 16|33333", "is not a cell"),
        ("01 16|333333", "is not a cell"),
        ("01 15|33333", "breaks the rule of space 'nasbench101' on 0->1, .*: connected, and at most nine edges"),
        ("01 02 03 04 05 16 26 36 46 56|33333", "at most nine edges between input and output"),
    ],
)
def test_bad_strings_are_refused_in_one_line(space, string, said):
    with pytest.raises(InvalidArchitecture, match=said) as error:
        space.from_string(string)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("matrix", "operations", "said"),
    [
        ([[0, 1], [0, 0]], ["input", "x", "output"], r"matrix of 2 x 2 and 3 operations; allowed: 2 to 7 vertices"),
        ([], [], r"matrix of 0 x 0 and 0 operations"),
        (3, ["input", "output"], r"^3 is no matrix; give rows of zeros and ones"),
        ([0, 1], ["input", "output"], r"is no matrix"),
        ([[0, 1], [0]], ["input", "output"], r"matrix of 2 x 2 and 2 operations"),
        ([[0, 2], [0, 0]], ["input", "output"], r"has 2 from vertex 0 to 1; allowed: 0, and 1"),
        ([[0, 1], [1, 0]], ["input", "output"], r"has 1 from vertex 1 to 0"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3", "output"], r"Did you mean 'conv3x3-bn-relu'"),
    ],
)
def test_bad_specifications_are_refused_in_one_line(matrix, operations, said):
    with pytest.raises(InvalidArchitecture, match=said):
        cell_of(matrix, operations)


# ---- keys --------------------------------------------------------------------------------------------------------


def channels_and_operations(cell: Cell) -> nx.DiGraph:
    graph = nx.DiGraph(cell.edges)
    per_stack = [channels(cell.edges, cell.last, width) for width in WIDTHS]
    names = ["input", *cell.operations, "output"]
    for v, name in enumerate(names):
        graph.add_node(v, is_a=(name, *(found[v] for found in per_stack)))
    return graph


def same_with_channels(one: Cell, other: Cell) -> bool:
    graphs = (channels_and_operations(one), channels_and_operations(other))
    return nx.is_isomorphic(*graphs, node_match=lambda a, b: a["is_a"] == b["is_a"])


def test_the_hash_does_not_see_channels_and_the_key_does(space):
    """Cells with one hash have one key if and only if numbering them differently changes no vertex' channels."""
    several = 0
    for a in samples(space, 60, seed=2):
        orders = numberings(space.cell(a).pruned)
        orders = random.Random(0).sample(orders, min(4, len(orders)))
        keys = [space.canonical(space.from_string(written(cell))) for cell in orders]
        assert len({cell.official_hash for cell in orders}) == 1
        for (one, key), (other, another) in itertools.combinations(zip(orders, keys, strict=True), 2):
            assert (key == another) == same_with_channels(one, other)
        if len(set(keys)) > 1:
            assert concatenated(orders[0]) == 3  # 128, 256 and 512 can be divided by one, two and four
            several += 1
    assert several > 5


def test_different_cells_have_different_keys(space):
    drawn = {space.official_key(a): space.canonical(a) for a in samples(space, 300, seed=3)}
    assert len(set(drawn.values())) == len(drawn) > 150


def test_what_is_pruned_is_in_no_key_and_costs_nothing(space):
    a, b = space.from_string("01 16|33333"), space.from_string("01 02 16 23 24 45|3m1m1")
    assert space.canonical(a) == space.canonical(b)
    assert space.official_key(a) == space.official_key(b)
    assert space.cost(a) == space.cost(b) == space.cost(a, "reachable")


# ---- moves ---------------------------------------------------------------------------------------------------------


def test_neighbours_are_those_of_naslib(space):
    """NASLib's get_nbhd: used vertices take another operation, used edges go, edges that are used come."""
    for a in samples(space, 20, seed=4):
        cell, found = space.cell(a), set()
        used = utilised(cell)
        for v, name in enumerate(cell.operations, start=1):
            if any(v in edge for edge in used):
                for other in set(OPERATIONS) - {name}:
                    found.add(Cell(cell.edges, (*cell.operations[: v - 1], other, *cell.operations[v:])))
        for edge in EDGES:
            changed = Cell(tuple(sorted({edge} ^ set(cell.edges))), cell.operations)
            now = utilised(changed)
            if (edge in used or edge in now) and 0 < len(now) <= 9:
                found.add(changed)
        neighbors = space.neighbors(a)
        assert {space.cell(b) for b in neighbors} == found
        assert len(neighbors) == len(found)


# ---- networks ------------------------------------------------------------------------------------------------------


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 20))


def test_nothing_is_built_that_is_pruned(small):
    network = naslab.compile_network(small, small.from_string("01 02 16 23 24 45|3m1m1"), cut=False)
    assert [name for name, _ in network.named_children() if "stack1" in name] == [
        "stem->stack1/cell1/sum1",
        "stack1/cell1/sum1->stack1/cell1/1",
        "stack1/cell1->pooled1",
    ]


# Five channels among three vertices are 2, 2 and 1. In the first cell vertex 1 has two, of which vertex 5 reads one.
@pytest.mark.parametrize(
    ("string", "narrows"),
    [("01 03 04 06 14 15 36 46 56|31m31", True), (CHAIN, False), ("06|33333", False), (EXAMPLE, True)],
)
def test_a_network_computes_what_one_written_by_hand_does(small, string, narrows):
    cell = small.cell(small.from_string(string)).pruned
    kept = sorted({0, 6, *(v for edge in utilised(stated(*string.split("|"))) for v in edge)})
    network = shaken(naslab.compile_network(small, small.from_string(string))).eval()
    part = network.get_submodule
    name, x = "stem", part("image->stem")(batch(small))
    narrowed = 0
    for stack, output in ((1, 5), (2, 10), (3, 20)):
        if stack > 1:  # maxima of 2x2 pixels; an odd last row or column has windows of its own
            name, x = f"pooled{stack - 1}", functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-math.inf), 2)
        here, states = f"stack{stack}/cell1", {}
        joined = [v for v in range(1, cell.last) if (v, cell.last) in cell.edges]
        share = {v: output // len(joined) + (i < output % len(joined)) for i, v in enumerate(joined)}
        for v in range(cell.last - 1, 0, -1):
            if v not in share:
                share[v] = max(share[w] for w in range(v + 1, cell.last) if (v, w) in cell.edges)
        for v in range(1, cell.last):
            edge = f"{here}/sum{kept[v]}->{here}/{kept[v]}"
            terms = [states[u][:, : share[v]] for u in range(1, v) if (u, v) in cell.edges]
            narrowed += sum(share[u] > share[v] for u in range(1, v) if (u, v) in cell.edges)
            if (0, v) in cell.edges:
                terms.append(part(f"{name}->{here}/sum{kept[v]}")(x))
            assert isinstance(part(edge), nn.MaxPool2d) == (cell.operations[v - 1] == "maxpool3x3")
            states[v] = part(edge)(sum(terms))
            assert states[v].shape[1] == share[v]
        parts = [torch.cat([states[v] for v in joined], 1)] if joined else []
        if (0, cell.last) in cell.edges:
            parts.append(part(f"{name}->{here}")(x))
        name, x = here, sum(parts)
        assert x.shape[1] == output
    close(network(batch(small)), part("stack3/cell1->logits")(x))
    assert (narrowed > 0) == narrows


@pytest.mark.parametrize("few", [3, 0, 4.5, "many"])
def test_every_vertex_has_a_channel(few):
    joined = "01 02 03 04 16 26 36 46|31m13"  # four at most: a fifth would be a tenth edge
    network = nasbench101(2, (1, 4, 4), channels=4, cells_per_stack=1)
    assert network.shapes(network.from_string(joined))[0]["stack1/cell1/4"][0] == 1
    with pytest.raises(
        InvalidValue, match=r"channels=.*: give a whole number of at least 4, a channel for each vertex"
    ):
        nasbench101(channels=few)


@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_channels_that_are_derived_have_no_supernet(space, form):
    with pytest.raises(InvalidSpace, match=r"^the widths of space 'nasbench101' are derived .* supernets"):
        naslab.compile_supernet(space, form)


# ---- a picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("string", "texts"),
    [
        (EXAMPLE, ["1 conv3x3\n43", "2 conv1x1\n43", "3 conv3x3\n43", "4 maxpool3x3\n42", "5 conv1x1\n42"]),
        ("01 02 16 23|m3333", ["1 maxpool3x3\n128"]),
        ("06|33333", []),
    ],
)
def test_a_picture_shows_what_is_left_after_pruning(space, string, texts):
    a = space.from_string(string)
    ax = space.draw(a)
    assert [text.get_text() for text in ax.texts] == ["input", *texts, "output\n128"]
    assert len(ax.patches) == len(space.cell(a).pruned.edges)
    assert ax.get_title("left") == f"nasbench101: {space.cost(a).params / 1e6:.1f} M parameters"


@pytest.mark.parametrize("options", [{}, {"channels": 6, "cells_per_stack": 2, "num_classes": 7}])
def test_parameters_of_many_cells_at_once_are_those_of_each(options):
    other, rng = naslab.search_space("nasbench101", **options), np.random.default_rng(3)
    cells = [other.sample(rng) for _ in range(12)]
    many = other.cost_model.values("params", np.array(cells))
    assert many.tolist() == [other.cost(cell).params for cell in cells]
