"""The keys of a sample's rows: by them an architecture is found that is isomorphic to one of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidTable
from naslab.space import SearchSpace, lookup_digest
from naslab.tables.header import ColumnSpec

ROUNDING = 1e-6
"""Of a column's largest number: what two copies of one training may differ by."""
SEPARATE = 0.5
"""Of a column's range: what separate trainings of isomorphic cells may differ by. Those of NAS-Bench-201 differ by less
(``tests/tables/test_keys.py``)."""


def row_keys(space: SearchSpace, architectures: NDArray[Any]) -> NDArray[np.uint8] | None:
    """``(N, 16)`` digests of the keys of rows that are a sample of a space; None where nothing is looked up by key."""
    if len(architectures) >= space.size or not space.has_network:
        return None
    found = b"".join(lookup_digest(space, tuple(row)) for row in architectures.tolist())
    return np.frombuffer(found, np.uint8).reshape(-1, 16)


def check_agreement(
    path: Path,
    rows: Sequence[int],
    keys: NDArray[np.uint8],
    columns: Sequence[ColumnSpec],
    arrays: Mapping[str, NDArray[np.float64]],
    *,
    one_training: bool,
) -> int:
    """How many rows have the key of an earlier one, and agree with it.

    Compared are scores (rewards and truths), means over seeds. Where a benchmark trained one network for each key, they
    must be equal up to rounding; otherwise isomorphic cells may have been trained separately, and scores must not be
    further apart than half of their column's range.

    Args:
        path: Of the file, for messages.
        rows: Number of each row in it.
        keys: ``(N, 16)``.
        columns: Of the table.
        arrays: Their numbers.
        one_training: Whether the space has keys of a benchmark's own.

    Raises:
        InvalidTable: Two rows of one key disagree; names both.
    """
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    earliest = np.empty(len(group), np.int64)
    earliest[order] = np.repeat(order[begins], np.diff(np.append(begins, len(order))))
    later = np.flatnonzero(earliest != np.arange(len(group)))
    for column in columns if later.size else ():
        if column.role not in ("reward", "truth"):
            continue
        for epoch, values in zip(column.epochs or (None,), np.moveaxis(arrays[column.name], 1, 0), strict=True):
            there = ~np.isnan(values)
            means = np.where(there, values, 0.0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)
            known = means[np.isfinite(means)]
            if not known.size:
                continue
            most = ROUNDING * np.abs(known).max() if one_training else SEPARATE * np.ptp(known)
            apart = np.abs(means[later] - means[earliest[later]])  # NaN where one of them lacks it
            if (apart > most).any():
                worst = int(later[np.flatnonzero(apart > most)[0]])
                first = int(earliest[worst])
                at = "" if epoch is None else f" at {epoch} epochs"
                raise InvalidTable(
                    f"'{path}' rows {rows[first]} and {rows[worst]} are isomorphic and disagree: {column.name}{at} is "
                    f"{means[first]:.6g} and {means[worst]:.6g}; allowed: {most:.2g} apart. Fix: leave one out"
                )
    return len(later)
