"""A choice, and what it means to decide it.

An architecture is one option index per choice. Anything that may be decided (an operation, an attribute of
an operation, a width) is written either as a plain value or as a :class:`Choice` of values; options may
contain choices themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from naslab.errors import InvalidSpace

Architecture = tuple[int, ...]
"""One option index per choice, in the space's order: immutable, hashable, written as a list in JSON."""


@dataclass(frozen=True)
class Choice:
    """A named decision with a finite tuple of options.

    Places that carry the same name share the decision. They must offer the same *number* of options; what the
    options are may differ from place to place.

    Args:
        name: Shared by every place that is decided together.
        options: Operations, numbers or strings; an option may contain further choices.

    Raises:
        InvalidSpace: There are no options.
    """

    name: str
    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options:
            raise InvalidSpace(f"choice {self.name!r} has no options")


def choices_in(value: Any) -> Iterator[Choice]:
    """Every choice in a value, outermost first, in the order in which fields and options are written."""
    if isinstance(value, Choice):
        yield value
        for option in value.options:
            yield from choices_in(option)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from choices_in(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from choices_in(each)


def scope(value: Any) -> tuple[str, ...]:
    """Names of the choices that a value depends on, each once, in order of first appearance."""
    return tuple(dict.fromkeys(choice.name for choice in choices_in(value)))


def resolve(value: Any, decisions: Mapping[str, int]) -> Any:
    """The value without choices, after the given decisions (option index by choice name)."""
    if isinstance(value, Choice):
        return resolve(value.options[decisions[value.name]], decisions)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = {name: resolve(old, decisions) for name, old in fields.items() if scope(old)}
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        return tuple(resolve(each, decisions) for each in value)
    return value
