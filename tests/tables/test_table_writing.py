"""A table is written whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toy_table import TOY_ARCHITECTURES, toy_arrays, toy_spec

from naslab.errors import InvalidTable, OutputError
from naslab.tables import Table, open_table
from naslab.tables.writing import write_table

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_there_is_kept_or_refused_or_replaced(write_toy: Callable[..., Table], cache: Path) -> None:
    first = write_toy()
    inode = (first.path / "header.json").stat().st_ino
    assert (write_toy().path / "header.json").stat().st_ino == inode
    with pytest.raises(InvalidTable, match="already holds another table"):
        write_toy(shift=1.0)
    assert open_table(first.path).sha256 == first.sha256
    second = write_toy(shift=1.0, replace=True)
    assert second.sha256 != first.sha256
    assert names(cache) == ["toy"]


def test_a_folder_that_is_no_table_is_never_replaced(write_toy: Callable[..., Table], cache: Path) -> None:
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "thesis.tex").write_text("years of work")
    for replace in (False, True):
        with pytest.raises(InvalidTable, match="exists and is not a table"):
            write_toy(replace=replace)
    assert names(cache) == ["toy"]
    assert names(cache / "toy") == ["thesis.tex"]


def test_a_full_disk_leaves_nothing_behind(
    write_toy: Callable[..., Table], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match=r"toy' can't be written: No space left on device\. Fix: .*NASLAB_CACHE"):
        write_toy()
    assert names(cache) == []


def test_a_place_that_cannot_be_written_is_named(write_toy: Callable[..., Table], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        write_toy(path=tmp_path / "file" / "toy")


def test_contents_are_checked_before_anything_is_written(cache: Path) -> None:
    good = toy_arrays()
    infinite = {**good, "toy/train_seconds": np.full((3, 1, 1), np.inf)}
    shape = {**good, "toy/train_seconds": np.zeros((3, 1))}
    cases = [
        ([(0, 0)] * 3, good, "an architecture has two rows"),
        ([(0, 0), (0, 3), (1, 1)], good, "outside the options"),
        ([(0, 0), (-1, 1), (1, 1)], good, "outside the options"),
        ([(0,), (1,), (2,)], good, r"not \(N, 2\)"),
        (TOY_ARCHITECTURES, infinite, "'toy/train_seconds'.*infinite"),
        (TOY_ARCHITECTURES, shape, "'toy/train_seconds'.*shape"),
        (TOY_ARCHITECTURES, {}, "not those of the columns"),
    ]
    for architectures, arrays, message in cases:
        with pytest.raises(InvalidTable, match=message):
            write_table(cache / "toy", toy_spec(), architectures, arrays)
    assert not cache.exists()


def test_drafts_of_the_dead_are_removed_and_those_of_the_living_are_not(
    write_toy: Callable[..., Table], cache: Path
) -> None:
    script = (
        "import sys, os; from pathlib import Path; from naslab.tables.drafts import draft_folder\n"
        "with draft_folder(Path(sys.argv[1])) as draft:\n"
        "    (draft / 'architectures.npy').write_text('half')\n"
        "    print(draft, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(cache / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for name in ("toy", "toy", "toy.2")
    ]  # fmt: skip
    drafts = [Path(writer.stdout.readline().strip()) for writer in writers if writer.stdout]
    try:
        for dead in (0, 2):
            writers[dead].kill()
            writers[dead].wait()
        write_toy()
        assert names(cache) == sorted([*(draft.name for draft in drafts[1:]), "toy"])  # a draft of toy.2 is none of toy
        assert (drafts[1] / "architectures.npy").exists()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    write_toy()  # kept, for it is the same
    write_table(cache / "toy.2", toy_spec(name="toy.2"), TOY_ARCHITECTURES, toy_arrays())
    assert names(cache) == ["toy", "toy.2"]


def test_a_table_that_was_being_replaced_comes_back(write_toy: Callable[..., Table], cache: Path) -> None:
    first = write_toy()
    (cache / ".toy.abcdefgh").mkdir()
    first.path.rename(cache / ".toy.abcdefgh" / "old")  # and then the process was killed
    with pytest.raises(InvalidTable, match=r"already holds another table.*or move that folder away"):
        write_toy(shift=1.0)
    assert open_table(first.path).sha256 == first.sha256
    assert names(cache) == ["toy"]


def test_negative_seconds_are_refused(cache: Path) -> None:
    negative = {**toy_arrays(), "toy/train_seconds": np.array([8.0, -80.0, 800.0]).reshape(3, 1, 1)}
    with pytest.raises(InvalidTable, match="'toy/train_seconds': negative seconds"):
        write_table(cache / "toy", toy_spec(), TOY_ARCHITECTURES, negative)
    assert not cache.exists()
