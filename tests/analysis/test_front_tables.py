"""Fronts of runs as tables and figures: by hand, lower truths and higher metrics included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from toy_runs import comparison, info

from naslab.analysis import front_tables, plots
from naslab.analysis.data import ResultsData
from naslab.analysis.sections.fronts import front_sections


@dataclass(frozen=True)
class Gain:
    name: str = "gain"
    unit: str = "dB"
    sign: int = 1


RUNS = {  # an error, lower is better, against a gain, higher is better
    ("a", 0): [(1.0, 2.0), (3.0, 4.0)],
    ("a", 1): [(2.0, 4.0)],
    ("b", 0): [(5.0, 0.0)],
    ("b", 1): [],
}


def made(runs: Mapping[tuple[str, int], list[tuple[float, float]]] = RUNS, **changes: object) -> ResultsData:
    one = dataclasses.replace(
        info(direction="min", optimum=0.0), objectives=("score", "gain"), measures={"gain": Gain()}
    )
    plain = comparison([one], ["a", "b"], 2, infeasible=[("toy/a", "b", 1)])
    rows = [("toy/a", *run, truth, gain) for run, front in runs.items() for truth, gain in front]
    fronts = pd.DataFrame(rows, columns=["task", "optimizer", "seed", "score", "gain"])
    return dataclasses.replace(plain, fronts=fronts, **changes)


def test_against_the_exact_front() -> None:
    """Reference: the median error 5 and the lowest gain 0; ideal: error 1, gain 4."""
    every = np.array([(1.0, 2.0), (2.0, 4.0), (5.0, 1.0), (5.0, 0.0), (9.0, 3.0)]) * [-1, 1]
    exact = front_tables.exact_front(np.vstack([every, [[np.nan, 9.0]]]))
    assert exact is not None
    assert (exact.reference.tolist(), exact.ideal.tolist()) == ([-5.0, 0.0], [-1.0, 4.0])
    assert exact.points.tolist() == [[-2.0, 4.0], [-1.0, 2.0]]
    found = front_tables.summary(made(exact={"toy/a": exact})).set_index("optimizer")
    # In units of the box: (1, .5), (.75, 1) are the front; a has (1, .5), (.5, 1) and then (.75, 1).
    assert found["best hypervolume"].tolist() == [0.875, 0.875]
    assert found["hypervolume"].tolist() == [0.75, 0.0]  # (.5 + .25) and .75; b is no better than the corner
    assert found["IGD+"].tolist() == pytest.approx([(0.125 + 0.125) / 2, (np.hypot(1, 0.5) + np.hypot(0.75, 1)) / 2])
    assert found["epsilon"].tolist() == [0.25, 1.0]
    assert found["found"].tolist() == [0.5, 0.0]
    assert found["front"].tolist() == [1.5, 0.5]
    assert found["n"].tolist() == [2, 2]  # a run without a front is one


def test_without_a_table_the_best_seen_stands_for_the_exact_front() -> None:
    data = made()
    against, exact = front_tables.scale(data, "toy/a")
    assert not exact
    assert against.reference.tolist() == pytest.approx([-5.4, -0.4])  # a tenth of the range beyond the worst
    assert against.points.tolist() == [[-2.0, 4.0], [-1.0, 2.0]]
    assert "test accuracy (lower is better), gain (higher is better). Reference point 5.4, -0.4" in front_tables.said(
        data, data.tasks["toy/a"]
    )
    nothing = made({("a", 0): []})
    assert front_tables.summary(nothing)["hypervolume"].tolist() == [0, 0]
    assert [item.name for section in front_sections(nothing) for item in section.items] == ["fronts"]


def test_attained_surfaces_in_their_own_directions() -> None:
    frame = front_tables.attained(made(), "toy/a", "gain")
    surfaces = {
        key: part[["truth", "value"]].to_numpy().tolist() for key, part in frame.groupby(["optimizer", "share"])
    }
    assert surfaces["a", 0.5] == [[2.0, 4.0], [1.0, 2.0]]  # one of two runs
    assert surfaces["a", 0.75] == [[3.0, 4.0], [2.0, 2.0]]  # both
    assert surfaces["b", 0.5] == [[5.0, 0.0]]
    assert ("b", 0.75) not in surfaces


def test_the_figure_has_the_better_side_on_the_left() -> None:
    data = made()
    axes = plots.plot_attained(front_tables.attained(data, "toy/a", "gain"), data.tasks["toy/a"], "gain")
    assert axes.get_xlabel() == "gain (dB)"
    left, right = axes.get_xlim()
    assert left > 4 > 0 > right
    (line,) = [each for each in axes.lines if each.get_gid() == "series-0-line"]
    assert line.get_xydata().tolist() == [[4.0, 2.0], [2.0, 1.0], [pytest.approx(right), 1.0]]
    assert line.get_drawstyle() == "steps-post"


def test_only_runs_that_ended_count_and_violations_are_shares() -> None:
    data = made()
    data.frame.loc[(data.frame["optimizer"] == "a") & (data.frame["seed"] == 1), "status"] = "missing"
    found = front_tables.summary(data).set_index("optimizer")
    assert found["n"].tolist() == [1, 2]
    assert found["front"].tolist() == [2.0, 0.5]
    assert found["violations"].isna().all()
    data.frame["infeasible"] = [1, np.nan, 4, 10]
    found = front_tables.summary(dataclasses.replace(data)).set_index("optimizer")
    assert found["violations"].tolist() == [0.05, 0.7]  # of 20 evaluations


def test_objectives_of_little_or_no_range() -> None:
    close = made({("a", 0): [(1.0, 0.25), (1.5, 0.5)], ("b", 0): [(1.25, 0.25)]})
    assert front_tables.scale(close, "toy/a")[0].reference.tolist() == pytest.approx([-1.55, 0.225])
    equal = made({("a", 0): [(1.0, 2.0)], ("b", 0): [(1.0, 2.0)]})
    assert front_tables.summary(equal)["hypervolume"].tolist() == [0.5, 0.5]  # each has one run of two
    same = front_tables.exact_front(np.array([(-1.0, 2.0), (-5.0, 2.0), (-9.0, 2.0)]))
    found = front_tables.summary(
        made({("a", 0): [(1.0, 2.0)]}, exact={"toy/a": same})
    )  # nothing is better than the worst gain
    assert found["hypervolume"].tolist() == [0, 0]
    assert found["IGD+"].isna().all()
