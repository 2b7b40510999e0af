"""What to cite for a task: its table, its space, its data. The works are in ``citations.toml``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from naslab.files import read_toml
from naslab.registry import entries
from naslab.tasks.stored import task

OWN = "naslab"


def citations(task_id: str = "") -> dict[str, str]:
    """BibTeX by key; naslab's own without a task.

    Args:
        task_id: Of any task; ``TASK@mode`` cites as the task does. Of an imported table only the space is known.

    Raises:
        UnknownTask: There is no such task.
    """
    data = _data()
    if not task_id:
        return {OWN: _written(OWN)}
    plain = task_id.partition("@")[0]
    keys = [key for pattern, each in data["tasks"].items() if fnmatchcase(plain, pattern) for key in each]
    if plain not in entries("tasks"):  # of registered ones all is recorded, and making a table takes seconds
        keys += data["spaces"].get(task(plain).problem.space.name, [])
    return {key: _written(key) for key in dict.fromkeys(keys)}


def _written(key: str) -> str:
    text: str = _data()["works"][key]
    return text.strip().replace("{version}", version(OWN))


@cache
def _data() -> dict[str, Any]:
    return read_toml(files("naslab.tasks").joinpath("citations.toml").read_bytes())
