"""From a table's columns to numbers that a network can take, fitted to training rows and stored as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset
from naslab.tabular.columns import Column
from naslab.tabular.delimited import shown, suggestion
from naslab.tabular.encoders import (
    Encoder,
    NumericEncoder,
    described_encoder,
    fitted_encoder,
    stored_encoder,
    stored_notation,
)
from naslab.tabular.reading import RawTable, Values
from naslab.tabular.stored import Damaged, Stored
from naslab.tabular.targets import Target, TaskKind

VERSION = 2


@dataclass(frozen=True)
class Preprocessor:
    """Turns columns into features, fitted to the training rows alone.

    A number that is missing is replaced by the median, numbers are standardised and clipped at 10 standard
    deviations; categories are one-hot, at most 50 of a column, the rarer ones sharing one feature; a date is a number
    of days and its places in the year, the week and the day. If training rows lack values of a column, a further
    feature says where its values are missing. A category that no training row has is all zeros, and so is a missing
    category if no training row lacks one: :meth:`remarks` says so. A column without any value in the training rows
    gives no feature.

    Attributes:
        encoders: One per column that gives features.
    """

    encoders: tuple[Encoder, ...]

    @classmethod
    def fit(cls, raw: RawTable, rows: NDArray[np.int64]) -> Preprocessor:
        """Fit to the rows ``rows`` of a table. Raises InvalidDataset if no column has a value in any of them."""
        fitted = [fitted_encoder(column, raw.values[column.name][rows]) for column in raw.columns]
        encoders = tuple(encoder for encoder in fitted if encoder is not None)
        if not encoders:
            raise InvalidDataset(
                f"none of the columns {', '.join(repr(column.name) for column in raw.columns)} has a value in any of "
                f"the {len(rows)} training rows. Add rows or a column that is known of most of them."
            )
        return cls(encoders)

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

    def remarks(self, values: Values) -> list[str]:
        """What happens to cells unlike any in the training rows, a sentence for each column and reason."""
        return [says for encoder in self.encoders for says in encoder.remarks(values[encoder.name])]

    def to_json(self) -> str:
        """Everything, floats exact to the last bit, for :meth:`from_json`."""
        described = [described_encoder(encoder) for encoder in self.encoders]
        return json.dumps({"version": VERSION, "columns": described}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Preprocessor:
        """What :meth:`to_json` wrote. Raises InvalidDataset if the text is something else or of another version."""
        try:
            stored = _of_version(Stored.parse(text), "preprocessor")
            encoders = tuple(stored_encoder(each) for each in stored.objects("columns"))
            if not encoders or len({encoder.name for encoder in encoders}) < len(encoders):
                raise Damaged("its columns are none, or one is there twice")
        except Damaged as error:
            raise _damaged("preprocessor", error) from None
        return cls(encoders)


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
        fitted = NumericEncoder.fit(raw.target.column, raw.y[rows])
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
        try:
            stored = _of_version(Stored.parse(text), "target encoder")
            told = stored.object("target")
            kind = next(each for each in get_args(TaskKind) if each == told.text("kind", *get_args(TaskKind)))
            target = Target(
                told.text("name"), kind, told.texts("classes"), stored_notation(told.object("notation")),
                told.texts("marks"), told.flag("coerce"),
            )  # fmt: skip
            if (kind == "classification") != (len(target.classes) > 1):
                raise told.wrong("classes", "two or more of a classification, none of a regression")
            return cls(target, stored.number("mean"), stored.number("scale", positive=True))
        except Damaged as error:
            raise _damaged("target encoder", error) from None


def _of_version(stored: Stored, what: str) -> Stored:
    version = stored.values.get("version")
    if version != VERSION:
        raise InvalidDataset(
            f"the stored {what} is of version {shown(str(version))}; this naslab reads version {VERSION}. Search "
            "again, or use the naslab that wrote it."
        )
    return stored


def _damaged(what: str, error: Damaged) -> InvalidDataset:
    return InvalidDataset(f"the stored {what} is damaged: {error}. Search again.")
