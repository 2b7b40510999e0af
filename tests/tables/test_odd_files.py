"""Files as people have them: other separators, missing values with names, lists in JSON, Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab.cli.entry import run_command
from naslab.errors import InvalidTable
from naslab.tables.format import Table
from naslab.tables.from_csv import import_csv
from naslab.tables.rows import read_rows
from naslab.tasks.facts import table_facts

SCHEMA = """
provenance = "invented for this test"
choices = [ { name = "depth", options = [1, 2, 3] }, { name = "act", options = ["relu", "none"] } ]
columns = [
  { column = "val", dataset = "d", metric = "rmse", split = "valid", role = "reward", unit = "", direction = "min" },
  { column = "test", dataset = "d", metric = "rmse", split = "test", role = "truth", unit = "", direction = "min" },
  { column = "params", metric = "params", role = "cost", unit = "", direction = "min" },
]
[tasks.d]
reward = "val"
truth = "test"
"""
CSV = "depth,act,val,test,params\n1,relu,0.5,0.7,10\n2,none,0.25,,20\n3,none,0.125,0.6,\n3,relu,0.75,0.5,40\n"


def stored(folder: Path, data: str | bytes, name: str = "t.csv", schema: str = SCHEMA) -> Table:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    (folder / "s.toml").write_text(schema)
    return import_csv(folder / name, folder / "s.toml", "odd")


@pytest.mark.parametrize("other", [CSV.replace(",", ";"), CSV.replace(",", "\t"), CSV.replace(",,", ",NaN,")])
def test_separators_and_missing_values(tmp_path: Path, other: str) -> None:
    table = stored(tmp_path, "\ufeff" + other + "\n")
    np.testing.assert_array_equal(table.mean("d/rmse/test"), [0.7, np.nan, 0.6, 0.5])
    task = naslab.task("odd/d")
    assert (task.problem.space.size, task.optimum) == (3, 0.5)
    assert len(table) == 4  # "none" among texts is an option
    assert table_facts()["odd/d"].size == 3


def test_a_measured_cost_may_be_called_params(tmp_path: Path) -> None:
    stored(tmp_path, CSV)
    found = naslab.search("odd/d", "random", budget=20, max={"params": 10})
    assert {naslab.task("odd/d").problem.cost("params", s.query.architecture) for s in found.trace.steps} == {10.0}


def test_correlate_writes_its_page_where_nothing_has_parameters(tmp_path: Path) -> None:
    rows = [f"{depth},{act},{depth / 7},{depth / 5 + len(act)}" for depth in (1, 2, 3) for act in ("relu", "none")]
    text = SCHEMA.replace('metric = "params"', 'metric = "size"')
    stored(tmp_path, "depth,act,val,test,params\n" + "\n".join(f"{r},{i * i}" for i, r in enumerate(rows)), schema=text)
    command = ["correlate", "odd/d", "--evaluators", "table[column=size]", "--out", str(tmp_path / "o")]
    assert run_command(command) in (0, None)
    assert "how many parameters" in (tmp_path / "o" / "report" / "report.html").read_text()
    assert "params" not in (tmp_path / "o" / "report" / "scores.csv").read_text()


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ('{"a": {"val": 1}, "a": {"val": 2}}', "t.json", "'a' stands twice"),
        ('[{"x/y": 1, "x": {"y": 2}}]', "t.json", "row 1: two values are called 'x/y'"),
        ("# by hand\n" + CSV, "t.csv", "the header has 1; its first row must name the columns"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, data: str, name: str, message: str) -> None:
    with pytest.raises(InvalidTable, match=message):
        stored(tmp_path, data, name)


def test_spread_refuses_two_columns_of_one_name(tmp_path: Path) -> None:
    text = SCHEMA.replace("choices =", 'spread = ["seed"]\nchoices =')
    with pytest.raises(InvalidTable, match="two columns 'val'"):
        stored(tmp_path, "depth,act,seed,val,test,val\n1,relu,0,1,2,3\n", schema=text)


def test_lists_and_lines_of_json() -> None:
    records = [{"depth": 1, "curve": [0.5, {"a": None}]}, {"depth": 2, "curve": [0.75]}]
    wanted = (["depth", "curve/1", "curve/2/a"], [(1, ["1", "0.5", ""]), (2, ["2", "0.75", ""])])
    assert read_rows(Path("t.json"), json.dumps(records).encode()) == wanted
    assert read_rows(Path("t.jsonl"), "\n".join(map(json.dumps, records)).encode()) == wanted


def test_parquet_with_an_index_and_nothing(tmp_path: Path) -> None:
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"k": pandas.array([1, None], "Int64"), "on": [True, False]}, index=["x", "y"])
    frame.rename_axis("cell").to_parquet(tmp_path / "t.parquet")
    found = read_rows(tmp_path / "t.parquet", (tmp_path / "t.parquet").read_bytes())
    assert found == (["cell", "k", "on"], [(1, ["x", "1", "true"]), (2, ["y", "", "false"])])
