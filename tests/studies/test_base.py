"""Work in processes, kept as it is done."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from naslab.errors import OutputError, WorkerDied
from naslab.studies.base import in_processes


def squared(number: int) -> dict[str, float]:
    return {"square": number**2}


def test_results_come_in_the_order_of_the_work_and_continue_after_a_kill(tmp_path: Path):
    keep, told = tmp_path / "study" / "results.jsonl", []
    work = list(range(6))
    expected = [{"square": n**2} for n in work]
    assert in_processes(squared, work, 2, lambda done, total, _: told.append((done, total)), keep) == expected
    assert told == [(n, 6) for n in range(1, 7)]
    lines = keep.read_text().splitlines(keepends=True)
    assert len(lines) == 7
    kept = dict(map(json.loads, lines[1:4]))
    marked = [json.dumps([key, {"square": -1}]) + "\n" for key in kept]
    keep.write_text("".join([lines[0], *marked, lines[4][:5]]))  # killed while it wrote the fourth
    again = in_processes(squared, work, 1, None, keep)
    assert again == [{"square": -1} if repr(n) in kept else {"square": n**2} for n in work]


def dying(number: int) -> None:
    if number == 2:
        os._exit(1)


def test_a_process_that_dies_is_named(tmp_path: Path):
    keep = tmp_path / "results.jsonl"
    with pytest.raises(WorkerDied, match="what is done is kept"):
        in_processes(dying, [1, 2, 3], 1, None, keep)
    assert keep.read_text().count("\n") == 2  # the header and the first


def test_results_of_other_versions_are_not_mixed(tmp_path: Path):
    keep = tmp_path / "results.jsonl"
    in_processes(squared, [1], 1, None, keep)
    written = keep.read_text().replace('"numpy": "', '"numpy": "0.')
    keep.write_text(written)
    with pytest.raises(OutputError, match="move it away"):
        in_processes(squared, [1], 1, None, keep)
    assert keep.read_text() == written
