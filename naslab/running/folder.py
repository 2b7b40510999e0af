"""What the folder of a comparison says before its runs are read: worker processes need no more, and start quickly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from naslab.errors import OutputError
from naslab.files import unreadable
from naslab.running.session import READS

SPEC = "comparison.json"
_BLOCK = 4096


def headers(folder: Path) -> Iterator[dict[str, Any]]:
    """The first line of every trace in a comparison's folder.

    Raises:
        ValueError: Of one that is no JSON; a run that has just begun may have none.
    """
    for path in sorted(folder.glob("runs/*/*/*.jsonl")):
        with path.open("rb") as file:
            if first := file.readline():
                yield json.loads(first)


def run_header(spec: Mapping[str, Any], task_id: str, optimizer: str, seed: int) -> dict[str, Any]:
    """What the header of a run's trace must say in a comparison.

    Raises:
        KeyError: The comparison has no such task, optimizer or seed.
    """
    described = {each["name"]: dict(each) for each in spec["optimizers"]}
    waits, reads = described[optimizer].pop("one_worker", False), described[optimizer].pop(READS, None)
    if not 0 <= seed < spec["seeds"]:
        raise KeyError(seed)
    header = {
        "task": task_id,
        "source": spec["sources"][task_id],
        "optimizer": described[optimizer],
        "seed": seed,
        "budget": spec["budget"],
        "paired": spec.get("paired"),
    }
    header |= {READS: reads} if reads is not None else {}
    header |= {name: spec[name] for name in ("retries", "evaluation_limit") if name in spec}
    if "workers" in spec and not waits:
        header["workers"] = spec["workers"]
    if len(spec.get("objectives", ())) > 1:
        header["objectives"] = spec["objectives"]
    # Without limits or objectives of the comparison a task may have its own.
    return {**header, "constraint": spec["constraint"]} if spec["constraint"] else header


def closing_line(path: Path) -> dict[str, Any] | None:
    """How a run ended, from the last line of its trace alone; None while it has no trace, or no end.

    Raises:
        OutputError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            left, tail = path.stat().st_size, b""
            while left and b"\n" not in tail[:-1]:
                start = max(0, left - _BLOCK)
                file.seek(start)
                left, tail = start, file.read(left - start) + tail
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(unreadable(path, error)) from None
    line = tail[:-1].rpartition(b"\n")[2]
    if not (tail.endswith(b"}\n") and line.startswith(b'{"end":')):
        return None
    try:
        return dict(json.loads(line)["end"])
    except (ValueError, TypeError):  # it was changed: reading the whole trace says so
        return None
