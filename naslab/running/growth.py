"""How the description of a comparison grows: by the same command with more, or by merging folders.

Tasks, optimizers and seeds may be added, nothing else may change, and nothing is taken away. What was added when is the
description's ``history``, oldest first; a comparison that never grew has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Description = Mapping[str, Any]

HISTORY = "history"
_GROWING = ("tasks", "optimizers", "seeds", "sources", HISTORY)


def named(description: Description) -> tuple[list[str], list[str], int]:
    """Its tasks, its optimizers and its number of seeds.

    Raises:
        KeyError, TypeError: It is not the description of a comparison.
    """
    return list(description["tasks"]), [each["name"] for each in description["optimizers"]], description["seeds"]


def without_history(description: Description) -> dict[str, Any]:
    """What is compared, however it came about."""
    return {key: value for key, value in description.items() if key != HISTORY}


def lacking(found: Description, wanted: Description) -> list[str]:
    """In words, what a folder holds and a command does not ask for."""
    (tasks, optimizers, seeds), (now, methods, count) = named(found), named(wanted)
    said = [f"task {task!r}" for task in tasks if task not in now]
    said += [f"optimizer {each!r}" for each in optimizers if each not in methods]
    return said + ([f"{seeds} seeds instead of {count}"] if seeds > count else [])


def extended(found: Description, wanted: Description) -> dict[str, Any]:
    """The description of a folder that held ``found`` and is to hold ``wanted``, which is no less."""
    (tasks, optimizers, seeds), (now, methods, count) = named(found), named(wanted)
    added: dict[str, Any] = {
        "tasks": [task for task in now if task not in tasks],
        "optimizers": [each for each in methods if each not in optimizers],
        "seeds": _range(seeds, count),
    }
    added = {key: value for key, value in added.items() if value}
    history = [*found.get(HISTORY, ()), *([{"when": _now(), **added}] if added else [])]
    return _with_history(wanted, history)


def disagreement(one: Description, other: Description) -> tuple[str, Any, Any] | None:
    """What two comparisons say differently, so that they can't be one: its name, and what each says; else None."""
    for key in dict.fromkeys((*one, *other)):
        if key not in _GROWING and one.get(key) != other.get(key):
            return _innermost(key, one.get(key), other.get(key))
    for task, source in one["sources"].items():
        if other["sources"].get(task, source) != source:
            return _innermost(f"data of {task}", source, other["sources"][task])
    here, there = ({each["name"]: each for each in described["optimizers"]} for described in (one, other))
    for name, described in here.items():
        if there.get(name, described) != described:
            return _innermost(f"optimizer {name}", described, there[name])
    return None


def _innermost(what: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    if isinstance(one, dict) and isinstance(other, dict):
        key = next(key for key in (*one, *other) if one.get(key) != other.get(key))
        return _innermost(f"{what}: {key}", one.get(key), other.get(key))
    return what, one, other


def united(found: Mapping[str, Description]) -> dict[str, Any]:
    """The description of folders that agree, by their names: all tasks, all optimizers, the most seeds."""
    one, *_ = found.values()
    tasks = dict.fromkeys(task for each in found.values() for task in each["tasks"])
    sources = {task: source for each in found.values() for task, source in each["sources"].items()}
    optimizers = {method["name"]: method for each in found.values() for method in each["optimizers"]}
    whole = {
        **without_history(one),
        "tasks": list(tasks),
        "optimizers": list(optimizers.values()),
        "seeds": max(each["seeds"] for each in found.values()),
        "sources": {task: sources[task] for task in tasks},
    }
    before = sorted(_distinct(entry for each in found.values() for entry in each.get(HISTORY, ())), key=_when)
    parts = []
    for folder, each in found.items():
        now, methods, count = named(each)
        parts.append({"folder": folder, "tasks": now, "optimizers": methods, "seeds": _range(0, count)})
    return _with_history(whole, [*before, {"when": _now(), "merged": parts}])


def _with_history(description: Description, history: Sequence[Any]) -> dict[str, Any]:
    whole = {**without_history(description), **({HISTORY: list(history)} if history else {})}
    found: dict[str, Any] = json.loads(json.dumps(whole))  # as it is read back
    return found


def _distinct(entries: Iterable[Any]) -> list[Any]:
    """Folders that were copied share the beginning of their history."""
    return list({json.dumps(entry, sort_keys=True): entry for entry in entries}.values())


def _range(first: int, end: int) -> str:
    return "" if end <= first else str(first) if end == first + 1 else f"{first}-{end - 1}"


def _when(entry: Any) -> str:
    return str(entry["when"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
