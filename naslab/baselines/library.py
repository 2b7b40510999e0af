"""The library on the disk: ``library.json`` says what is there and who stands where, an archive per task has the runs.

Archives are plain arrays (:mod:`naslab.baselines.packing`), read without pickle and within bounds, and compared with
the SHA-256 that ``library.json`` has of them; that file hashes itself. The one in the package is called
``baselines``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from naslab.baselines.packing import pack, unpack
from naslab.errors import InvalidLibrary, UnknownTask
from naslab.files import is_passing, load_json, unreadable, written_whole
from naslab.files.arrays import load_npz, save_npz
from naslab.running.outcomes import Outcome
from naslab.running.trace import file_name
from naslab.tables.format import file_sha256
from naslab.tables.header import content_hash
from naslab.tasks import Task

SHIPPED = "baselines"
MANIFEST = "library.json"
_PACKAGED = Path(__file__).parent / "shipped"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Standing(_Strict):
    """Where a strategy stands among others: see :mod:`naslab.baselines.standings`. None for what can't be computed."""

    name: str
    tasks: int
    n: int
    rank: float
    rank_low: float | None
    rank_high: float | None
    mean: float | None
    half_width: float | None
    failed: int
    alike: tuple[str, ...]


class Entry(_Strict):
    """The runs of one strategy on one task: seeds 0, 1, 2...

    ``described`` is what a trace's header says of the strategy, ``made`` how the runs were made
    (:func:`naslab.baselines.stamps.stamp`). Runs on a ``"measured"`` clock can't be made again to the byte.
    ``wall_seconds`` is what making them took, all together.
    """

    described: dict[str, Any]
    seeds: Annotated[int, Field(gt=0)]
    clock: Literal["recorded", "measured"]
    made: dict[str, Any]
    wall_seconds: float

    @property
    def name(self) -> str:
        return str(self.described["name"])


class Shelf(_Strict):
    """What there is on one task; ``source`` identifies its data, as in the header of a trace."""

    file: Annotated[str, StringConstraints(pattern=r"^[\w][\w.=,\[\]-]*\.npz$")]
    sha256: str
    budget: str
    source: dict[str, str]
    metric: str
    unit: str
    entries: tuple[Entry, ...]
    standings: tuple[Standing, ...]

    @cached_property
    def by_name(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.entries}

    @property
    def runs(self) -> int:
        return sum(entry.seeds for entry in self.entries)


class Manifest(_Strict):
    """``library.json`` without its hash."""

    format: Literal[1] = 1
    shelves: dict[str, Shelf]
    standings: tuple[Standing, ...] = ()


class Library:
    """A library of results in a folder.

    Args:
        where: ``"baselines"`` for the one in the package, else a folder.

    Raises:
        InvalidLibrary: There is none, or it is damaged.
    """

    def __init__(self, where: str | Path = SHIPPED) -> None:
        self.name = str(where)
        self.folder = _PACKAGED if self.name == SHIPPED else Path(where)
        self._read: dict[str, dict[str, list[Outcome]]] = {}
        path = self.folder / MANIFEST
        if not path.is_file():
            raise InvalidLibrary(
                f"'{where}' holds no library of results ({MANIFEST} is missing). Fix: give {SHIPPED!r}, or build one: "
                "naslab baselines build --out DIR"
            )
        try:
            held = dict(load_json(path))
            whole = held.pop("sha256") == content_hash(held)
            self.manifest = Manifest.model_validate_json(json.dumps(held), strict=True)
        except OSError as error:
            raise InvalidLibrary(unreadable(path, error)) from None
        except ValidationError as error:
            where_to, why = ".".join(map(str, error.errors()[0]["loc"])), error.errors()[0]["msg"]
            raise self._damaged(path, f"{where_to}: {why}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(path, type(error).__name__) from None
        if not whole:
            raise self._damaged(path, "its SHA-256 differs")

    @property
    def tasks(self) -> dict[str, Shelf]:
        return self.manifest.shelves

    def shelf(self, task_id: str) -> Shelf:
        """What there is on a task. Raises UnknownTask."""
        if task_id not in self.tasks:
            raise UnknownTask(
                task_id,
                self.tasks,
                of="the library of results",
                see="naslab leaderboard; naslab baselines build --plan makes one of your tasks",
            )
        return self.tasks[task_id]

    def outcomes(self, task_id: str) -> dict[str, list[Outcome]]:
        """The runs on a task by strategy, in the order of their seeds.

        Raises:
            UnknownTask: There are none.
            InvalidLibrary: The archive is damaged, or can't be read.
        """
        if task_id in self._read:
            return self._read[task_id]
        shelf = self.shelf(task_id)
        path = self.folder / shelf.file
        try:
            if file_sha256(path) != shelf.sha256:
                raise ValueError("its SHA-256 differs")
            runs = unpack(load_npz(path))
            if len(runs) != shelf.runs:
                raise ValueError(f"{len(runs)} runs, not {shelf.runs}")
        except Exception as error:  # zipfile, its decompressors and NumPy raise many kinds for damage
            if is_passing(error):
                raise InvalidLibrary(unreadable(path, error)) from None
            raise self._damaged(path, " ".join(str(error).split())[:200]) from None
        found, first = self._read.setdefault(task_id, {}), 0
        for entry in shelf.entries:
            found[entry.name], first = runs[first : first + entry.seeds], first + entry.seeds
        return found

    def _damaged(self, path: Path, why: str) -> InvalidLibrary:
        fix = "pip install --force-reinstall naslab" if self.name == SHIPPED else "build it again in another folder"
        return InvalidLibrary(f"'{path}' is damaged ({why}). Fix: {fix}")


def shipped() -> list[Library]:
    """The library in the package, if there is one."""
    return [Library()] if (_PACKAGED / MANIFEST).is_file() else []


def write_shelf(
    folder: Path,
    task: Task,
    budget: str,
    kept: Iterable[tuple[Entry, list[Outcome]]],
    standings: Iterable[Standing],
) -> Shelf:
    """Store the runs on one task; the shelf is for :func:`write_manifest`. Archives that are there are not touched."""
    entries, runs = zip(*kept, strict=True)
    every = [outcome for each in runs for outcome in each]
    draft = folder / ".archive.npz"
    save_npz(draft, pack(every, len(task.problem.space.choices)))
    digest = file_sha256(draft)
    file = f"{file_name(task.id)}-{digest[:8]}.npz"
    draft.replace(folder / file)
    return Shelf(
        file=file, sha256=digest, budget=budget, source=dict(task.source), metric=task.metric, unit=task.unit,
        entries=entries, standings=tuple(standings),
    )  # fmt: skip


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Store what a library holds, and remove archives that it no longer names."""
    content = manifest.model_dump(mode="json")
    with written_whole(folder / MANIFEST) as draft:
        draft.write_text(json.dumps({**content, "sha256": content_hash(content)}, indent=1) + "\n", encoding="utf-8")
    named = {shelf.file for shelf in manifest.shelves.values()}
    for path in folder.glob("*.npz"):
        if path.name not in named:
            path.unlink()
