"""Targets that the runs choose, and how soon they are reached."""

import numpy as np
import pandas as pd
import pytest
from toy_runs import comparison, info, made

from naslab.analysis import targets

NEVER = np.inf


def test_targets_lead_from_the_first_architectures_to_the_best_ends():
    data = made([[(1, 60.0), (5, 60.0 + 3.9 * seed)] for seed in range(1, 11)])
    found = targets.levels(data, "toy/a")
    assert len(found) == 51
    assert (found[0], found[-1]) == (40, 1.0)  # half had 40 first; one of ten ended 1 from the optimum
    assert np.diff(np.log(found)) == pytest.approx(np.log(1 / 40) / 50, abs=0.01)  # three digits each
    assert all(float(f"{each:.3g}") == each for each in found)


def test_the_optimum_is_a_target_where_a_tenth_of_the_runs_end_with_it():
    found = targets.levels(made([[(1, 60.0), (5, 100.0)], [(1, 60.0), (5, 98.0)]]), "toy/a")
    assert (found[0], found[-2], found[-1]) == (40, 2.0, 0.0)


def test_there_is_one_target_or_none_where_runs_leave_no_choice():
    assert targets.levels(made([[(1, 90.0)], [(1, 90.0)]]), "toy/a").tolist() == [10]
    assert not len(targets.levels(made([[]], status={0: "no-feasible"}), "toy/a"))


def test_hits_are_first_hits_even_where_the_truth_of_the_incumbent_falls():
    data = made([[(10, 99.0), (50, 98.0), (70, 99.9)], []], status={1: "no-feasible"})
    assert targets.hits(data, "toy/a", [2.0, 1.0, 0.5, 0.1, 0.0])["o"].tolist() == [
        [10, 10, 70, 70, NEVER],
        [NEVER] * 5,
    ]


def test_a_target_is_met_when_decimals_say_so():
    assert targets.hits(made([[(5, 93.87)]], task=info(optimum=94.37)), "toy/a", [0.5])["o"].tolist() == [[5]]


def test_lower_is_better_where_the_task_says_so():
    data = made([[(5, 12.0), (8, 10.5)]], task=info(optimum=10.0, direction="min"))
    assert targets.hits(data, "toy/a", [2.0, 0.5])["o"].tolist() == [[5, 8]]


def test_expected_running_time_counts_what_failing_costs(rng):
    """By hand: three runs, of which one reaches the hard target after 20; the others spend 99 each."""
    data = made([[(2, 60.0), (20, 99.0)], [(2, 60.0), (60, 90.0)], [(2, 60.0)]])
    frame = targets.expected_running_time(data, rng).set_index("target")
    assert frame.loc["hard", ["within", "n", "reached", "ERT"]].tolist() == [1, 3, 1, 20 + 99 + 99]
    assert frame.loc["hard", "ERT high"] == NEVER  # in a resample of three nobody may have got there
    middle = frame.loc["medium"]  # 40 / 40^(2/3) = 3.4: the same run alone
    assert middle["ERT"] == 218
    easy = frame.loc["easy"]  # 11.7: two runs
    assert easy[["reached", "ERT"]].tolist() == [2, (20 + 60 + 99) / 2]
    assert 0 < easy["ERT low"] < easy["ERT"] < easy["ERT high"]


def test_nobody_reaches_a_target_in_infinite_time(rng):
    data = comparison([info()], ["a", "b"], 6, truth=lambda place, seed, _: 95.0 if place == 0 else 70.0)
    frame = targets.expected_running_time(data, rng).set_index(["target", "optimizer"])
    hard = frame.loc[("hard", "b")]
    assert (hard["reached"], hard["ERT"]) == (0, NEVER)
    assert np.isnan(hard["ERT low"])
    assert np.isfinite(frame.loc[("hard", "a"), "ERT high"])


def test_the_interval_of_an_expected_running_time_covers_it():
    """Geometric running times, cut at the budget: the ratio's expectation is 1 / p whatever the budget."""
    p, budget, inside = 0.02, 100, 0
    for seed in range(200):
        times = np.random.default_rng(seed).geometric(p, size=30)
        reached = (times <= budget)[:, None]
        cost = np.minimum(times, budget)[:, None].astype(float)
        ((_, low, high),) = targets._ratios(cost, reached, np.random.default_rng(1), 0.95)
        inside += low <= 1 / p <= high
    assert 0.91 <= inside / 200 <= 0.99


def test_ecdf_is_the_share_of_runs_and_targets():
    data = made([[(10, 60.0), (50, 99.0)], [(10, 60.0)]])
    frame = targets.ecdf(data)
    assert frame["clock"].iloc[0] == 10
    assert frame["share"].iloc[0] == pytest.approx(1 / 51)  # both have the first target, no other
    assert frame["share"].iloc[-1] == pytest.approx((51 + 1) / 102)
    assert frame["share"].is_monotonic_increasing


def test_tasks_weigh_the_same_in_the_ecdf():
    both = comparison([info("toy/a"), info("toy/b")], ["a", "b"], 8)
    each = [targets.ecdf(both, [task]) for task in both.tasks]
    last = [frame.groupby("optimizer")["share"].last() for frame in (targets.ecdf(both), *each)]
    pd.testing.assert_series_equal(last[0], (last[1] + last[2]) / 2)


def test_different_budgets_have_one_axis_in_shares():
    data = comparison([info("toy/a"), info("toy/b", budget=50.0)], ["a"], 3)
    assert not targets.shared_clock(data, list(data.tasks))
    assert targets.ecdf(data)["clock"].max() == 1
    assert targets.ecdf(data, ["toy/b"])["clock"].max() == 50


def test_the_area_is_that_under_the_curve(rng):
    data = comparison([info(budget=1000.0)], ["a", "b"], 9)
    areas = targets.area_under(data, rng).set_index("optimizer")
    curves = targets.ecdf(data)
    for name, curve in curves.groupby("optimizer"):
        clock, share = np.log(curve["clock"].to_numpy()), curve["share"].to_numpy()
        drawn = float(np.diff(clock) @ share[:-1]) / (clock[-1] - clock[0])
        assert areas.loc[name, "area"] == pytest.approx(drawn, abs=0.01)
        assert areas.loc[name, "area low"] < areas.loc[name, "area"] < areas.loc[name, "area high"]
    assert areas["area"].is_monotonic_decreasing


def test_missing_runs_have_no_area_over_all_tasks(rng):
    gone = [("toy/a", "b", seed) for seed in range(3)]
    areas = targets.area_under(comparison([info("toy/a"), info("toy/b")], ["a", "b"], 3, missing=gone), rng)
    assert areas["optimizer"].tolist() == ["a", "b"]
    assert np.isnan(areas["area"].iloc[1])
