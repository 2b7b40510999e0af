"""NAS-Bench-1Shot1's sub-spaces: how the published counts arise, and a cell written by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from compiled import (
    assert_costs_are_those_of_modules,
    assert_mixtures_train,
    assert_paths_run_as_extracted,
    batch,
    close,
    shaken,
)
from torch import nn
from torch.nn import functional
from toy_spaces import looks_uniform

import naslab
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.search_spaces.nasbench1shot1 import nasbench1shot1
from naslab.testing import check_search_space

# Zela et al. 2020, table 1: parents of block 1, 2, ... and of the output.
PARENTS = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
PUBLISHED = {1: 6_240, 2: 29_160, 3: 363_648}
PUBLISHED_WITHOUT_LOOSE_ENDS = {1: 2_487, 2: 3_609, 3: 24_066}
EXAMPLES = {
    1: "conv3x3-bn-relu:0|maxpool3x3:0,1|conv1x1-bn-relu:1,2|conv3x3-bn-relu:0,3|output:0,4",
    2: "conv3x3-bn-relu:0|maxpool3x3:1|conv1x1-bn-relu:0,2|conv3x3-bn-relu:2,3|output:1,3,4",
    3: "conv3x3-bn-relu:0|maxpool3x3:0|conv1x1-bn-relu:2|conv3x3-bn-relu:0,3|conv1x1-bn-relu:1,2|output:3,5",
}
SUB_SPACES = tuple(PARENTS)


@pytest.fixture(scope="module", params=SUB_SPACES)
def small(request):
    return nasbench1shot1(request.param, 5, (2, 5, 6), channels=2, cells_per_stack=1)


def samples(space, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


# ---- counts ------------------------------------------------------------------------------------------------------


def patterns(sub_space: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The parents of every node, in every way."""
    counts = PARENTS[sub_space]
    return itertools.product(*(itertools.combinations(range(v), k) for v, k in enumerate(counts, start=1)))


def live_edges(pattern: tuple[tuple[int, ...], ...]) -> frozenset[tuple[int, int]]:
    """What the output depends on."""
    edges, stack = set(), [len(pattern)]
    while stack:
        v = stack.pop()
        new = {(u, v) for u in pattern[v - 1]} - edges
        edges |= new
        stack += [u for u, _ in new if u]
    return frozenset(edges)


def depth_first(sub_space: int) -> set[frozenset[tuple[int, int]]]:
    """What the publication's generator finds: it adds one parent after the other, goes to that parent at once, and
    stops at the first complete graph; a parent's own edges are lost when the next parent is visited.
    """
    counts = PARENTS[sub_space]

    def complete(edges: frozenset[tuple[int, int]]) -> bool:
        into, out_of = Counter(v for _, v in edges), {u for u, _ in edges}
        if any(number != counts[v - 1] for v, number in into.items()) or out_of <= {0} or 0 not in out_of:
            return False
        return len(into) == len(out_of)

    def visit(edges: frozenset[tuple[int, int]], v: int) -> Iterator[frozenset[tuple[int, int]]]:
        if complete(edges):
            yield edges
        elif v:
            free = [u for u in range(v) if (u, v) not in edges]
            missing = counts[v - 1] - (v - len(free)) if v > 1 else 1
            for chosen in itertools.combinations(free if v > 1 else [0], max(missing, 0)):
                grown = edges
                for u in chosen:
                    grown |= {(u, v)}
                    yield from visit(grown, u)

    return set(visit(frozenset(), len(counts)))


@pytest.mark.parametrize("sub_space", SUB_SPACES)
def test_an_architecture_is_a_set_of_parents_per_node_and_an_operation_per_block(sub_space):
    space = naslab.search_space("nasbench1shot1", sub_space=sub_space)
    counts = PARENTS[sub_space]
    assert space.size == sum(3 ** (len(counts) - 1) for _ in patterns(sub_space))
    assert space.size == math.prod(math.comb(v, k) for v, k in enumerate(counts, start=1)) * 3 ** (len(counts) - 1)


def test_the_published_counts_are_operations_of_blocks_that_are_read_in_two_of_three_sub_spaces():
    read = {n: sum(3 ** len({u for s in p for u in s if u}) for p in patterns(n)) for n in SUB_SPACES}
    assert (read[1], read[3]) == (PUBLISHED[1], PUBLISHED[3])
    assert read[2] == 16_632 != PUBLISHED[2] == nasbench1shot1(2).size


def test_so_says_the_space_itself():
    distinct = set()
    for architecture in (space := nasbench1shot1(1, cells_per_stack=1)).architectures():
        *blocks, output = cell_of(space.to_string(architecture))
        read = {u for _, parents in [*blocks, output] for u in parents.split(",")}
        kept = [(op if str(i) in read else "any", parents) for i, (op, parents) in enumerate(blocks, start=1)]
        distinct.add((*kept, *output))
    assert len(distinct) == PUBLISHED[1]


def test_without_loose_ends_there_are_more_than_published():
    found = {n: {live_edges(pattern) for pattern in patterns(n)} for n in SUB_SPACES}
    assert {n: len(graphs) for n, graphs in found.items()} == {1: 66, 2: 190, 3: 876}
    totals = {n: sum(3 ** (len({v for _, v in g}) - 1) for g in graphs) for n, graphs in found.items()}
    assert totals == {1: 3_702, 2: 12_474, 3: 135_900}
    listed = {n: depth_first(n) for n in SUB_SPACES}
    assert all(listed[n] < found[n] for n in SUB_SPACES)
    totals = {n: sum(3 ** (len({v for _, v in g}) - 1) for g in graphs) for n, graphs in listed.items()}
    assert totals == PUBLISHED_WITHOUT_LOOSE_ENDS


@pytest.mark.parametrize("sub_space", [0, 4, "1"])
def test_there_are_three_sub_spaces(sub_space):
    with pytest.raises(InvalidValue, match="allowed: 1, 2, 3"):
        nasbench1shot1(sub_space)


# ---- sampling, moves, strings, keys --------------------------------------------------------------------------------


def test_samples_are_uniform(small):
    drawn = samples(small, 1500)
    for i, size in enumerate(small.sizes):
        assert looks_uniform([a[i] for a in drawn], list(range(size)))
    assert looks_uniform([(a[0], a[-1]) for a in drawn], list(itertools.product(range(3), range(small.sizes[-1]))))


def test_it_conforms(small):
    check_search_space(small, samples=10)


@pytest.mark.parametrize("sub_space", SUB_SPACES)
def test_a_string_says_what_its_cell_does(sub_space):
    space = nasbench1shot1(sub_space)
    string = EXAMPLES[sub_space]
    resolved = space.resolve(space.from_string(string))
    assert space.to_string(space.from_string(string)) == string
    kinds = {"maxpool3x3": "MaxPool(kernel=3", "conv1x1-bn-relu": "Conv(kernel=1", "conv3x3-bn-relu": "Conv(kernel=3"}
    cell = "stack2/cell2"
    for v, part in enumerate(string.split("|"), start=1):
        operation, _, parents = part.partition(":")
        if operation == "output":
            ends = [("stack2/cell1", cell), *((f"{cell}/block{u}", f"{cell}/blocks") for u in range(1, v))]
        else:
            ends = [(f"{cell}/block{u}" if u else "stack2/cell1", f"{cell}/sum{v}") for u in range(v)]
            op = resolved.edges[f"{cell}/sum{v}", f"{cell}/block{v}"]["op"]
            assert repr(op).startswith(kinds[operation])
        assert [str(u) for u, edge in enumerate(ends) if not resolved.edges[edge]["op"].is_zero] == parents.split(",")


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "is not a cell of this sub-space such as 'maxpool3x3:0|"),
        (EXAMPLES[3], "is not a cell of this sub-space"),
        (EXAMPLES[1].replace("output", "maxpool3x3"), "is not a cell of this sub-space"),
        (EXAMPLES[1].replace("conv1x1-bn", "conv5x5-bn"), "operation 'conv5x5-bn-relu'. Did you mean 'conv"),
        (EXAMPLES[1].replace("1,2", "2,1"), "block3 can't have the parents '2,1'; allowed: ['0,1', '0,2', '1,2']"),
        (EXAMPLES[1].replace("0,4", "4"), "output can't have the parents '4'"),
        (EXAMPLES[2], "block2 can't have the parents '1'; allowed: ['0,1']"),
    ],
)
def test_bad_strings_are_refused_in_one_line(string, said):
    with pytest.raises(InvalidArchitecture) as error:
        nasbench1shot1(1).from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_operation_of_a_block_that_nobody_reads_is_not_in_the_key():
    space = nasbench1shot1(1)
    unread = "{}:0|maxpool3x3:0,1|conv1x1-bn-relu:1,2|{}:0,3|output:0,3"

    def key(*ops: str) -> str:
        return space.canonical(space.from_string(unread.format(*ops)))

    assert key("maxpool3x3", "maxpool3x3") == key("maxpool3x3", "conv3x3-bn-relu")
    assert key("maxpool3x3", "maxpool3x3") != key("conv3x3-bn-relu", "maxpool3x3")


# ---- networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub_space", SUB_SPACES)
def test_a_network_computes_what_one_written_by_hand_does(sub_space):
    space = nasbench1shot1(sub_space, 5, (2, 7, 6), channels=3, cells_per_stack=2)
    network = shaken(naslab.compile_network(space, space.from_string(EXAMPLES[sub_space]))).eval()
    part, present = network.get_submodule, dict(network.named_modules())
    *blocks, output = [(op, [int(u) for u in us.split(",")]) for op, us in cell_of(EXAMPLES[sub_space])]
    name, x = "stem", part("image->stem")(batch(space))
    for stack, cell in itertools.product((1, 2, 3), (1, 2)):
        if cell == 1 and stack > 1:  # maxima of 2x2 pixels; an odd last row or column has windows of its own
            name, x = f"pooled{stack - 1}", functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-math.inf), 2)
        here, states = f"stack{stack}/cell{cell}", {}
        for v, (operation, parents) in enumerate(blocks, start=1):
            edge = f"{here}/sum{v}->{here}/block{v}"
            if edge not in present:
                continue  # no node reads it
            assert isinstance(part(edge), nn.MaxPool2d) == (operation == "maxpool3x3")
            states[v] = part(edge)(sum(states[u] if u else part(f"{name}->{here}/sum{v}")(x) for u in parents))
            assert states[v].shape[1] == 3 * 2 ** (stack - 1)
        zeros = torch.zeros_like(states[max(states)])
        joined = torch.cat([states[v] if v in output[1] else zeros for v in range(1, len(blocks) + 1)], 1)
        name, x = here, joined + part(f"{name}->{here}")(x) if 0 in output[1] else joined
    close(network(batch(space)), part("last->logits")(part(f"{name}->last")(x)))


def cell_of(string: str) -> list[tuple[str, str]]:
    return [(op, parents) for op, _, parents in (part.partition(":") for part in string.split("|"))]


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 4))


def test_a_path_of_the_supernet_is_the_network_taken_from_it(small):
    assert_paths_run_as_extracted(small, samples(small, 4))


def test_the_mixture_of_all_architectures_trains(small):
    gradients = assert_mixtures_train(small)
    assert all(gradient.abs().min() > 0 for gradient in gradients.values())
