"""One clear line for what pydantic found wrong in a file that a person wrote."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ValidationError

from naslab.files import clipped

_LONGEST_NAME = 200


def nearest(given: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the known name closest to the given one, or ``""`` if none is close."""
    # Comparing takes time that grows with the square of the lengths: nobody means a name of a thousand letters.
    matches = difflib.get_close_matches(given[:_LONGEST_NAME], list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a pydantic error as one line: the key, what was given, what is allowed.

    naslab's own errors, raised inside validators, keep their own text.
    """
    faults = error.errors(include_url=False)
    # A misspelt key is also reported as a missing one: the misspelling says more.
    fault = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    location = fault["loc"]
    where = _dotted(location)
    kind, given = fault["type"], fault["input"]
    if kind == "value_error":
        return f"{where}: {fault['ctx']['error']}" if where else str(fault["ctx"]["error"])
    if kind == "extra_forbidden":
        fields = _fields_at(model, location[:-1])
        hint = nearest(str(location[-1]), fields)
        return f"unknown key {clipped(where)}.{hint} Allowed here: {', '.join(fields)}"
    if kind == "missing":
        return f"key {where!r} is missing"
    if kind == "literal_error":
        hint = nearest(str(given), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
        return f"{where} = {clipped(given)}. Allowed: {fault['ctx']['expected']}.{hint}"
    return f"{where} = {clipped(given)}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """``('columns', 3, 'role')`` -> ``columns[3].role``, counting entries from 1 as a person does."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed at a location, by walking the models' annotations."""
    for part in location:
        if part in model.model_fields:
            inner = next(_models_in(model.model_fields[str(part)].annotation), None)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The pydantic models that an annotation such as ``tuple[Column, ...]`` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
