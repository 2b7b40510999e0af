"""The study of searches on real tables: the tables, one search, and the summary."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from naslab.studies.reproduce import experiment
from naslab.studies.tabnas import practitioner
from naslab.studies.tabnas.practitioner import Run, seconds_of, summarised
from naslab.studies.tabnas.real_tables import TABLES, RealTable
from naslab.tabular.reading import read_table


@pytest.mark.parametrize(
    ("name", "rows", "kinds", "classes"),
    [("segments", 2310, {"numeric": 18}, 7), ("titanic", 1309, {"numeric": 5, "categorical": 2}, 2),
     ("mpg", 392, {"numeric": 6, "categorical": 1}, 0)],
)  # fmt: skip
def test_the_tables_are_real(tmp_path, name, rows, kinds, classes):
    raw = read_table(TABLES[name].write(tmp_path / "t.csv"), TABLES[name].target)
    assert len(raw) == rows
    assert Counter(column.kind for column in raw.columns) == kinds
    assert len(raw.target.classes) == classes
    missing = {
        column.name for column in raw.columns if column.kind == "numeric" and np.isnan(raw.values[column.name]).any()
    }
    assert missing == ({"age", "fare"} if name == "titanic" else set())


def test_survivors_of_the_titanic(tmp_path):
    """500 of 1,309 (Harrell and Cason's data)."""
    raw = read_table(TABLES["titanic"].write(tmp_path / "t.csv"), "survived")
    assert Counter(raw.y.tolist()) == {"0": 809, "1": 500}


def results() -> pd.DataFrame:
    rows = []
    for seed, (found, other) in enumerate([(90.0, 80.0), (70.0, 75.0), (80.0, 80.0)]):
        for name, test in (("found", found), ("boosted trees", other)):
            params = None if name == "boosted trees" else 10 * seed
            rows.append({"table": "t", "seed": seed, "metric": "accuracy", "seconds": 2.0 * seed, "network": name,
                         "widths": "", "params": params, "validation": 0.0, "test": test})  # fmt: skip
    return pd.DataFrame(rows)


def test_the_summary():
    found, trees = summarised(results()).to_dict("records")
    assert (found["network"], found["seeds"], found["params"]) == ("found", 3, 10.0)
    assert found["test"] == pytest.approx(80)
    assert found["test low"] < 80 < found["test high"]
    assert np.isnan(found["ahead"])
    assert trees["ahead"] == pytest.approx(5 / 3)  # (10 - 5 + 0) / 3
    assert trees["wins"] == 1.5
    assert seconds_of(results()).to_dict("records") == [{"table": "t", "median": 2.0, "max": 4.0}]


def toy() -> tuple[list[str], list[list[object]]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 2)).round(3)
    return ["a", "b", "sum"], [[*row, round(sum(row), 3)] for row in x.tolist()]


def test_the_whole_study_on_a_small_table(tmp_path, monkeypatch):
    monkeypatch.setattr(practitioner, "TABLES", {"toy": RealTable("a sum", "sum", toy)})
    monkeypatch.setattr(practitioner, "SEEDS", 2)
    monkeypatch.setattr("naslab.tabular.defaults.STEPS", 100)
    monkeypatch.setattr("naslab.tabular.plan.STEPS", 60)
    monkeypatch.setattr(
        practitioner, "in_processes", lambda function, work, *_: json.loads(json.dumps([function(one) for one in work]))
    )
    outcome = practitioner.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    ((title, summary),) = outcome.tables
    assert title == "A title"
    assert summary["network"].tolist()[0] == "found"
    assert (summary["seeds"] == 2).all()
    assert len(summary) == 5
    page = outcome.report.read_text()
    for said in ("A title", "boosted trees", "Seconds of a search", "2 seeds; each draws its own split"):
        assert said in page
    assert (tmp_path / "searches" / "toy" / "1" / "model.json").is_file()


def test_it_can_be_reproduced():
    assert experiment("tabnas-csv").study == "naslab.studies.tabnas.practitioner:run"
    assert repr(Run("mpg", 3, folder=None)) == "Run(table='mpg', seed=3)"  # results are kept under this
