"""Archives of pocket tables: equal content is equal bytes, and the table that is made of one says what was counted."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks

import naslab
from naslab.datasets.catalogue import RowsOf, load_dataset
from naslab.errors import InvalidDataset, InvalidTable, InvalidValue, UnknownTask
from naslab.space import Recipe
from naslab.tables import Table, find_table, imported_names, packaged_names, table_names
from naslab.tables.format import file_sha256
from naslab.tables.packaged import pocket
from naslab.tables.packaged.pocket import LAYOUT, pocket_table, read_archive, write_archive
from naslab.tables.store import table_path
from naslab.tasks import packaged_task, stored_task_ids

NAME = "pocket-mlp-toy"
SEGMENTS = "a50fac8f5ed846bfc8868cb68eb839439cf075da52ab16edfeddafa49b95f96a"
BUILD = {
    "space": "mlp",
    "options": {"in_features": 18, "out_features": 7, "depth": 2, "widths": [2, 4, 8]},
    "splits": [640, 640, 1030],
    "recipe": {"epochs": 3, "batch": 48, "learning_rate": 0.01},
    "seeds": 2,
}
HEADER = {
    "format": 1,
    "name": NAME,
    "dataset": "toy",
    "options": [3, 3],
    "timings": ["step_seconds", "validation_seconds", "latency_seconds", "latency_iqr_seconds"],
    "data": {"name": "segments", "sha256": SEGMENTS},
    "provenance": {"source": "invented", "build": BUILD, "calibration_seconds": 0.25},
}
ROWS = [0, 1, 2, 1, 0, 3, 2, 2, 3]  # nine architectures of four classes
SIZES = {"train": 624, "valid": 640, "test": 1030}  # thirteen batches of 48


def toy_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "rows": np.array(ROWS, np.uint16),
        "trained": np.array([(0, 0), (0, 1), (0, 2), (1, 2)], np.uint8),
        "right": rng.integers(0, 624, (4, 3, 3, 2)).astype(np.uint16),
        "timings": rng.random((4, 4), np.float32),
        "costs": rng.integers(1, 999, (4, 2)),
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}.npz"
    write_archive(path, HEADER, toy_arrays())
    return path


@pytest.fixture
def package(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships the archive alone."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(pocket, "_FOLDER", folder)
    return archive.rename(folder / archive.name).parent


# ---- archives --------------------------------------------------------------------------------------------------------


def test_an_archive_is_read_as_it_was_written(archive: Path) -> None:
    header, arrays = read_archive(archive)
    assert header == HEADER
    assert set(arrays) == set(toy_arrays())
    for name, array in toy_arrays().items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_equal_content_is_equal_bytes(archive: Path, tmp_path: Path) -> None:
    turned = dict(reversed(HEADER.items()))
    strided = {name: np.asfortranarray(array) for name, array in toy_arrays().items()}
    write_archive(tmp_path / "again.npz", turned, strided)
    assert (tmp_path / "again.npz").read_bytes() == archive.read_bytes()
    changed = toy_arrays()
    changed["right"][3, 2, 1, 0] += 1
    write_archive(tmp_path / "again.npz", HEADER, changed)
    assert (tmp_path / "again.npz").read_bytes() != archive.read_bytes()


def test_an_archive_is_plain_arrays_and_text(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        assert content.testzip() is None
        for info in content.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            array = np.load(io.BytesIO(content.read(info)), allow_pickle=False)
            assert array.dtype.kind in ("U" if info.filename == "header.npy" else "iuf")


def harmful(path: Path) -> None:
    """An archive whose array is an object that makes a folder when it is unpickled."""

    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(path.parent / "harm"),)

    np.savez(path, header=np.array(json.dumps(HEADER)), rows=np.array([Harm()], object))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"a text"),
        lambda path: np.savez(path, rows=np.arange(3)),
        lambda path: np.savez(path, header=np.array("{")),
        lambda path: (np.save(path.with_suffix(".npy"), np.arange(3)), path.with_suffix(".npy").replace(path)),
        harmful,
    ],
)
def test_a_damaged_archive_is_named(archive: Path, damage: Callable[[Path], object]) -> None:
    damage(archive)
    with pytest.raises(InvalidTable) as caught:
        read_archive(archive)
    assert str(caught.value).startswith(f"'{archive}' is damaged (")
    assert str(caught.value).endswith("). Fix: pip install --force-reinstall naslab")
    assert not (archive.parent / "harm").exists()


def test_no_flipped_bit_is_read_as_another_number(archive: Path) -> None:
    good = archive.read_bytes()
    numbers = {name: array.tolist() for name, array in toy_arrays().items()}
    refused = 0
    for place in range(0, len(good), 7):
        for flip in (1, 128):
            archive.write_bytes(good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
            try:
                header, arrays = read_archive(archive)
            except InvalidTable:
                refused += 1
            else:  # a bit that means nothing, such as one of a file's date
                assert header == HEADER
                assert {name: a.tolist() for name, a in arrays.items()} == numbers
    assert refused > len(good) / 7


# ---- tables ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(archive: Path, tmp_path: Path) -> Table:
    return pocket_table(archive).build(tmp_path / "expanded")


def test_counts_become_percentages(table: Table) -> None:
    right = toy_arrays()["right"]
    assert len(table) == 9
    assert table.architectures.tolist() == [[i, j] for i in range(3) for j in range(3)]
    for number, (split, size) in enumerate(SIZES.items()):
        column = table.columns[f"toy/accuracy/{split}"]
        assert (column.epochs, column.seeds) == ((1, 2, 3), ("1", "2"))
        assert (column.unit, column.direction) == ("%", "max")
        for row, trained in enumerate(ROWS):
            np.testing.assert_allclose(
                column.values[row], 100 * right[trained, number].astype(float) / size, rtol=1e-15
            )


def test_seconds_are_steps_and_one_pass_over_the_validation_rows(table: Table) -> None:
    timings = toy_arrays()["timings"].astype(float)
    for epochs in (1, 2, 3):
        expected = [timings[row, 0] * 13 * epochs + timings[row, 1] for row in ROWS]
        np.testing.assert_allclose(table.charge("toy", epochs), expected, rtol=1e-12)
    np.testing.assert_array_equal(table.charge("toy"), table.charge("toy", 3))
    np.testing.assert_array_equal(table.mean("toy/latency_seconds"), timings[ROWS, 2])
    np.testing.assert_array_equal(table.mean("toy/latency_iqr_seconds"), timings[ROWS, 3])
    for name in ("train_seconds", "latency_seconds", "latency_iqr_seconds"):
        assert (table.columns[f"toy/{name}"].unit, table.columns[f"toy/{name}"].direction) == ("seconds", "min")


def test_architectures_of_a_class_share_every_number(table: Table) -> None:
    for column in table.columns.values():
        for row, trained in enumerate(ROWS):
            np.testing.assert_array_equal(column.values[row], column.values[ROWS.index(trained)])
    for number, name in enumerate(("params", "macs")):
        assert table.mean(f"toy/{name}").tolist() == toy_arrays()["costs"][ROWS, number].tolist()


def test_the_table_says_where_it_comes_from(table: Table) -> None:
    assert (table.name, table.space) == (NAME, "mlp")
    assert table.provenance["build"] == BUILD
    assert table.provenance["calibration_seconds"] == 0.25
    entry = table.tasks["toy"]
    assert entry.data is not None
    assert (entry.data.name, entry.data.sha256) == ("segments", SEGMENTS)
    assert (entry.reward.column, entry.reward.epochs) == ("toy/accuracy/valid", 3)
    assert (entry.truth.column, entry.truth.epochs) == ("toy/accuracy/test", 3)
    assert entry.space_options == {**BUILD["options"], "widths": (2, 4, 8)}  # type: ignore[dict-item]


@pytest.mark.usefixtures("package")
def test_a_packaged_table_is_expanded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name in packaged_names() if name.startswith("pocket")} == {NAME}
    assert table_names() == sorted(packaged_names())
    first = find_table(NAME)
    assert first.path.parent == cache.parent / "packaged"
    assert not cache.exists()  # where imported tables are
    monkeypatch.setattr(pocket, "read_archive", None)
    again = find_table(NAME)
    assert (again.sha256, again.path) == (first.sha256, first.path)
    assert imported_names() == []
    assert stored_task_ids() == {}


def test_two_builds_of_one_name_have_two_folders(package: Path) -> None:
    first = find_table(NAME)
    changed = toy_arrays()
    changed["right"][0, 2, 2] = (600, 602)
    write_archive(package / f"{NAME}.npz", HEADER, changed)
    second = find_table(NAME)
    assert second.path != first.path
    assert first.path.is_dir()
    assert second.mean("toy/accuracy/test")[0] == pytest.approx(100 * 601 / 1030)
    assert second.path.name == f"{NAME}-{LAYOUT}-{file_sha256(package / f'{NAME}.npz')[:12]}"


def test_a_damaged_copy_in_the_cache_is_named(package: Path) -> None:
    found = find_table(NAME)
    column = found.path / "toy+accuracy+test.npy"
    column.write_bytes(column.read_bytes()[:-8])
    with pytest.raises(InvalidTable, match=r"test\.npy' .* Fix: delete the folder"):
        find_table(NAME)
    (package / f"{NAME}.npz").write_bytes(b"")
    with pytest.raises(InvalidTable, match=rf"{NAME}\.npz' is damaged"):
        find_table(NAME)


@pytest.mark.usefixtures("package")
def test_nobody_else_may_have_the_name_of_a_packaged_table(cache: Path) -> None:
    with pytest.raises(InvalidValue, match=f"table name '{NAME}' belongs to a table that comes with naslab"):
        table_path(NAME)
    toy_tasks.store_table(cache / "pocket-mlp-other", name="pocket-mlp-other")
    assert imported_names() == ["pocket-mlp-other"]
    assert find_table("pocket-mlp-other").name == "pocket-mlp-other"


# ---- tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("package")
def test_a_task_has_rows_recipe_and_clock() -> None:
    task = packaged_task("pocket-mlp/toy")
    arrays = toy_arrays()
    assert (task.id, task.metric, task.unit, task.direction) == ("pocket-mlp/toy", "test accuracy", "%", "max")
    assert (task.problem.fidelities, task.problem.fidelity) == ((1, 2, 3), 3)
    assert task.recipe == Recipe(epochs=3, batch=48, learning_rate=0.01)
    assert task.calibration == 0.25
    assert task.true_value((1, 2)) == pytest.approx(100 * arrays["right"][3, 2, -1].mean() / 1030)
    assert task.problem.cost("latency_seconds", (2, 2)) == arrays["timings"][3, 2]
    assert task.problem.space.to_string((1, 2)) == "4-8"
    rng = np.random.default_rng(0)
    told = [task.reward().evaluate((1, 2), fidelity=2, rng=rng) for _ in range(20)]
    assert {each.score for each in told} == {100 * count / 640 for count in arrays["right"][3, 1, 1].tolist()}
    assert {each.seconds for each in told} == {find_table(NAME).charge("toy", 2)[5]}
    with pytest.raises(UnknownTask, match="pocket-mlp-toy/toy"):
        naslab.task(f"{NAME}/other")


@pytest.mark.usefixtures("package")
def test_test_rows_are_in_the_task_and_not_in_the_problem() -> None:
    task = packaged_task("pocket-mlp/toy")
    data = load_dataset("segments")
    assert task.problem.train == RowsOf("segments", "train", SEGMENTS)
    assert task.problem.validation == RowsOf("segments", "validation", SEGMENTS)
    assert task.test == RowsOf("segments", "test", SEGMENTS)
    for rows, expected in ((task.problem.train, data.train), (task.test, data.test)):
        np.testing.assert_array_equal(rows.x, expected.x)
        np.testing.assert_array_equal(rows.y, expected.y)
    assert b"test" not in pickle.dumps(task.problem)
    assert b"test" in pickle.dumps(task)
    assert pickle.loads(pickle.dumps(task)).problem.train == task.problem.train


def test_a_table_of_other_rows_than_those_here_is_refused_when_they_are_looked_at(package: Path) -> None:
    header = {**HEADER, "data": {"name": "segments", "sha256": "0" * 64}}
    write_archive(package / f"{NAME}.npz", header, toy_arrays())
    task = packaged_task("pocket-mlp/toy")
    assert task.optimum is not None  # what needs no rows goes on
    assert task.problem.train is not None
    with pytest.raises(InvalidDataset, match=r"the table was built from 000000000000\.\.\..*pip install river=="):
        _ = task.problem.train.x


COMPARE = """
import sys
from pathlib import Path
from naslab.cli import run_command
from naslab.tables.packaged import pocket
pocket._FOLDER = Path({folder!r})
code = run_command(["compare", {task!r}, "--optimizers", "random,local-search", "--seeds", "2",
                    "--budget", "4", "--out", {out!r}])
print(code, sorted({{"mlxtend", "river", "torch"}} & set(sys.modules)))
"""


def test_a_run_on_a_table_loads_neither_data_nor_torch(package: Path, tmp_path: Path) -> None:
    code = COMPARE.format(folder=str(package), task=f"{NAME}/toy", out=str(tmp_path / "out"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr
