"""Merging: one folder from the folders of a comparison that was spread over machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

from naslab.errors import InvalidValue, OutputError
from naslab.files import read_json, unreadable, written_whole
from naslab.running.folder import SPEC
from naslab.running.growth import disagreement, named, united, without_history
from naslab.running.output import claimed_folder, unwritable
from naslab.running.results import Results
from naslab.running.trace import trace_path

_CHECKPOINT, _SECONDS = ".checkpoint", ".jsonl.seconds"


def merge(folders: Sequence[str | Path], out: str | Path) -> Results:
    """Merge folders of comparisons: all of their tasks, optimizers and seeds, and every run that any of them holds.

    A run that several folders hold must be the same to the byte; where it has not ended in one of them, the longest is
    taken, if the others are its beginning. The truths of architectures and the measured times are merged, reports are
    not. The folders are only read. Runs that no folder holds are missing: the command of the comparison runs them.

    Args:
        folders: Two or more, each the ``out`` of a comparison.
        out: A new folder, or the one of this very merge, which then continues.

    Raises:
        InvalidValue: Fewer than two folders, or one twice.
        OutputError: The folders disagree: in the budget, in limits, in the version of naslab or of a table, in what a
            name of an optimizer stands for, or in a run; or one of them can't be read, or ``out`` can't be written.
            Nothing is written then.
    """
    parts, target = [Path(folder) for folder in folders], Path(out)
    places = [path.resolve() for path in (*parts, target)]
    if len(parts) < 2:
        raise InvalidValue(f"{len(parts)} folder to merge: give two or more")
    if len(set(places)) < len(places):
        raise InvalidValue("the same folder twice: give different folders to merge, and a new one as --out")
    found = [Results(part) for part in parts]
    _check_agreement(found)
    description = united({str(each.folder): each.spec for each in found})

    def grown(held: dict[str, Any]) -> dict[str, Any]:
        if without_history(held) != without_history(description):
            raise OutputError(f"{target} holds another comparison; give a new folder as --out")
        return held

    if (target / SPEC).exists():  # the beginning of this merge, or more; else it is refused below
        found.append(Results(target))
        grown(found[-1].spec)
    pieces = [*_runs(found, description, target), *_truths(found, target), *_times(found, target)]
    with claimed_folder(target, description, SPEC, "comparison", grown=grown):
        for piece in pieces:
            _write(piece)
    return Results(target)


class _Piece(NamedTuple):
    """A file of the merged folder: its place, and what reads its content when it is written."""

    path: Path
    content: Callable[[], bytes]


def _check_agreement(found: Sequence[Results]) -> None:
    for one, other in combinations(found, 2):
        if (differs := disagreement(one.spec, other.spec)) is not None:
            what, here, there = differs
            raise OutputError(
                f"{one.folder} and {other.folder} can't be merged: {what} is {here!r} in one and {there!r} in the other"
            )


def _runs(found: Sequence[Results], description: Mapping[str, Any], target: Path) -> Iterator[_Piece]:
    """The files of every run, after it has been read and compared in all folders that hold it."""
    tasks, optimizers, seeds = named(description)
    for task, optimizer, seed in product(tasks, optimizers, range(seeds)):
        held = [
            trace_path(each.folder, task, optimizer, seed)
            for each in found
            if _asks_for(each, task, optimizer, seed) and each.recorded(task, optimizer, seed) is not None
        ]
        if not held:
            continue
        best, place = _longest(held), trace_path(target, task, optimizer, seed)
        trace = partial(_beginning, best, len(_lines(best)))  # which may grow until it is written
        if best.with_suffix(_CHECKPOINT).exists():
            yield _Piece(place.with_suffix(_CHECKPOINT), best.with_suffix(_CHECKPOINT).read_bytes)
        # Beside the trace and before it: a trace without its seconds is damaged.
        if sides := [path.with_suffix(_SECONDS) for path in held if path.with_suffix(_SECONDS).exists()]:
            yield _Piece(place.with_suffix(_SECONDS), partial(_lines, _longest(sides)))
        yield _Piece(place, trace)


def _asks_for(results: Results, task: str, optimizer: str, seed: int) -> bool:
    tasks, optimizers, seeds = named(results.spec)
    return task in tasks and optimizer in optimizers and seed < seeds


def _longest(paths: Sequence[Path]) -> Path:
    """Of files that several folders hold, the one that all others are the beginning of."""
    contents = {path: _lines(path) for path in paths}
    best = max(paths, key=lambda path: len(contents[path]))
    for path in paths:
        if not contents[best].startswith(contents[path]):
            raise OutputError(f"{path} and {best} are the same run, and differ; move one of them away")
    return best


def _truths(found: Sequence[Results], target: Path) -> Iterator[_Piece]:
    """What architectures were judged, each once."""
    for name in sorted({path.name for each in found for path in each.folder.glob("truths/*.jsonl")}):
        held = [path for each in found if (path := each.folder / "truths" / name).exists() and _lines(path)]
        if not held:
            continue
        header = _lines(held[0]).partition(b"\n")[0]
        judged: dict[str, bytes] = {}
        for path in held:
            first, *lines = _lines(path).splitlines()
            if first != header:
                raise OutputError(f"{path} and {held[0]} hold truths of different software; move one of them away")
            for line in lines:
                try:
                    architecture = repr(read_json(line)[0])
                except (ValueError, TypeError, LookupError):
                    raise OutputError(f"{path} is damaged; move it away to compute these truths again") from None
                if judged.setdefault(architecture, line) != line:
                    raise OutputError(f"{path} and {held[0]} judge {architecture} differently; move one of them away")
        yield _Piece(target / "truths" / name, partial(_joined, [header, *judged.values()]))


def _times(found: Sequence[Results], target: Path) -> Iterator[_Piece]:
    """All measured times; a folder that was copied and went on shares its lines with the copy."""
    held = [path for each in found if (path := each.folder / "times.jsonl").is_file()]
    if lines := dict.fromkeys(line for path in held for line in _lines(path).splitlines()):
        yield _Piece(target / "times.jsonl", partial(_joined, list(lines)))


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def _lines(path: Path) -> bytes:
    """The whole lines of a file; a run that is under way may be writing another one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OutputError(unreadable(path, error)) from None
    return content[: content.rfind(b"\n") + 1]


def _beginning(path: Path, length: int) -> bytes:
    return _lines(path)[:length]


def _write(piece: _Piece) -> None:
    content = piece.content()
    try:
        if piece.path.exists() and piece.path.read_bytes() == content:
            return
        piece.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(piece.path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise unwritable(piece.path, error) from None
