"""Real tables that Python packages carry, written as the CSV files that a practitioner would have."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RealTable:
    """A table.

    Attributes:
        what: What it is about.
        target: The column to predict.
        read: Returns its header and its rows.
    """

    what: str
    target: str
    read: Callable[[], tuple[Sequence[str], Iterable[Sequence[Any]]]]

    def write(self, path: Path) -> Path:
        """Write it as CSV."""
        header, rows = self.read()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        return path


def segments() -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """Statlog's image segments of ``river``: 2,310 rows, 18 numbers, 7 classes."""
    from river import datasets

    source: Any = datasets.ImageSegments  # untyped
    rows = list(source())
    return [*rows[0][0], "surface"], ([*features.values(), surface] for features, surface in rows)


def titanic() -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """Passengers of the Titanic (Harrell and Cason; OpenML 40945), from the data that scikit-learn tests itself with.

    1,309 rows, numbers and categories, a fifth of the ages missing. Left out: names, tickets, cabins and home towns
    (nearly all different), and boat and body, which tell who survived.
    """
    source = files("sklearn.datasets.tests.data.openml").joinpath("id_40945", "data-v1-dl-16826755.arff.gz")
    lines = gzip.decompress(source.read_bytes()).decode().splitlines()
    names = [line.split()[1].strip("'") for line in lines if line.startswith("@attribute")]
    kept = [names.index(name) for name in ("pclass", "sex", "age", "sibsp", "parch", "fare", "embarked", "survived")]
    rows = csv.reader(line for line in lines[lines.index("@data") + 1 :] if line.strip())
    return [names[place] for place in kept], ([row[place] for place in kept] for row in rows)


def miles_per_gallon() -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
    """Cars and how far they go on a gallon (Quinlan 1993; UCI's Auto MPG), of ``mlxtend``: 392 rows, a regression.

    The origin is named, as its numbers are codes; the car's name (all different) is left out.
    """
    from mlxtend.data import autompg_data

    origins = {1: "USA", 2: "Europe", 3: "Japan"}
    x, y = autompg_data()
    header = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year", "origin", "mpg"]
    return header, ([*row[:6], origins[int(row[6])], mpg] for row, mpg in zip(x.tolist(), y.tolist(), strict=True))


TABLES: Mapping[str, RealTable] = {
    "segments": RealTable("image segments, 7 classes", "surface", segments),
    "titanic": RealTable("who survived, missing values and categories", "survived", titanic),
    "mpg": RealTable("miles per gallon, a number", "mpg", miles_per_gallon),
}
