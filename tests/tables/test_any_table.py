"""A benchmark nobody here has seen: sampled, without seconds, several datasets, costs by device, missing values."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab import search_space
from naslab.cli.entry import run_command
from naslab.errors import InvalidTable, InvalidValue, NaslabError
from naslab.tables.first_schema import draft_schema
from naslab.tables.from_csv import import_csv

SCHEMA = """
space = "nasbench201"
architecture = "cell"
provenance = "invented for this test"

[[columns]]
column = "{dataset}/valid{seed}"
dataset = "{dataset}"
seed = "{seed}"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"

[[columns]]
column = "{dataset}/test"
dataset = "{dataset}"
metric = "accuracy"
split = "test"
role = "truth"
unit = "%"
direction = "max"

[[columns]]
column = "{dataset}/{device}_ms"
dataset = "{dataset}"
metric = "{device}_ms"
role = "cost"
unit = "ms"
direction = "min"

[tasks."{dataset}"]
reward = "{dataset}/valid7"
truth = "{dataset}/test"
"""
DATASETS, ROWS = ("leaves", "shells"), 60


def records() -> list[dict[str, float | str | None]]:
    """Sixty random cells. The first has no second seed, the second no value of any kind on shells."""
    space, rng = search_space("nasbench201"), np.random.default_rng(1)
    cells = list(dict.fromkeys(space.sample(rng) for _ in range(ROWS)))
    found: list[dict[str, float | str | None]] = []
    for i, cell in enumerate(cells):
        row: dict[str, float | str | None] = {"cell": space.to_string(cell)}
        for dataset in DATASETS:
            gone = i == 1 and dataset == "shells"
            score = round(50 + sum(cell) + rng.normal(), 3)
            row[f"{dataset}/valid7"] = None if gone else score
            row[f"{dataset}/valid8"] = None if gone or i == 0 else round(score + rng.normal(), 3)
            row[f"{dataset}/test"] = None if gone else round(score - 1, 3)
            for device in ("phone", "watch"):
                row[f"{dataset}/{device}_ms"] = round(1 + sum(cell) / 3 + rng.random(), 3)
        found.append(row)
    return found


def write(folder: Path, kind: str) -> Path:
    file, rows = folder / f"bench.{kind}", records()
    if kind == "json":
        file.write_text(json.dumps(rows))
    elif kind == "parquet":
        pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        pandas.DataFrame(rows).to_parquet(file)
    else:
        with file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return file


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    assert len(SCHEMA.strip().splitlines()) <= 40
    file = tmp_path / "schema.toml"
    file.write_text(SCHEMA)
    return file


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_every_kind_of_file_is_the_same_table(tmp_path: Path, schema: Path, kind: str) -> None:
    table = import_csv(write(tmp_path, kind), schema, "seen")
    assert set(table.tasks) == set(DATASETS)
    first = records()[0]
    assert table.mean("leaves/accuracy/valid")[0] == first["leaves/valid7"]
    shells, leaves = (naslab.task(f"seen/{name}") for name in reversed(DATASETS))
    assert (leaves.problem.space.size, shells.problem.space.size) == (len(table), len(table) - 1)
    assert {"phone_ms", "watch_ms"} <= set(leaves.problem.costs)


def test_it_is_searched_correlated_limited_and_reported(
    tmp_path: Path, schema: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_csv(write(tmp_path, "csv"), schema, "seen")
    out = tmp_path / "out"
    known = {row["cell"]: row for row in records()}
    command = "--optimizers random,regularized-evolution,reinforce --budget 30 --seeds 2 --max watch_ms=4"
    assert run_command(["compare", "seen/leaves", "seen/shells", *command.split(), "--out", str(out)]) in (0, None)
    assert "watch_ms" in (out / "report" / "report.html").read_text()
    result = naslab.search("seen/leaves", "local-search", budget=40, max={"phone_ms": 4}, seed=0)
    assert float(known[result.name]["leaves/phone_ms"] or 9) <= 4
    with pytest.raises(InvalidValue, match="budget 100s on 'seen/leaves', whose table has no training seconds"):
        naslab.search("seen/leaves", "random", budget="100s", out=tmp_path / "timed")
    with pytest.raises(InvalidValue, match="Fix: a number of evaluations"):
        naslab.compare(["seen/leaves"], ["random"], budget="100s", out=tmp_path / "timed")
    assert not (tmp_path / "timed").exists()
    judged = naslab.correlate("seen/leaves", ["reward"], out=tmp_path / "judged")
    assert (len(judged.scores), judged.population) == (ROWS, f"all {ROWS} architectures")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"{dataset}/test"\nd', '"{dataset}/tset"\nd', "pattern column = '{dataset}/tset' matches none of the file's"),
        ('metric = "{device}_ms"', 'metric = "{gadget}_ms"', "has no {gadget}"),
        ('[tasks."{dataset}"]', '[tasks."{place}"]', "no pattern of .* has place"),
        ('reward = "{dataset}/valid7"', 'reward = "{dataset}/test"', 'protocol = "test-only"'),
    ],
)
def test_faults_change_nothing(
    tmp_path: Path, schema: Path, cache: Path, before: str, after: str, message: str
) -> None:
    assert before in SCHEMA
    schema.write_text(SCHEMA.replace(before, after))
    with pytest.raises(InvalidTable, match=message.replace("{", r"\{").replace("}", r"\}")):
        import_csv(write(tmp_path, "csv"), schema, "seen")
    assert not list(cache.rglob("*.npy"))


def test_a_table_of_test_scores_says_so(tmp_path: Path, schema: Path) -> None:
    text = SCHEMA.replace('reward = "{dataset}/valid7"', 'reward = "{dataset}/test"')
    schema.write_text('protocol = "test-only"\n' + text)
    import_csv(write(tmp_path, "csv"), schema, "seen")
    task = naslab.task("seen/leaves")
    assert task.metric == "test accuracy (test-only protocol: searches see it)"
    a = task.problem.space.first
    assert task.reward().evaluate(a, rng=np.random.default_rng(0)).score == task.true_value(a)


def test_a_dataset_has_several_tasks(tmp_path: Path, schema: Path) -> None:
    more = '\n[tasks.easy]\ndataset = "leaves"\nreward = "leaves/valid7"\ntruth = "leaves/valid8"\n'
    schema.write_text(SCHEMA + more)
    table = import_csv(write(tmp_path, "csv"), schema, "seen")
    assert set(table.tasks) == {*DATASETS, "easy"}
    easy = naslab.task("seen/easy")
    assert (easy.id, easy.metric) == ("seen/easy", "validation accuracy")
    assert "phone_ms" in easy.problem.costs


CHOICES = """
provenance = "invented"
[[choices]]
name = "depth"
options = [1, 2, 3]
[[choices]]
name = "activation"
options = ["relu", "tanh"]
[[rules]]
scope = ["depth", "activation"]
allowed = [[1, "relu"], [2, "relu"], [2, "tanh"], [3, "relu"], [3, "tanh"]]
[[columns]]
column = "loss"
dataset = "sums"
metric = "loss"
split = "valid"
role = "reward"
unit = ""
direction = "min"
[[columns]]
column = "watt"
dataset = "sums"
metric = "watt"
role = "cost"
unit = "W"
direction = "min"
[tasks.sums]
reward = "loss"
truth = "loss"
"""
GRID = "depth,activation,loss,watt\n1,relu,.5,1\n2,relu,.4,2\n2.0,tanh,.3,2\n3,relu,.2,3\n3,tanh,,3\n"


def test_a_space_in_the_schema(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(CHOICES)
    (tmp_path / "t.csv").write_text(GRID)
    import_csv(tmp_path / "t.csv", tmp_path / "s.toml", "plain")
    task = naslab.task("plain/sums")
    space = task.problem.space
    assert (space.size, task.problem.costs) == (4, ("watt",))
    assert sorted(map(space.to_string, space.architectures()))[0] == "depth=1;activation=relu"
    result = naslab.search("plain/sums", "regularized-evolution", budget=40, max={"watt": 2}, seed=0)
    assert result.name == "depth=2;activation=tanh"
    assert naslab.correlate("plain/sums", ["reward"], out=tmp_path / "c").scores.shape == (4, 1)
    for refused in (lambda: space.cost(space.first), lambda: task.constrained(naslab.Constraint.parse(["params=3"]))):
        with pytest.raises(NaslabError, match=r"without a network|params"):
            refused()


@pytest.mark.parametrize(
    ("schema", "rows", "message"),
    [
        (CHOICES, GRID.replace("tanh,.3", "thna,.3"), "row 4: choice 'activation' has no option 'thna'. Did you mean"),
        (CHOICES, GRID.replace("3,tanh,", "1,tanh,.1"), "row 6: .* breaks the rule"),
        (CHOICES, GRID.replace("3,relu", "2,relu"), "row 5: architecture '2', 'relu' is already in row 3"),
        ('space = "nasbench201"\n' + CHOICES, GRID, "either \\[\\[choices\\]\\]"),
        (CHOICES.replace('[[1, "relu"]', '[[1, "reul"]'), GRID, "no option 'reul'. Did you mean 'relu'"),
        (CHOICES.replace('scope = ["depth"', 'scope = ["detph"'), GRID, "no choice. Did you mean 'depth'"),
    ],
)
def test_faults_of_a_stated_space(tmp_path: Path, cache: Path, schema: str, rows: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(schema)
    (tmp_path / "t.csv").write_text(rows)
    with pytest.raises(InvalidTable, match=message):
        import_csv(tmp_path / "t.csv", tmp_path / "s.toml", "plain")
    assert not list(cache.rglob("*.npy"))


@pytest.mark.parametrize("stated", [False, True])
def test_a_drafted_schema_imports(tmp_path: Path, stated: bool) -> None:
    file = tmp_path / "t.csv"
    space = search_space("nasbench201")
    cells = [space.to_string(space.sample(np.random.default_rng(seed))) for seed in range(4)]
    rows = zip(cells, GRID.splitlines()[1:5], strict=True)
    head = "depth,activation,val_loss,phone_ms\n" if stated else "arch,depth,activation,val_loss,phone_ms\n"
    file.write_text(head + "".join(f"{line}\n" if stated else f"{cell},{line}\n" for cell, line in rows))
    (tmp_path / "s.toml").write_text(draft_schema(file))
    table = import_csv(file, tmp_path / "s.toml", "drafted")
    assert (len(table), len(table.header.choices), table.untimed) == (4, 2 if stated else 0, ["data"])
    assert naslab.task("drafted/data").direction == "min"
    assert "phone_ms" in naslab.task("drafted/data").problem.measured


def test_rows_of_the_same_numbers_are_counted(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(CHOICES)
    (tmp_path / "t.csv").write_text(GRID.replace("2.0,tanh,.3,2", "2.0,tanh,.4,2"))
    assert import_csv(tmp_path / "t.csv", tmp_path / "s.toml", "twice").duplicates == 1
