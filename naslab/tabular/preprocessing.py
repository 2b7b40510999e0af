"""From a table's columns to numbers that a network can take, fitted to training rows and stored as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset
from naslab.tabular.delimited import shown, suggestion
from naslab.tabular.reading import Column, RawTable, Target, Values

VERSION = 1
MOST_CATEGORIES = 50
CLIP = 10.0


@dataclass(frozen=True)
class NumericEncoder:
    """One standardised feature and, if the training rows lack values, one that says where they are missing.

    Attributes:
        name: Of the column.
        median: Of the values in the training rows; replaces missing values.
        mean: Of the training rows, replaced values included.
        scale: Their standard deviation (with N, not N - 1); 1 if they are all the same.
        marks_missing: Whether there is a feature ``"<name> is missing"``, 0 or 1.
    """

    name: str
    median: float
    mean: float
    scale: float
    marks_missing: bool

    @classmethod
    def fit(cls, name: str, values: NDArray[np.float64]) -> NumericEncoder:
        missing = np.isnan(values)
        # Scaled by a power of two, which is exact, so that squares of the largest numbers don't overflow.
        exponent = int(np.frexp(np.abs(values[~missing]).max())[1])
        scaled = np.ldexp(values, -exponent)
        median = np.median(scaled[~missing])
        filled = np.where(missing, median, scaled)
        constant = bool(filled.min() == filled.max())
        mean = float(np.ldexp(median if constant else filled.mean(), exponent))
        scale = 0.0 if constant else float(np.ldexp(filled.std(), exponent))
        return cls(name, float(np.ldexp(median, exponent)), mean, scale or 1.0, bool(missing.any()))

    @property
    def column(self) -> Column:
        return Column(self.name, "numeric")

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.marks_missing else (self.name,)

    def encode(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        missing = np.isnan(values)
        with np.errstate(over="ignore"):  # what overflows to infinity is clipped as well
            standardised = (np.where(missing, self.median, values) - self.mean) / self.scale
        out[:, 0] = np.clip(standardised, -CLIP, CLIP)
        if self.marks_missing:
            out[:, 1] = missing


@dataclass(frozen=True)
class CategoricalEncoder:
    """One feature, 0 or 1, for each category of the training rows.

    Attributes:
        name: Of the column.
        categories: With a feature of their own: the 50 most frequent in training, sorted.
        rare: Those that share the feature ``"<name> is other"``, sorted; mostly none.
        marks_missing: Whether there is a feature ``"<name> is missing"``.
    """

    name: str
    categories: tuple[str, ...]
    rare: tuple[str, ...]
    marks_missing: bool

    @classmethod
    def fit(cls, name: str, values: NDArray[np.object_]) -> CategoricalEncoder:
        counts = Counter(value for value in values.tolist() if value is not None)
        by_frequency = sorted(counts, key=lambda category: (-counts[category], category))
        kept, rare = by_frequency[:MOST_CATEGORIES], by_frequency[MOST_CATEGORIES:]
        return cls(name, tuple(sorted(kept)), tuple(sorted(rare)), counts.total() < len(values))

    @property
    def column(self) -> Column:
        return Column(self.name, "categorical", tuple(sorted((*self.categories, *self.rare))))

    @property
    def features(self) -> tuple[str, ...]:
        own = tuple(f"{self.name} = {category}" for category in self.categories)
        other = (f"{self.name} is other",) if self.rare else ()
        return own + other + ((f"{self.name} is missing",) if self.marks_missing else ())

    def encode(self, values: NDArray[np.object_], out: NDArray[np.float32]) -> None:
        places: dict[str | None, int] = {category: place for place, category in enumerate(self.categories)}
        places.update(dict.fromkeys(self.rare, len(self.categories)))
        if self.marks_missing:
            places[None] = len(self.features) - 1
        found = np.array([places.get(value, -1) for value in values.tolist()], dtype=np.int64)
        known = np.flatnonzero(found >= 0)
        out[known, found[known]] = 1


Encoder = NumericEncoder | CategoricalEncoder


@dataclass(frozen=True)
class Preprocessor:
    """Turns columns into features, fitted to the training rows alone.

    A number that is missing is replaced by the median, numbers are standardised and clipped at 10 standard
    deviations; categories are one-hot, at most 50 of a column, the rarer ones sharing one feature. If training rows
    lack values of a column, a further feature says where its values are missing. A category that no training row has
    is all zeros, and so is a missing category if no training row lacks one. A column without any value in the training
    rows gives no feature.

    Attributes:
        encoders: One per column that gives features.
    """

    encoders: tuple[Encoder, ...]

    @classmethod
    def fit(cls, raw: RawTable, rows: NDArray[np.int64]) -> Preprocessor:
        """Fit to the rows ``rows`` of a table. Raises InvalidDataset if no column has a value in any of them."""
        encoders: list[Encoder] = []
        for column in raw.columns:
            values = raw.values[column.name][rows]
            if column.kind == "numeric" and not np.isnan(values).all():
                encoders.append(NumericEncoder.fit(column.name, values))
            elif column.kind == "categorical" and any(value is not None for value in values.tolist()):
                encoders.append(CategoricalEncoder.fit(column.name, values))
        if not encoders:
            raise InvalidDataset(
                f"none of the columns {', '.join(repr(column.name) for column in raw.columns)} has a value in any of "
                f"the {len(rows)} training rows. Add rows or a column that is known of most of them."
            )
        return cls(tuple(encoders))

    @property
    def columns(self) -> tuple[Column, ...]:
        """What :func:`~naslab.tabular.reading.read_rows` has to read for :meth:`transform`."""
        return tuple(encoder.column for encoder in self.encoders)

    @property
    def features(self) -> tuple[str, ...]:
        """One name per feature, such as ``"age"``, ``"age is missing"`` and ``"colour = red"``."""
        return tuple(name for encoder in self.encoders for name in encoder.features)

    def transform(self, values: Values) -> NDArray[np.float32]:
        """The features ``(N, features)`` of columns such as :attr:`RawTable.values`; further columns are ignored.

        Raises InvalidDataset if a column is missing.
        """
        for encoder in self.encoders:
            if encoder.name not in values:
                raise InvalidDataset(f"no column {encoder.name!r} to transform. {suggestion(encoder.name, values)}")
        widths = [len(encoder.features) for encoder in self.encoders]
        x = np.zeros((len(values[self.encoders[0].name]), sum(widths)), dtype=np.float32)
        start = 0
        for encoder, width in zip(self.encoders, widths, strict=True):
            encoder.encode(values[encoder.name], x[:, start : start + width])
            start += width
        return x

    def to_json(self) -> str:
        """Everything, floats exact to the last bit, for :meth:`from_json`."""
        described = [{"kind": encoder.column.kind, **asdict(encoder)} for encoder in self.encoders]
        return json.dumps({"version": VERSION, "columns": described}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Preprocessor:
        """What :meth:`to_json` wrote. Raises InvalidDataset if the text is something else or of another version."""
        stored = _decoded(text, "preprocessor")
        try:
            return cls(tuple(_encoder(**described) for described in stored["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged("preprocessor", error) from None


@dataclass(frozen=True)
class TargetEncoder:
    """Turns the target into what a network is trained on, and predictions back.

    Attributes:
        target: What is predicted.
        mean: Of the training rows; 0 for classification.
        scale: Their standard deviation (with N, not N - 1), 1 if they are all the same; 1 for classification.
    """

    target: Target
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, raw: RawTable, rows: NDArray[np.int64]) -> TargetEncoder:
        """Fit to the rows ``rows`` of a table. The classes are those of the whole table."""
        if raw.target.kind == "classification":
            return cls(raw.target)
        fitted = NumericEncoder.fit(raw.target.name, raw.y[rows])
        return cls(raw.target, fitted.mean, fitted.scale)

    def transform(self, y: NDArray[Any]) -> NDArray[Any]:
        """``(N,)``: int64 indices of the classes, or float32 standardised numbers.

        Raises InvalidDataset for a class that the table does not have.
        """
        if self.target.kind == "regression":
            return ((y - self.mean) / self.scale).astype(np.float32)
        indices = {name: index for index, name in enumerate(self.target.classes)}
        for name in y.tolist():
            if name not in indices:
                raise InvalidDataset(
                    f"{shown(str(name))} is no class of the target {self.target.name!r}. "
                    f"{suggestion(str(name), self.target.classes)}"
                )
        return np.array([indices[name] for name in y.tolist()], dtype=np.int64)

    def inverse(self, predicted: NDArray[Any]) -> NDArray[Any]:
        """``(N,)``: the classes of indices, as objects, or float64 numbers in the target's own unit."""
        if self.target.kind == "regression":
            return np.asarray(predicted, dtype=np.float64) * self.scale + self.mean
        classes: NDArray[Any] = np.array(self.target.classes, dtype=object)
        named: NDArray[Any] = classes[predicted]
        return named

    def to_json(self) -> str:
        """Everything, floats exact to the last bit, for :meth:`from_json`."""
        return json.dumps({"version": VERSION, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TargetEncoder:
        """What :meth:`to_json` wrote. Raises InvalidDataset if the text is something else or of another version."""
        stored = _decoded(text, "target encoder")
        try:
            name, kind, classes = (stored["target"][key] for key in ("name", "kind", "classes"))
            return cls(Target(name, kind, tuple(classes)), stored["mean"], stored["scale"])
        except (KeyError, TypeError) as error:
            raise _damaged("target encoder", error) from None


def _encoder(*, kind: str, **described: Any) -> Encoder:
    if kind == "numeric":
        return NumericEncoder(**described)
    if kind != "categorical":
        raise ValueError(f"kind {kind!r}")
    categories, rare = tuple(described.pop("categories")), tuple(described.pop("rare"))
    return CategoricalEncoder(categories=categories, rare=rare, **described)


def _decoded(text: str, what: str) -> dict[str, Any]:
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise _damaged(what, error) from None
    version = stored.get("version") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or version != VERSION:
        raise InvalidDataset(
            f"the stored {what} is of version {version!r}; this naslab reads version {VERSION}. Search again, or use "
            "the naslab that wrote it."
        )
    return stored


def _damaged(what: str, error: Exception) -> InvalidDataset:
    return InvalidDataset(f"the stored {what} is damaged ({type(error).__name__}: {error}). Search again.")
