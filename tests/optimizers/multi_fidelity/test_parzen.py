"""Densities over architectures."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import toy_spaces
from scipy import integrate, stats

import naslab
from naslab.ops import Linear
from naslab.optimizers.multi_fidelity.parzen import Parzen
from naslab.space import Architecture, Choice, Range, Recipe, SearchSpace

CELL = naslab.search_space("nasbench201")


def ranges(integer: bool) -> SearchSpace:
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("x", shape=(2,))
    graph.add_node("y", width=Choice("width", (1, 2)))
    graph.add_edge("x", "y", op=Linear())
    number = Range("number", 1, 40, log=True, integer=integer)
    recipe = Recipe(epochs=number, batch=8, learning_rate=0.1) if integer else Recipe(1, 8, learning_rate=number)
    return SearchSpace(graph, name="ranges", recipe=recipe)


@pytest.mark.parametrize(
    ("space", "n"),
    [
        (CELL, 7),
        (CELL, 1),
        (toy_spaces.depth(), 3),
        (toy_spaces.nested(), 4),
        (toy_spaces.deep(), 2),
        (ranges(True), 5),
    ],
)
def test_it_sums_to_one_over_the_normal_forms(space: SearchSpace, n: int) -> None:
    rng = np.random.default_rng(0)
    density = Parzen(space, [space.sample(rng) for _ in range(n)])
    assert math.fsum(density.density(list(space.architectures()))) == pytest.approx(1, abs=1e-12)


def test_it_integrates_to_one_over_a_range() -> None:
    space = ranges(False)
    (number,) = space.ranges
    density = Parzen(space, [(0, 2.0), (1, 39.0), (1, 40.0)])
    total = sum(
        integrate.quad(lambda u, o=o: density.density([(o, number.from_unit(u))])[0], 0, 1, limit=200)[0]
        for o in range(2)
    )
    assert total == pytest.approx(1, abs=1e-6)


def test_names_of_options_do_not_matter() -> None:
    """Every choice's options renamed by a permutation of its own."""
    rng = np.random.default_rng(1)
    rows = [CELL.sample(rng) for _ in range(9)]
    renamed = [rng.permutation(size) for size in CELL.sizes]
    asked = [CELL.sample(rng) for _ in range(50)]

    def rename(a: Architecture) -> Architecture:
        return tuple(int(names[option]) for names, option in zip(renamed, a, strict=True))

    one, other = Parzen(CELL, rows), Parzen(CELL, list(map(rename, rows)))
    np.testing.assert_allclose(one.bandwidths, other.bandwidths, rtol=1e-12)
    np.testing.assert_allclose(one.density(asked), other.density(list(map(rename, asked))), rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "differ"),
    [
        # The probability that two rows differ, with one row beside them that has every option in equal shares.
        ([0, 0, 0, 0], 1 - (4.2**2 + 4 * 0.2**2) / 25),
        ([0, 1, 0, 1], 1 - (2 * 2.2**2 + 3 * 0.2**2) / 25),
        ([0, 4, 0, 4], 1 - (2 * 2.2**2 + 3 * 0.2**2) / 25),  # whatever they are called
        ([0, 1, 2, 3], 1 - (4 * 1.2**2 + 0.2**2) / 25),
        ([2], 1 - (1.2**2 + 4 * 0.2**2) / 4),
    ],
)
def test_bandwidths_of_choices(column: list[int], differ: float) -> None:
    found = Parzen(CELL, [(option,) * 6 for option in column]).bandwidths
    assert found == pytest.approx([1.06 * math.sqrt(differ / 2) * (len(column) + 1) ** (-1 / 10)] * 6)


def test_bandwidths_of_ranges() -> None:
    """The deviation of the rows' places and a uniform row."""
    space = ranges(False)
    places = [0.2, 0.9, 0.4]
    density = Parzen(space, [(0, space.ranges[0].from_unit(place)) for place in places])
    fine = [*np.repeat(places, 10_000), *((np.arange(10_000) + 0.5) / 10_000)]
    assert density.bandwidths[1] == pytest.approx(1.06 * np.std(fine) * 4 ** (-1 / 6), rel=1e-6)


def test_kernels_count_the_options_of_the_space() -> None:
    """One row: what is not on it is spread over all five options, of which the data has one."""
    density = Parzen(CELL, [(2,) * 6])
    (width,) = set(density.bandwidths)
    values = density.density([(2,) * 6, (2, 2, 2, 2, 2, 0), (0, 2, 2, 2, 2, 1)])
    assert values == pytest.approx(
        [(1 - width) ** 6, (1 - width) ** 5 * width / 4, (1 - width) ** 4 * (width / 4) ** 2]
    )


def test_a_bandwidth_is_at_most_the_uniform_kernels() -> None:
    """Two rows that differ in two options have the bandwidth of the uniform kernel, or one near it."""
    space = naslab.search_space("mlp", in_features=2, out_features=2, widths=((1, 2), (1, 2)))
    density = Parzen(space, [(0, 0), (1, 1)])
    assert density.bandwidths.max() <= 1 / 2
    one = naslab.search_space("mlp", in_features=2, out_features=2, widths=((1,), (1, 2)))
    assert Parzen(one, [(0, 0)]).bandwidths[0] == 0
    assert Parzen(one, [(0, 0)]).density([(0, 0), (0, 1)]).sum() == pytest.approx(1)


@pytest.mark.parametrize("space", [toy_spaces.depth(), toy_spaces.nested(), ranges(True)])
def test_draws_follow_it(space: SearchSpace) -> None:
    rng = np.random.default_rng(2)
    density = Parzen(space, [space.sample(rng) for _ in range(3)])
    support = list(space.architectures())
    drawn = [density.draw(rng) for _ in range(4000)]
    expected = density.density(support) * len(drawn)
    found = np.array([drawn.count(a) for a in support])
    often = expected > 5
    together = [np.append(each[often], each[~often].sum()) for each in (found, expected)]
    kept = together[1] > 0
    assert stats.chisquare(together[0][kept], together[1][kept], sum_check=False).pvalue > 1e-3


def test_wider_draws_of_a_range_are_wider() -> None:
    density, rng = Parzen(ranges(False), [(0, 6.0), (0, 7.0), (0, 6.5)]), np.random.default_rng(3)
    spread = [np.std([density.draw(rng, widening)[1] for _ in range(300)]) for widening in (1.0, 3.0)]
    assert spread[1] > 2 * spread[0]
    assert all(1 <= density.draw(rng, 50.0)[1] <= 40 for _ in range(100))


def test_what_is_not_active_says_nothing() -> None:
    """A row without a convolution has the same density at every kernel of one."""
    space = toy_spaces.nested()
    density = Parzen(space, [space.first, space.first])
    op = [choice.name for choice in space.choices].index("op")
    for option, inside in ((1, 3), (2, 2)):
        found = density.density([a for a in space.architectures() if a[op] == option and not a[-1]])
        assert len(found) == inside
        assert found == pytest.approx([found[0]] * inside)
        rest = density.bandwidths[[op, -1]]
        assert found.sum() == pytest.approx(rest[0] / 2 * (1 - rest[1]))
