"""Spaces of every kind: counting, drawing, moving, writing down, and being refused."""

from __future__ import annotations

import itertools
import json
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_spaces import IMAGE, TOYS, VECTOR, graph_of, looks_uniform, two_inputs

import naslab
from naslab import Choice, Rule, SearchSpace
from naslab.errors import InvalidArchitecture, InvalidSpace, UnknownHyperparameter, UnknownSearchSpace
from naslab.ops import AvgPool, Conv, Identity, Linear, MBConv, ReLU, Zero

SIZES = {
    "depth": 3,
    "two-choices": 6,
    "nested": (1 + 3 + 2) * 2,
    "widths": 6,
    "two-inputs": 4 * 12 * 24,
    "no-choice": 1,
}
SPACES = {name: build() for name, build in TOYS.items()}
SPACES["nasbench201"] = naslab.search_space("nasbench201")
SPACES["mlp"] = naslab.search_space("mlp", widths=(8, 16, 32), depth=4)

by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
by_toy = pytest.mark.parametrize("space", [SPACES[name] for name in TOYS], ids=TOYS.keys())
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=50, deadline=None, derandomize=True)


def drawn(space: SearchSpace, seed: int):
    return space.sample(np.random.default_rng(seed))


# ---- counting and drawing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_size_is_the_number_of_valid_architectures(name):
    space = SPACES[name]
    every = list(dict.fromkeys(a for a in map(space.normal, itertools.product(*map(range, space.sizes)))))
    every = [a for a in every if space.is_valid(a)]
    assert space.size == SIZES[name] == len(every)
    assert list(space.architectures()) == every


@by_toy
def test_samples_are_uniform(space):
    rng = np.random.default_rng(3)
    draws = [space.sample(rng, over="networks") for _ in range(max(200, 8 * space.size))]
    assert looks_uniform(draws, list(space.architectures()))


def test_samples_of_nasbench201_are_uniform():
    space, rng = SPACES["nasbench201"], np.random.default_rng(4)
    draws = [space.sample(rng) for _ in range(5 * space.size)]
    assert looks_uniform(draws, list(space.architectures()))


@pytest.fixture(scope="module")
def darts() -> SearchSpace:
    """Two cells of four nodes, eight options on each of the 14 edges: as large as DARTS."""
    ops = (Zero(), Identity(), AvgPool(), AvgPool(kernel=5), Conv(), Conv(kernel=5), Conv(kernel=1), Conv(kernel=7))
    return two_inputs(nodes=4, options=ops, cells=2)


def test_a_space_as_large_as_darts_is_counted_exactly(darts):
    assert darts.size == (1 * 3 * 6 * 10 * (7 * 7) ** 4) ** 2
    assert darts.size / 8**28 == pytest.approx(5.6e-8, rel=0.01)  # what rejection would accept


def test_a_space_as_large_as_darts_is_sampled_uniformly(darts):
    rng = np.random.default_rng(5)
    draws = [darts.sample(rng) for _ in range(1500)]
    assert all(darts.is_valid(a) for a in draws)
    names = [choice.name for choice in darts.choices]
    last = [i for i, name in enumerate(names) if name.endswith("->1/3")]
    pairs = [tuple(i for i in last if a[i]) for a in draws]
    assert looks_uniform(pairs, list(itertools.combinations(last, 2)))
    live = [option for a in draws for option in a if option]
    assert looks_uniform(live, list(range(1, 8)))


def test_the_first_of_a_large_space_with_rules_is_found_at_once(darts):
    first = list(itertools.islice(darts.architectures(), 3))
    assert first == sorted(first)
    assert all(darts.is_valid(a) for a in first)
    with pytest.raises(InvalidArchitecture, match="example: '0/in0->0/0="):
        darts.from_string("nonsense")


# ---- moving ------------------------------------------------------------------------------------------------------


def differing(one, other) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", sorted(SIZES))
def test_neighbors_are_valid_distinct_and_symmetric(name):
    space = SPACES[name]
    around = {a: space.neighbors(a) for a in space.architectures()}
    for architecture, neighbors in around.items():
        assert len(set(neighbors)) == len(neighbors)
        assert architecture not in neighbors
        assert all(map(space.is_valid, neighbors))
        assert space.conditions or all(architecture in around[n] for n in neighbors)
        if not space.rules and not space.conditions:
            every = [a for a in around if differing(a, architecture) == 1]
            assert sorted(neighbors) == sorted(every)
    assert nx.is_connected(nx.Graph({a: set(n) for a, n in around.items()}))  # every architecture can be reached


@pytest.mark.parametrize(
    ("allowed", "neighbors"),
    [
        ({(0, 0), (1, 1)}, {(0, 0): [(1, 1)], (1, 1): [(0, 0)]}),  # neither change is valid alone
        ({(0, 0), (0, 1), (1, 1)}, {(0, 0): [(0, 1)], (0, 1): [(1, 1), (0, 0)], (1, 1): [(0, 1)]}),  # one is
    ],
)
def test_two_choices_move_together_only_where_neither_may_move_alone(allowed, neighbors):
    first, second = (Choice(name, (Identity(), ReLU())) for name in "ab")
    graph = graph_of(("x", "h", first), ("h", "y", second), x=VECTOR)
    space = SearchSpace(graph, rules=[Rule(("a", "b"), frozenset(allowed))])
    assert {a: space.neighbors(a) for a in space.architectures()} == neighbors


@given(seed=seeds)
@settings(quick, max_examples=10)
def test_neighbors_are_symmetric_in_a_space_as_large_as_darts(darts, seed):
    architecture = drawn(darts, seed)
    neighbors = darts.neighbors(architecture)
    # 8 nodes: two kept edges with 6 other operations each; moving an input pairs each kept edge with each
    # other incoming edge and its 7 operations.
    assert len(neighbors) == 2 * sum(2 * 6 + 2 * 7 * (inputs - 2) for inputs in (2, 3, 4, 5))
    for neighbor in neighbors[:: max(1, len(neighbors) // 8)]:
        assert darts.is_valid(neighbor)
        assert differing(neighbor, architecture) in (1, 2)
        assert architecture in darts.neighbors(neighbor)


@by_space
def test_mutate_is_uniform_over_the_neighbors(space):
    rng = np.random.default_rng(6)
    for _ in range(3):
        architecture = space.sample(rng)
        neighbors = space.neighbors(architecture)
        draws = [space.mutate(architecture, rng) for _ in range(30 * len(neighbors))]
        assert not neighbors or looks_uniform(draws, neighbors)


def test_without_neighbors_mutate_stays():
    space = SPACES["no-choice"]
    assert space.neighbors(()) == []
    assert space.mutate((), np.random.default_rng(0)) == ()


# ---- writing down ------------------------------------------------------------------------------------------------


@by_space
@given(seed=seeds)
@quick
def test_strings_json_and_one_hot_round_trip(space, seed):
    architecture = drawn(space, seed)
    assert space.from_string(space.to_string(architecture)) == architecture
    assert space.architecture(json.loads(json.dumps(architecture))) == architecture
    assert space.architecture(np.array(architecture, dtype=int)) == architecture
    code = space.encode(architecture, "one-hot")
    assert code.dtype == np.float64
    blocks = np.split(code, np.cumsum(space.sizes))[: len(space.sizes)]
    active = space.conditions.active(architecture)
    assert [list(block).count(1) for block in blocks] == [int(on) for on in active]
    assert tuple(int(block.argmax()) for block in blocks) == architecture


@pytest.mark.parametrize(
    ("name", "architecture", "string"),
    [
        ("two-choices", (1, 0), "kernel=5;expansion=3"),
        ("widths", (0, 2), "shared=2;other=5"),
        ("depth", (2,), "depth=2"),  # two options print alike, so options are numbered
        ("nested", (1, 2, 0, 1), "op=conv;kernel=5;last=conv"),  # what is not active is left out
        ("nested", (2, 0, 1, 0), "op=mbconv;expansion=4;last=identity"),
        ("no-choice", (), ""),
    ],
)
def test_default_notation(name, architecture, string):
    assert SPACES[name].to_string(architecture) == string
    assert SPACES[name].from_string(string) == architecture


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "lacks choice 'kernel'; example: 'kernel=3;expansion=3'"),
        ("kernel=5", "lacks choice 'expansion'"),
        ("kernel=4;expansion=3", "choice 'kernel' has no option '4'. Known: 3, 5, 7."),
        ("kernel=;expansion=3", "choice 'kernel' has no option ''"),
        ("kernel=5;expansion=3;depth=1", "space 'two-choices' has no choice 'depth'"),
        ("kernel=5;expansion=3;", "space 'two-choices' has no choice ''"),
        ("kernel=5;kernel=3;expansion=3", "states a choice twice"),
    ],
)
def test_bad_strings_are_refused_in_one_line(string, said):
    with pytest.raises(InvalidArchitecture) as error:
        SPACES["two-choices"].from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


BAD_INDICES = [
    ((0,), "has 1 entries; space 'two-choices' has 2 choices"),
    ((0, 0, 0), "has 3 entries"),
    ((3, 0), "choice 'kernel' has options 0 to 2, not 3"),
    ((0, -1), "choice 'expansion' has options 0 to 1, not -1"),
]


@pytest.mark.parametrize(("options", "said"), BAD_INDICES)
@pytest.mark.parametrize(
    "use",
    [
        SearchSpace.architecture,
        SearchSpace.to_string,
        SearchSpace.resolve,
        SearchSpace.canonical,
        SearchSpace.is_connected,
        SearchSpace.decisions,
        lambda space, a: space.encode(a, "one-hot"),
        lambda space, a: space.encode(a, "path"),
        lambda space, a: space.encode(a, "adjacency"),
    ],
)
def test_bad_indices_are_refused_in_one_line(use, options, said):
    with pytest.raises(InvalidArchitecture) as error:
        use(SPACES["two-choices"], options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not SPACES["two-choices"].is_valid(options)


@pytest.mark.parametrize("options", [(0,), (3, 0), (0, -1)])
def test_the_cost_of_bad_indices_is_refused(options):
    with pytest.raises(InvalidArchitecture):
        SPACES["two-choices"].cost(options)


@pytest.mark.parametrize("options", [None, "ab", [0.5, 1], [None, 1], 7])
def test_what_is_no_list_of_numbers_is_refused(options):
    with pytest.raises(InvalidArchitecture, match="is not a list of 2 option numbers"):
        SPACES["two-choices"].architecture(options)


def test_a_broken_rule_is_named():
    space = SPACES["two-inputs"]
    none = (0,) * len(space.sizes)
    assert not space.is_valid(none)
    with pytest.raises(InvalidArchitecture, match="breaks the rule of space 'two-inputs' on 0/in0->0/0, 0/in1->0/0"):
        space.architecture(none)


# ---- deciding ----------------------------------------------------------------------------------------------------


def ops_of(name: str, architecture) -> list:
    return [op for _, _, op in SPACES[name].resolve(architecture).edges.data("op")]


@pytest.mark.parametrize(
    ("name", "architecture", "ops"),
    [
        ("depth", (0,), [Linear(), Identity(), Identity()]),
        ("depth", (1,), [Linear(), Linear(), Identity()]),
        ("depth", (2,), [Linear(), Linear(), Linear()]),
        ("two-choices", (2, 1), [MBConv(kernel=7, expansion=6)]),
        ("two-choices", (0, 0), [MBConv(kernel=3, expansion=3)]),
        ("nested", (0, 0, 0, 0), [Identity(), Identity()]),
        ("nested", (1, 2, 0, 1), [Conv(kernel=5), Conv()]),
        ("nested", (2, 0, 1, 0), [MBConv(expansion=4), Identity()]),
    ],
)
def test_tied_places_and_nested_options_resolve(name, architecture, ops):
    assert ops_of(name, architecture) == ops


def test_choices_are_listed_in_order_of_appearance_or_as_stated():
    assert [choice.name for choice in SPACES["nested"].choices] == ["op", "kernel", "expansion", "last"]
    stated = SearchSpace(SPACES["nested"].graph, order=["last", "expansion", "kernel", "op"])
    assert [choice.name for choice in stated.choices] == ["last", "expansion", "kernel", "op"]
    assert stated.sizes == (2, 2, 3, 3)
    assert stated.cost((1, 0, 2, 1)) == SPACES["nested"].cost((1, 2, 0, 1))


def test_widths_resolve():
    resolved = SPACES["widths"].resolve((1, 2))
    assert nx.get_node_attributes(resolved, "width") == {"a": 6, "b": 6, "c": 5, "y": 2}
    assert set(resolved.nodes["both"]["inputs"]) == {"c", "sum"}


def test_nodes_combine_in_the_order_stated():
    edges = [("x", "a", ReLU()), ("x", "b", ReLU()), ("a", "y", Identity()), ("b", "y", Identity())]
    for inputs in (("a", "b"), ("b", "a")):
        space = SearchSpace(graph_of(*edges, x=VECTOR, y={"combine": "concat", "inputs": inputs}))
        assert space.resolve(()).nodes["y"]["inputs"] == inputs


# ---- the space itself --------------------------------------------------------------------------------------------


@by_space
def test_spaces_survive_pickling(space):
    copy = pickle.loads(pickle.dumps(space))
    assert (copy.name, copy.size, copy.choices) == (space.name, space.size, space.choices)
    architecture = drawn(space, 7)
    assert drawn(copy, 7) == architecture
    assert copy.to_string(architecture) == space.to_string(architecture)
    assert copy.cost(architecture) == space.cost(architecture)
    assert copy.canonical(architecture) == space.canonical(architecture)
    assert copy.neighbors(architecture) == space.neighbors(architecture)
    assert nx.is_frozen(copy.graph)


def test_the_graph_is_a_frozen_copy():
    graph = graph_of(("x", "y", Linear()), x=VECTOR)
    space = SearchSpace(graph)
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        space.graph.add_edge("y", "z")
    graph.add_edge("y", "z", op=Linear())
    graph.nodes["x"]["shape"] = (100,)
    assert set(space.graph) == {"x", "y"}
    assert space.resolve(()).nodes["x"]["shape"] == (4,)
    resolved = space.resolve(())
    resolved.nodes["x"]["shape"] = (9,)
    assert space.graph.nodes["x"]["shape"] == (4,)


RELU_OR_NOT = Choice("c", (Identity(), ReLU()))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (
            graph_of(("x", "a", Identity()), ("a", "b", Identity()), ("b", "a", Identity()), x=VECTOR),
            ["cycle", "'a' -> 'b'"],
        ),
        (graph_of(("x", "a", None), x=VECTOR), ["edge 'x' -> 'a'", "no operation"]),
        (graph_of(("x", "a", "conv"), x=VECTOR), ["edge 'x' -> 'a'", "'conv' is not an operation"]),
        (graph_of(("x", "a", Linear), x=VECTOR), ["edge 'x' -> 'a'", "is not an operation"]),
        (
            graph_of(("x", "a", Choice("c", (Linear(), None))), x=VECTOR),
            ["edge 'x' -> 'a'", "None is not an operation", "'c' is option 1"],
        ),
        (
            graph_of(
                ("x", "a", Linear()),
                ("x", "b", Linear()),
                ("a", "y", Identity()),
                ("b", "y", Identity()),
                x=VECTOR,
                a={"width": 3},
                b={"width": Choice("w", (3, 5))},
            ),
            ["node 'y'", "(3,) from 'a'", "(5,) from 'b'", "'w' is option 1"],
        ),
        (
            graph_of(
                ("x", "a", Conv(stride=2)),
                ("x", "y", Identity()),
                ("a", "y", Identity()),
                x=IMAGE,
                y={"combine": "concat"},
            ),
            ["node 'y'", "(4, 4, 4) from 'a'", "(4, 8, 8)"],
        ),
        (
            graph_of(("x", "a", Choice("c", (Linear(), ReLU()))), x=VECTOR, a={"width": 3}),
            ["edge 'x' -> 'a'", "ReLU() keeps 4 features", "width 3", "'c' is option 1"],
        ),
        (graph_of(("x", "a", Linear()), x=VECTOR, a={"width": Choice("w", (3, 0))}), ["node 'a'", "width 0", "'w'"]),
        (graph_of(("x", "a", Linear()), x=VECTOR, a={"width": "8"}), ["node 'a'", "width '8'"]),
        (graph_of(("x", "a", Linear()), x={"shape": (0,)}), ["node 'x'", "shape (0,)"]),
        (graph_of(("x", "a", Linear()), x={"shape": ()}), ["node 'x'", "shape ()"]),
        (
            graph_of(
                ("x", "a", ReLU()),
                ("a", "y", Identity()),
                ("x", "y", Identity()),
                x=VECTOR,
                y={"combine": "concat", "width": 9},
            ),
            ["node 'y' states width 9", "8 features"],
        ),
        (
            graph_of(("x", "a", ReLU()), ("a", "y", Identity()), x=VECTOR, y={"combine": "concatenate"}),
            ["node 'y'", "combine='concatenate'"],
        ),
        (
            graph_of(("x", "a", RELU_OR_NOT), ("a", "b", Choice("c", (Identity(), ReLU(), Linear()))), x=VECTOR),
            ["choice 'c' has 2 options in one place and 3 at node 'b'"],
        ),
        (graph_of(("x", "a", Identity()), ("x", "b", Identity()), x=VECTOR), ["one output", "['a', 'b']"]),
        (nx.DiGraph(), ["one output"]),
        (graph_of(("x", "a", Identity())), ["node 'x'", "no shape"]),
        (
            graph_of(("x", "a", Conv(stride=Choice("s", (1, 2)))), ("x", "b", Conv()), ("a", "b", Conv()), x=IMAGE),
            ["node 'b'", "(4, 8, 8) from 'x', (4, 4, 4) from 'a' (where 's' is option 1)"],
        ),
        (graph_of(("x", "a", Linear()), x=VECTOR, a={"inputs": ("z",)}), ["node 'a' states inputs ['z']", "['x']"]),
        (graph_of(("x", "a", Choice("a=b", (Identity(), ReLU()))), x=VECTOR), ["choice 'a=b'", "'='"]),
    ],
)
def test_spaces_that_make_no_sense_are_refused_by_name(graph, said):
    with pytest.raises(InvalidSpace) as error:
        SearchSpace(graph)
    assert all(part in str(error.value) for part in said), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": ["d"]}, "stated order ['d'] does not list the decisions ['c']"),
        ({"order": ["c", "c"]}, "stated order"),
        ({"rules": [Rule(("d",), frozenset({(0,)}))]}, "a rule speaks of choice 'd'. Known: c."),
        ({"rules": [Rule(("c",), frozenset())]}, "leave no valid architecture"),
        ({"rules": [Rule(("c",), frozenset({(0,)})), Rule(("c",), frozenset({(1,)}))]}, "leave no valid architecture"),
        ({"rules": [Rule(("c",), frozenset({(2,)}))]}, "a rule on c names (2,); give one existing option"),
        ({"rules": [Rule(("c",), frozenset({(0, 1)}))]}, "a rule on c names (0, 1)"),
        ({"rules": [Rule(("c", "c"), frozenset({(0, 0)}))]}, "names a choice twice"),
    ],
)
def test_rules_and_orders_that_make_no_sense_are_refused(options, said):
    with pytest.raises(InvalidSpace) as error:
        SearchSpace(graph_of(("x", "a", RELU_OR_NOT), x=VECTOR), **options)
    assert said in str(error.value)


def test_a_choice_needs_options():
    with pytest.raises(InvalidSpace, match="choice 'c' has no options"):
        Choice("c", ())


def test_no_connection_fits_where_the_image_shrinks():
    op = Choice("op", (Zero(), Conv(stride=2)))
    space = SearchSpace(graph_of(("x", "a", op), ("a", "y", Conv()), x=IMAGE))
    assert space.cost((0,)).macs == 9 * 4 * 4 * 4 * 4
    assert space.cost((1,)).macs == 2 * 9 * 4 * 4 * 4 * 4


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UnknownSearchSpace, match="Did you mean 'nasbench201'"):
        naslab.search_space("nasbench-201")
    with pytest.raises(UnknownHyperparameter, match="Did you mean 'depth'"):
        naslab.search_space("mlp", depht=2)
