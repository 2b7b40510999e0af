"""Columns joined to a table by architecture: real latencies and scores, official formats, and what goes wrong."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidTable, InvalidValue, NaslabError
from naslab.evaluators.table import TableColumn
from naslab.registry import search_space
from naslab.tables import Table, find_table
from naslab.tables.from_csv import import_csv
from naslab.tables.importers.catalogue import addition, importer
from naslab.tables.joining import join, read_addition

CELLS = (
    "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
    "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|",  # the same function as the one before
    "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|",
)
SCHEMA = """
space = "nasbench201"
architecture = "arch"
provenance = "measured on a desk"
[[columns]]
column = "{device}_ms"
dataset = "cifar10"
metric = "{device}_ms"
role = "cost"
unit = "ms"
direction = "min"
"""
TASKS = """
space = "nasbench201"
architecture = "arch"
provenance = "invented"
[[columns]]
column = "valid"
dataset = "cifar10"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"
[tasks.cifar10]
reward = "valid"
truth = "valid"
"""


def stored(folder: Path, cells: tuple[str, ...] = CELLS[:2] + CELLS[3:]) -> Table:
    (folder / "tasks.toml").write_text(TASKS)
    (folder / "tasks.csv").write_text("arch,valid\n" + "".join(f"{cell},{90 - i}\n" for i, cell in enumerate(cells)))
    return import_csv(folder / "tasks.csv", folder / "tasks.toml", "mine")


def added(
    folder: Path, table: Table, rows: list[str], schema: str = SCHEMA, head: str = "arch,phone_ms,board_ms"
) -> Any:
    (folder / "costs.toml").write_text(schema)
    (folder / "costs.csv").write_text("\n".join([head, *rows]) + "\n")
    return read_addition(table, folder / "costs.csv", folder / "costs.toml")


def test_a_joined_table_is_a_new_version(tmp_path: Path) -> None:
    old = stored(tmp_path)
    before = old.values("cifar10/accuracy/valid").tolist()
    rows = [f"{CELLS[0]},3,30", f"{CELLS[3]},5,", f"{CELLS[2]},4,40"]
    done = join(old, added(tmp_path, old, rows))
    table = find_table("mine")
    assert (done.partners, done.rows, done.strangers) == (3, 3, 0)
    assert table.sha256 == done.table.sha256 != old.sha256
    assert table.provenance["joined"][0]["onto"] == old.sha256
    assert table.provenance["joined"][0]["columns"] == ["cifar10/phone_ms", "cifar10/board_ms"]
    assert table.values("cifar10/accuracy/valid").tolist() == before
    # The second cell is not in the file, but an isomorphic one that the table lacks is.
    np.testing.assert_array_equal(table.mean("cifar10/phone_ms"), [3, 4, 5])
    np.testing.assert_array_equal(table.mean("cifar10/board_ms"), [30, 40, np.nan])
    task = naslab.task("mine/cifar10")
    assert task.problem.cost("phone_ms", search_space("nasbench201").from_string(CELLS[0])) == 3.0
    assert join(table, addition_of_other(tmp_path, table)).table.provenance["joined"][1]["onto"] == table.sha256


def addition_of_other(folder: Path, table: Table) -> Any:
    return added(folder, table, [f"{CELLS[0]},1"], head="arch,watch_ms")


def test_runs_on_the_older_version_are_neither_mixed_nor_renamed(tmp_path: Path) -> None:
    old = stored(tmp_path)
    again: dict[str, Any] = {"seeds": 2, "budget": 3, "out": tmp_path / "runs"}
    reported = naslab.compare(["mine/cifar10"], ["random"], **again)
    frame = reported.frame
    join(old, added(tmp_path, old, [f"{CELLS[0]},3,30"]))
    with pytest.raises(NaslabError, match=r"table_sha256 was .* there and is .* now"):
        naslab.compare(["mine/cifar10"], ["random"], **again)
    from naslab.running.results import Results

    later = Results(tmp_path / "runs")
    assert old.sha256 in later.environment["data of mine/cifar10"]
    assert later.frame[["architecture", "reward", "truth"]].equals(frame[["architecture", "reward", "truth"]])


def test_another_name_leaves_the_table_as_it_is(tmp_path: Path) -> None:
    old = stored(tmp_path)
    done = join(old, added(tmp_path, old, [f"{CELLS[0]},3,30"]), "mine-phones", complete=True)
    assert (len(done.table), done.partners, done.rows) == (1, 1, 3)
    assert find_table("mine").sha256 == old.sha256
    assert naslab.task("mine-phones/cifar10").problem.space.size == 1


@pytest.mark.parametrize(
    ("rows", "schema", "said"),
    [
        ([f"{CELLS[0]},3,-1"], SCHEMA.replace('ms"', 's"').replace("_s", "_ms"), "-1 seconds"),
        ([f"{CELLS[0]},3,x"], SCHEMA, "row 2, column 'board_ms': 'x' is not a finite number"),
        (["|none|,3,3"], SCHEMA, "row 2: "),
        ([f"{CELLS[0]},3,3", f"{CELLS[0]},4,4"], SCHEMA, "is already in row 2"),
        ([f"{CELLS[0]},3,3"], SCHEMA.replace("{device}_ms", "{device}_watt"), "matches none of the file's columns"),
        ([f"{CELLS[0]},3,3"], SCHEMA.replace("nasbench201", "mlp"), "is about 'mlp'; table 'mine' holds"),
        ([f"{CELLS[0]},3,3"], SCHEMA + "[tasks.cifar10]\nreward = 'phone_ms'\ntruth = 'phone_ms'\n", "role is 'cost'"),
        (
            [f"{CELLS[0]},3,3"],
            TASKS.replace('column = "valid"', 'column = "phone_ms"').replace(
                '= "valid"\ntruth = "valid"', '= "phone_ms"\ntruth = "phone_ms"'
            ),
            "and no tasks. Fix: leave .tasks. out",
        ),
        ([CELLS[2].replace("3x3", "1x1") + ",3,3"], SCHEMA, "no architecture of table 'mine' has a row in costs.csv"),
    ],
)
def test_a_wrong_join_changes_nothing(tmp_path: Path, rows: list[str], schema: str, said: str) -> None:
    old = stored(tmp_path)
    with pytest.raises(InvalidTable, match=said) as caught:
        join(old, added(tmp_path, old, rows, schema))
    assert "\n" not in str(caught.value)
    assert find_table("mine").sha256 == old.sha256
    assert [path.name for path in old.path.parent.iterdir()] == ["mine"]


def test_isomorphic_rows_that_disagree_and_columns_that_are_there(tmp_path: Path) -> None:
    old = stored(tmp_path, CELLS[3:] + CELLS[:1] + CELLS[1:2])
    third = "|none~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|none~2|"
    with pytest.raises(InvalidTable, match="are isomorphic, but their rows in the file disagree"):
        join(old, added(tmp_path, old, [f"{CELLS[2]},3,3", f"{third},4,4"]))
    reward = SCHEMA.replace(
        'metric = "{device}_ms"\nrole = "cost"', 'metric = "accuracy"\nsplit = "valid"\nrole = "reward"'
    )
    with pytest.raises(InvalidTable, match="already has a column 'cifar10/accuracy/valid'"):
        join(old, added(tmp_path, old, [f"{CELLS[0]},3"], reward, "arch,phone_ms"))
    with pytest.raises(InvalidTable, match=r"no architecture of table 'mine' has every number in costs.csv"):
        join(old, added(tmp_path, old, [f"{CELLS[0]},3,"]), complete=True)
    join(old, added(tmp_path, old, [f"{CELLS[0]},3,3"]), "other")
    with pytest.raises(InvalidTable, match="already holds another table"):
        join(old, added(tmp_path, old, [f"{CELLS[0]},4,4"]), "other")


def test_a_killed_replacement_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = stored(tmp_path)
    content = added(tmp_path, old, [f"{CELLS[0]},3,30"])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("naslab.tables.writing._write_files", full)
    with pytest.raises(NaslabError, match="can't be written: No space left"):
        join(old, content)
    assert find_table("mine").sha256 == old.sha256


def test_real_latencies(tmp_path: Path, shared_data: Path) -> None:
    """All 15,625 cells on 27 devices, joined to the real table; a table that comes with naslab stays as it is."""
    (tmp_path / "s.toml").write_text(SCHEMA.replace('{device}_ms"\ndataset', '{device}"\ndataset'))
    table = find_table("nasbench201")
    costs = read_addition(table, shared_data / "nasbench201_device_latency.csv.gz", tmp_path / "s.toml")
    done = join(table, costs, "devices")
    assert (done.partners, done.rows, done.strangers) == (15_625, 15_625, 0)
    assert len(done.table.columns) == len(table.columns) + 27
    first = done.table.row(search_space("nasbench201").from_string(
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    ))  # fmt: skip
    assert done.table.mean("cifar10/pixel3_ms")[first] == 3.60585
    rank = np.corrcoef(done.table.mean("cifar10/gold_6226_ms"), done.table.mean("cifar10/latency_seconds"))[0, 1]
    assert rank > 0.5
    with pytest.raises(InvalidValue, match=r"comes with naslab and stays as it is. Fix: --name NEW"):
        join(find_table("nasbench201"), costs)


def test_real_scores_are_evaluators(shared_data: Path) -> None:
    """NAS-Bench-Suite-Zero on NAS-Bench-201. Its FLOPs are a sum over operations, and its "validation" accuracy follows
    the recorded one, cell by cell: so NASLib's tuples were understood, edges and operations."""
    found = find_table("nasbench201")
    file = shared_data / "nb_suite_zero_nasbench201.json"
    content = addition("nas-bench-suite-zero", found, file)
    table = join(found, content, "zero", complete=True).table
    assert (len(table), len(content.recorded.columns)) == (722, 36)
    assert not any("val_accuracy" in name for name in table.columns)
    task, options = naslab.task("zero/cifar10"), table.architectures.tolist()
    counts = np.array([[row.count(option) for option in range(5)] for row in options])
    flops = table.mean("cifar10/flops")
    np.testing.assert_allclose(counts @ np.linalg.lstsq(counts, flops)[0], flops, atol=1e-6)
    entries = json.loads(file.read_text())["cifar10"].values()
    stated = dict(
        zip(map(tuple, content.recorded.architectures.tolist()), (e["val_accuracy"] for e in entries), strict=False)
    )
    pairs = np.array([(stated[tuple(row)], task.true_value(tuple(row))) for row in options])
    assert np.corrcoef(pairs.T)[0, 1] > 0.98
    scores = TableColumn(table, "cifar10", task, column="synflow")
    rng = np.random.default_rng(0)
    found_scores = [scores.evaluate(tuple(row), rng=rng).score for row in options]
    assert found_scores == table.mean("cifar10/synflow").tolist()
    truths = [task.true_value(tuple(row)) for row in options]
    ranks = [np.argsort(np.argsort(each)) for each in (found_scores, truths)]
    assert np.corrcoef(*ranks)[0, 1] == pytest.approx(0.733, abs=0.005)


def test_what_is_no_evaluator(tmp_path: Path) -> None:
    old = stored(tmp_path)
    join(old, added(tmp_path, old, [f"{CELLS[0]},3,30", f"{CELLS[1]},4,40", f"{CELLS[3]},1,"]))
    task, rng = naslab.task("mine/cifar10"), np.random.default_rng(0)
    cheap = TableColumn.for_task(task, rng, column="phone_ms")
    assert cheap.evaluate(search_space("nasbench201").from_string(CELLS[3]), rng=rng) == (-1.0, 0.0, {}, (), "")
    partial = TableColumn.for_task(task, rng, column="board_ms")
    lacking = search_space("nasbench201").from_string(CELLS[3])
    with pytest.raises(InvalidValue, match=r"board_ms\] of 'mine/cifar10' has no number for .*Fix: search a table of"):
        partial.evaluate(lacking, rng=rng)
    assert [partial.lacks(a) for a in task.problem.space.architectures()].count(True) == 1
    with pytest.raises(NaslabError, match=r"'phon_ms' of 'mine'. Did you mean 'phone_ms'"):
        TableColumn.for_task(task, rng, column="phon_ms")
    with pytest.raises(InvalidValue, match=r"which column\? table\[column=NAME\]. Columns: accuracy/valid, phone_ms"):
        TableColumn.for_task(task, rng)
    pocket = naslab.task("pocket-mlp/segments")
    with pytest.raises(InvalidValue, match="is what searches are judged by: no evaluator sees it"):
        TableColumn.for_task(pocket, rng, column="accuracy/test")
    with pytest.raises(InvalidValue, match="is rewarded by no table"):
        TableColumn.for_task(naslab.task("pocket-mlp/segments@live"), rng, column="params")


METRICS = (
    "edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "pixel3_latency", "eyeriss_latency",
    "eyeriss_energy", "eyeriss_arithmetic_intensity", "fpga_latency", "fpga_energy",
)  # fmt: skip


def hw_nas_bench(kind: Callable[[list[float]], Any] = list) -> Any:
    """As ``HWNASBenchAPI`` reads it: by space, dataset and metric, one number per architecture."""
    config = [{"name": "infer.tiny", "C": 16, "N": 5, "arch_str": cell, "num_classes": 10} for cell in CELLS]
    datasets = {
        dataset: {
            "config": config,
            **{m: kind([100.0 * i + 10 * k + d for k in range(4)]) for i, m in enumerate(METRICS)},
        }
        for d, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120"))
    }
    return {"nasbench201": datasets, "fbnet": {"edgegpu_latency": {"FC_Cin1504_Cout100": 0.1}}}


@pytest.mark.parametrize("kind", [list, np.array, lambda values: [np.float64(value) for value in values]])
def test_hw_nas_bench(tmp_path: Path, kind: Callable[[list[float]], Any]) -> None:
    (tmp_path / "hw.pickle").write_bytes(pickle.dumps(hw_nas_bench(kind), 3))
    old = stored(tmp_path)
    table = join(old, addition("hw-nas-bench", old, tmp_path / "hw.pickle")).table
    assert table.mean("cifar10/edgegpu_ms").tolist() == [0.0, 10.0, 30.0]
    assert table.mean("cifar10/fpga_mj").tolist() == [900.0, 910.0, 930.0]
    assert (table.columns["cifar10/fpga_mj"].unit, table.columns["cifar10/fpga_ms"].unit) == ("mJ", "ms")
    assert not any(name.startswith("cifar100/") for name in table.columns)  # the table has no such task
    measured = naslab.task("mine/cifar10").problem.measured
    assert set(measured) == {
        m.replace("latency", "ms").replace("energy", "mj") for m in METRICS if "intensity" not in m
    }


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.file}",)


def test_wrong_files_of_hw_nas_bench(tmp_path: Path) -> None:
    old = stored(tmp_path)

    def refused(content: Any, said: str) -> None:
        (tmp_path / "hw.pickle").write_bytes(pickle.dumps(content, 3))
        with pytest.raises(InvalidTable, match=said) as caught:
            addition("hw-nas-bench", old, tmp_path / "hw.pickle")
        assert "\n" not in str(caught.value)

    for value, said in (
        ([1.0, 2.0, 3.0], "pixel3_latency is 3 numbers, not a list of one number for each of 4"),
        ([1.0, 2.0, 3.0, -4.0], "cifar10: pixel3_latency of number 3 is -4.0"),
        ([1.0, 2.0, 3.0, "4"], "number 3 is '4'"),
        (np.ones((2, 2)), r"an array of shape \(2, 2\)"),
        (np.array([1, "x", None, 2], object), "dtype 'O8'"),
        (Malicious(tmp_path / "ran"), "refused: it names .*system"),
        (None, "pixel3_latency is None"),
    ):
        content = hw_nas_bench()
        content["nasbench201"]["cifar10"]["pixel3_latency"] = value
        refused(content, said)
    content = hw_nas_bench()
    content["nasbench201"]["cifar10"]["config"][1] = content["nasbench201"]["cifar10"]["config"][0]
    refused(content, "config lists 4 architectures, 3 of them different")
    refused({"nasbench201": {}}, "has no 'cifar10'")
    refused({"fbnet": {}}, "is not HW-NAS-Bench's file")
    assert not (tmp_path / "ran").exists()


def test_wrong_files_of_suite_zero(tmp_path: Path) -> None:
    old = stored(tmp_path)
    key = "(0, 2, 3, 2, 3, 1)"
    for content, said in (
        ({"cifar10": {"(0, 2, 3, 2, 3, 5)": {}}}, "no tuple of six operations from 0 to 4"),
        ({"cifar10": {key: {"synflow": {"score": "high"}}}}, "the score 'synflow' is 'high'"),
        ({"cifar10": {key: {"a/b": {"score": 1.0}}}}, "the score 'a/b' is 1.0"),
        ({"cifar10": {key: 3}}, "3 is no object of scores"),
        ({"cifar10": {}}, "it has no 'cifar10'"),
        ([], "it has no 'cifar10'"),
    ):
        (tmp_path / "zero.json").write_text(json.dumps(content))
        with pytest.raises(InvalidTable, match=said):
            addition("nas-bench-suite-zero", old, tmp_path / "zero.json")


def test_formats_have_names(tmp_path: Path) -> None:
    with pytest.raises(NaslabError, match=r"'nasbench11' of 'formats'. Did you mean 'nasbench101'"):
        importer("nasbench11")
    with pytest.raises(NaslabError, match="See: naslab table join TABLE FILE --format hw-nas-bench"):
        importer("hw-nas-bench")
    with pytest.raises(NaslabError, match="See: naslab table import FILE --format nats"):
        addition("nats", stored(tmp_path), "x")
