"""Traces: one append-only JSONL file per run.

The first line is the header (the run's whole specification), then one line per evaluation, then a closing line with the
result, the number of lines before it and their SHA-256: what was changed, added or lost after the run had ended is
noticed when the trace is read. With several workers, lines are in the order in which the optimizer was told, and each
says which ask it answers, by which worker, how many asks there were before, and when it was told. Every line is written
by one unbuffered call, so that a kill at any moment loses at most the last line; a trace that has ended is on the disk.
A trace holds nothing that differs between two runs of one specification: measured times go into ``<trace>.seconds``
beside it, a line per evaluation (its seconds, and with several workers the clock when it was told), closed by their
SHA-256.

Lines may hold more than is read here. Traces of format 1 have no count and no hash: they are read, and can't be
continued.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from naslab.errors import OutputError
from naslab.evaluators import Evaluation
from naslab.files import BINARY, lock, reason, sync_folder
from naslab.optimizers import Query

Seconds: TypeAlias = list[tuple[float, ...]]
FORMAT = 2
READABLE = (1, 2)
_SUM = "sha256 "
_decode = json.JSONDecoder().raw_decode
_APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY
_AWAY = "move {} away, and the same command runs it again"


class Told(NamedTuple):
    """Who evaluated and when that was told, where there are several workers.

    Attributes:
        asked: Asks made before it was told.
        worker: Number of the worker.
        at: The clock when it was told, in seconds.
    """

    asked: int
    worker: int
    at: float


class Step(NamedTuple):
    """One evaluation as recorded.

    Attributes:
        query: With its trial.
        evaluation: Its result.
        feasible: Whether the architecture keeps the limits.
        incumbent: Whether it became the best feasible one.
        ask: Number of the ask that it answers, from 0.
        told: With several workers: who, and when.
        retried: Why earlier tries of this evaluation failed.
    """

    query: Query
    evaluation: Evaluation
    feasible: bool
    incumbent: bool
    ask: int = -1
    told: Told | None = None
    retried: tuple[str, ...] = ()

    def clock(self, before: float) -> float:
        """The clock of the run when it was told, after what it was before."""
        return before + self.evaluation.seconds if self.told is None else self.told.at


@dataclass
class Recorded:
    """A trace as read.

    Attributes:
        header: The run's specification.
        steps: Its evaluations.
        end: The closing line, or None while the run is unfinished.
    """

    header: dict[str, Any]
    steps: list[Step] = field(default_factory=list)
    end: dict[str, Any] | None = None

    def clocks(self) -> Iterator[float]:
        """The clock of the run when each evaluation was told, in seconds."""
        clock = 0.0
        for step in self.steps:
            clock = step.clock(clock)
            yield clock


class Trace:
    """Writes a run's trace, to a file or (without a path) to memory only.

    Args:
        header: The run's specification.
        path: The file; it may hold the beginning of the same run.
        measured: Whether seconds are measured and therefore kept in the side file.

    Attributes:
        recorded: What the file held when it was opened.

    Raises:
        OutputError: The file belongs to another run or is damaged, or can't be written.
    """

    def __init__(self, header: dict[str, Any], path: Path | None = None, *, measured: bool = False) -> None:
        self.recorded = Recorded(header)
        self.path, self._measured = path, measured
        self._file = self._side = -1
        if path is not None:
            try:
                self._open(header, path)
            except OSError as error:
                self.close()
                raise OutputError(f"{path}: {reason(error)}") from None
            except BaseException:
                self.close()
                raise

    def step(
        self,
        query: Query,
        evaluation: Evaluation,
        feasible: bool,
        incumbent: bool,
        ask: int = -1,
        told: Told | None = None,
        retried: Sequence[str] = (),
    ) -> None:
        """Record one evaluation; arguments as the attributes of :class:`Step`."""
        if self._file < 0:
            self.recorded.steps.append(Step(query, evaluation, feasible, incumbent, ask, told, tuple(retried)))
            return
        seconds = "" if self._measured else f',"seconds":{_number(evaluation.seconds)}'
        if evaluation.failed:
            outcome = f'"failed":{json.dumps(evaluation.failed)}'
        else:
            outcome = f'"score":{_number(evaluation.score)}'
        line = f'{{"architecture":{list(query.architecture)},{outcome}{seconds}'
        if query.fidelity is not None:
            line += f',"fidelity":{json.dumps(query.fidelity)}'
        if told is not None:
            line += f',"ask":{ask},"asked":{told.asked},"worker":{told.worker}'
            if not self._measured:
                line += f',"at":{_number(told.at)}'
        if query.trial is not None and query.trial != ask >= 0:
            line += f',"trial":{query.trial}'
        if evaluation.curve:
            line += f',"curve":[{",".join(f"[{epoch},{_number(score)}]" for epoch, score in evaluation.curve)}]'
        if retried:
            line += f',"retried":{json.dumps(list(retried))}'
        if evaluation.metrics:
            metrics = {name: float(value) for name, value in evaluation.metrics.items()}
            line += f',"metrics":{{{",".join(f"{json.dumps(k)}:{_number(v)}" for k, v in metrics.items())}}}'
        if not feasible:
            line += ',"feasible":false'
        if incumbent:
            line += ',"incumbent":true'
        if self._measured:
            at = "" if told is None else f" {told.at!r}"
            self._write(self._side, f"{evaluation.seconds!r}{at}\n")
        self._write(self._file, line + "}\n")

    def finish(self, end: dict[str, Any]) -> None:
        """Record the result, and see to it that all of the trace is on the disk."""
        self.recorded.end = end
        if self._file < 0 or self.path is None:
            return
        if self._measured:
            self._write(self._side, f"{_SUM}{hashlib.sha256(_side(self.path).read_bytes()).hexdigest()}\n")
        before = self.path.read_bytes()  # once, at the end: a hash kept up line by line would cost each a microsecond
        closing = {"end": end, "lines": before.count(b"\n"), "sha256": hashlib.sha256(before).hexdigest()}
        self._write(self._file, _line(closing))
        try:
            for descriptor in (self._side, self._file):
                if descriptor >= 0:
                    os.fsync(descriptor)
            sync_folder(self.path.parent)
        except OSError as error:
            raise OutputError(f"{self.path}: {reason(error)}") from None

    def close(self) -> None:
        for descriptor in (self._file, self._side):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._side = -1

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, header: dict[str, Any], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, _APPENDING, 0o644)
        lock(self._file, wait=True)  # an orphaned worker of a killed comparison may still be writing
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        seconds = self._open_side(path) if self._measured else None
        if whole:
            found = parse(whole, path, seconds)
            if found.header != header:
                raise OutputError(f"{path} belongs to another run: {differences(found.header, header)}")
            self.recorded = found
        if len(whole) < len(content):
            os.ftruncate(self._file, len(whole))
        if not whole:
            self._write(self._file, _line(header))
        if self._measured and self.recorded.end is None:
            # Drop the seconds of an evaluation whose own line was lost, and a line cut short.
            lines = _side(path).read_bytes().splitlines(keepends=True)[: len(self.recorded.steps)]
            os.ftruncate(self._side, sum(map(len, lines)))

    def _open_side(self, path: Path) -> Seconds:
        self._side = os.open(_side(path), _APPENDING, 0o644)
        return _read_side(path)

    def _write(self, descriptor: int, text: str) -> None:
        data = text.encode()
        try:
            # A line cut short by a full disk is dropped when the trace is opened again.
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(
                f"{self.path}: {reason(error)}; everything before this line is kept: make room and give the same "
                "command again"
            ) from None


def read(path: Path) -> Recorded:
    """Read a trace, finished or not; an incomplete last line is left out.

    Raises:
        OutputError: The file is not a trace.
    """
    content = path.read_bytes()
    seconds = _read_side(path) if _side(path).exists() else None
    return parse(content[: content.rfind(b"\n") + 1], path, seconds)


def parse(content: bytes, path: Path, seconds: Seconds | None = None) -> Recorded:
    """The whole lines of a trace."""
    lines = content.split(b"\n")[:-1]
    if seconds is not None and len(seconds) < sum(line.startswith(b'{"architecture"') for line in lines[1:]):
        raise OutputError(f"{_side(path)} is shorter than its trace; {_AWAY.format('both')}")
    try:
        found = Recorded(json.loads(lines[0]))
        version = found.header.get("format", FORMAT)
        if version not in READABLE:
            raise OutputError(f"{path} has format {version!r}. This naslab reads: {', '.join(map(str, READABLE))}")
        for number, line in enumerate(lines[1:]):
            if found.end is not None:
                raise OutputError(f"{path} goes on after its end: it was changed; {_AWAY.format('it')}")
            entry = _entry(line)
            if "end" in entry:
                found.end = dict(entry["end"])
                if version > 1:
                    _check_sum(entry, content[: len(content) - len(line) - 1], path)
            else:
                found.steps.append(_step(entry, number, None if seconds is None else seconds[number]))
    except OutputError:  # a ValueError, too
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise OutputError(f"{path} is no naslab trace, or was changed; {_AWAY.format('it')}") from None
    return found


def _check_sum(entry: dict[str, Any], before: bytes, path: Path) -> None:
    lines = before.count(b"\n")
    if entry["lines"] != lines:
        raise OutputError(f"{path} had {entry['lines']} lines when it ended, and has {lines}; {_AWAY.format('it')}")
    if entry["sha256"] != hashlib.sha256(before).hexdigest():
        raise OutputError(f"{path} was changed after it had ended (its SHA-256 differs); {_AWAY.format('it')}")


def trace_path(folder: Path, task_id: str, label: str, seed: int) -> Path:
    """The path of a run's trace. Names stay readable; one that can't be a file's name gets a hash."""
    return folder / "runs" / file_name(task_id) / file_name(label) / f"{seed}.jsonl"


@cache
def file_name(name: str) -> str:
    """A readable name of a file or folder, different for different names."""
    readable = re.sub(r"[^\w.=,\[\]-]+", "-", name.replace("/", "--")).strip(".")
    if name == readable.replace("--", "/") and len(readable) < 100:
        return readable
    return f"{readable[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """In words, the first thing in which two specifications differ."""
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            before, now = found.get(key), wanted.get(key)
            if isinstance(before, dict) and isinstance(now, dict):
                return f"{key}: {differences(before, now)}"
            if isinstance(before, list) and isinstance(now, list):
                for old, new in zip(before, now, strict=False):
                    if old != new and _name(old) == _name(new):  # the same optimizer, defined differently
                        return f"{key}: {_name(old)}: {differences(old, new)}"
                before, now = [*map(_name, before)], [*map(_name, now)]
            return f"{key} was {json.dumps(before)} there and is {json.dumps(now)} now"
    return "nothing"


def _name(entry: Any) -> Any:
    return entry["name"] if isinstance(entry, dict) and "name" in entry else entry


def _side(path: Path) -> Path:
    """The file beside a trace that holds measured seconds."""
    return path.with_name(path.name + ".seconds")


def _read_side(path: Path) -> Seconds:
    content = _side(path).read_bytes()
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    if lines and lines[-1].startswith(_SUM.encode()):
        *lines, last = lines
        if last.decode() != f"{_SUM}{hashlib.sha256(b''.join(lines)).hexdigest()}\n":
            raise OutputError(f"{_side(path)} was changed after it had ended; {_AWAY.format('it and its trace')}")
    try:
        return [tuple(map(float, line.split())) for line in lines]
    except ValueError:
        raise OutputError(f"{_side(path)} holds what is no number; {_AWAY.format('it and its trace')}") from None


def _entry(line: bytes) -> dict[str, Any]:
    """The one JSON value of a line, in half of the time that `json.loads` takes for its own checks."""
    text = line.decode().strip(" \t\r")
    entry, end = _decode(text)
    if end < len(text):
        raise ValueError
    return entry  # type: ignore[no-any-return]


def _step(entry: dict[str, Any], number: int, measured: tuple[float, ...] | None) -> Step:
    charged, *clock = (float(entry["seconds"]), entry.get("at", 0.0)) if measured is None else measured
    failed = str(entry.get("failed", ""))
    ask = int(entry.get("ask", number))
    # Most lines have none of these: what is not there costs no more than to see that.
    metrics = {name: float(value) for name, value in entry["metrics"].items()} if "metrics" in entry else {}
    curve = tuple((int(epoch), float(value)) for epoch, value in entry["curve"]) if "curve" in entry else ()
    told = Told(int(entry["asked"]), int(entry["worker"]), float(clock[0])) if "asked" in entry else None
    return Step(
        Query(tuple(entry["architecture"]), entry.get("fidelity"), int(entry.get("trial", ask))),
        Evaluation(math.nan if failed else float(entry["score"]), charged, metrics, curve, failed),
        entry.get("feasible", True),
        entry.get("incumbent", False),
        ask,
        told,
        tuple(entry["retried"]) if "retried" in entry else (),
    )


def _number(value: float) -> str:
    # JSON has no infinities: they are written as strings, which float() reads back.
    return repr(float(value)) if math.isfinite(value) else f'"{float(value)!r}"'


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":")) + "\n"
