"""What would make the scores of a table look better than they will be: said before anything is trained.

Nothing is left out by itself: a running number may be a year, a copy of the target a law of nature.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from naslab.tabular.encoders import share
from naslab.tabular.reading import RawTable

_MOSTLY = 0.99
_COPY = 0.9999
_ERRORS = 0.005
_ROWS_OF_A_VALUE = 5

Codes = NDArray[np.int64]


def warnings_of(raw: RawTable, parts: Sequence[NDArray[np.int64]], path: Path) -> list[str]:
    """Running numbers among the features, copies of the target, and rows that stand on both sides of the split.

    Args:
        raw: The table.
        parts: Training, validation and test rows.
        path: The table's file, for the command that removes repeated rows.
    """
    says = []
    for column in raw.columns:
        values, leave = raw.values[column.name], f"leave it out by --drop {shlex.quote(column.name)}"
        if column.kind != "categorical" and (how := _running(values)):
            says.append(
                f"Warning: column {column.name!r} looks like a running number: {how}. If the rows are sorted, it tells "
                f"where a row stands, and new rows have other numbers: {leave}."
            )
        if how := (_decides_class if raw.target.classes else _decides_number)(values, raw.y):
            says.append(
                f"Warning: column {column.name!r} looks like a copy of the target {raw.target.name!r}: {how}. If it is "
                f"not known before the target is, {leave}."
            )
    return says + _repeated(raw, parts, path)


def _running(values: NDArray[np.float64]) -> str:
    """How the values of a column count the rows; empty if they don't."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(known) < 2 or len(distinct) < _MOSTLY * len(known):
        return ""
    steps = np.sign(np.diff(known))
    for sign, verb in ((1, "rises"), (-1, "falls")):
        if (steps == sign).mean() >= _MOSTLY:
            return f"it {verb} from row to row"
    whole = (distinct == np.floor(distinct)).all()
    if whole and len(distinct) == len(known) == distinct[-1] - distinct[0] + 1:
        return f"it is every whole number from {distinct[0]:.0f} to {distinct[-1]:.0f} once"
    return ""


def _decides_class(values: NDArray[Any], y: NDArray[Any]) -> str:
    """How a column decides the class; empty if it doesn't."""
    _, classes = np.unique(y.astype(str), return_inverse=True)
    codes, number = _coded(values)
    counts = np.bincount(classes)
    if number * _ROWS_OF_A_VALUE <= len(y):
        table = np.zeros((number, len(counts)), dtype=np.int64)
        np.add.at(table, (codes, classes), 1)
        errors = len(y) - int(table.max(axis=1).sum())
        if errors <= _ERRORS * (len(y) - counts.max()):
            return f"each of its {number} values goes with one class, with {errors} exceptions in {len(y):,} rows"
    if values.dtype == np.float64 and not np.isnan(values).any():
        order = np.argsort(values, kind="stable")
        changes = np.flatnonzero(np.diff(classes[order]))
        apart = values[order][changes] < values[order][changes + 1]
        if len(changes) == len(counts) - 1 and apart.all():
            return "every class has a range of it to itself"
    return ""


def _decides_number(values: NDArray[Any], y: NDArray[Any]) -> str:
    """How a column decides the number to predict; empty if it doesn't."""
    if values.dtype == np.float64:
        known = ~np.isnan(values)
        if known.sum() < 2 or np.ptp(values[known]) == 0 or np.ptp(y[known]) == 0:
            return ""
        rank = float(stats.spearmanr(values[known], y[known]).statistic)
        return f"their order is the same (rank correlation {rank:.5f})" if abs(rank) >= _COPY else ""
    codes, number = _coded(values)
    if number * _ROWS_OF_A_VALUE > len(y) or np.ptp(y) == 0:
        return ""
    means = np.bincount(codes, weights=y) / np.bincount(codes)
    left = float(((y - means[codes]) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    return f"each of its {number} values goes with one number" if 1 - left >= _COPY else ""


def _repeated(raw: RawTable, parts: Sequence[NDArray[np.int64]], path: Path) -> list[str]:
    """Held-out rows that also stand among the training rows, equal in every column and in the target."""
    codes = np.column_stack([_coded(raw.values[column.name])[0] for column in raw.columns] + [_coded(raw.y)[0]])
    _, rows = np.unique(codes, axis=0, return_inverse=True)
    train, *held = parts
    both = np.isin(rows[np.concatenate(held)], rows[train])
    if not both.any():
        return []
    told = share(both).replace("cells", "validation and test rows")
    command = f"pandas.read_csv({str(path)!r}).drop_duplicates().to_csv('distinct.csv', index=False)"
    return [
        f"Warning: {told} also among the training rows, equal in every column: their scores say nothing about new "
        f"rows. If the repetitions are no observations of their own, search on a file without them: {command}."
    ]


def _coded(values: NDArray[Any]) -> tuple[Codes, int]:
    """Whole numbers in place of values, and how many are different; a missing value is one of them."""
    if values.dtype == np.float64:
        different, codes = np.unique(values, return_inverse=True, equal_nan=True)
        return codes.astype(np.int64), len(different)
    places: dict[Any, int] = {}
    found = [places.setdefault(value, len(places)) for value in values.tolist()]
    return np.array(found, dtype=np.int64), len(places)
