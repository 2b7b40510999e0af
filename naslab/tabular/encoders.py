"""The features that one column makes: fitted to its training rows, and stored as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.tabular.columns import Column
from naslab.tabular.dates import ORDERS, DateOrder
from naslab.tabular.delimited import shown
from naslab.tabular.numbers import PLAIN, STYLES, UNITS, Notation, Style
from naslab.tabular.stored import Damaged, Stored

MOST_CATEGORIES = 50
CLIP = 10.0
_YEAR, _WEEK = 365.2425, 7.0


@dataclass(frozen=True)
class NumericEncoder:
    """One standardised feature and, if the training rows lack values, one that says where they are missing.

    Attributes:
        name: Of the column.
        median: Of the values in the training rows; replaces missing values.
        mean: Of the training rows, replaced values included.
        scale: Their standard deviation (with N, not N - 1); 1 if they are all the same.
        marks_missing: Whether there is a feature ``"<name> is missing"``, 0 or 1.
        notation: How the column's numbers are written.
        marks: What stands for a missing value in it.
        coerce: Whether what is no number counts as missing.
    """

    name: str
    median: float
    mean: float
    scale: float
    marks_missing: bool
    notation: Notation = PLAIN
    marks: tuple[str, ...] = ()
    coerce: bool = False

    @classmethod
    def fit(cls, column: Column, values: NDArray[np.float64]) -> NumericEncoder:
        missing = np.isnan(values)
        # Scaled by a power of two, which is exact, so that squares of the largest numbers don't overflow.
        exponent = int(np.frexp(np.abs(values[~missing]).max())[1])
        scaled = np.ldexp(values, -exponent)
        median = np.median(scaled[~missing])
        filled = np.where(missing, median, scaled)
        constant = bool(filled.min() == filled.max())
        mean = float(np.ldexp(median if constant else filled.mean(), exponent))
        scale = 0.0 if constant else float(np.ldexp(filled.std(), exponent))
        return cls(
            column.name, float(np.ldexp(median, exponent)), mean, scale or 1.0, bool(missing.any()), column.notation,
            column.marks, column.coerce,
        )  # fmt: skip

    @classmethod
    def from_stored(cls, stored: Stored) -> NumericEncoder:
        return cls(
            stored.text("name"), stored.number("median"), stored.number("mean"), stored.number("scale", positive=True),
            stored.flag("marks_missing"), stored_notation(stored.object("notation")), stored.texts("marks"),
            stored.flag("coerce"),
        )  # fmt: skip

    @property
    def column(self) -> Column:
        return Column(self.name, "numeric", notation=self.notation, marks=self.marks, coerce=self.coerce)

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.marks_missing else (self.name,)

    def encode(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        missing = np.isnan(values)
        out[:, 0] = np.clip(self._standardised(values), -CLIP, CLIP)
        if self.marks_missing:
            out[:, 1] = missing

    def remarks(self, values: NDArray[np.float64]) -> list[str]:
        """What happens to cells unlike any in training, a sentence each."""
        says = []
        missing = np.isnan(values)
        if missing.any() and not self.marks_missing:
            says.append(
                f"Column {self.name!r}: {share(missing)} missing, but none was in training; the median stands in."
            )
        beyond = np.abs(self._standardised(values)) > CLIP
        if beyond.any():
            first = values[np.flatnonzero(beyond)[0]]
            says.append(
                f"Column {self.name!r}: {share(beyond)} more than {CLIP:g} standard deviations from the mean of "
                f"training, such as {first:g}; more than {CLIP:g} counts as {CLIP:g}."
            )
        return says

    def _standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # what overflows to infinity is clipped as well
            found: NDArray[np.float64] = (np.where(np.isnan(values), self.median, values) - self.mean) / self.scale
        return found


@dataclass(frozen=True)
class DateEncoder:
    """How late a date is, standardised as a number; where it is in the year and in the week; and, if the training rows
    have times of day, where in the day. A place in a cycle is a sine and a cosine, which are 0 for a missing date.

    Attributes:
        days: Encodes the days since the beginning of 1970, and says where dates are missing.
        order: How the column's dates are written.
        has_times: Whether training rows have times of day.
    """

    days: NumericEncoder
    order: DateOrder
    has_times: bool

    @classmethod
    def fit(cls, column: Column, values: NDArray[np.float64]) -> DateEncoder:
        known = values[~np.isnan(values)]
        return cls(NumericEncoder.fit(column, values), column.order, bool((known != np.floor(known)).any()))

    @classmethod
    def from_stored(cls, stored: Stored) -> DateEncoder:
        order = stored.text("order", *ORDERS)
        return cls(
            NumericEncoder.from_stored(stored.object("days")), next(each for each in ORDERS if each == order),
            stored.flag("has_times"),
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.days.name

    @property
    def column(self) -> Column:
        return Column(self.name, "date", order=self.order, marks=self.days.marks, coerce=self.days.coerce)

    @property
    def features(self) -> tuple[str, ...]:
        cycles = ("year", "week", "day") if self.has_times else ("year", "week")
        return (*self.days.features, *(f"{self.name} in the {c} ({f})" for c in cycles for f in ("sine", "cosine")))

    def encode(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        own = len(self.days.features)
        self.days.encode(values, out[:, :own])
        missing = np.isnan(values)
        for number, length in enumerate((_YEAR, _WEEK, 1.0) if self.has_times else (_YEAR, _WEEK)):
            # The place in a week is that of the day: a time of day does not move it.
            place = np.where(missing, 0.0, np.floor(values) if length == _WEEK else values) % length / length
            for column, function in ((own + 2 * number, np.sin), (own + 2 * number + 1, np.cos)):
                out[:, column] = np.where(missing, 0.0, function(2 * np.pi * place))

    def remarks(self, values: NDArray[np.float64]) -> list[str]:
        return self.days.remarks(values)


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
    def fit(cls, column: Column, values: NDArray[np.object_]) -> CategoricalEncoder:
        counts = Counter(value for value in values.tolist() if value is not None)
        by_frequency = sorted(counts, key=lambda category: (-counts[category], category))
        kept, rare = by_frequency[:MOST_CATEGORIES], by_frequency[MOST_CATEGORIES:]
        return cls(column.name, tuple(sorted(kept)), tuple(sorted(rare)), counts.total() < len(values))

    @classmethod
    def from_stored(cls, stored: Stored) -> CategoricalEncoder:
        encoder = cls(
            stored.text("name"), stored.texts("categories"), stored.texts("rare"), stored.flag("marks_missing")
        )
        if not encoder.categories or set(encoder.categories) & set(encoder.rare):
            raise Damaged(f"the categories of {shown(encoder.name)} are none, or stand there twice")
        return encoder

    @property
    def column(self) -> Column:
        return Column(self.name, "categorical", tuple(sorted((*self.categories, *self.rare))))

    @property
    def features(self) -> tuple[str, ...]:
        own = tuple(f"{self.name} = {category}" for category in self.categories)
        other = (f"{self.name} is other",) if self.rare else ()
        return own + other + ((f"{self.name} is missing",) if self.marks_missing else ())

    def encode(self, values: NDArray[np.object_], out: NDArray[np.float32]) -> None:
        found = self._places(values)
        known = np.flatnonzero(found >= 0)
        out[known, found[known]] = 1

    def remarks(self, values: NDArray[np.object_]) -> list[str]:
        """What happens to cells unlike any in training, a sentence each."""
        says = []
        missing = np.array([value is None for value in values.tolist()], dtype=bool)
        unseen = (self._places(values) < 0) & ~missing
        if unseen.any():
            texts = Counter(values[unseen].tolist()).most_common(3)
            more = ", ..." if len(set(values[unseen].tolist())) > len(texts) else ""
            says.append(
                f"Column {self.name!r}: {share(unseen)} of categories that training did not have "
                f"({', '.join(shown(text) for text, _ in texts)}{more}); all features of the column are 0 for them."
            )
        if missing.any() and not self.marks_missing:
            says.append(
                f"Column {self.name!r}: {share(missing)} missing, but none was in training; all features of the column "
                "are 0 for them."
            )
        return says

    def _places(self, values: NDArray[np.object_]) -> NDArray[np.int64]:
        """The feature that each value sets, -1 where there is none."""
        places: dict[str | None, int] = {category: place for place, category in enumerate(self.categories)}
        places.update(dict.fromkeys(self.rare, len(self.categories)))
        if self.marks_missing:
            places[None] = len(self.features) - 1
        return np.array([places.get(value, -1) for value in values.tolist()], dtype=np.int64)


Encoder = NumericEncoder | CategoricalEncoder | DateEncoder
_CLASSES: dict[str, type[Encoder]] = {
    "numeric": NumericEncoder, "categorical": CategoricalEncoder, "date": DateEncoder,
}  # fmt: skip


def fitted_encoder(column: Column, values: NDArray[Any]) -> Encoder | None:
    """An encoder fitted to a column's values in the training rows; None if there are none."""
    if column.kind == "categorical":
        return CategoricalEncoder.fit(column, values) if any(v is not None for v in values.tolist()) else None
    if np.isnan(values).all():
        return None
    return (NumericEncoder if column.kind == "numeric" else DateEncoder).fit(column, values)


def described_encoder(encoder: Encoder) -> dict[str, Any]:
    """Everything about an encoder, as JSON."""
    return {"kind": encoder.column.kind, **asdict(encoder)}


def stored_encoder(stored: Stored) -> Encoder:
    """What :func:`described_encoder` gave. Raises Damaged for anything else."""
    encoder: Encoder = _CLASSES[stored.text("kind", *_CLASSES)].from_stored(stored)
    return encoder


def stored_notation(stored: Stored) -> Notation:
    """A notation from JSON. Raises Damaged for anything else."""
    style = Style(stored.text("decimal"), stored.text("group"))
    if style not in STYLES:
        raise stored.wrong("group", "what groups thousands beside such decimals")
    return Notation(*style, stored.text("unit", *UNITS))


def share(which: NDArray[np.bool_] | Sequence[bool]) -> str:
    """``3 of 50 cells (6 %) are``."""
    number, total = int(np.sum(which)), len(which)
    return f"{number:,} of {total:,} cells ({100 * number / total:.2g} %) {'is' if number == 1 else 'are'}"
