"""A table is written whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from toy_table import TOY_ARCHITECTURES, toy_arrays, toy_spec

from naslab.errors import InvalidTable, OutputError
from naslab.tables import Table, open_table
from naslab.tables.writing import write_table


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
