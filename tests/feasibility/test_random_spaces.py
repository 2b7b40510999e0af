"""Every back end against enumeration, on random spaces: rules, ties, one to three limits, negative and real costs."""

from __future__ import annotations

import itertools
import json

import networkx as nx
import numpy as np
import pytest

import naslab
from naslab.errors import InvalidValue
from naslab.feasibility import Feasibility, feasibility
from naslab.ops import Linear
from naslab.space import Choice, Factor, Rule, SearchSpace, at_least, at_most, at_most_in_a_row, exactly

SPACES, BLOCKS = 1000, 4


def random_space(rng):
    """A perceptron of one to four hidden layers, with up to two rules, some that count; None where nothing is left."""
    sizes = rng.integers(1, 5, size=rng.integers(1, 5)).tolist()
    graph = nx.DiGraph()
    graph.add_node("x", shape=(4,))
    before = "x"
    for i, size in enumerate(sizes):
        graph.add_node(f"h{i}", width=Choice(f"c{i}", tuple(range(1, size + 1))))
        graph.add_edge(before, f"h{i}", op=Linear())
        before = f"h{i}"
    rules = []
    for _ in range(rng.integers(0, 3)):
        scope = drawn_scope(rng, len(sizes), 3, least=1)
        if rng.random() < 0.4:
            kind = (at_least, at_most, at_most_in_a_row, exactly)[rng.integers(4)]
            read = rng.permutation(len(sizes))[: rng.integers(1, 5)]
            counted = [o for o in range(min(sizes[i] for i in read)) if rng.random() < 0.5]
            rules.append(kind(int(rng.integers(0, 3)), [f"c{i}" for i in read], counted))
            continue
        combinations = itertools.product(*(range(sizes[i]) for i in scope))
        allowed = frozenset(each for each in combinations if rng.random() < 0.7)
        if not allowed:
            return None
        rules.append(Rule(tuple(f"c{i}" for i in scope), allowed))
    try:
        return SearchSpace(graph, rules=rules)
    except naslab.NaslabError:
        return None


def drawn_scope(rng, choices, most, least=0):
    return tuple(sorted(rng.choice(choices, rng.integers(least, min(most, choices) + 1), replace=False).tolist()))


def random_costs(rng, sizes):
    """One to three sums of random tables."""
    kind = rng.integers(4)
    costs = {}
    for name in ("one", "two", "three")[: rng.integers(1, 4)]:
        factors = []
        for _ in range(rng.integers(1, 4)):
            scope = drawn_scope(rng, len(sizes), 2)
            shape = tuple(sizes[i] for i in scope)
            table = (rng.integers(0, 9, shape), rng.integers(-9, 9, shape), rng.normal(size=shape),
                     rng.integers(0, 2, shape) * 0.1)[kind]  # fmt: skip
            factors.append(Factor(scope, np.asarray(table)))
        costs[name] = factors
    return costs


def total(factors, architecture):
    return float(sum(factor.table[tuple(architecture[i] for i in factor.scope)] for factor in factors))


def random_limits(rng, costs, sizes):
    """Half of them the cost of an architecture: a tie."""
    limits = {}
    for name, factors in costs.items():
        values = [total(factors, a) for a in itertools.product(*map(range, sizes))]
        limits[name] = float(rng.choice(values)) if rng.random() < 0.5 else float(np.quantile(values, rng.random()))
    return limits


@pytest.mark.parametrize("nodes", [feasibility.BOUNDS_NODES, 2])
@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_back_end_knows_the_feasible_architectures(block, nodes, monkeypatch):
    monkeypatch.setattr(feasibility, "BOUNDS_NODES", nodes)  # few: nearly everything is merged
    monkeypatch.setattr(feasibility, "TRIES", 10_000)
    empty = 0
    for seed in range(block, SPACES if nodes > 2 else SPACES // 4, BLOCKS):
        rng = np.random.default_rng(seed)
        space = random_space(rng)
        if space is None:
            continue
        costs = random_costs(rng, space.sizes)
        limits = random_limits(rng, costs, space.sizes)
        within = {n: limits[n] + (1e-9 if costs[n][0].table.dtype.kind == "f" else 0) for n in costs}
        expected = [a for a in space.architectures() if all(total(costs[n], a) <= within[n] for n in costs)]
        uniform = [np.zeros(size) for size in space.sizes]
        for backend in ("exact", "enumerate", "bounds") if nodes > 2 else ("bounds",):
            if not expected:
                with pytest.raises(InvalidValue, match=r"no architecture of|none of"):
                    Feasibility(space, limits, backend, additive=costs)
                empty += 1
                continue
            found = Feasibility(space, limits, backend, additive=costs)
            assert sorted(found.top(uniform, 1000)) == sorted(expected), (seed, backend)
            drawn = set(map(tuple, found.sample(uniform, np.random.default_rng(0), 20).tolist()))
            assert drawn <= set(expected), (seed, backend)
            share = len(expected) / np.prod(space.sizes)
            low, high = np.exp(found.bracket(uniform))
            assert low - 1e-12 <= share <= high + 1e-12, (seed, backend)
            if nodes > 2:
                assert found.fraction() == pytest.approx(share, abs=1e-12), (seed, backend)
    assert empty >= 5  # infeasible ones are among them


@pytest.mark.parametrize("backend", ["auto", "exact", "bounds", "enumerate"])
def test_limits_that_can_be_met_one_by_one_alone_are_refused(backend, shared_data):
    case = json.loads((shared_data.parent / "cases" / "jointly_infeasible.json").read_text())
    options = {key: value for key, value in case["space"].items() if key != "name"}
    space = naslab.search_space(case["space"]["name"], **options)
    costs = {
        name: [Factor((i,), np.array(table)) for i, table in enumerate(tables)]
        for name, tables in case["additive"].items()
    }
    with pytest.raises(InvalidValue, match=r"the smallest there is: latency=0, energy=0, but not at once"):
        Feasibility(space, case["limits"], backend, additive=costs)
