"""Importing NAS-Bench-Macro (Su et al. 2021) from its official JSON file."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from naslab.errors import InvalidArchitecture, InvalidTable
from naslab.files import clipped
from naslab.registry import search_space
from naslab.tables.format import Table
from naslab.tables.header import ColumnSpec, Reading, SpaceOption, TableSpec, TableTask
from naslab.tables.importers.tfrecord import Reached
from naslab.tables.rows import parsed_json, read_bytes
from naslab.tables.store import table_path
from naslab.tables.writing import write_table

_SEEDS = ("1", "2", "3")
_ACCURACY = ColumnSpec(
    dataset="cifar10",
    metric="accuracy",
    split="test",
    role="truth",
    unit="%",
    direction="max",
    epochs=(),
    seeds=_SEEDS,
)
_COSTS = {
    theirs: _ACCURACY.model_copy(
        update={"metric": ours, "split": None, "role": "context", "unit": "", "direction": "min", "seeds": ("once",)}
    )
    for theirs, ours in (("params", "params"), ("flops", "macs"))
}
_ROUNDING = 1e-3
"""Points by which a stated mean may differ from that of its trainings."""


def import_nasbench_macro(path: Path | str, name: str, progress: Reached | None = None) -> Table:
    """Store ``nas-bench-macro_cifar10.json`` as the table ``name``.

    Test accuracies (percent) of three trainings of 50 epochs: nothing else was recorded, so that searches see what they
    are judged by (``protocol = "test-only"``), and budgets are in evaluations. The training script reports the best
    test accuracy of all epochs. Networks that differ only in where identities stand share one set of trainings: 3,969
    were trained for 6,561 rows. ``params`` and ``macs`` (the file's ``flops``) are kept as context.

    Raises InvalidTable in one line that names the architecture, with nothing written.
    """
    target, path = table_path(name), Path(path)
    data = read_bytes(path)
    records = parsed_json(path, data)
    if not isinstance(records, dict) or not records:
        raise InvalidTable(f"'{path}' is not the file of NAS-Bench-Macro: no object of architectures")
    if data.count(b'"test_acc"') > len(records):
        raise InvalidTable(f"'{path}' has more records than architectures ({len(records):,}): one of them stands twice")
    space = search_space("nasbench-macro")
    architectures, accuracies, costs = [], [], []
    for string, record in records.items():
        try:
            architectures.append(space.from_string(string))
            accuracies.append(_accuracies(record))
            costs.append([_whole(record, key) for key in _COSTS])
        except (InvalidArchitecture, ValueError) as error:
            raise InvalidTable(f"'{path}', architecture {clipped(string)}: {error}") from None
    reading = Reading(column=_ACCURACY.name, epochs=None)
    options: dict[str, SpaceOption] = {"num_classes": 10, "input_shape": (3, 32, 32)}
    table = TableSpec(
        name=name,
        space=space.name,
        options=tuple(space.sizes),
        columns=(_ACCURACY, *_COSTS.values()),
        tasks={"cifar10": TableTask(reward=reading, truth=reading, space_options=options)},
        protocol="test-only",
        provenance={
            "source": "NAS-Bench-Macro (Su et al. 2021), xiusu/NAS-Bench-Macro",
            "licence": "Apache-2.0",
            "cite": "Su et al. 2021, Prioritized Architecture Sampling with Monto-Carlo Tree Search, CVPR, "
            "arXiv:2103.11922",
            "beware": "best test accuracy over 50 epochs; equal networks share trainings; no validation, no times",
            "files": {path.name: hashlib.sha256(data).hexdigest()},
        },
    )
    values = {_ACCURACY.name: np.array(accuracies)[:, None, :]}
    values |= {spec.name: np.array(costs)[:, i, None, None] for i, spec in enumerate(_COSTS.values())}
    return write_table(target, table, np.array(architectures), values)


def _accuracies(record: Any) -> list[float]:
    """Raises ValueError."""
    found = record.get("test_acc") if isinstance(record, dict) else None
    if not isinstance(found, list) or len(found) != len(_SEEDS):
        raise ValueError(f"test_acc is {clipped(found)}, not a list of three accuracies")
    for value in found:
        if type(value) not in (int, float) or not 0 <= value <= 100:
            raise ValueError(f"test_acc has {clipped(value)}; allowed: from 0 to 100")
    mean = record.get("mean_acc")
    if type(mean) not in (int, float) or not math.isclose(mean, fmean(found), abs_tol=_ROUNDING):
        raise ValueError(f"mean_acc is {clipped(mean)}, but the mean of its trainings {fmean(found):.4f}")
    return [float(value) for value in found]


def _whole(record: Any, key: str) -> int:
    """Raises ValueError."""
    found = record.get(key)
    if type(found) is not int or not 0 < found < 2**53:
        raise ValueError(f"{key} is {clipped(found)}; allowed: a whole number")
    return found
