"""Architectures as text: ``choice=option`` pairs of the active decisions, numbers and short names."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from naslab.errors import InvalidArchitecture, UnknownName
from naslab.files import clipped, read_number
from naslab.space.choice import Choice, Decision, Range, occurrences


def written(decisions: Sequence[Decision], values: Sequence[Any], active: Sequence[bool]) -> str:
    """The pairs of an architecture; what is not active is left out."""
    return ";".join(
        f"{each.name}={labels(each)[value] if isinstance(each, Choice) else repr(value)}"
        for each, value, is_active in zip(decisions, values, active, strict=True)
        if is_active
    )


def read(string: str, decisions: Sequence[Decision], space: str, example: str) -> dict[str, Any]:
    """Option indices and numbers by name; those that are not stated are left out.

    Args:
        string: What :func:`written` gave.
        decisions: The space's.
        space: Its name, for messages.
        example: An architecture of the space, for messages.

    Raises:
        InvalidArchitecture: The string is not in that notation.
    """
    pairs = [part.partition("=")[::2] for part in string.split(";")] if string else []
    parts = dict(pairs)
    if len(parts) < len(pairs):
        raise InvalidArchitecture(f"{clipped(string)} states a choice twice; example: {example!r}")
    known = {each.name: each for each in decisions}
    for name in parts:
        if name not in known:
            raise InvalidArchitecture(
                f"{clipped(string)}: space {space!r} has no choice {name!r}; example: {example!r}"
            )
    return {name: _value(known[name], text, string) for name, text in parts.items()}


def labels(choice: Choice) -> list[str]:
    """How the options of a choice are written, each differently.

    The choice's own labels; else numbers and strings as they are, operations by their class with the attributes in
    which they differ; where that does not tell options apart, their numbers.
    """
    if choice.labels:
        return [str(label) for label in choice.labels]
    found = _names(choice.options)
    plain = len(set(found)) == len(found) and all(name and not re.search(r"[;=\s]", name) for name in found)
    return found if plain else [str(i) for i in range(len(choice.options))]


def _value(decision: Decision, text: str, string: str) -> Any:
    if isinstance(decision, Range):
        number = read_number(text)
        if number is None or not decision.low <= number <= decision.high or decision.clamped(number) != number:
            whole = "whole numbers " if decision.integer else ""
            raise InvalidArchitecture(
                f"{clipped(string)}: range {decision.name!r} has {whole}{decision.low} to {decision.high}, "
                f"not {clipped(text)}"
            )
        return decision.clamped(number)
    known = labels(decision)
    if text not in known:
        raise InvalidArchitecture(
            f"{clipped(string)}: choice {decision.name!r} has no option {UnknownName(text, known)}"
        )
    return known.index(text)


def _names(options: Sequence[Any]) -> list[str]:
    kinds = Counter(type(option) for option in options)
    alike = {kind: [o for o in options if type(o) is kind] for kind in kinds}
    return [_name(option, alike[type(option)]) for option in options]


def _name(option: Any, alike: Sequence[Any]) -> str:
    if isinstance(option, Choice | Range):
        return ""
    if not dataclasses.is_dataclass(option) or isinstance(option, type):
        return str(option)
    differing = [value for name, value in _fields(option).items() if any(_fields(o)[name] != value for o in alike)]
    words = [type(option).__name__.lower(), *(str(v) for v in differing if next(occurrences(v), None) is None)]
    return "-".join(words)


def _fields(option: Any) -> Mapping[str, Any]:
    return {field.name: getattr(option, field.name) for field in dataclasses.fields(option)}
