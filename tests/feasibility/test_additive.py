"""Costs fitted as one table per choice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidValue
from naslab.feasibility import Feasibility, fit_additive
from naslab.tasks import Constraint

SIZES = (3, 2, 4)
ROWS = np.array(list(np.ndindex(SIZES)))


def sums(seed: int):
    rng = np.random.default_rng(seed)
    tables = [rng.random(n) for n in SIZES]
    return 5 + sum(table[column] for table, column in zip(tables, ROWS.T, strict=True))


def test_sums_are_found_exactly():
    values = sums(0)
    fit = fit_additive(SIZES, ROWS, values, np.random.default_rng(0))
    np.testing.assert_allclose(fit.values(ROWS), values, rtol=1e-12)
    assert fit.error < 1e-12
    assert fit.r2 == pytest.approx(1)
    assert [factor.scope for factor in fit.factors] == [(), (0,), (1,), (2,)]


def test_errors_are_those_on_measurements_left_out():
    rng = np.random.default_rng(1)
    rows = np.concatenate([ROWS] * 100)
    values = np.concatenate([sums(1)] * 100) + 0.1 * rng.standard_normal(2400)
    fit = fit_additive(SIZES, rows, values, rng)
    assert fit.error == pytest.approx(0.1, rel=0.06)
    assert fit.r2 == pytest.approx(1 - 0.01 / values.var(), abs=0.01)
    assert 0.3 < fit.maximum < 0.6


def test_a_fitted_cost_can_be_limited_without_enumeration():
    space = naslab.search_space("nasbench201")
    problem = naslab.task("nasbench201/cifar10").problem
    rows = np.array(list(space.architectures()))
    measured = [problem.cost("latency_seconds", tuple(row)) for row in rows.tolist()]
    fit = fit_additive(space.sizes, rows, measured, np.random.default_rng(0))
    assert 0.9 < fit.r2 < 1
    below, above = np.sort(fit.values(rows))[[7000, 7001]]
    limit = float(below + above) / 2  # at a cost itself, the order of its summands would decide
    problem = dataclasses.replace(
        problem, additive={"fitted": fit.factors}, constraint=Constraint.parse({"fitted": limit})
    )
    assert "fitted" in problem.costs
    feasible = problem.feasibility()
    assert feasible.backend == "exact"
    assert feasible.fraction() == pytest.approx((fit.values(rows) <= limit).mean())
    for row, value in list(zip(rows.tolist(), fit.values(rows), strict=True))[::500]:
        assert problem.cost("fitted", tuple(row)) == pytest.approx(value, rel=1e-12)
    assert isinstance(feasible, Feasibility)
    drawn = [problem.sample(np.random.default_rng(seed)) for seed in range(20)]
    assert all(problem.is_feasible(a) for a in drawn)


def test_too_few_or_infinite_measurements_are_refused():
    with pytest.raises(InvalidValue, match="5 measurements"):
        fit_additive(SIZES, ROWS[:5], sums(0)[:5], np.random.default_rng(0))
    with pytest.raises(InvalidValue, match="1 of them not finite"):
        fit_additive(SIZES, ROWS, [np.nan, *sums(0)[1:]], np.random.default_rng(0))
