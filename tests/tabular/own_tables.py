"""Small tables on which a search takes a second or two."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

QUICK: dict[str, Any] = {"widths": (2, 4, 8), "depth": 2, "budget": 40}
"""Options by which a search is short."""


def write_table(path: Path, *, rows: int = 120, kind: str = "classification", seed: int = 0) -> Path:
    """Two numbers, one with gaps, and a category; the target follows from them.

    Classes are called ``no`` and ``yes`` (a quarter of the rows); the number to predict is in thousands.
    """
    rng = np.random.default_rng(seed)
    x, gaps = rng.standard_normal(rows), rng.standard_normal(rows)
    colours = rng.choice(["red", "green", "blue"], size=rows)
    signal = x + gaps + 2.0 * (colours == "red") + 0.2 * rng.standard_normal(rows)
    if kind == "regression":
        target = [f"{1000 * value:.2f}" for value in signal]
    else:
        target = ["yes" if value > np.quantile(signal, 0.75) else "no" for value in signal]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "gaps", "colour", "target"])
        for row in range(rows):
            writer.writerow([f"{x[row]:.4f}", "" if row % 7 == 3 else f"{gaps[row]:.4f}", colours[row], target[row]])
    return path
