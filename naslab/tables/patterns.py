"""Patterns in a schema: one entry for many columns of one form.

::

    [[columns]]
    column = "{dataset}/valid{seed}"     # every column of this form that no other entry names
    dataset = "{dataset}"
    seed = "{seed}"
    metric = "accuracy"
    ...

    [[choices]]
    name = "op_{i}"                      # a choice for every such column
    options = ["conv3x3", "skip"]

    [tasks."{dataset}"]                  # one for each dataset that was found
    reward = "{dataset}/valid777"
    truth = "{dataset}/test"

A placeholder stands for one or more characters other than ``/``; a number where the schema wants one (``epochs``). In
the name of a dataset, a task, a metric or a choice, what may not stand there (a space) becomes a hyphen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from naslab.errors import InvalidTable
from naslab.tables.messages import nearest

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
Binding = Mapping[str, str]


def written_out(raw: Mapping[str, Any], header: Sequence[str]) -> dict[str, Any]:
    """A schema as it was read, every pattern replaced by what it stands for.

    Args:
        raw: The schema.
        header: Names of the columns in the data.

    Raises:
        InvalidTable: A pattern matches no column, or what is made of it uses a placeholder that it does not have.
    """
    columns, tasks = raw.get("columns"), raw.get("tasks", {})
    if not isinstance(columns, list) or not isinstance(tasks, dict):
        return dict(raw)  # the schema's own check says what is wrong
    choices = _choices(raw, header)
    keys = [_key(each) for each in choices]
    named = {raw.get("architecture"), *keys, *(each.get("column") for each in columns if isinstance(each, dict))}
    bindings: list[Binding] = []
    plain: list[Any] = []
    for entry in columns:
        pattern = entry.get("column") if isinstance(entry, dict) else None
        if not isinstance(pattern, str) or not _PLACEHOLDER.search(pattern):
            plain.append(entry)
            continue
        found = [each for name in header if name not in named for each in _bound(pattern, name)]
        if not found:
            hint = nearest(_PLACEHOLDER.sub("", pattern), header)
            raise InvalidTable(f"the pattern column = {pattern!r} matches none of the file's columns.{hint}")
        plain += [_filled(entry, each, pattern) for each in found]
        bindings += found
    listed: dict[str, Any] = {}
    for name, task in tasks.items():
        wanted = _PLACEHOLDER.findall(name)
        here = [each for each in bindings if set(wanted) <= each.keys()]
        if wanted and not here:
            raise InvalidTable(f"tasks.{name}: no pattern of [[columns]] has {' and '.join(wanted)}")
        for binding in here if wanted else [{}]:
            bound = {key: binding[key] for key in wanted}
            listed[_fill(name, _as_names(bound))] = _filled(task, bound, name) if wanted else task
    return {**raw, **({"choices": choices} if choices else {}), "columns": plain, "tasks": listed}


def architecture_columns(raw: Mapping[str, Any], header: Sequence[str]) -> list[str]:
    """The columns that say which architecture a row is about, as far as a schema states them rightly."""
    architecture = raw.get("architecture")
    return [architecture] if isinstance(architecture, str) else [_key(each) for each in _choices(raw, header)]


def _choices(raw: Mapping[str, Any], header: Sequence[str]) -> list[Any]:
    """The choices, patterns written out in the order of the file."""
    stated = raw.get("choices")
    entries = stated if isinstance(stated, list) else []
    others = {_key(each) for each in entries}
    found: list[Any] = []
    for entry in entries:
        pattern = _key(entry)
        if not _PLACEHOLDER.search(pattern):
            found.append(entry)
            continue
        bound = [(name, each) for name in header if name not in others for each in _bound(pattern, name)]
        if not bound:
            raise InvalidTable(f"the choice {pattern!r} matches none of the file's columns.{nearest(pattern, header)}")
        found += [{**_filled(entry, each, pattern), "column": name} for name, each in bound]
    return found


def _key(choice: Any) -> str:
    """The column of a choice as a schema has it."""
    return str(choice.get("column", choice.get("name"))) if isinstance(choice, dict) else ""


def _as_names(binding: Binding) -> Binding:
    """What a dataset or a metric may be called: other characters become hyphens."""
    return {key: re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-._") or value for key, value in binding.items()}


def matches(pattern: str, name: str) -> bool:
    """Whether a column's name has the form of a pattern."""
    return bool(_bound(pattern, name))


def _bound(pattern: str, name: str) -> list[Binding]:
    """What the placeholders of a pattern stand for in a column's name; nothing where it has another form."""
    parts, seen = [], set()
    for i, part in enumerate(_PLACEHOLDER.split(pattern)):
        if i % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+?)")
            seen.add(part)
    match = re.fullmatch("".join(parts), name)
    return [match.groupdict()] if match else []


def _filled(entry: Any, binding: Binding, where: str) -> Any:
    """An entry of the schema with the placeholders of its texts filled."""
    if not isinstance(entry, dict):
        return entry
    names = _as_names(binding)
    filled = {
        key: _fill(value, names if key in ("dataset", "metric", "name") else binding)
        if isinstance(value, str)
        else value
        for key, value in entry.items()
    }
    for key, value in filled.items():
        if isinstance(value, str) and (left := _PLACEHOLDER.search(value)):
            raise InvalidTable(f"{key} = {entry[key]!r}: the pattern {where!r} has no {left[0]}")
    epochs = filled.get("epochs")
    if isinstance(epochs, str) and re.fullmatch(r"[0-9]{1,9}", epochs):
        filled["epochs"] = int(epochs)
    return filled


def _fill(text: str, binding: Binding) -> str:
    for name, value in binding.items():
        text = text.replace(f"{{{name}}}", value)
    return text
