import numpy as np
import pandas as pd
import pytest
from toy_runs import comparison, info, made

from naslab.analysis import anytime
from naslab.analysis.intervals import mean_interval


def at(frame, clock):
    return frame[frame["clock"] <= clock * (1 + 1e-12)].iloc[-1]


def test_curves_are_step_functions_until_the_budget(rng):
    data = made([[(10, 50.0), (40, 90.0)], [(20, 60.0)], [(10, 70.0), (80, 80.0)]])
    frame = anytime.curves(data, "toy/a", rng)
    assert frame["clock"].iloc[0] == 10
    assert frame["clock"].iloc[-1] == pytest.approx(100)
    assert at(frame, 30)["mean"] == pytest.approx(60)
    assert at(frame, 30)["median"] == 60
    end = at(frame, 100)
    assert (end["mean"], end["median"], end["q25"], end["q75"], end["n"]) == pytest.approx((230 / 3, 80, 70, 85, 3))
    assert end["low"] < end["mean"] < end["high"]
    assert np.isnan(at(frame, 15)["mean"])  # one run has no incumbent yet
    assert at(frame, 15)["median"] == 50  # worst, 50, 70


@pytest.mark.parametrize(("direction", "median"), [("max", 50.0), ("min", 70.0)])
def test_a_run_without_an_incumbent_counts_as_worst(rng, direction, median):
    data = made([[(1, 50.0)], [(1, 70.0)], []], task=info(direction=direction), status={2: "no-feasible"})
    end = anytime.curves(data, "toy/a", rng).iloc[-1]
    assert end["median"] == median
    assert np.isnan([end["mean"], end["low"], end["high"]]).all()  # over the other two it would reward failing
    assert end["n"] == 3
    assert np.isnan(end["q25" if direction == "max" else "q75"])


def test_missing_runs_are_left_out(rng):
    data = made([[(1, 50.0)], [(1, 70.0)], [(1, 0.0)]], status={2: "missing"})
    end = anytime.curves(data, "toy/a", rng).iloc[-1]
    assert (end["mean"], end["n"]) == (60, 2)


def test_one_run_has_no_interval_and_none_no_curve(rng):
    end = anytime.curves(made([[(1, 50.0)]]), "toy/a", rng).iloc[-1]
    assert end["mean"] == end["median"] == 50
    assert np.isnan([end["low"], end["high"]]).all()
    nothing = anytime.curves(made([[]], status={0: "no-feasible"}), "toy/a", rng)
    assert nothing[["median", "mean", "low"]].isna().all(axis=None)


def test_curves_of_a_budget_in_evaluations(rng):
    data = made([[(1, 50.0), (3, 80.0)]], task=info(budget=5, budget_unit="evaluations"))
    frame = anytime.curves(data, "toy/a", rng)
    assert frame["clock"].tolist() == [1, 2, 3, 4, 5]
    assert frame["mean"].tolist() == [50, 50, 80, 80, 80]


def test_mean_interval_is_a_bootstrap_of_the_runs(rng):
    data = comparison([info()], ["o"], 30)
    end = anytime.curves(data, "toy/a", rng).iloc[-1]
    truths = data.truths("toy/a", "o")
    error = truths.std(ddof=1) / np.sqrt(30)
    assert end["high"] - end["low"] == pytest.approx(2 * 2.045 * error, rel=0.1)  # t(0.975, 29)


def test_the_band_of_few_runs_is_as_wide_as_students(rng):
    data = made([[(1, 50.0)], [(1, 51.0)], [(1, 53.0)], [(1, 53.5)], [(1, 54.0)]], task=info(optimum=None))
    end = anytime.curves(data, "toy/a", rng).iloc[-1]
    students = mean_interval(np.array([50.0, 51, 53, 53.5, 54]))
    assert end["high"] - end["low"] == pytest.approx(students.high - students.low, rel=0.06)


def test_no_interval_goes_beyond_the_optimum(rng):
    data = made([[(1, 60.0)], [(1, 99.0)], [(1, 100.0)]])
    assert anytime.curves(data, "toy/a", rng)["high"].max() <= 100
    assert anytime.area(data, rng)["mean regret over time low"].item() >= 0


def test_another_optimizer_changes_nobodys_interval():
    alone, both = comparison([info()], ["a"], 9), comparison([info()], ["a", "b"], 9)
    for function in (anytime.area, lambda data, rng: anytime.curves(data, "toy/a", rng)):
        one, two = (function(data, np.random.default_rng(4)) for data in (alone, both))
        pd.testing.assert_frame_equal(one, two[two["optimizer"] == "a"].reset_index(drop=True))


def test_area_is_the_exact_integral(rng):
    data = made([[(10, 50.0), (60, 90.0)], [(20, 80.0)]])
    row = anytime.area(data, rng).iloc[0]
    worst = 50  # the largest regret that any incumbent had: charged until a run has one
    first = (10 * worst + 50 * 50 + 40 * 10) / 100
    second = (20 * worst + 80 * 20) / 100
    assert row["mean regret over time"] == pytest.approx((first + second) / 2)
    assert row["regret from"] == "optimum"


def test_area_over_evaluations_averages_the_incumbents(rng):
    data = made([[(1, 50.0), (3, 90.0)]], task=info(budget=4, budget_unit="evaluations"))
    assert anytime.area(data, rng)["mean regret over time"].item() == (50 + 50 + 10 + 10) / 4


def test_area_of_a_run_that_found_nothing_is_the_worst(rng):
    data = made([[(50, 60.0)], []], status={1: "no-feasible"})
    assert anytime.area(data, rng)["mean regret over time"].item() == 40


def test_reference_is_the_best_seen_where_the_optimum_is_unknown():
    steps = [[(1, 50.0), (2, 95.0), (3, 90.0)]]
    assert anytime.reference(made(steps), "toy/a") == (100, "optimum")
    assert anytime.reference(made(steps, task=info(optimum=None)), "toy/a") == (95, "best seen")
    assert anytime.reference(made(steps, task=info(optimum=None, direction="min")), "toy/a") == (50, "best seen")
    nothing = made([[]], task=info(optimum=None), status={0: "no-feasible"})
    assert np.isnan(anytime.reference(nothing, "toy/a")[0])
