"""Decisions: choices between options and ranges of numbers, and what it means to decide them.

An architecture has one entry per decision: an option index for a choice, a number for a range. Anything that may be
decided (an operation, an attribute of an operation, a width, a field of a recipe) is written either as a plain value or
as a :class:`Choice` or :class:`Range` of values. Options may contain decisions themselves: those are active only where
the option is taken.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from naslab.errors import InvalidSpace

Architecture: TypeAlias = tuple[Any, ...]
"""One entry per decision, in the space's order, choices before ranges: an option index (``int``) or a number of a range
(``int`` or ``float``). Immutable, hashable, written as a list in JSON."""


@dataclass(frozen=True)
class Choice:
    """A named decision with a finite tuple of options.

    Places that carry the same name share the decision. They must offer the same *number* of options; what the
    options are may differ from place to place.

    Args:
        name: Shared by every place that is decided together.
        options: Operations, numbers or strings; an option may contain further decisions.
        labels: How the options are written in strings, numbers or short names: ``(2, 3, 4)`` for a depth whose options
            are layers. By default they are made from the options.

    Raises:
        InvalidSpace: There are no options, or not as many different labels.
    """

    name: str
    options: tuple[Any, ...]
    labels: tuple[int | float | str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.options:
            raise InvalidSpace(f"choice {self.name!r} has no options")
        if self.labels and len({str(label) for label in self.labels}) != len(self.options):
            raise InvalidSpace(
                f"choice {self.name!r} has {len(self.options)} options and labels {list(self.labels)}; "
                "give each option a label of its own"
            )


@dataclass(frozen=True)
class Range:
    """A named decision between two numbers, both included.

    Args:
        name: Shared by every place that is decided together.
        low: The smallest value.
        high: The largest value.
        log: Whether it is drawn and stepped through on a logarithmic scale.
        integer: Whether its values are whole numbers.

    Raises:
        InvalidSpace: The bounds are not finite numbers with ``low`` below ``high``, not positive on a logarithmic
            scale, or not whole for whole numbers.
    """

    name: str
    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
                raise InvalidSpace(f"range {self.name!r}: bound {bound!r} is not a finite number")
            if self.integer and bound != int(bound):
                raise InvalidSpace(f"range {self.name!r} of whole numbers: bound {bound!r} is not one")
        if not self.low < self.high:
            raise InvalidSpace(f"range {self.name!r}: low={self.low} is not below high={self.high}")
        if self.log and self.low <= 0:
            raise InvalidSpace(f"range {self.name!r}: low={self.low}; a logarithmic scale needs positive numbers")
        kind = int if self.integer else float
        object.__setattr__(self, "low", kind(self.low))
        object.__setattr__(self, "high", kind(self.high))

    @property
    def size(self) -> float:
        """How many values there are: ``math.inf`` unless they are whole numbers."""
        return int(self.high) - int(self.low) + 1 if self.integer else math.inf

    @property
    def middle(self) -> float:
        """The geometric middle on a logarithmic scale, else the arithmetic one."""
        return self.clamped(math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2)

    def clamped(self, number: float) -> float:
        """The nearest value of the range, as ``int`` or ``float``."""
        number = min(max(float(number), self.low), self.high)
        return math.floor(number + 0.5) if self.integer else number

    def to_unit(self, value: float) -> float:
        """Where a value lies between the bounds on the range's scale: 0 to 1."""
        low, high = self._ends
        scaled = math.log(value) if self.log else value
        return min(max((scaled - low) / (high - low), 0.0), 1.0)

    def from_unit(self, unit: float) -> float:
        """The value at a place between the bounds on the range's scale. Places below 0 and above 1 count as the ends.

        Uniform places give uniform values; whole numbers get half a number of room beyond both bounds, so that the
        ends are as likely as the others.
        """
        if not 0 < unit < 1:
            return self.low if unit <= 0 else self.high
        low, high = self._ends
        scaled = low + unit * (high - low)
        return self.clamped(math.exp(scaled) if self.log else scaled)

    @property
    def _ends(self) -> tuple[float, float]:
        room = 0.5 if self.integer else 0.0
        low, high = self.low - room, self.high + room
        return (math.log(low), math.log(high)) if self.log else (low, high)


Decision: TypeAlias = Choice | Range
Path: TypeAlias = tuple[tuple[str, int], ...]
"""The options (choice name, option index) that lead to a place inside a value, outermost first."""


def occurrences(value: Any, path: Path = ()) -> Iterator[tuple[Decision, Path]]:
    """Every place of a decision in a value, outermost first, in the order in which fields and options are written.

    Fields of dataclasses and entries of tuples are looked into.
    """
    if isinstance(value, Choice):
        yield value, path
        for i, option in enumerate(value.options):
            yield from occurrences(option, (*path, (value.name, i)))
    elif isinstance(value, Range):
        yield value, path
    else:
        for part in _parts(value).values():
            yield from occurrences(part, path)


def choices_in(value: Any) -> Iterator[Choice]:
    """Every choice in a value, as :func:`occurrences` finds them."""
    return (decision for decision, _ in occurrences(value) if isinstance(decision, Choice))


def ranges_in(value: Any) -> Iterator[Range]:
    """Every range in a value, as :func:`occurrences` finds them."""
    return (decision for decision, _ in occurrences(value) if isinstance(decision, Range))


def scope(value: Any) -> tuple[str, ...]:
    """Names of the choices that a value depends on, each once, in order of first appearance."""
    return tuple(dict.fromkeys(choice.name for choice in choices_in(value)))


def resolve(value: Any, decisions: Mapping[str, Any]) -> Any:
    """The value without decisions: option index or number by name."""
    if isinstance(value, Choice):
        return resolve(value.options[decisions[value.name]], decisions)
    if isinstance(value, Range):
        return decisions[value.name]
    return _changed(value, lambda part: resolve(part, decisions))


def replaced(value: Any, replacement: Callable[[Decision], Any]) -> Any:
    """The value with something in place of its decisions.

    Args:
        value: Anything that may hold decisions.
        replacement: What takes the place of a decision; the decision itself where it stays, whose options are then
            looked into.
    """
    if isinstance(value, Choice | Range):
        found = replacement(value)
        if found is not value or isinstance(value, Range):
            return found
        return dataclasses.replace(value, options=tuple(replaced(option, replacement) for option in value.options))
    return _changed(value, lambda part: replaced(part, replacement))


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with its parts changed, as far as they hold decisions."""
    changed = {name: change(part) for name, part in _parts(value).items() if _is_open(part)}
    if not changed:
        return value
    if type(value) is tuple:
        return tuple(changed.get(i, part) for i, part in enumerate(value))
    return dataclasses.replace(value, **changed)


def _parts(value: Any) -> dict[Any, Any]:
    if type(value) is tuple:
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}


def _is_open(value: Any) -> bool:
    return next(occurrences(value), None) is not None
