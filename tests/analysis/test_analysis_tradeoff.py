"""Fronts and hypervolumes: by hand, per run, and beside the exact front."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from toy_runs import comparison, info

from naslab.analysis import tradeoff
from naslab.analysis.data import ResultsData


def row(frame, optimizer):
    (found,) = (each for _, each in frame[frame["optimizer"] == optimizer].iterrows())
    return found


def test_pareto_front_by_hand():
    scores, costs = np.array([1.0, 3, 2, 3, 3]), np.array([1.0, 2, 2, 2, 3])
    assert tradeoff.pareto_front(scores, costs).tolist() == [0, 1]


def test_hypervolume_by_hand():
    scores, costs = np.array([1.0, 3.0, 9.0]), np.array([1.0, 2.0, 5.0])
    assert tradeoff.hypervolume(scores, costs, (0.0, 4.0)) == 3 * 1 + 2 * 2  # the third is beyond the corner
    assert tradeoff.hypervolume(np.array([]), np.array([]), (0.0, 4.0)) == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 8)), max_size=12))
def test_hypervolume_counts_dominated_cells(pairs):
    scores, costs = (np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    cells = {(x, y) for x in range(9) for y in range(9) if any(s > y and c <= x for s, c in pairs)}
    assert tradeoff.hypervolume(scores, costs, (0.0, 9.0)) == len(cells)


def test_tradeoff_points_and_summary():
    data = comparison([info()], ["a", "b"], 8, truth=lambda place, seed, _: 90.0 + seed % 4)
    found = tradeoff.points(data, "toy/a", "params")
    assert found["runs"].sum() == 16
    assert found.loc[found["optimizer"] == "a", "front"].all()
    summary = tradeoff.summary(data, "params")
    assert row(summary, optimizer="a")["hypervolume"] > row(summary, optimizer="b")["hypervolume"] > 0
    # costs 1e5 ... 5e5 and truths 90 ... 93, each a tenth further out
    assert summary["reference cost"].unique() == pytest.approx([5.4e5])
    assert summary["reference truth"].unique() == pytest.approx([89.7])


def test_tradeoff_where_lower_is_better_and_where_all_are_equal():
    lower = comparison([info(direction="min", optimum=0.0)], ["a"], 8, truth=lambda _, seed, __: 5.0 - seed % 4)
    assert tradeoff.points(lower, "toy/a", "params")["front"].all()
    equal = comparison([info()], ["a", "b"], 1, truth=lambda *_: 90.0)
    equal.frame["params"] = 7.0
    assert tradeoff.summary(equal, "params")["hypervolume"].tolist() == pytest.approx([1, 1])
    nothing = comparison([info()], ["a", "b"], 1, infeasible=[("toy/a", "b", 0)])
    assert tradeoff.summary(nothing, "params")["hypervolume"].tolist() == [1, 0]  # a failed run dominates nothing
    absent = comparison([info()], ["a", "b"], 1, missing=[("toy/a", "b", 0)])
    assert tradeoff.summary(absent, "params")["hypervolume"].isna().tolist() == [False, True]


def test_the_hypervolume_is_that_of_one_run_and_does_not_grow_with_seeds():
    def truth(place, seed, _):
        return 90.0 + place * (seed % 2)  # b is as good as a or better, run by run

    data = comparison([info()], ["a", "b"], 8, truth=truth)
    # The scatter of a's costs makes a larger front over its runs than any run has.
    few, many = (tradeoff.summary(comparison([info()], ["a", "b"], n, truth=truth), "params") for n in (8, 64))
    assert few["hypervolume"].to_numpy() == pytest.approx(many["hypervolume"].to_numpy())
    assert few["n"].tolist() == [8, 8]
    corner = row(few, optimizer="a")[["reference truth", "reference cost"]].to_numpy(float)
    ends = data.frame[data.frame["optimizer"] == "a"]
    alone = (ends["truth"] - corner[0]) * (corner[1] - ends["params"])
    ideal = (91 - corner[0]) * (corner[1] - 1e5)
    assert row(few, optimizer="a")["hypervolume"] == pytest.approx((alone / ideal).mean())
    low, high = stats.t.interval(0.95, 7, (alone / ideal).mean(), stats.sem(alone / ideal))
    assert row(few, optimizer="a")[["hypervolume low", "hypervolume high"]].tolist() == pytest.approx([low, high])


def test_the_hypervolume_is_over_a_runs_whole_archive_beside_the_exact_front():
    data = comparison([info()], ["a"], 2, truth=lambda *_: 90.0)
    data.frame["params"] = 50.0
    points = [("toy/a", "a", 0, "params", 80.0, 10.0), ("toy/a", "a", 1, "params", 95.0, 100.0)]
    archives = pd.DataFrame(points, columns=["task", "optimizer", "seed", "cost", "truth", "value"])
    whole = tradeoff.landscape(np.array([60.0, 70, 80, 95, 100]), np.array([90.0, 200, 10, 20, 100]), 1)
    assert (whole.reference, whole.ideal) == ((80, 200), (100, 10))
    full = ResultsData(data.frame, data.anytime, data.tasks, ["a"], [0, 1], archives, {("toy/a", "params"): whole})
    found = tradeoff.summary(full, "params").iloc[0]
    area = 20 * 190
    first, second = 10 * 150, 10 * 150 + 5 * 100  # down to a truth of 80 and a cost of 200
    assert found["hypervolume"] == pytest.approx((first + second) / 2 / area)
    assert found["exact front"] == pytest.approx((15 * 180 + 5 * 100) / area)
    assert (found["reference truth"], found["reference cost"], found["front"]) == (80, 200, 2)


def test_scatter_over_runs_makes_no_strategy_the_best():
    # Run by run 'steady' dominates; over all runs the front of 'scattered' holds more and dominates a larger area.
    truths = {"steady": [92.0] * 8, "scattered": [90.0, 90.5, 91, 91.5, 92, 92.5, 93, 93.5]}
    costs = {"steady": [40.0] * 8, "scattered": [10.0, 20, 30, 40, 50, 60, 70, 80]}
    data = comparison([info()], list(truths), 8, truth=lambda place, seed, _: list(truths.values())[place][seed])
    for name, values in costs.items():
        data.frame.loc[data.frame["optimizer"] == name, "params"] = values
    found = tradeoff.summary(data, "params").set_index("optimizer")["hypervolume"]
    union = {
        name: tradeoff.hypervolume(np.array(truths[name]), np.array(costs[name]), (89.65, 87.0)) for name in truths
    }
    assert union["scattered"] > union["steady"]
    assert found["steady"] > found["scattered"]
