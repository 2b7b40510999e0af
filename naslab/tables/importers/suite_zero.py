"""NAS-Bench-Suite-Zero (Krishnakumar et al. 2022): scores of zero-cost proxies, as columns to join to a table."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import InvalidTable
from naslab.files import clipped
from naslab.search_spaces.nasbench201 import EDGES, NASLIB_EDGES, NASLIB_OPERATIONS, OPERATIONS
from naslab.space import Architecture
from naslab.tables.format import Table
from naslab.tables.from_csv import Recorded
from naslab.tables.header import ColumnSpec
from naslab.tables.importers.hw_nas_bench import DATASETS, check_space, datasets
from naslab.tables.joining import Addition
from naslab.tables.rows import parsed_json, read_bytes

_KEY = re.compile(r"\((?:[0-4], ){5}[0-4]\)", re.ASCII)
_METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def read_suite_zero(table: Table, path: Path | str) -> Addition:
    """The scores in NAS-Bench-Suite-Zero's JSON file for NAS-Bench-201's cells, for the datasets of a table.

    Each proxy becomes a column of its name, better when higher, context of its dataset: the evaluator
    ``table[column=synflow]``. Architectures are NASLib's tuples. ``val_accuracy`` is left out: it is the test accuracy
    of one training, whatever its name; so are the seconds that proxies took.

    Raises:
        InvalidTable: The table is of another space, or the file is not this. One line with dataset and architecture.
    """
    path = Path(path)
    check_space(table, path)
    data = read_bytes(path)
    content = parsed_json(path, data)
    scores: dict[Architecture, dict[str, float]] = {}
    names: dict[str, None] = {}
    for dataset in datasets(table, path):
        entries = content.get(DATASETS[dataset]) if isinstance(content, dict) else None
        if not isinstance(entries, dict) or not entries:
            raise InvalidTable(f"'{path}' is not NAS-Bench-Suite-Zero's file: it has no {DATASETS[dataset]!r}")
        for key, entry in entries.items():
            try:
                found = _scores(entry)
                known = scores.setdefault(_architecture(key), {})
            except ValueError as error:
                raise InvalidTable(f"'{path}', {dataset}, {clipped(key)}: {error}") from None
            for proxy, score in found.items():
                known[f"{dataset}/{proxy}"] = score
                names[f"{dataset}/{proxy}"] = None
    columns = tuple(_column(*name.split("/")) for name in names)
    arrays = {name: np.array([each.get(name, np.nan) for each in scores.values()])[:, None, None] for name in names}
    return Addition(
        Recorded(np.array(list(scores)), columns, arrays),
        {
            "source": "NAS-Bench-Suite-Zero (Krishnakumar et al. 2022), automl/NASLib; real images were shown",
            "licence": "Apache-2.0",
            "cite": "Krishnakumar et al. 2022, NAS-Bench-Suite-Zero: Accelerating Research on Zero Cost Proxies, "
            "NeurIPS",
            "files": {path.name: hashlib.sha256(data).hexdigest()},
        },
    )


def _architecture(key: str) -> Architecture:
    """Raises ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError("no tuple of six operations from 0 to 4, as NASLib writes them")
    theirs = dict(zip(NASLIB_EDGES, map(int, re.findall("[0-4]", key)), strict=True))
    return tuple(list(OPERATIONS).index(NASLIB_OPERATIONS[theirs[edge]]) for edge in EDGES)


def _scores(entry: Any) -> dict[str, float]:
    """The score of every proxy; a cell may lack some. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError(f"{clipped(entry)} is no object of scores")
    found = {}
    for name, value in entry.items():
        if not isinstance(value, dict):
            continue  # an index, the architecture, an accuracy
        score = value.get("score")
        if not isinstance(score, int | float) or isinstance(score, bool) or not _METRIC.fullmatch(name):
            raise ValueError(f"the score {clipped(name)} is {clipped(score)}")
        found[name] = float(score) if math.isfinite(score) else math.nan
    return found


def _column(dataset: str, metric: str) -> ColumnSpec:
    return ColumnSpec(
        dataset=dataset,
        metric=metric,
        split=None,
        role="context",
        unit="",
        direction="max",
        epochs=(),
        seeds=("once",),
    )
