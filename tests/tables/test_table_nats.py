"""Official NATS-Bench records, field by field against an independent reading, and damaged ones."""

from __future__ import annotations

import bz2
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naslab.errors import InvalidTable
from naslab.tables import Table, find_table
from naslab.tables.from_csv import import_csv
from naslab.tables.importers.from_nats import import_nats
from naslab.tasks import table_task

INDICES = (0, 11, 284)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
THEIRS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}
SHIPPED = Path(__file__).parents[2] / "experiments" / "tables" / "nasbench201.toml"


@pytest.fixture
def records(shared_data: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(shared_data / "nats_records", tmp_path / "nats_records", copy_function=shutil.copyfile))


def load(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the records name numpy.core
        return pickle.loads(bz2.decompress(file.read_bytes()))


def save(file: Path, content: object) -> None:
    file.write_bytes(bz2.compress(pickle.dumps(content, 4)))


def architecture(string: str) -> tuple[int, ...]:
    """An independent reading of both spaces' strings."""
    if ":" in string:
        return tuple(int(width) // 8 - 1 for width in string.split(":"))
    return tuple(OPERATIONS.index(edge.split("~")[0]) for edge in string.replace("+", "").split("|") if edge)


def expected(record: Any, dataset: str, epochs: int, seed: int) -> dict[str, float]:
    """Columns -> numbers of one training, as the papers use the official fields."""
    hyper = record[f"{epochs:02d}"]["all_results"]
    theirs = THEIRS[dataset]
    numbers = {}
    searched = hyper.get(("cifar10-valid" if dataset == "cifar10" else theirs, seed))
    if searched is not None:
        numbers[f"{dataset}/accuracy/train"] = searched["train_acc1es"][epochs - 1]
        numbers[f"{dataset}/accuracy/valid"] = searched["eval_acc1es"][f"x-valid@{epochs - 1}"]
        numbers[f"{dataset}/train_seconds"] = sum(searched["train_times"].values())
    judged = hyper.get((theirs, seed))
    if judged is not None:
        test = "ori-test" if dataset == "cifar10" else "x-test"
        numbers[f"{dataset}/accuracy/test"] = judged["eval_acc1es"][f"{test}@{epochs - 1}"]
    return numbers


@pytest.mark.parametrize(("kind", "lengths"), [("tss", (12, 200)), ("sss", (1, 12, 90))])
def test_all_fields_of_all_records(shared_data: Path, kind: str, lengths: tuple[int, ...]) -> None:
    folder = shared_data / "nats_records" / kind
    table = import_nats(folder, "nats")
    assert len(table) == len(INDICES)
    compared = 0
    for row, index in enumerate(INDICES):
        record = load(folder / f"{index:06d}.pickle.pbz2")
        string = record["12"]["arch_str"]
        assert table.row(architecture(string)) == row
        for dataset, theirs in THEIRS.items():
            for name, column in table.columns.items():
                if column.dataset != dataset or not column.epochs:
                    continue
                assert column.epochs == lengths
                for epochs in lengths:
                    for position, seed in enumerate(column.seeds):
                        value = table.values(name, epochs)[row, position]
                        wanted = expected(record, dataset, epochs, int(seed)).get(name)
                        if wanted is None:
                            assert np.isnan(value)
                        else:
                            # Fields are copied; seconds are a sum, whose order of addition may differ.
                            assert value == (pytest.approx(wanted, rel=1e-12) if "seconds" in name else wanted)
                            compared += 1
            trials = [
                trial
                for hyper in record.values()
                for (source, _), trial in hyper["all_results"].items()
                if source == theirs
            ]
            for name, values in {
                "latency_seconds": [np.mean(trial["latency"]) for trial in trials],
                "params_M": [trial["params"] for trial in trials],
                "flops_M": [trial["flop"] for trial in trials],
            }.items():
                assert table.mean(f"{dataset}/{name}")[row] == pytest.approx(np.mean(values), rel=1e-12)
                compared += 1
    assert compared == {"tss": 3 * 60, "sss": 3 * 69}[kind]


def test_seeds_and_tasks(shared_data: Path) -> None:
    table = import_nats(shared_data / "nats_records" / "tss", "nats-tss")
    assert (table.space, table.header.options) == ("nasbench201", (5,) * 6)
    assert table.columns["cifar10/accuracy/valid"].seeds == ("111", "777", "888", "999")
    valid, test = table.values("cifar10/accuracy/valid", 12), table.values("cifar10/accuracy/test", 12)
    np.testing.assert_array_equal(np.isnan(valid), [[False, False, True, True]] * 3)
    np.testing.assert_array_equal(np.isnan(test), [[False, True, True, True]] * 3)
    assert table.provenance["records"] == "3 of 15,625"
    assert "'tss'" in table.provenance["source"]
    csv = import_csv(shared_data / "nasbench201.csv.gz", SHIPPED, "csv")
    assert table.tasks == csv.tasks
    # The merged CSV (six significant digits) agrees with the records, but for CIFAR-10's 200-epoch
    # validation, which comes from another version there.
    rows = [csv.row(tuple(options)) for options in table.architectures.tolist()]
    for dataset in THEIRS:
        for column, epochs in (("valid", 12), ("test", 12), ("test", 200)):
            name = f"{dataset}/accuracy/{column}"
            np.testing.assert_allclose(table.mean(name, epochs), csv.mean(name, epochs)[rows], atol=5e-3)
        np.testing.assert_allclose(table.charge(dataset, 12), csv.charge(dataset, 12)[rows], rtol=1e-4)


def test_the_size_space(shared_data: Path) -> None:
    table = import_nats(shared_data / "nats_records" / "sss", "nats-sss")
    assert (table.space, table.header.options) == ("nats-size", (8,) * 5)
    assert table.architectures.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 3], [0, 0, 4, 3, 4]]
    assert table.provenance["records"] == "3 of 32,768"
    assert table.tasks["cifar100"].reward.epochs == 12
    assert table.tasks["cifar100"].truth.epochs == 90
    for dataset in THEIRS:
        space = table_task(table, dataset).problem.space
        rows = table.architectures
        classes = table.tasks[dataset].space_options["num_classes"]
        flops = space.cost_model.values("macs", rows) + classes  # what the records call FLOPs
        np.testing.assert_allclose(table.mean(f"{dataset}/flops_M"), flops / 1e6, rtol=1e-9)
        np.testing.assert_allclose(table.mean(f"{dataset}/params_M"), space.cost_model.values("params", rows) / 1e6)


def test_the_parent_of_one_folder_will_do(records: Path, shared_data: Path) -> None:
    with pytest.raises(InvalidTable, match=r"holds several folders of records\. Fix: name one of .*sss.*tss"):
        import_nats(records, "nats")
    shutil.rmtree(records / "sss")
    done: list[tuple[int, int]] = []
    table = import_nats(records, "nats", progress=lambda *step: done.append(step))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert "'tss'" in table.provenance["source"]
    assert find_table("nats").sha256 == table.sha256
    direct = import_nats(shared_data / "nats_records" / "tss", "nats")
    assert direct.sha256 == table.sha256


def test_uncompressed_and_fewer_records(records: Path) -> None:
    folder = records / "tss"
    whole = import_nats(folder, "whole")
    (folder / "000011.pickle.pbz2").unlink()
    for file in folder.glob("*.pbz2"):
        file.with_suffix("").write_bytes(bz2.decompress(file.read_bytes()))
        file.unlink()
    table = import_nats(folder, "part")
    assert table.provenance["records"] == "2 of 15,625"
    for name in table.columns:
        np.testing.assert_array_equal(table.columns[name].values, whole.columns[name].values[[0, 2]])


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("name", ["000011", "meta"])
def test_a_malicious_record_is_refused(records: Path, tmp_path: Path, cache: Path, name: str) -> None:
    file = records / "tss" / f"{name}.pickle.pbz2"
    content = load(file)
    content["extra"] = Malicious(tmp_path / "ran")
    save(file, content)
    with pytest.raises(InvalidTable, match=f"{name}.pickle.pbz2' is refused: it names"):
        import_nats(records / "tss", "nats")
    assert not (tmp_path / "ran").exists()
    assert not cache.exists()


def drop(*path: Any) -> Callable[[Any], object]:
    def change(record: Any) -> object:
        inner = record
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return record

    return change


def put(value: object, *path: Any) -> Callable[[Any], object]:
    def change(record: Any) -> object:
        inner = record
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return record

    return change


TRIAL = ("200", "all_results", ("cifar100", 777))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("12", "all_results"), "it lacks 'all_results'"),
        (drop(*TRIAL, "eval_acc1es", "x-valid@199"), "it lacks 'x-valid@199'"),
        (drop(*TRIAL, "train_times", 7), "it lacks 7"),
        (drop(*TRIAL, "latency"), "it lacks 'latency'"),
        (put(12, *TRIAL, "epochs"), "12 epochs listed under '200'"),
        (put(7, "12", "arch_index"), "describes number 7"),
        (put("|none~0|", "12", "arch_str"), "it describes number 11, '|none~0|'"),
        (put(float("nan"), *TRIAL, "eval_acc1es", "x-test@199"), "cifar100 test is nan"),
        (put("high", *TRIAL, "eval_acc1es", "x-test@199"), "is not a NATS-Bench record"),
        (lambda record: [record], "is not a NATS-Bench record"),
    ],
)
def test_a_damaged_record_is_named(records: Path, cache: Path, change: Callable[[Any], object], message: str) -> None:
    file = records / "tss" / "000011.pickle.pbz2"
    save(file, change(load(file)))
    with pytest.raises(InvalidTable) as error:
        import_nats(records / "tss", "nats")
    assert str(file) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not cache.exists()


def test_other_faults_are_named(records: Path, cache: Path, tmp_path: Path) -> None:
    folder = records / "tss"
    file = folder / "000284.pickle.pbz2"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(InvalidTable, match=r"000284\.pickle\.pbz2' is truncated or damaged"):
        import_nats(folder, "nats")
    file.write_bytes(whole)
    shutil.copyfile(file, folder / "020000.pickle.pbz2")
    with pytest.raises(InvalidTable, match="lists only 15,625 architectures"):
        import_nats(folder, "nats")
    (folder / "020000.pickle.pbz2").unlink()
    for index in INDICES:
        record = load(folder / f"{index:06d}.pickle.pbz2")
        del record["12"]
        save(folder / f"{index:06d}.pickle.pbz2", record)
    with pytest.raises(InvalidTable, match="no record has 12-epoch validation"):
        import_nats(folder, "nats")
    for index in INDICES:
        (folder / f"{index:06d}.pickle.pbz2").unlink()
    with pytest.raises(InvalidTable, match="has no records"):
        import_nats(folder, "nats")
    save(folder / "meta.pickle.pbz2", {"meta_archs": None})
    with pytest.raises(InvalidTable, match="no list 'meta_archs'"):
        import_nats(folder, "nats")
    (folder / "meta.pickle.pbz2").unlink()
    with pytest.raises(InvalidTable, match=r"has no meta\.pickle\.pbz2"):
        import_nats(folder, "nats")
    with pytest.raises(InvalidTable, match="is not a folder"):
        import_nats(tmp_path / "absent", "nats")
    assert not cache.exists()


def test_an_unmeasured_latency_is_left_out(records: Path) -> None:
    file = records / "tss" / "000011.pickle.pbz2"
    record = load(file)
    for hyper in record.values():
        for trial in hyper["all_results"].values():
            trial["latency"] = [0.0]
    save(file, record)
    table: Table = import_nats(records / "tss", "nats")
    assert np.isnan(table.mean("cifar10/latency_seconds")).tolist() == [False, True, False]
