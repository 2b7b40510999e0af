"""NAS-Bench-101's file and NAS-Bench-1Shot1 through it, on files that are written here in the official format."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_files import metrics, training, write_tfrecord

import naslab
from naslab.errors import InvalidTable
from naslab.registry import search_space
from naslab.search_spaces.nasbench101 import NASBench101
from naslab.tables.importers.from_nasbench101 import SUB_SPACES, import_nasbench101

CELLS = ("01 02 12 16 23 34 36 45 56|313m1", "01 12|1", "01 12|m", "01 02 13 23|31")


@cache
def space() -> NASBench101:
    found = search_space("nasbench101")
    assert isinstance(found, NASBench101)
    return found


@cache
def written(string: str) -> tuple[str, str, str]:
    """Hash, adjacency and operations of a cell, as the file has them."""
    architecture = space().from_string(string)
    matrix, operations = space().spec(architecture)
    return space().official_key(architecture), "".join(str(e) for row in matrix for e in row), ",".join(operations)


def record(
    string: str, epochs: int, seconds: float, shares: tuple[float, float, float], params: int = 1000
) -> list[Any]:
    key, adjacency, operations = written(string)
    return training(key, epochs, adjacency, operations, metrics(epochs, seconds, shares, params))


@pytest.fixture(autouse=True)
def one_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the space takes half a second."""
    monkeypatch.setattr(
        "naslab.tables.importers.from_nasbench101.search_space",
        lambda name, **options: space() if name == "nasbench101" else search_space(name, **options),
    )


@pytest.fixture
def records() -> list[list[Any]]:
    """Out of order; the second cell has one training of 4 epochs and two of 108; the third only 4 epochs."""
    return [
        record(CELLS[1], 108, 101.0, (0.9, 0.8, 0.7)),
        record(CELLS[0], 4, 11.0, (0.5, 0.4, 0.3)),
        record(CELLS[2], 4, 12.0, (0.2, 0.2, 0.2)),
        record(CELLS[1], 4, 13.0, (0.6, 0.5, 0.4)),
        *(record(CELLS[0], 108, 200.0 + i, (0.99, 0.9 + i / 100, 0.8 + i / 100)) for i in range(3)),
        record(CELLS[1], 108, 103.0, (0.9, 0.82, 0.72)),
    ]


def test_every_number_is_where_it_belongs(tmp_path: Path, records: list[list[Any]]) -> None:
    table = import_nasbench101(write_tfrecord(tmp_path / "nasbench.tfrecord", records), "nb101")
    rows = [table.row(space().from_string(string)) for string in CELLS[:3]]
    assert sorted(rows) == [0, 1, 2]
    valid, seconds = table.values("cifar10/accuracy/valid", 108), table.values("cifar10/train_seconds", 108)
    nan = np.nan
    np.testing.assert_allclose(valid[rows], [[90, 91, 92], [80, 82, nan], [nan, nan, nan]])
    np.testing.assert_allclose(seconds[rows], [[200, 201, 202], [101, 103, nan], [nan, nan, nan]])
    np.testing.assert_allclose(table.values("cifar10/accuracy/test", 4)[rows, 0], [30, 40, 20])
    np.testing.assert_allclose(table.mean("cifar10/accuracy/train", 4)[rows], [50, 60, 20])
    assert table.mean("cifar10/params").tolist() == [1000.0] * 3
    assert table.columns["cifar10/accuracy/test"].epochs == (4, 108)
    assert (table.provenance["trainings"], table.provenance["cells"]) == ("8", "3 of 423,624")
    assert not table.curve
    task = naslab.task("nb101/cifar10")
    assert task.problem.space.size == 2  # the third cell has no training of 108 epochs
    assert task.problem.fidelities == (4, 108)
    rng = np.random.default_rng(0)
    assert {round(task.reward().evaluate(space().from_string(CELLS[1]), rng=rng).score, 6) for _ in range(20)} == {
        80,
        82,
    }
    assert task.true_value(space().from_string(CELLS[0])) == pytest.approx(81)


def test_the_short_file_has_one_length(tmp_path: Path) -> None:
    file = write_tfrecord(tmp_path / "only108.tfrecord", [record(CELLS[1], 108, 9.0, (0.9, 0.8, 0.7))])
    table = import_nasbench101(file, "nb101")
    assert table.columns["cifar10/train_seconds"].epochs == (108,)
    assert table.header.tasks["cifar10"].reward.epochs == 108


def test_an_isomorphic_way_of_writing_is_the_same_cell(tmp_path: Path) -> None:
    """The hash is of the class: a later record may number the vertices otherwise."""
    key, _, _ = written(CELLS[3])
    mirrored = ("0110000100010000", "input,conv1x1-bn-relu,conv3x3-bn-relu,output")
    other = training(key, 108, *mirrored, metrics(108, 5.0, (0.9, 0.6, 0.5), 1000))
    table = import_nasbench101(
        write_tfrecord(tmp_path / "x", [record(CELLS[3], 108, 4.0, (0.9, 0.8, 0.7)), other]), "nb101"
    )
    assert len(table) == 1
    np.testing.assert_allclose(table.values("cifar10/accuracy/valid")[0], [80, 60, np.nan])


def changed(**fields: Any) -> Callable[[list[Any]], object]:
    names = ("key", "epochs", "adjacency", "operations", "metrics")
    return lambda record: [fields.get(name, value) for name, value in zip(names, record, strict=True)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(key="0" * 32), "its hash is '0{32}', but that of its cell"),
        (changed(operations="input,maxpool3x3,output", adjacency="010001000"), "but that of its cell"),
        (changed(epochs=50), "50 epochs; trainings have 4, 12, 36, 108"),
        (changed(epochs=108.0), "108.0 epochs; trainings have"),
        (changed(epochs=True), "True epochs"),
        (changed(adjacency="01001"), "no square of zeros and ones"),
        (changed(adjacency="0" * 100), "allowed: 2 to 7 vertices"),
        (changed(adjacency="000100010"), "ones|the matrix has 1 from vertex 1 to 0"),
        (changed(operations="input,conv5x5,output"), "operation 'conv5x5'"),
        (changed(operations="a,b,c"), "do not go from input to output"),
        (changed(metrics="*"), "not in base64"),
        (changed(metrics="AAAA"), "no protocol buffer"),
        (changed(metrics=7), "must be texts"),
        (lambda record: record[:4], "no list of hash, epochs"),
        (lambda record: {"hash": 1}, "no list of hash, epochs"),
        (lambda record: record_of(shares=(0.9, 1.5, 0.7)), "accuracies .*; allowed: shares from 0 to 1"),
        (lambda record: record_of(shares=(0.9, float("nan"), 0.7)), "accuracies"),
        (lambda record: record_of(seconds=-1.0), "-1.0 seconds"),
        (lambda record: record_of(seconds=float("inf")), "inf seconds"),
    ],
)
def test_a_wrong_record_is_named_and_nothing_is_written(
    tmp_path: Path, cache: Path, records: list[list[Any]], change: Callable[[list[Any]], object], said: str
) -> None:
    content: list[Any] = list(records)
    content[3] = change(content[3])
    with pytest.raises(
        InvalidTable, match=rf"record 4 \(byte [\d,]+\) is not one of NAS-Bench-101: .*{said}"
    ) as caught:
        import_nasbench101(write_tfrecord(tmp_path / "x.tfrecord", content), "nb101")
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def record_of(seconds: float = 1.0, shares: tuple[float, float, float] = (0.9, 0.8, 0.7)) -> list[Any]:
    return record(CELLS[1], 4, seconds, shares)


def test_a_fourth_training_and_other_parameters_are_refused(tmp_path: Path) -> None:
    four = [record(CELLS[1], 108, 9.0, (0.9, 0.8, 0.7))] * 4
    with pytest.raises(InvalidTable, match=r"record 4 .* a training number 4 of cell .* for 108 epochs; there are 3"):
        import_nasbench101(write_tfrecord(tmp_path / "x", four), "nb101")
    two = [record(CELLS[1], 108, 9.0, (0.9, 0.8, 0.7), params) for params in (5, 6)]
    with pytest.raises(InvalidTable, match=r"record 2 .* 6 parameters; an earlier record of cell .* has 5"):
        import_nasbench101(write_tfrecord(tmp_path / "x", two), "nb101")


def test_real_cells_have_the_published_hashes(tmp_path: Path, shared_data: Path) -> None:
    """Cells, hashes, parameters and test accuracies are real; what else a record has was invented."""
    with gzip.open(shared_data / "nasbench101.csv.gz", "rt") as stream:
        rows = list(itertools.islice(csv.DictReader(stream), 400))
    with gzip.open(shared_data / "nasbench101_hashes.csv.gz", "rt") as stream:
        hashes = {int(row["row"]): row["hash"] for row in csv.DictReader(stream)}
    there = [i for i in range(len(rows)) if i in hashes]
    content = []
    for i in there:
        size = int(rows[i]["vertices"])
        edges = set(rows[i]["edges"].split())
        adjacency = "".join(str(int(f"{u}{v}" in edges)) for u in range(size) for v in range(size))
        names = {"3": "conv3x3-bn-relu", "1": "conv1x1-bn-relu", "m": "maxpool3x3"}
        operations = ",".join(["input", *(names[letter] for letter in rows[i]["operations"]), "output"])
        test = float(rows[i]["test108"])
        message = metrics(108, 1.0, (test, test, test), round(1e6 * float(rows[i]["params_M"])))
        content.append(training(hashes[i], 108, adjacency, operations, message))
    assert len(content) >= 2
    table = import_nasbench101(write_tfrecord(tmp_path / "x", content), "real")
    np.testing.assert_allclose(table.mean("cifar10/accuracy/test"), [100 * float(rows[i]["test108"]) for i in there])
    task = naslab.task("real/cifar10")
    keys = [space().official_key(tuple(options)) for options in table.architectures.tolist()]
    assert keys == [hashes[i] for i in there]
    assert task.problem.space.size == len(there)


def official_matrix(parents: list[tuple[int, ...]]) -> list[list[int]]:
    """After the authors' code: with four blocks, an unused vertex stands before the output."""
    size, last = 7, 6
    matrix = [[0] * size for _ in range(size)]
    for node, chosen in enumerate(parents, start=1):
        for parent in chosen:
            matrix[parent][node if node < len(parents) else last] = 1
    return matrix


@pytest.mark.parametrize("sub_space", [1, 2, 3])
def test_a_sub_space_is_looked_up_by_the_published_hash(tmp_path: Path, sub_space: int) -> None:
    small = search_space("nasbench1shot1", sub_space=sub_space)
    rng = np.random.default_rng(sub_space)
    drawn = [small.sample(rng) for _ in range(6)]
    content, expected = {}, {}
    for i, architecture in enumerate(drawn):
        parts = [part.partition(":")[::2] for part in small.to_string(architecture).split("|")]
        parents = [tuple(map(int, chosen.split(","))) for _, chosen in parts]
        operations = [operation for operation, _ in parts[:-1]]
        padded = [*operations, *["conv1x1-bn-relu"] * (5 - len(operations))]
        cell = space().from_spec(official_matrix(parents), ["input", *padded, "output"])
        key = space().official_key(cell)
        content.setdefault(key, record(space().to_string(cell), 108, 1.0 + i, (0.9, 0.5 + i / 100, 0.4 + i / 100)))
        expected[architecture] = key
    truth = {key: 100 * (0.4 + i / 100) for i, key in enumerate(dict.fromkeys(expected.values()))}
    if len(truth) < len(drawn):
        pytest.skip("the draw has two equal cells")
    assert [small.official_key(a) for a in drawn] == list(expected.values())  # type: ignore[attr-defined]
    if sub_space > 1:  # enumerating 29,160 or 1.3 million architectures takes a while
        return
    table = SUB_SPACES[sub_space](write_tfrecord(tmp_path / "nasbench.tfrecord", content.values()), "shots")
    assert (table.space, table.header.tasks["cifar10"].space_options["sub_space"]) == ("nasbench1shot1", sub_space)
    assert len(table) >= len(drawn)  # others are the same cells
    task = naslab.task("shots/cifar10")
    for architecture, key in expected.items():
        assert task.true_value(architecture) == pytest.approx(truth[key])


@pytest.mark.slow
def test_a_file_without_a_sub_space(tmp_path: Path) -> None:
    file = write_tfrecord(tmp_path / "x", [record("01 02 03 04 05 15 25 35 45|3333", 108, 1.0, (0.9, 0.8, 0.7))])
    with pytest.raises(InvalidTable, match="holds no cell of sub-space 1"):
        SUB_SPACES[1](file, "shots")
