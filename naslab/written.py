"""How a thing with options is written, ``name[key=value,key=value]``: an optimizer or a predictor."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from naslab.errors import InvalidValue


def parse_list(text: str) -> list[str]:
    """Split ``a,b[c=1,d=2],e`` at the commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def split_options(written: str, what: str, forms: str = "NAME or NAME[key=value,key=value]") -> tuple[str, list[str]]:
    """The name, and the options as they were written.

    Args:
        written: Such as ``"kernel-ridge[target=raw]"``.
        what: ``"optimizer"``, ``"predictor"``: for messages.
        forms: How it may be written.

    Raises:
        InvalidValue: It is not written so.
    """
    name, bracket, rest = written.partition("[")
    if not name or (bracket and not rest.endswith("]")):
        raise InvalidValue(f"{what} {written!r}: write {forms}")
    return name, parse_list(rest[:-1]) if bracket else []


def read_options(written: str, parts: Sequence[str], factory: Any, what: str) -> dict[str, Any]:
    """Options by name, as numbers, texts or truth values.

    Args:
        written: All of it, for messages.
        parts: Each ``key=value``.
        factory: The class that takes them: what has a text as its default there is a text.
        what: As for :func:`split_options`.

    Raises:
        InvalidValue: A part without ``=``, or a key given twice.
    """
    texts = _texts(factory)
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidValue(f"{what} {written!r}: hyperparameters are written key=value, not {part!r}")
        if key.strip() in options:
            raise InvalidValue(f"{what} {written!r}: {key.strip()} is given twice; give each hyperparameter once")
        literal = _literal(value.strip())
        # "none" may be a name: what has a name as its default is text.
        options[key.strip()] = value.strip() if key.strip() in texts and not isinstance(literal, str) else literal
    return options


def check_types(label: str, factory: Any, options: Mapping[str, Any]) -> None:
    """Refuse values of another type than the default's (an integer may stand for a number).

    Raises:
        InvalidValue: Names option, value and default.
    """
    parameters = inspect.signature(factory).parameters
    for key, value in options.items():
        default = parameters[key].default
        if default is parameters[key].empty or default is None:
            continue
        allowed: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
        if not isinstance(value, allowed) or isinstance(value, bool) != isinstance(default, bool):
            raise InvalidValue(
                f"{label!r}: {key}={value!r} is no {type(default).__name__} (the default is {default!r})"
            )


def _texts(factory: Any) -> set[str]:
    """Hyperparameters whose default is a text."""
    if not isinstance(factory, type):
        return set()
    return {name for name, each in inspect.signature(factory).parameters.items() if isinstance(each.default, str)}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text
