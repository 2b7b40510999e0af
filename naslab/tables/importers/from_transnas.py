"""Importing TransNAS-Bench-101 (Duan et al. 2021): one of its two spaces, seven tasks, from the official file."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import InvalidArchitecture, InvalidTable
from naslab.files import clipped, unreadable
from naslab.registry import search_space
from naslab.tables.format import Floats, Table
from naslab.tables.header import ColumnSpec, Direction, Reading, SpaceOption, TableSpec, TableTask
from naslab.tables.importers.tfrecord import Reached
from naslab.tables.importers.torch_file import load_torch
from naslab.tables.pickles import NUMPY_SCALARS
from naslab.tables.store import table_path
from naslab.tables.writing import write_table

SPACES = {"micro": "transnas-micro", "macro": "transnas-macro"}
_SPLITS = {"train": "context", "valid": "reward", "test": "truth"}


@dataclass(frozen=True)
class _Task:
    """What the networks of a task are judged by."""

    theirs: str
    metric: str
    unit: str = ""
    direction: Direction = "max"
    outputs: int = 75

    @property
    def options(self) -> dict[str, SpaceOption]:
        return {"num_classes": self.outputs, "input_shape": (3, 256, 256)}


TASKS = {
    "class_object": _Task("top1", "accuracy", "%"),
    "class_scene": _Task("top1", "accuracy", "%", outputs=47),
    "room_layout": _Task("loss", "loss", "", "min", outputs=9),
    "jigsaw": _Task("top1", "accuracy", "%", outputs=1000),
    "segmentsemantic": _Task("mIoU", "mIoU", "%"),
    "normal": _Task("ssim", "ssim"),
    "autoencoder": _Task("ssim", "ssim"),
}
"""The official names of the tasks, and the metrics that the paper judges them by."""
_COSTS = {
    "inference_time": ("inference_seconds", "seconds"),
    "model_params": ("model_params", ""),
    "model_FLOPs": ("model_flops", ""),
    "encoder_params": ("encoder_params", ""),
    "encoder_FLOPs": ("encoder_flops", ""),
}
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d)", re.ASCII)


def import_transnas(path: Path | str, name: str, progress: Reached | None = None, *, kind: str) -> Table:
    """Store the micro or the macro space of ``transnas-bench_v10141024.pth`` as the table ``name``.

    For each of the seven tasks: its metric on train, valid and test after every epoch of the one training that there
    is, ``train_seconds``, and what was recorded of the network (``inference_seconds``, ``model_params``,
    ``model_flops``, ``encoder_params``, ``encoder_flops``; units as recorded) as costs. Reward: valid after the last
    epoch, truth: test after it; a longer evaluation continues a shorter one. Differences from the official API:

    * it reads the best epoch by default (``mode="best"``), this the last one;
    * losses, top-5 and the pixel accuracy of segmentation are left out; room layout, which has only losses, is judged
      by its loss, lower being better (the API's ``neg_loss`` is its negative);
    * seconds are the recorded time since the training's start, validation and test passes included. Where that does
      not rise from epoch to epoch in every training of a task, the task has no seconds, and the provenance says so.

    ``params`` and ``macs`` that naslab computes are of the network with a classification head: right for the two
    classification tasks, not for the others, whose heads the space leaves out: ``model_params`` is theirs.

    Raises InvalidTable in one line that names the architecture and the task, with nothing written.
    """
    target, path = table_path(name), Path(path)
    database = load_torch(path, NUMPY_SCALARS)
    space = search_space(SPACES[kind])
    reader = _Reader(path, database)
    recorded = reader.of_space(kind)
    architectures = []
    for string in recorded:
        try:
            architectures.append(space.from_string(string))
        except (InvalidArchitecture, AttributeError) as error:
            raise InvalidTable(f"'{path}': {error}") from None
    columns: dict[ColumnSpec, Floats] = {}
    untimed = []
    for task in TASKS:
        found = dict(reader.columns(task, recorded))
        if f"{task}/train_seconds" not in {spec.name for spec in found}:
            untimed.append(task)
        columns |= found
    table = TableSpec(
        name=name,
        space=space.name,
        options=tuple(space.sizes),
        columns=tuple(columns),
        tasks={task: _reading(task, columns) for task in TASKS},
        curve=True,
        provenance={
            "source": f"TransNAS-Bench-101 (Duan et al. 2021), {kind} space, yawen-d/TransNASBench",
            "licence": "MIT",
            "cite": "Duan et al. 2021, TransNAS-Bench-101: Improving Transferability and Generalizability of "
            "Cross-Task Neural Architecture Search, CVPR, arXiv:2105.11871",
            "beware": "one training of each; params and macs are computed with a head for classification",
            "files": {path.name: _sha256(path)},
            **({"without_seconds": f"{', '.join(untimed)}: the recorded time does not rise"} if untimed else {}),
        },
    )
    return write_table(target, table, np.array(architectures), {spec.name: v for spec, v in columns.items()})


KINDS = {kind: partial(import_transnas, kind=kind) for kind in SPACES}


class _Reader:
    """Fields of the file, checked when they are read."""

    def __init__(self, path: Path, database: Any) -> None:
        self.path = path
        self.data = self._mapping(database, "data")
        self.metrics = self._mapping(database, "metrics_dict")

    def of_space(self, kind: str) -> Mapping[Any, Any]:
        """The architectures of a space with their results."""
        found = self._mapping(self.data, kind)
        if not found:
            raise InvalidTable(f"'{self.path}' has no architecture of the space {kind!r}")
        return found

    def columns(self, task: str, recorded: Mapping[Any, Any]) -> Iterator[tuple[ColumnSpec, Floats]]:
        """Those of one task: rows are architectures, epochs the recorded ones."""
        theirs = TASKS[task]
        results = [self._mapping(result, task, f"of {clipped(string)}") for string, result in recorded.items()]
        wheres = [f"{task} of {string}" for string in recorded]
        lengths = [self._epochs(result, where) for result, where in zip(results, wheres, strict=True)]
        epochs = tuple(range(1, max(lengths) + 1))

        def curves(name: str) -> Floats:
            values = np.full((len(results), len(epochs), 1), np.nan)
            for row, (result, where, length) in enumerate(zip(results, wheres, lengths, strict=True)):
                values[row, :length, 0] = self._curve(result, where, name, length)
            return values

        for split, role in _SPLITS.items():
            what: dict[str, Any] = {"metric": theirs.metric, "split": split, "role": role, "unit": theirs.unit}
            yield _column(task, epochs, direction=theirs.direction, **what), curves(f"{split}_{theirs.theirs}")
        seconds = curves("time_elapsed")
        steps = np.diff(seconds[:, :, 0], axis=1, prepend=0.0)
        if not (steps < 0).any():
            yield _column(task, epochs, metric="train_seconds", unit="seconds"), seconds
        for info, (metric, unit) in _COSTS.items():
            values = [self._info(result, where, info) for result, where in zip(results, wheres, strict=True)]
            if not np.isnan(values).all():
                yield _column(task, (), metric=metric, unit=unit), np.array(values)[:, None, None]

    def _epochs(self, result: Mapping[Any, Any], where: str) -> int:
        length = result.get("total_epochs")
        if type(length) is not int or not 0 < length <= 1000:
            raise InvalidTable(f"'{self.path}', {where}: total_epochs is {clipped(length)}")
        return length

    def _curve(self, result: Mapping[Any, Any], where: str, name: str, length: int) -> list[float]:
        curve = self._mapping(result, "metrics", where).get(name)
        if not isinstance(curve, list) or len(curve) != length:
            given = f"{len(curve)} numbers" if isinstance(curve, list) else clipped(curve)
            raise InvalidTable(
                f"'{self.path}', {where}: {name} is {given}, not a list of one number per epoch ({length})"
            )
        found = []
        for value in curve:
            number = _seconds(value) if name == "time_elapsed" else _number(value)
            if number is None:
                raise InvalidTable(f"'{self.path}', {where}: {name} has {clipped(value)}, which is no finite number")
            found.append(number)
        return found

    def _info(self, result: Mapping[Any, Any], where: str, name: str) -> float:
        """What was recorded of a network, NaN where it was not."""
        value = self._mapping(result, "model_info", where).get(name)
        number = math.nan if value is None else _number(value)
        if number is None or number < 0:
            raise InvalidTable(f"'{self.path}', {where}: {name} is {clipped(value)}, which is no cost")
        return number

    def _mapping(self, owner: Any, key: str, where: str = "") -> Mapping[Any, Any]:
        found = owner.get(key) if isinstance(owner, Mapping) else None
        if not isinstance(found, Mapping):
            raise InvalidTable(
                f"'{self.path}' is not the file of TransNAS-Bench-101: {f'{key} {where}'.strip()!r} is "
                f"{'missing' if found is None else clipped(found)}"
            )
        return found


def _number(value: object) -> float | None:
    """A finite number, or None: texts and truth values are none."""
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        return None
    return float(value)  # type: ignore[arg-type]


def _seconds(value: object) -> float | None:
    """Seconds, as a number or as the training script writes them: ``01:02:03``."""
    if isinstance(value, str):
        found = _CLOCK.fullmatch(value)
        return None if found is None else float(int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]))
    return _number(value)


def _column(task: str, epochs: tuple[int, ...], **fields: Any) -> ColumnSpec:
    usual = {"split": None, "role": "cost", "direction": "min"}
    return ColumnSpec(dataset=task, epochs=epochs, seeds=("once",), **{**usual, **fields})


def _reading(task: str, columns: Mapping[ColumnSpec, Floats]) -> TableTask:
    metric = TASKS[task].metric
    last = max(spec.epochs[-1] for spec in columns if spec.name == f"{task}/{metric}/valid")
    reward, truth = (Reading(column=f"{task}/{metric}/{split}", epochs=last) for split in ("valid", "test"))
    return TableTask(reward=reward, truth=truth, space_options=TASKS[task].options)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InvalidTable(unreadable(path, error)) from None
