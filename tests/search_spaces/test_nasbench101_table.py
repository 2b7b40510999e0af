"""NAS-Bench-101 against its published hashes and parameters, and a search on its table."""

from __future__ import annotations

import bisect
import csv
import gzip
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from published_cells import CELLS, WIDTHS, concatenated, numberings, stated, written

import naslab
from naslab.evaluators import Evaluation, Evaluator
from naslab.search_spaces.nasbench101 import nasbench101
from naslab.search_spaces.nasbench101_cell import Cell, channels
from naslab.search_spaces.nasbench101_matrices import full_matrices, renumbered, unique_cells


@pytest.fixture(scope="module")
def space():
    return nasbench101()


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> list[str]:
    """The shared table: a cell, its parameters in millions and its mean test accuracy, in the order of the hash."""
    with gzip.open(shared_data / "nasbench101.csv.gz", "rt") as file:
        header, *found = file.read().splitlines()
    assert header == "vertices,edges,operations,params_M,test108"
    return found


def cell_in(line: str) -> Cell:
    return stated(*line.split(",")[1:3])


def test_the_published_hashes_are_found(lines, shared_data):
    with gzip.open(shared_data / "nasbench101_hashes.csv.gz", "rt") as file:
        published = [(int(line["row"]), line["hash"]) for line in csv.DictReader(file)]
    assert len(published) == 2000
    assert [cell_in(lines[row]).official_hash for row, _ in published] == [each for _, each in published]


def test_cells_of_up_to_five_vertices_are_enumerated_once(space):
    found = list(itertools.islice(space.representatives(), 1 + 6 + 84 + 2_441))
    vertices = [len(space.spec(a)[1]) for a in found]
    assert [vertices.count(n) for n in range(2, 8)] == [1, 6, 84, 2_441, 0, 0]
    assert len({space.official_key(a) for a in found}) == len(found)


# ---- parameters ----------------------------------------------------------------------------------------------------


def params_of(cell: Cell) -> int:
    """Parameters of the published network (CIFAR-10), added up by hand."""
    kernels = [{"conv3x3-bn-relu": 9, "conv1x1-bn-relu": 1, "maxpool3x3": 0}[name] for name in cell.operations]
    total, before = 9 * 3 * 128 + 2 * 128, 128
    for width in WIDTHS:
        own = channels(cell.edges, cell.last, width)
        projected = sum(own[v] for u, v in cell.edges if u == 0)
        inside = sum(k * c * c + 2 * c for k, c in zip(kernels, own[1:-1], strict=True) if k)
        total += (before + 2 * width) * projected + 3 * (2 * projected + inside)
        before = width
    return total + 512 * 10 + 10


def has_parameters_in(line: str, params: int) -> bool:
    """Whether the table has this number; if not, it must have that of the same cell in another order."""
    cell, published = cell_in(line), round(float(line.split(",")[3]) * 1e6)
    if params == published:
        return True
    assert concatenated(cell) == 3
    assert published in {params_of(other) for other in numberings(cell)}
    return False


def test_parameters_are_those_of_the_table(space, lines):
    """Where the output concatenates three vertices the table may hold another order than the one that was trained."""
    equal = 0
    for line in random.Random(0).sample(lines, 120):
        cell = cell_in(line)
        cost = space.cost(space.from_string(written(cell)))
        assert cost.params == params_of(cell)
        equal += has_parameters_in(line, cost.params)
    assert 110 < equal < 120


@pytest.mark.slow
def test_parameters_of_all_cells_are_those_of_the_table(lines):
    equal = sum(has_parameters_in(line, params_of(cell_in(line))) for line in lines)
    assert (equal, len(lines)) == (CELLS - 7_796, CELLS)


@pytest.mark.slow
def test_there_are_423624_cells_and_the_table_lists_them_by_their_hash(lines):
    hashes = sorted(cell.official_hash for cell in unique_cells())
    assert len(set(hashes)) == len(hashes) == CELLS
    assert [cell_in(line).official_hash for line in lines] == hashes


@pytest.mark.slow
def test_channels_make_535558_networks_of_the_cells():
    """Isomorphism classes of all numberings of all cells, as before and with the channels of every vertex."""
    cells = networks = 0
    for vertices in range(2, 8):
        codes, inner = full_matrices(vertices), vertices - 2
        orders = list(itertools.permutations(range(1, vertices - 1)))
        edges = tuple(itertools.combinations(range(vertices), 2))
        shares = np.zeros((len(codes), inner), np.int64)
        for row, code in enumerate(codes.tolist()):
            own = tuple(edge for i, edge in enumerate(reversed(edges)) if code >> i & 1)[::-1]
            total = [sum(each) for each in zip(*(channels(own, vertices - 1, w) for w in WIDTHS), strict=True)]
            shares[row] = [sorted(set(total)).index(each) for each in total[1:-1]]
        labels = np.array(list(itertools.product(range(3), repeat=inner)), np.int64)
        weights = 3 ** np.arange(inner)
        for colours in (np.zeros_like(shares), shares):
            forms = np.stack([renumbered(codes, vertices, order) for order in orders]) << 15
            for i, order in enumerate(orders):
                forms[i] += (colours << 3 * (np.array(order, np.int64) - 1)).sum(axis=1)
            own, least = forms[orders.index(tuple(range(1, vertices - 1)))], forms.min(axis=0)
            classes = 0
            for column in np.unique(least, return_index=True)[1]:
                same = [orders[i] for i in np.flatnonzero(forms[:, column] == own[column])]
                classes += len(np.unique(np.min([labels[:, np.array(o, int) - 1] @ weights for o in same], axis=0)))
            cells, networks = (cells, networks + classes) if colours is shares else (cells + classes, networks)
    assert (cells, networks) == (CELLS, 535_558)


# ---- a search on the table -----------------------------------------------------------------------------------------


class Recorded(Evaluator):
    """The mean *test* accuracy of the shared table, which has no other: for tests, not for comparisons.

    Rows are in the order of the published hash, so that a cell is found by halving.
    """

    def __init__(self, space, lines):
        self.space, self.lines = space, lines

    def evaluate(self, architecture, *, fidelity=None, rng):
        key = self.space.official_key(architecture)
        line = self.lines[bisect.bisect_left(self.lines, key, key=lambda line: cell_in(line).official_hash)]
        assert cell_in(line).official_hash == key
        return Evaluation(float(line.split(",")[4]) * 100, 1.0)


def test_every_architecture_is_in_the_table_and_searches_find_good_ones(space, lines):
    recorded = Recorded(space, lines)
    task = naslab.Task("nasbench101/test", naslab.Problem(space), lambda: recorded, recorded, unit="%")
    accuracies = np.sort([float(line.split(",")[4]) * 100 for line in lines])
    for name in ("random", "regularized-evolution"):
        result = naslab.search(task, name, budget=60, seed=1)
        assert result.truth == max(step.evaluation.score for step in result.trace.steps)
        assert np.searchsorted(accuracies, result.truth) > 0.97 * CELLS
    limited = task.constrained(naslab.Constraint.parse({"params": 2e6}))
    result = naslab.search(limited, "local-search", budget=25, seed=0)
    assert space.cost(result.architecture).params <= 2e6
