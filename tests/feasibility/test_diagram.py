"""Exact sums over the feasible architectures, against sums over a list of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from toy_spaces import two_inputs

import naslab
from naslab.errors import InvalidValue, UnknownMetric, UnknownName
from naslab.feasibility import Diagram, Feasibility
from naslab.feasibility.diagram_building import Additive, TooLarge, build_diagram, least_sum
from naslab.space import Factor

CRITEO = naslab.search_space("mlp", in_features=1027, out_features=1, depth=3)
CRITEO_LIMIT = 41_153  # TabNAS: the parameters of 32-144-24


def policy(space, seed: int, scale: float = 1.5):
    rng = np.random.default_rng(seed)
    return [scale * rng.standard_normal(size) for size in space.sizes]


def brute_force(space, limits, logits):
    """Feasible rows, their probabilities and the policy's: written out, one architecture at a time."""
    p = [np.exp(each) / np.exp(each).sum() for each in logits]
    rows = [a for a in space.architectures() if all(getattr(space.cost(a), m) <= top for m, top in limits.items())]
    weights = np.array([np.prod([each[option] for each, option in zip(p, a, strict=True)]) for a in rows])
    return rows, weights, p


def check_against_brute_force(space, limits, logits, feasible: Feasibility) -> None:
    rows, weights, p = brute_force(space, limits, logits)
    total = weights.sum()
    assert np.exp(feasible.log_probability(logits)) == pytest.approx(total, rel=1e-12)
    posterior = weights / total
    for choice, (found, each) in enumerate(zip(feasible.marginals(logits), p, strict=True)):
        by_hand = np.bincount([a[choice] for a in rows], posterior, len(each))
        np.testing.assert_allclose(found, by_hand, rtol=0, atol=1e-12)
        np.testing.assert_allclose(feasible.gradient(logits)[choice], by_hand - each, rtol=0, atol=1e-12)
    assert feasible.entropy(logits) == pytest.approx(-(posterior * np.log(posterior)).sum(), abs=1e-11)
    top = feasible.top(logits, 20)
    order = sorted(range(len(rows)), key=lambda i: (-weights[i], rows[i]))
    assert [weights[rows.index(a)] for a in top] == pytest.approx([weights[i] for i in order[:20]], rel=1e-12)
    assert len(set(top)) == min(20, len(rows))
    assert feasible.most_probable(logits) == top[0]


@pytest.mark.parametrize("seed", range(3))
def test_on_the_smallest_space_of_tabnas(seed):
    feasible = Feasibility(CRITEO, {"params": CRITEO_LIMIT})
    assert feasible.backend == "exact"
    check_against_brute_force(CRITEO, {"params": CRITEO_LIMIT}, policy(CRITEO, seed), feasible)


def test_the_fractions_that_the_blueprint_states():
    """Uniform shares of feasible networks at the limits of TabNAS."""
    spaces = {
        (1027, 1, 3, 41_153): 0.107,
        (1027, 1, 5, 75_353): 0.106,
        (180, 10, 4, 27_882): 0.106,
        (128, 1000, 4, 64_568): 0.082,
    }
    for (inputs, outputs, depth, limit), share in spaces.items():
        space = naslab.search_space("mlp", in_features=inputs, out_features=outputs, depth=depth)
        assert Feasibility(space, {"params": limit}).fraction() == pytest.approx(share, abs=5e-4)


@settings(max_examples=50, deadline=None)
@given(
    widths=st.lists(st.lists(st.integers(1, 97), min_size=1, max_size=5, unique=True), min_size=1, max_size=4),
    inputs=st.integers(1, 30),
    share=st.floats(0.02, 1.0),
    seed=st.integers(0, 1000),
)
def test_on_spaces_with_irregular_widths(widths, inputs, share, seed):
    space = naslab.search_space("mlp", in_features=inputs, out_features=3, widths=widths)
    costs = sorted(space.cost(a).params for a in space.architectures())
    limits = {"params": costs[int(share * (len(costs) - 1))]}
    check_against_brute_force(space, limits, policy(space, seed), Feasibility(space, limits, "exact"))


@pytest.mark.parametrize("backend", ["exact", "enumerate"])
def test_several_limits_hold_at_once(backend):
    space = naslab.search_space("nasbench201", channels=4, cells_per_stage=1)
    costs = [space.cost(a) for a in space.architectures()]
    limits = {m: sorted(getattr(c, m) for c in costs)[8_000] for m in ("params", "activation_bytes")}
    alone = [Feasibility(space, {metric: top}).fraction() for metric, top in limits.items()]
    feasible = Feasibility(space, limits, backend)
    assert feasible.backend == backend
    assert feasible.fraction() < min(alone) - 0.01
    check_against_brute_force(space, limits, policy(space, 4), feasible)


def test_a_limit_on_a_maximum_binds_where_a_term_exceeds_it():
    space = naslab.search_space("mlp", in_features=20, out_features=3, widths=(8, 40, 200), depth=3)
    limit = {"peak_bytes": 4 * (40 + 200)}
    rows, _, _ = brute_force(space, limit, policy(space, 0))
    assert 0 < len(rows) < 27
    assert Feasibility(space, limit).fraction() == pytest.approx(len(rows) / 27)


def test_rules_of_a_space_are_kept():
    space = two_inputs()
    limit = {"params": sorted(space.cost(a).params for a in space.architectures())[space.size // 2]}
    check_against_brute_force(space, limit, policy(space, 2), Feasibility(space, limit))


def test_samples_follow_the_conditional_distribution():
    limits, logits = {"params": CRITEO_LIMIT}, policy(CRITEO, 5, scale=0.7)
    rows, weights, _ = brute_force(CRITEO, limits, logits)
    drawn = Feasibility(CRITEO, limits).sample(logits, np.random.default_rng(0), 50_000)
    counts = dict.fromkeys(rows, 0)
    for a in map(tuple, drawn.tolist()):
        counts[a] += 1  # a KeyError is an infeasible draw
    expected = weights / weights.sum() * len(drawn)
    often = expected >= 5
    observed = np.array(list(counts.values()), float)
    folded = np.append(observed[often], observed[~often].sum()), np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(*folded).pvalue > 1e-3


def test_a_fitted_cost_and_a_cost_with_loops():
    """Any sum of tables, also one whose choices form a cycle."""
    space = naslab.search_space("mlp", in_features=5, out_features=2, widths=(2, 3, 4), depth=4)
    rng = np.random.default_rng(3)
    scopes = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), ()]
    factors = [Factor(scope, rng.random([3] * len(scope))) for scope in scopes]
    cost = {a: sum(f.table[tuple(a[i] for i in f.scope)] for f in factors) for a in space.architectures()}
    limit = float(np.median(list(cost.values())))
    feasible = Feasibility(space, {"milliseconds": limit}, additive={"milliseconds": factors})
    assert feasible.backend == "exact"
    rows = [a for a, c in cost.items() if c <= limit]
    assert feasible.fraction() == pytest.approx(len(rows) / len(cost))
    assert set(feasible.top([np.zeros(3)] * 4, 1000)) == set(rows)
    with pytest.raises(UnknownMetric, match=r"Did you mean 'milliseconds'\?"):
        Feasibility(space, {"miliseconds": limit}, additive={"milliseconds": factors})


def test_bounds_are_bounds_and_draws_stay_exact():
    space = naslab.search_space("mlp", in_features=100, out_features=10, depth=10)
    feasible = Feasibility(space, {"params": 300_000})
    assert feasible.backend == "bounds"
    for seed in range(3):
        low, high = np.exp(feasible.bracket(policy(space, seed, 1.0)))
        assert low < high < 1.005 * low
        assert low <= np.exp(feasible.log_probability(policy(space, seed, 1.0))) <= high
    uniform = [np.zeros(20)] * 10
    draws = space_draws(space, 20_000)
    share = feasible.is_feasible(draws).mean()
    assert share == pytest.approx(feasible.fraction(), abs=4 * np.sqrt(share * (1 - share) / len(draws)) + 0.002)
    assert feasible.is_feasible(feasible.sample(uniform, np.random.default_rng(0), 500)).all()
    peaked = policy(space, 9, 3.0)
    assert feasible.is_feasible(feasible.top(peaked, 50)).all()
    with pytest.raises(InvalidValue, match=r"Fix: backend='bounds'"):
        Feasibility(space, {"params": 300_000}, "exact")


def test_loose_bounds_give_their_middle_and_exact_draws(monkeypatch):
    monkeypatch.setattr("naslab.feasibility.feasibility.BOUNDS_NODES", 50)
    monkeypatch.setattr("naslab.feasibility.feasibility.TRIES", 500)  # in a row: successes begin anew
    space = naslab.search_space("mlp", in_features=7, out_features=2, widths=tuple(range(2, 22)), depth=4)
    loose, exact = (Feasibility(space, {"params": 900}, backend) for backend in ("bounds", "exact"))
    logits = policy(space, 0, 0.5)
    low, high = loose.bracket(logits)
    assert low < exact.log_probability(logits) < high
    assert np.exp(loose.log_probability(logits)) == pytest.approx((np.exp(low) + np.exp(high)) / 2)
    drawn = loose.sample(logits, np.random.default_rng(0), 4000)
    assert loose.is_feasible(drawn).all()
    for column, share in zip(drawn.T, exact.marginals(logits), strict=True):
        assert stats.chisquare(np.bincount(column, minlength=20), 4000 * share).pvalue > 1e-3


def test_what_is_too_large_to_enumerate_is_refused():
    space = naslab.search_space("mlp", in_features=7, out_features=2, widths=range(1, 60), depth=3)
    with pytest.raises(InvalidValue, match=r"205,379 architectures are too many to enumerate\. Allowed: 200,000"):
        Feasibility(space, {"params": 900}, "enumerate")


def space_draws(space, count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([rng.integers(size, size=count) for size in space.sizes], axis=1)


@pytest.mark.parametrize("merge", ["superset", "subset"])
def test_merged_diagrams_enclose_the_exact_one(merge):
    space = naslab.search_space("mlp", in_features=7, out_features=2, widths=tuple(range(2, 22)), depth=4)
    limit = Additive(tuple((f.scope, f.table) for f in space.cost_model.factors["params"]), 900)
    exact = build_diagram(space.sizes, [limit])
    with pytest.raises(TooLarge):
        build_diagram(space.sizes, [limit], max_nodes=50)
    merged = build_diagram(space.sizes, [limit], max_nodes=50, merge=merge)
    assert merged.nodes < exact.nodes
    inside, outside = paths_of(exact), paths_of(merged)
    assert inside <= outside if merge == "superset" else outside <= inside
    assert outside != inside


def paths_of(diagram: Diagram) -> set[tuple[int, ...]]:
    size = diagram.layers[0].targets.shape[1]
    found = {a for a, _ in diagram.best([np.full(size, 1 / size)] * len(diagram.layers))}
    assert len(found) == diagram.paths
    return found


def test_an_unlikely_feasible_set_does_not_underflow():
    space = naslab.search_space("mlp", in_features=4, out_features=2, widths=(1, 1000), depth=8)
    feasible = Feasibility(space, {"params": space.cost((0,) * 8).params})
    logits = [np.array([-200.0, 200.0])] * 8
    assert feasible.log_probability(logits) == pytest.approx(-3200.0)
    assert all(m.tolist() == [1.0, 0.0] for m in feasible.marginals(logits))
    assert feasible.sample(logits, np.random.default_rng(0)).tolist() == [[0] * 8]


def test_what_can_not_be_met_names_the_smallest():
    with pytest.raises(
        InvalidValue, match=r"no architecture of 'mlp' has params <= 100; the smallest there is: params=8,"
    ):
        Feasibility(CRITEO, {"params": 100})
    with pytest.raises(UnknownName, match=r"'exakt'\. Did you mean 'exact'"):
        Feasibility(CRITEO, {"params": 100}, "exakt")  # type: ignore[arg-type]


def test_least_sum_is_the_smallest_of_all():
    rng = np.random.default_rng(0)
    sizes = (3, 4, 2, 5)
    terms = tuple(
        (scope, rng.integers(100, size=[sizes[i] for i in scope])) for scope in [(0, 1), (1, 3), (2, 3), (0,)]
    )
    every = itertools.product(*map(range, sizes))
    assert least_sum(sizes, Additive(terms, 0)) == min(sum(t[tuple(a[i] for i in s)] for s, t in terms) for a in every)


@pytest.mark.parametrize("backend", ["exact", "bounds", "enumerate"])
def test_a_policy_that_excludes_all_that_is_feasible(backend):
    """Probabilities that are exactly zero: nothing can be drawn, which is said in one line."""
    space = naslab.search_space("mlp", in_features=4, out_features=2, widths=(1, 1000), depth=2)
    logits = [np.array([-1e4, 0.0])] * 2
    feasible = Feasibility(space, {"params": space.cost((0, 0)).params}, backend)
    assert feasible.log_probability(logits) == -np.inf
    assert [each.tolist() for each in feasible.marginals(logits)] == [[0.0, 0.0]] * 2
    assert feasible.top(logits, 3) == []
    for asked in (feasible.most_probable, lambda logits: feasible.sample(logits, np.random.default_rng(0))):
        with pytest.raises(InvalidValue, match="every feasible architecture has the probability 0 under this policy"):
            asked(logits)


def test_monte_carlo_says_that_it_drew_nothing():
    space = naslab.search_space("mlp", in_features=4, out_features=2, widths=(1, 1000), depth=2)
    feasible = Feasibility(space, {"params": space.cost((0, 0)).params}, "monte-carlo")
    with pytest.raises(InvalidValue, match=r"none of the draws is feasible\. Fix: backend='exact'"):
        feasible.most_probable([np.array([-30.0, 0.0])] * 2)
