"""Tables of text to read in tests."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(path: Path, columns: Mapping[str, Sequence[object]], *, delimiter: str = ",", start: str = "") -> Path:
    """A delimited file of columns; ``start`` is put before all else."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(start)
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def alternating(*values: object, rows: int = 60) -> list[object]:
    return [values[row % len(values)] for row in range(rows)]
