"""Keys of data flows against NetworkX's isomorphism test."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_spaces import IMAGE, TOYS, VECTOR, graph_of

from naslab import Choice, SearchSpace
from naslab.ops import AvgPool, Conv, Identity, Linear, MaxPool, ReLU, Zero
from naslab.space import pruned

OPS = (Zero(), Identity(), Conv(), Conv(kernel=1), AvgPool())
seeds = st.integers(0, 2**32 - 1)
thorough = settings(max_examples=150, deadline=None, derandomize=True)


def random_graph(rng: np.random.Generator, nodes: int) -> nx.DiGraph:
    """A random acyclic graph from node 0 to the last node, random operations on its edges."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    graph.nodes[0].update(IMAGE)
    for v in range(1, nodes):
        for u in rng.choice(v, size=rng.integers(1, v + 1), replace=False):
            graph.add_edge(int(u), v, op=OPS[rng.integers(len(OPS))])
    for u in range(nodes - 1):
        if not graph.out_degree(u):
            graph.add_edge(u, nodes - 1, op=OPS[rng.integers(len(OPS))])
    return graph


def shuffled(rng: np.random.Generator, graph: nx.DiGraph) -> nx.DiGraph:
    """The same graph with other names for its nodes (but the input's) and another order of nodes and edges."""
    names = {0: 0, **{node: f"n{name}" for node, name in zip(range(1, len(graph)), rng.permutation(99), strict=False)}}
    other = nx.DiGraph()
    nodes, edges = list(graph), list(graph.edges)
    other.add_nodes_from((names[nodes[i]], graph.nodes[nodes[i]]) for i in rng.permutation(len(nodes)))
    for i in rng.permutation(len(edges)):
        u, v = edges[i]
        other.add_edge(names[u], names[v], op=graph.edges[u, v]["op"])
    return other


def flow(graph: nx.DiGraph) -> nx.MultiDiGraph:
    """What flows where, found by simplifying: operations as nodes, zeros removed, identities contracted, then only
    what lies between input and output.
    """
    tensors = nx.MultiDiGraph()
    tensors.add_node("in", label="in")
    tensors.add_node("out", label="out")
    tensors.add_nodes_from(
        (edge, {"label": repr(op)}) for *edge_, op in graph.edges.data("op") for edge in [tuple(edge_)]
    )
    sink = next(node for node in graph if not graph.out_degree(node))
    tensors.add_edges_from((a, b) for a, b in itertools.permutations(graph.edges, 2) if a[1] == b[0])
    tensors.add_edges_from(("in", edge) for edge in graph.edges if not graph.in_degree(edge[0]))
    tensors.add_edges_from((edge, "out") for edge in graph.edges if edge[1] == sink)
    tensors.remove_nodes_from([edge for *edge_, op in graph.edges.data("op") for edge in [tuple(edge_)] if op.is_zero])
    for edge in [edge for edge in graph.edges if graph.edges[edge]["op"].is_identity]:
        tensors.add_edges_from([(a, b) for a, _ in tensors.in_edges(edge) for _, b in tensors.out_edges(edge)])
        tensors.remove_node(edge)
    alive = (nx.descendants(tensors, "in") | {"in"}) & (nx.ancestors(tensors, "out") | {"out"})
    return nx.MultiDiGraph(tensors.subgraph(alive | {"out"}))


def isomorphic(one: nx.DiGraph, other: nx.DiGraph) -> bool:
    return nx.is_isomorphic(
        flow(one),
        flow(other),
        node_match=lambda a, b: a["label"] == b["label"],
        edge_match=lambda a, b: len(a) == len(b),
    )


def key(graph: nx.DiGraph) -> str:
    return SearchSpace(graph).canonical(())


@given(seed=seeds, nodes=st.integers(2, 8))
@thorough
def test_names_and_order_do_not_matter(seed, nodes):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, nodes)
    other = shuffled(rng, graph)
    assert key(graph) == key(other)
    assert SearchSpace(graph).is_connected(()) == SearchSpace(other).is_connected(()) == ("in" in flow(graph))


@given(seed=seeds, nodes=st.integers(3, 7))
@thorough
def test_one_changed_operation_changes_the_key_iff_it_changes_the_data_flow(seed, nodes):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, nodes)
    other = shuffled(rng, graph)
    u, v = list(other.edges)[rng.integers(other.number_of_edges())]
    other.edges[u, v]["op"] = OPS[rng.integers(len(OPS))]
    assert (key(graph) == key(other)) == isomorphic(graph, other)


def test_keys_are_equal_iff_data_flows_are_isomorphic():
    rng = np.random.default_rng(1)
    graphs = [random_graph(rng, nodes) for nodes in [3] * 60 + [4] * 30]  # so small that many are equal
    keys = [key(graph) for graph in graphs]
    verdicts = [
        (keys[i] == keys[j], isomorphic(graphs[i], graphs[j])) for i, j in itertools.combinations(range(len(graphs)), 2)
    ]
    assert all(ours == theirs for ours, theirs in verdicts)
    assert sum(ours for ours, _ in verdicts) > 100


def wheel(cycles: list[int]) -> nx.DiGraph:
    """Convolutions of x, added up in pairs that form cycles of the given lengths, convolved again, all added up."""
    graph = graph_of(x=IMAGE)
    for number, length in enumerate(cycles):
        for i in range(length):
            graph.add_edge("x", f"a{number}/{i}", op=Conv())
            graph.add_edge(f"a{number}/{i}", f"b{number}/{i}", op=Identity())
            graph.add_edge(f"a{number}/{i}", f"b{number}/{(i + 1) % length}", op=Identity())
            graph.add_edge(f"b{number}/{i}", "y", op=Conv())
    return graph


@pytest.mark.parametrize("cycles", [[6], [3, 3], [7], [3, 4], [4, 3]])
def test_what_colour_refinement_alone_cannot_tell_apart(cycles):
    same = {tuple(other) for other in ([6], [3, 3], [7], [3, 4], [4, 3]) if key(wheel(other)) == key(wheel(cycles))}
    assert same == {tuple(cycles), tuple(reversed(cycles))}


def image_key(*edges, **nodes) -> str:
    return key(graph_of(*edges, x=IMAGE, **nodes))


def test_a_tensor_used_twice_is_not_two_tensors():
    shared = image_key(("x", "a", Conv()), ("a", "b", Conv()), ("a", "y", Identity()), ("b", "y", Identity()))
    copied = image_key(("x", "a", Conv()), ("a", "b", Conv()), ("x", "y", Conv()), ("b", "y", Identity()))
    assert shared != copied


def test_multiplicities_count():
    once = [("x", "a", Conv()), ("a", "y", Identity())]
    twice = [("x", "a", Conv()), ("a", "b", Identity()), ("a", "y", Identity()), ("b", "y", Identity())]
    twice_passed_on = [*twice[:2], ("a", "c", Identity()), ("b", "c", Identity()), ("c", "y", Identity())]
    three_times = [*twice_passed_on, ("a", "y", Identity())]
    pooled_twice = [*twice_passed_on[:-1], ("c", "y", AvgPool())]
    pooled_once = [("x", "a", Conv()), ("a", "y", AvgPool())]
    assert image_key(*twice) == image_key(*twice_passed_on)
    different = [once, twice, three_times, pooled_twice, pooled_once]
    assert len({image_key(*edges) for edges in different}) == len(different)


@pytest.mark.parametrize("pool", [AvgPool(), MaxPool()])
def test_two_poolings_of_a_tensor_are_two_operations(pool):
    one = image_key(("x", "a", pool), ("a", "b", Identity()), ("a", "y", Identity()), ("b", "y", Identity()))
    two = image_key(("x", "a", pool), ("x", "y", pool), ("a", "y", Identity()))
    assert one != two


def test_dead_ends_and_unreached_operations_are_no_part_of_it():
    plain = image_key(("x", "a", Conv()), ("a", "y", Identity()))
    dead_end = image_key(("x", "a", Conv()), ("a", "y", Identity()), ("x", "b", Conv()), ("b", "y", Zero()))
    unreached = image_key(("x", "a", Conv()), ("a", "y", Identity()), ("x", "b", Zero()), ("b", "y", Conv()))
    assert plain == dead_end == unreached


def test_what_is_pruned_is_what_can_not_affect_the_output():
    graph = graph_of(
        ("x", "a", Conv()), ("x", "b", Zero()), ("x", "c", Conv()), ("b", "d", Conv()), ("a", "d", Conv()),
        ("a", "y", Conv()), ("d", "y", Zero()), ("b", "y", Identity()), ("c", "y", Conv()),
        x=IMAGE, y={"combine": "concat", "inputs": ("c", "d", "b", "a")},
    )  # fmt: skip
    left = pruned(SearchSpace(graph).resolve(()))
    assert sorted(left.edges) == [("a", "y"), ("c", "y"), ("x", "a"), ("x", "c")]
    assert next(iter(left)) == "x"
    assert dict(left.nodes(data="inputs")) == {"x": (), "a": ("x",), "c": ("x",), "y": ("c", "a")}
    assert (left.nodes["y"]["combine"], left.edges["c", "y"]["op"]) == ("concat", Conv())


def test_a_disconnected_network_has_a_key_of_its_own():
    dead = SearchSpace(graph_of(("x", "a", Zero()), ("a", "y", Conv()), x=IMAGE))
    assert not dead.is_connected(())
    assert dead.canonical(()) != image_key(("x", "a", Identity()), ("a", "y", Conv()))
    assert dead.canonical(()) == image_key(("x", "a", Conv()), ("a", "y", Zero()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Conv(), Conv(kernel=5)),
        (Conv(), Conv(order="conv-bn")),
        (Conv(), AvgPool()),
        (AvgPool(), MaxPool()),
        (ReLU(), Identity()),
    ],
)
def test_operations_and_their_attributes_count(one, other):
    assert image_key(("x", "y", one)) != image_key(("x", "y", other))


def test_widths_count_where_an_operation_sets_them():
    space = SearchSpace(
        graph_of(
            ("x", "h", Choice("op", (Linear(), Zero()))),
            ("h", "y", Linear()),
            x=VECTOR,
            h={"width": Choice("w", (3, 5))},
            y={"width": 2},
        ),
        order=["op", "w"],
    )
    assert space.canonical((0, 0)) != space.canonical((0, 1))
    assert space.canonical((1, 0)) == space.canonical((1, 1))  # nothing arrives, whatever its width


CONCATENATED = {"combine": "concat"}
INTO_BOTH = (("x", "a", Conv()), ("x", "b", Conv(kernel=1)), ("a", "y", Identity()), ("b", "y", Identity()))


def test_concatenations_are_unordered_and_not_sums():
    swapped = (INTO_BOTH[1], INTO_BOTH[0], INTO_BOTH[3], INTO_BOTH[2])
    assert image_key(*INTO_BOTH, y=CONCATENATED) == image_key(*swapped, y=CONCATENATED)
    assert image_key(*INTO_BOTH, y=CONCATENATED) != image_key(*INTO_BOTH)


def test_a_zero_in_a_concatenation_leaves_a_part():
    three = (*INTO_BOTH, ("x", "c", Zero()), ("c", "y", Identity()))
    assert image_key(*three, y=CONCATENATED) != image_key(*INTO_BOTH, y=CONCATENATED)
    nothing = [(u, v, Zero()) for u, v, _ in INTO_BOTH]
    assert not SearchSpace(graph_of(*nothing, x=IMAGE, y=CONCATENATED)).is_connected(())


def test_concatenated_parts_may_be_one_tensor():
    twice = (("x", "a", Conv()), ("a", "b", Identity()), ("a", "y", Identity()), ("b", "y", Identity()))
    copies = (("x", "a", Conv()), ("x", "b", Conv()), ("a", "y", Identity()), ("b", "y", Identity()))
    assert image_key(*twice, y=CONCATENATED) != image_key(*copies, y=CONCATENATED)


def test_inputs_are_told_apart():
    def merged(first, second) -> str:
        edges = (("x", "a", first), ("z", "a", second), ("a", "y", Conv()))
        return key(graph_of(*edges, x=IMAGE, z=IMAGE))

    assert merged(Conv(), AvgPool()) != merged(AvgPool(), Conv())


@pytest.mark.parametrize("name", TOYS)
def test_keys_of_the_toy_spaces_are_those_of_their_resolved_graphs(name):
    space = TOYS[name]()
    by_key: dict[str, nx.DiGraph] = {}
    for architecture in itertools.islice(space.architectures(), 60):
        by_key.setdefault(space.canonical(architecture), space.resolve(architecture))
        assert key(space.resolve(architecture)) == space.canonical(architecture)
    if name not in ("widths", "depth"):  # their labels carry widths, which flow() does not
        assert not any(isomorphic(a, b) for a, b in itertools.combinations(list(by_key.values())[:12], 2))
