"""Traces: what is written is read, whatever cuts the writing short."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks

import naslab
from naslab.errors import OutputError
from naslab.evaluators import Evaluation
from naslab.optimizers import Query
from naslab.running import Step, Trace, differences, read, trace_path
from naslab.running import trace as module
from naslab.running.folder import closing_line

HEADER = {"task": "toy", "seed": 3, "optimizer": {"name": "random", "hyperparameters": {}}}
STEPS = [
    Step(Query((0, 1, 2)), Evaluation(1 / 3, 0.1), True, True),
    Step(Query((0, 1, 2), 12), Evaluation(math.nan, 0.0), True, False),
    Step(Query((1, 0, 0), "full"), Evaluation(math.inf, 1e-300), False, False),
    Step(Query((1, 1, 1)), Evaluation(-math.inf, 3, {"loss": 0.25, 'odd "name"': math.nan}), True, False),
]
END = {"reason": "budget", "best": [0, 1, 2], "evaluations": 4}


def same(a: Any, b: Any) -> bool:
    """Equality in which NaN equals NaN."""
    return repr(a) == repr(b)


def write_all(path: Path, *, measured: bool = False) -> None:
    with Trace(HEADER, path, measured=measured) as trace:
        for step in STEPS[len(trace.recorded.steps) :]:
            trace.step(step.query, step.evaluation, step.feasible, step.incumbent)
        if trace.recorded.end is None:
            trace.finish(END)


@pytest.mark.parametrize("measured", [False, True])
def test_round_trip(tmp_path: Path, measured: bool) -> None:
    path = tmp_path / "a" / "trace.jsonl"
    write_all(path, measured=measured)
    found = read(path)
    assert found.header == HEADER
    assert found.end == END
    assert [s.query for s in found.steps] == [s.query._replace(trial=i) for i, s in enumerate(STEPS)]
    for got, wanted in zip(found.steps, STEPS, strict=True):
        assert same(float(got.evaluation.score), float(wanted.evaluation.score))
        assert got.evaluation.seconds == wanted.evaluation.seconds
        assert same(dict(got.evaluation.metrics), dict(wanted.evaluation.metrics))
        assert (got.feasible, got.incumbent) == (wanted.feasible, wanted.incumbent)


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    write_all(tmp_path / "trace.jsonl")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = (tmp_path / "trace.jsonl").read_text().splitlines()
    assert len(lines) == len(STEPS) + 2
    for line in lines:
        json.loads(line, parse_constant=refuse)


def test_measured_seconds_stay_out_of_the_trace(tmp_path: Path) -> None:
    write_all(tmp_path / "trace.jsonl", measured=True)
    assert b"seconds" not in (tmp_path / "trace.jsonl").read_bytes()
    assert (tmp_path / "trace.jsonl.seconds").read_text().splitlines()[:-1] == ["0.1", "0.0", "1e-300", "3"]


@pytest.mark.parametrize("measured", [False, True])
def test_resumes_from_every_byte(tmp_path: Path, measured: bool) -> None:
    path = tmp_path / "trace.jsonl"
    write_all(path, measured=measured)
    whole = path.read_bytes()
    side = path.with_name("trace.jsonl.seconds")
    seconds = side.read_bytes() if measured else b""
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        write_all(path, measured=measured)
        assert path.read_bytes() == whole
        assert not measured or side.read_bytes() == seconds


def test_resumes_from_every_byte_of_the_seconds(tmp_path: Path) -> None:
    """The seconds are written first, so a kill leaves at most one line more of them, whole or not."""
    path, side = tmp_path / "trace.jsonl", tmp_path / "trace.jsonl.seconds"
    write_all(path, measured=True)
    whole, seconds = path.read_bytes(), side.read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = [sum(map(len, seconds.splitlines(keepends=True)[:n])) for n in range(len(STEPS) + 1)]
    for done in range(len(STEPS)):
        for cut in range(ends[done], ends[done + 1] + 1):
            path.write_bytes(b"".join(lines[: 1 + done]))
            side.write_bytes(seconds[:cut])
            assert len(read(path).steps) == done
            write_all(path, measured=True)
            assert (path.read_bytes(), side.read_bytes()) == (whole, seconds)


@pytest.mark.parametrize("name", ["random", "regularized-evolution", "local-search", "reinforce"])
def test_a_search_resumes_from_every_byte(tmp_path: Path, name: str) -> None:
    one = toy_tasks.toy_task()
    path = resumed(one, name, 6, tmp_path)
    whole = path.read_bytes()
    header = whole.index(b"\n")
    for cut in (0, 1, *range(header - 2, len(whole) + 1)):
        path.write_bytes(whole[:cut])
        resumed(one, name, 6, tmp_path)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["optuna-tpe[startup=4]", "optuna-nsgaii[population=4]"])
def test_a_model_based_search_resumes_from_anywhere(tmp_path: Path, name: str) -> None:
    one = toy_tasks.toy_task()
    path = resumed(one, name, 14, tmp_path)
    whole = path.read_bytes()
    for cut in np.random.default_rng(0).integers(0, len(whole), 25).tolist():
        path.write_bytes(whole[:cut])
        resumed(one, name, 14, tmp_path)
        assert path.read_bytes() == whole


def resumed(one: naslab.Task, name: str, budget: int, folder: Path) -> Path:
    naslab.search(one, name, budget=budget, seed=1, out=folder)
    return trace_path(folder, one.id, name, 1)


@pytest.mark.parametrize("length", [1, 4000, 4096, 20_000])
def test_the_closing_line_is_read_without_the_rest_however_long_it_is(tmp_path: Path, length: int) -> None:
    path = tmp_path / "trace.jsonl"
    assert closing_line(path) is None
    with Trace(HEADER, path) as trace:
        assert closing_line(path) is None
        trace.step(STEPS[0].query, STEPS[0].evaluation, True, True)
        assert closing_line(path) is None
        trace.finish(end := {**END, "finalists": "x" * length})
    assert closing_line(path) == end
    path.write_bytes(path.read_bytes()[:-1])
    assert closing_line(path) is None


def test_a_finished_trace_is_not_touched(tmp_path: Path) -> None:
    path = resumed(toy_tasks.toy_task(), "random", 5, tmp_path)
    os.utime(path, (1, 1))
    resumed(toy_tasks.toy_task(), "random", 5, tmp_path)
    assert path.stat().st_mtime == 1


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_the_trace_of_another_run_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write_all(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="belongs to another run: seed was 3 there and is 4 now"):
        Trace({**HEADER, "seed": 4}, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"{}\n{}\n",
        b"[1]\n[2]\n",
        b'{"a":1}\n{"architecture":[1]}\n',
        b'{"a":1}\nnull\n',
        b"\xff\xfe\n",
        b"\n\n",
    ],
)
def test_a_foreign_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"trace\.jsonl"):
        Trace(HEADER, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("seconds", "message"), [(b"", "shorter"), (b"0.1\n0.0\n", "shorter"), (b"0.1\nx\n1\n1\n", "no number")]
)
def test_lost_seconds_are_refused(tmp_path: Path, seconds: bytes, message: str) -> None:
    path, side = tmp_path / "trace.jsonl", tmp_path / "trace.jsonl.seconds"
    write_all(path, measured=True)
    side.write_bytes(seconds)
    with pytest.raises(OutputError, match=message):
        Trace(HEADER, path, measured=True)
    with pytest.raises(OutputError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ({"a": 1}, {"a": 2}, "a was 1 there and is 2 now"),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, "a: c was 1 there and is 2 now"),
        ({}, {"a": 2}, "a was null there and is 2 now"),
        ({"a": 2}, {}, "a was 2 there and is null now"),
        ({"l": [{"name": "x"}]}, {"l": [{"name": "y"}]}, 'l was ["x"] there and is ["y"] now'),
        ({"l": [{"name": "x"}]}, {"l": [{"name": "x"}, {"name": "y"}]}, 'l was ["x"] there and is ["x", "y"] now'),
        ({"l": [{"name": "x", "h": 1}]}, {"l": [{"name": "x", "h": 2}]}, "l: x: h was 1 there and is 2 now"),
    ],
)
def test_differences_are_said(found: dict[str, Any], wanted: dict[str, Any], said: str) -> None:
    assert differences(found, wanted) == said


# ---- where the disk gives up -----------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bool], None]]:
    """A function: from now on so many bytes can be written; then writes are cut short, or fail."""

    def limit(room: int, short: bool) -> None:
        left = [room]

        def write(descriptor: int, data: bytes) -> int:
            if len(data) <= left[0]:
                left[0] -= len(data)
            elif short and left[0]:
                data, left[0] = data[: left[0]], 0
            else:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, data)

        monkeypatch.setattr(module.os, "write", write)

    real = os.write
    yield limit
    monkeypatch.undo()


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("measured", [False, True])
def test_a_full_disk(
    tmp_path: Path,
    full_disk: Callable[[int, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    short: bool,
    measured: bool,
) -> None:
    undisturbed = tmp_path / "undisturbed.jsonl"
    write_all(undisturbed, measured=measured)
    sizes = undisturbed.stat().st_size + (12 if measured else 0)
    for room in range(0, sizes, 3):
        path = tmp_path / f"{room}.jsonl"
        full_disk(room, short)
        with pytest.raises(OutputError, match="no space left on device") as caught:
            write_all(path, measured=measured)
        monkeypatch.undo()
        assert str(path) in str(caught.value)
        write_all(path, measured=measured)
        assert path.read_bytes() == undisturbed.read_bytes()
        if measured:
            sides = [p.with_name(p.name + ".seconds").read_bytes() for p in (path, undisturbed)]
            assert sides[0] == sides[1]


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="not a directory"):
        naslab.search(toy_tasks.toy_task(), "random", budget=3, out=tmp_path / "file")
    assert toy_tasks.contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("name", ["a/b", "a--b", "a b", "ä", "x" * 300, "a[b=1]", "../..", ".", "a:b"])
def test_every_name_has_its_own_file(name: str) -> None:
    others = {"a/b", "a--b", "a b", "a_b", "x" * 299, "..", "a.b"} - {name}
    path = trace_path(Path("out"), "task", name, 0)
    assert path.parts[:3] == ("out", "runs", "task")
    assert len(path.parts) == 5
    assert ".." not in path.parts
    assert len(path.parent.name) < 200
    assert all(trace_path(Path("out"), "task", other, 0) != path for other in others)


FORGERIES = {
    "a line twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "a line lost": lambda lines: [lines[0], *lines[2:]],
    "two lines swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a digit changed": lambda lines: [lines[0], lines[1].replace(b'"score":', b'"score":1', 1), *lines[2:]],
    "a line after the end": lambda lines: [*lines, lines[1]],
    "a second end": lambda lines: [*lines, lines[-1]],
    "another result": lambda lines: [*lines[:-2], lines[-1]],
    "no count": lambda lines: [*lines[:-1], b'{"end":{"best":[0,1]}}\n'],
    "a later format": lambda lines: [lines[0].replace(b"{", b'{"format":3,', 1), *lines[1:]],
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_what_was_changed_after_the_end_is_noticed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "trace.jsonl"
    write_all(path)
    forged = b"".join(FORGERIES[kind](path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(forged)
    for reading in (lambda: read(path), lambda: Trace(HEADER, path)):
        with pytest.raises(OutputError, match=r"trace\.jsonl") as caught:
            reading()
        assert "delete" not in str(caught.value)  # what was written is never thrown away
        assert path.read_bytes() == forged


def test_changed_seconds_are_noticed(tmp_path: Path) -> None:
    path, side = tmp_path / "trace.jsonl", tmp_path / "trace.jsonl.seconds"
    write_all(path, measured=True)
    side.write_text(side.read_text().replace("0.1", "0.2", 1))
    with pytest.raises(OutputError, match="was changed after it had ended"):
        read(path)


def test_a_trace_of_format_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    write_all(path)
    lines = path.read_bytes().splitlines(keepends=True)
    end = json.loads(lines[-1])["end"]
    header = json.dumps({**json.loads(lines[0]), "format": 1}).encode() + b"\n"
    path.write_bytes(b"".join([header, *lines[1:-1], json.dumps({"end": end}).encode() + b"\n"]))
    assert len(read(path).steps) == len(STEPS)
    assert read(path).end == end
