"""NAS-Bench-201 against its published numbers, and its keys against networks evaluated numerically."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator

import networkx as nx
import numpy as np
import pytest

import naslab
from naslab.errors import InvalidArchitecture

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV1, CONV3, POOL = range(5)
NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
LABELS = ("Zero()", "Identity()", "Conv(kernel=1", "Conv(kernel=3", "AvgPool(kernel=3")

ARCHITECTURES = list(itertools.product(range(5), repeat=6))


@pytest.fixture(scope="module")
def space():
    return naslab.search_space("nasbench201")


@pytest.fixture(scope="module")
def keys(space) -> list[str]:
    return [space.canonical(a) for a in ARCHITECTURES]


def partition(keys) -> set[frozenset[int]]:
    """Which rows share a key, whatever the keys are."""
    rows = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return {frozenset(members) for members in rows.values()}


# ---- the published numbers ---------------------------------------------------------------------------------------


def test_it_has_15625_architectures_of_six_tied_choices(space):
    assert space.size == 15_625
    assert list(space.architectures()) == ARCHITECTURES
    assert [choice.name for choice in space.choices] == [f"{u}->{v}" for u, v in EDGES]
    cells = {source.rsplit("/", 1)[0] for source, _ in space.graph.edges if "cell" in source}
    assert len(cells) == 15


def test_341_architectures_are_disconnected(space):
    cell = nx.DiGraph(space.cells[0])  # all cells are equal, so one decides; the next test takes the whole network
    cell.add_node(0, shape=(16, 32, 32))
    alone = naslab.SearchSpace(cell, order=[f"{u}->{v}" for u, v in EDGES])
    reached = [alone.is_connected(a) for a in ARCHITECTURES]
    expected = [any(NONE not in ops for ops in cell_paths(a)) for a in ARCHITECTURES]
    assert reached == expected
    assert reached.count(False) == 341


def test_the_whole_network_is_connected_where_one_cell_is(space):
    rng = np.random.default_rng(0)
    dead = [a for a in ARCHITECTURES if all(NONE in ops for ops in cell_paths(a))]
    for row in rng.choice(len(dead), 40, replace=False):
        assert not space.is_connected(dead[row])
    for row in rng.choice(len(ARCHITECTURES), 40, replace=False):
        assert space.is_connected(ARCHITECTURES[row]) == (ARCHITECTURES[row] not in dead)


def test_official_strings_round_trip_for_all(space):
    strings = [space.to_string(a) for a in ARCHITECTURES]
    assert len(set(strings)) == 15_625
    assert [space.from_string(s) for s in strings] == ARCHITECTURES


@pytest.mark.parametrize(
    ("architecture", "string"),
    [
        ((0, 0, 0, 0, 0, 0), "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"),
        (
            (3, 3, 2, 1, 2, 3),
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
        ),
        (
            (4, 0, 1, 2, 3, 4),
            "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|",
        ),
    ],
)
def test_official_strings(space, architecture, string):
    assert space.to_string(architecture) == string
    assert space.from_string(string) == architecture
    resolved = space.resolve(architecture)
    for (u, v), option in zip(EDGES, architecture, strict=True):
        tail = "stem" if u == 0 else f"stage1/cell1/{u}"
        assert repr(resolved.edges[tail, f"stage1/cell1/{v}"]["op"]).startswith(LABELS[option])


@pytest.mark.parametrize("string", ["(0, 2, 3, 2, 3, 1)", "[0,2,3,2,3,1]", " (0, 2, 3, 2, 3, 1)\n"])
def test_tuples_of_naslib_are_read(space, string):
    written = "|skip_connect~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|nor_conv_1x1~1|none~2|"
    assert space.to_string(space.from_string(string)) == written


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "is not an official NAS-Bench-201 string"),
        ("|none~0|", "is not an official NAS-Bench-201 string"),
        ("(0, 2, 3, 2, 3)", "is not an official NAS-Bench-201 string"),
        ("(0, 2, 3, 2, 3, 5)", "is not an official NAS-Bench-201 string"),
        ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "is not an official NAS-Bench-201 string"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_5x5~2|", "Did you mean 'nor_conv_3x3'?"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~3|", "is not an official NAS-Bench-201 string"),
    ],
)
def test_bad_strings_are_refused_in_one_line(space, string, said):
    with pytest.raises(InvalidArchitecture) as error:
        space.from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# ---- keys --------------------------------------------------------------------------------------------------------


def published_unique_string(architecture) -> str:
    """NAS-Bench-201's ``Structure.to_unique_str(consider_zero=True)``, written down from the publication's code."""
    incoming = {v: [(architecture[i], u) for i, (u, w) in enumerate(EDGES) if w == v] for v in (1, 2, 3)}
    nodes = {0: "0"}
    for v in (1, 2, 3):
        terms = []
        for option, u in incoming[v]:
            if option == NONE or nodes[u] == "#":
                terms.append("#")
            elif option == SKIP:
                terms.append(nodes[u])
            else:
                terms.append(f"({nodes[u]})@{NAMES[option]}")
        nodes[v] = "+".join(sorted(terms))
    return nodes[3]


def test_official_key_is_the_published_unique_string(space):
    ours = [space.official_key(a) for a in ARCHITECTURES]
    assert ours == [published_unique_string(a) for a in ARCHITECTURES]
    assert len(set(ours)) == 6_466


def test_canonical_has_5425_classes(keys):
    assert len(set(keys)) == 5_425


PRIME = 2**31 - 1


def output(architecture, x, functions) -> np.ndarray:
    """The cell's output, one for each row of functions, as one number of 62 bits.

    Tensors are numbers modulo a prime (two independent inputs, so that 62 bits tell networks apart); the function of an
    edge is ``a x^3 + b x``, which is zero at zero.

    Args:
        architecture: Six options.
        x: ``(2,)`` inputs.
        functions: ``(2, 2, rows, 6)``: a and b for both inputs, for every row, of the six edges.
    """
    a, b = functions
    nodes = [np.broadcast_to(x[:, None], a.shape[:2])] + [np.zeros(a.shape[:2], dtype=np.int64) for _ in range(3)]
    for i, (u, v) in enumerate(EDGES):
        if architecture[i] == NONE:
            continue
        value = nodes[u]
        if architecture[i] != SKIP:
            cube = value * value % PRIME * value % PRIME
            value = (a[:, :, i] * cube + b[:, :, i] * value % PRIME) % PRIME
        nodes[v] = (nodes[v] + value) % PRIME
    return nodes[3][0] * 2**31 + nodes[3][1]


def evaluated_key(architecture, x, replaced, pools) -> int:
    """The smallest output over all ways to give the operations of a type that type's first functions.

    An operation counts if replacing its function changes the output. Every pooling has a function of its own as well:
    that is what "never simplified" means, since two poolings of one tensor are equal only because they have no weights.
    """
    outputs = output(architecture, x, replaced)
    live = [i for i in range(6) if outputs[1 + i] != outputs[0]]
    by_type = {t: [i for i in live if architecture[i] == t] for t in (CONV1, CONV3, POOL)}
    rows = []
    for orders in itertools.product(*(itertools.permutations(range(len(edges))) for edges in by_type.values())):
        row = [0] * 6
        for (t, edges), numbers in zip(by_type.items(), orders, strict=True):
            for edge, number in zip(edges, numbers, strict=True):
                row[edge] = 6 * (t - CONV1) + number
        rows.append(row)
    return int(output(architecture, x, pools[:, :, np.array(rows)]).min())


def test_canonical_separates_exactly_what_random_networks_separate(keys):
    rng = np.random.default_rng(20)
    x = rng.integers(1, PRIME, 2)
    pools = rng.integers(1, PRIME, (2, 2, 18))
    replaced = np.repeat(rng.integers(1, PRIME, (2, 2, 1, 6)), 7, axis=2)  # row 1 + i: another function on edge i
    replaced[:, :, range(1, 7), range(6)] = rng.integers(1, PRIME, (2, 2, 6))
    evaluated = [evaluated_key(a, x, replaced, pools) for a in ARCHITECTURES]
    assert partition(keys) == partition(evaluated)


# ---- encodings ---------------------------------------------------------------------------------------------------


def cell_paths(architecture) -> Iterator[tuple[int, ...]]:
    """Operations along every path of the four-node cell, found depth first."""
    stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while stack:
        node, ops = stack.pop()
        if node == 3:
            yield ops
        for (u, v), option in zip(EDGES, architecture, strict=True):
            if u == node:
                stack.append((v, (*ops, option)))


def test_path_encoding_is_the_paths_of_the_cell(space):
    alone = {}  # the feature of each path, from a cell in which nothing else is alive
    for route in ((3,), (0, 4), (1, 5), (0, 2, 5)):  # positions in the official order: 03, 01-13, 02-23, 01-12-23
        for ops in itertools.product(range(1, 5), repeat=len(route)):
            architecture = [NONE] * 6
            for position, option in zip(route, ops, strict=True):
                architecture[position] = option
            code = space.encode(tuple(architecture), "path")
            assert code.shape == (155,)
            assert code.sum() == 1
            assert alone.setdefault(ops, int(code.argmax())) == code.argmax()  # both routes of length two alike
    assert len(set(alone.values())) == len(alone) == 4 + 16 + 64
    for architecture in ARCHITECTURES:
        expected = {alone[ops] for ops in cell_paths(architecture) if NONE not in ops}
        assert set(np.flatnonzero(space.encode(architecture, "path"))) == expected


def test_adjacency_is_wired_in_the_order_of_the_string(space):
    graph = space.encode((0, 1, 2, 3, 4, 0), "adjacency")
    wires = {tail: set(np.flatnonzero(graph.adjacency[tail])) for tail in range(8)}
    assert wires == {0: {1, 2, 4}, 1: {3, 5}, 2: {6}, 3: {6}, 4: {7}, 5: {7}, 6: {7}, 7: set()}
    labels = [graph.vocabulary[i] for i in graph.operations]
    assert labels[0] == "input"
    assert labels[7] == "output"
    assert all(a.startswith(LABELS[b]) for a, b in zip(labels[1:7], (0, 1, 2, 3, 4, 0), strict=True))
    assert not graph.adjacency.flags.writeable


def simplified(space, architecture) -> nx.MultiDiGraph:
    """The 8-node graph without zeros, with skips contracted and only what lies between input and output."""
    code = space.encode(architecture, "adjacency")
    graph = nx.MultiDiGraph()
    graph.add_nodes_from((i, {"label": code.vocabulary[op]}) for i, op in enumerate(code.operations))
    graph.add_edges_from(zip(*np.nonzero(code.adjacency), strict=True))
    labels = nx.get_node_attributes(graph, "label")
    graph.remove_nodes_from([n for n in labels if labels[n] == LABELS[NONE]])
    for node in [n for n in labels if labels[n] == LABELS[SKIP]]:
        bypass = [(u, v) for u, _ in graph.in_edges(node) for _, v in graph.out_edges(node)]
        graph.add_edges_from(bypass)
        graph.remove_node(node)
    alive = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, 7) | {7})
    return nx.MultiDiGraph(graph.subgraph(alive | {7}))


def isomorphic(one, other) -> bool:
    return nx.is_isomorphic(
        one,
        other,
        node_match=lambda a, b: a["label"] == b["label"],
        edge_match=lambda a, b: len(a) == len(b),
    )


def test_operation_graphs_are_isomorphic_iff_canonical_is_equal(space, keys):
    rng = np.random.default_rng(1)
    classes, official = defaultdict(list), defaultdict(list)
    for row, key in enumerate(keys):
        classes[key].append(row)
        official[space.official_key(ARCHITECTURES[row])].append(row)
    several = [rows for rows in classes.values() if len(rows) > 1]
    same = [rng.choice(several[i], 2, replace=False) for i in rng.choice(len(several), 250, replace=False)]
    # Near misses: cells that the published string takes for one although their data flows differ.
    merged = [rows for rows in official.values() if len({keys[row] for row in rows}) > 1]
    near = [rng.choice(merged[i], 2, replace=False) for i in rng.choice(len(merged), 150, replace=False)]
    anyhow = list(rng.integers(0, len(ARCHITECTURES), (200, 2)))
    verdicts = Counter()
    for one, other in [*same, *near, *anyhow]:
        expected = keys[one] == keys[other]
        graphs = [simplified(space, ARCHITECTURES[row]) for row in (one, other)]
        assert isomorphic(*graphs) == expected
        verdicts[expected] += 1
    assert min(verdicts.values()) > 200


# ---- costs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "side", "base_params", "macs"),
    [
        (10, 32, 73_306, (7_783_050, 35_389_440, 3_932_160)),
        (100, 32, 79_156, (7_788_900, 35_389_440, 3_932_160)),
        (120, 16, 80_456, (1_953_400, 8_847_360, 983_040)),
    ],
    ids=["cifar10", "cifar100", "imagenet16-120"],
)
def test_costs_are_the_closed_forms_for_all(classes, side, base_params, macs):
    space = naslab.search_space("nasbench201", num_classes=classes, input_shape=(3, side, side))
    rows = np.array(ARCHITECTURES)
    n3, n1 = (rows == CONV3).sum(axis=1), (rows == CONV1).sum(axis=1)
    params = base_params + 243_040 * n3 + 28_000 * n1
    flops = macs[0] + macs[1] * n3 + macs[2] * n1  # the tables' "FLOPs" are MACs plus the classifier's biases
    assert np.array_equal(space.cost_model.values("params", rows), params)
    assert np.array_equal(space.cost_model.values("macs", rows) + classes, flops)
    for row in range(0, len(rows), 997):
        cost = space.cost(ARCHITECTURES[row])
        assert (cost.params, cost.macs + classes) == (params[row], flops[row])


def test_the_cost_model_is_a_constant_and_six_tables_of_five(space):
    for factors in space.cost_model.factors.values():
        assert [(f.scope, f.table.shape) for f in factors] == [((), ())] + [((i,), (5,)) for i in range(6)]


# ---- moves -------------------------------------------------------------------------------------------------------


def test_neighbors_change_one_choice(space):
    rng = np.random.default_rng(2)
    for _ in range(50):
        architecture = space.sample(rng)
        neighbors = space.neighbors(architecture)
        assert len(set(neighbors)) == len(neighbors) == 24
        for neighbor in neighbors:
            assert sum(a != b for a, b in zip(architecture, neighbor, strict=True)) == 1
            assert architecture in space.neighbors(neighbor)
        assert space.mutate(architecture, rng) in neighbors


# ---- the builder's arguments ----------------------------------------------------------------------------------


def test_a_smaller_network_has_fewer_cells_but_the_same_choices():
    small = naslab.search_space("nasbench201", channels=4, cells_per_stage=1)
    assert small.size == 15_625
    # One cell per stage, 4, 8 and 16 channels: a 3x3 convolution has 9 c^2 + 2 c parameters.
    gained = small.cost((3, 0, 0, 0, 0, 0)).params - small.cost((0, 0, 0, 0, 0, 0)).params
    assert gained == sum(9 * c * c + 2 * c for c in (4, 8, 16))
