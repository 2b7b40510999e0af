"""An error of the machine is reported as what it is, wherever a file is read again; nothing is called damaged."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from failing_files import PASSING, check_says_what_it_is, out_of_reach
from toy_tasks import contents, toy_task

import naslab
from naslab.errors import InvalidTable, NaslabError, OutputError
from naslab.pocket import build
from naslab.running import Kept, check_folder, gradient_loop
from naslab.running.folder import closing_line
from naslab.tables.packaged.pocket import read_archive, write_archive

passing = pytest.mark.parametrize("number", PASSING)


@passing
def test_kept_results(tmp_path: Path, number: int) -> None:
    file = tmp_path / "scores.jsonl"
    Kept(file, {"a": 1}, "scores").add([1, 2])
    before = contents(tmp_path)
    with pytest.raises(OutputError) as error, out_of_reach(file, number):
        Kept(file, {"a": 1}, "scores")
    check_says_what_it_is(error.value, file, number)
    assert contents(tmp_path) == before


def test_damaged_results_may_be_whole_but_for_a_line(tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text('{"a": 1}\n[1, 2]\n{\n')
    for broken in ("{\n", "[" * 100_000 + "\n"):
        file.write_text('{"a": 1}\n[1, 2]\n' + broken)
        with pytest.raises(OutputError, match="is damaged; move it away"):
            Kept(file, {"a": 1}, "scores")


@passing
def test_the_description_of_a_folder(tmp_path: Path, number: int) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"a": 1}))
    with pytest.raises(OutputError) as error, out_of_reach(file, number):
        check_folder(tmp_path, {"a": 1}, file.name, "thing")
    check_says_what_it_is(error.value, file, number)


@passing
def test_a_finished_trace_is_not_called_missing(tmp_path: Path, number: int) -> None:
    file = tmp_path / "0.jsonl"
    file.write_text('{}\n{"end":{}}\n')
    with pytest.raises(OutputError) as error, out_of_reach(file, number):
        closing_line(file)
    check_says_what_it_is(error.value, file, number)
    assert closing_line(file) == {}
    assert closing_line(tmp_path / "1.jsonl") is None


@passing
def test_a_checkpoint(tmp_path: Path, number: int) -> None:
    file = tmp_path / "0.checkpoint"
    gradient_loop._save({"w": torch.zeros(2)}, file, {"a": 1}, 3)
    with pytest.raises(OutputError) as error, out_of_reach(file, number):
        gradient_loop._restored(None, file, {"a": 1}, 3)  # type: ignore[arg-type]
    check_says_what_it_is(error.value, file, number)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(OutputError, match=r"is no checkpoint .*move it away"):
        gradient_loop._restored(None, file, {"a": 1}, 3)  # type: ignore[arg-type]


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "0.checkpoint"
    gradient_loop._save({"w": torch.zeros(2)}, file, {"a": 1}, 3)
    before = file.read_bytes()
    full = out_of_reach(tmp_path / f".0.checkpoint.{os.getpid()}.draft", errno.ENOSPC)
    with pytest.raises(OutputError, match="every epoch before this one is kept"), full:
        gradient_loop._save({"w": torch.ones(2)}, file, {"a": 1}, 4)
    assert file.read_bytes() == before


@passing
def test_an_archive(tmp_path: Path, number: int) -> None:
    file = tmp_path / "x.npz"
    write_archive(file, {"a": 1}, {"rows": np.arange(3)})
    with pytest.raises(InvalidTable) as error, out_of_reach(file, number):
        read_archive(file)
    check_says_what_it_is(error.value, file, number)
    assert read_archive(file)[1]["rows"].tolist() == [0, 1, 2]


@passing
@pytest.mark.parametrize("name", ["build.json", "timed-00000.npy"])
def test_a_unit_of_a_build(tmp_path: Path, number: int, name: str) -> None:
    file = tmp_path / name
    load = build.load_json if name.endswith("json") else build.load_npy
    file.write_text("{}")
    with pytest.raises(OutputError) as error, out_of_reach(file, number):
        build._reread(load, file)
    check_says_what_it_is(error.value, file, number)
    file.write_text("{")
    with pytest.raises(OutputError, match="move that file away"):
        build._reread(load, file)


def test_advice_never_loses_a_trace(tmp_path: Path) -> None:
    """Other code wrote it: it may be worth hours, and is moved away at most."""
    naslab.search(toy_task(), "random", budget=5, out=tmp_path)
    (trace,) = tmp_path.glob("runs/*/*/*.jsonl")
    trace.write_bytes(b"\n".join([*trace.read_bytes().splitlines()[:2], b"{", b""]))
    with pytest.raises(NaslabError, match="move it away") as error:
        naslab.search(toy_task(), "random", budget=5, out=tmp_path)
    assert "delete" not in str(error.value)
