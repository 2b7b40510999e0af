"""A data frame as a table of cells, so that the same rows give the same values from a frame and from their file."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.tabular.delimited import Cell, Cells

_EXACT = 2**53


def cells_of_frame(frame: pd.DataFrame) -> Cells:
    """The cells of a frame. A number or a moment stays one: how a file would write it is not asked. Lines are counted
    as if the frame were a file with a header."""
    columns = []
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        missing = column.isna().to_numpy()
        values = column.astype(object).to_numpy()
        columns.append(["" if lacks else _cell(value) for value, lacks in zip(values, missing, strict=True)])
    header = tuple(str(name).strip() for name in frame.columns)
    rows = list(map(list, zip(*columns, strict=True))) if columns else [[] for _ in range(len(frame))]
    return Cells(Path("the frame"), ",", header, rows, list(range(2, len(frame) + 2)))


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Integral):
        # A float would lose the last digits of a long identifier.
        return float(value) if abs(int(value)) < _EXACT else str(int(value))
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, pd.Timestamp):
        return value.floor("us").to_pydatetime(warn=False)
    if isinstance(value, np.datetime64):
        return _cell(pd.Timestamp(value))
    if isinstance(value, date):
        return value if isinstance(value, datetime) else datetime.combine(value, time())
    return str(value).strip()
