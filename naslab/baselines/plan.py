"""What a library holds: budgets of tasks, groups of strategies and their number of seeds. ``plan.toml`` is ours."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from naslab.errors import InvalidValue
from naslab.files import load_toml, unreadable
from naslab.optimizers import optimizer_spec
from naslab.registry import entries
from naslab.tasks import Budget

OURS = Path(__file__).parent / "plan.toml"
_PATTERN = set("*?[")


class Group(BaseModel):
    """Strategies that run on some tasks with so many seeds; ``tasks`` may be patterns of registered ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    optimizers: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[str, ...] = Field(min_length=1)
    seeds: int = Field(ge=1)


class Plan(BaseModel):
    """Budgets of every run by task (or pattern: the first that matches holds), and groups of strategies."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    budgets: dict[str, str] = Field(min_length=1)
    groups: tuple[Group, ...] = Field(min_length=1)

    def budget(self, task_id: str) -> Budget:
        """What every run on a task may spend. Raises InvalidValue: nothing is stated."""
        for pattern, text in self.budgets.items():
            if fnmatchcase(task_id, pattern):
                return Budget.parse(text)
        raise InvalidValue(f"the plan states no budget for {task_id!r}; add a line to [budgets]")

    def wanted(self) -> dict[str, dict[str, int]]:
        """For each task the strategies and their number of seeds, in the order of the plan.

        Raises:
            InvalidValue: A pattern matches no task, or a strategy is named twice for one.
            NaslabError: There is no such strategy.
        """
        found: dict[str, dict[str, int]] = {}
        for group in self.groups:
            for name in group.optimizers:
                optimizer_spec(name)
            for task_id in dict.fromkeys(each for pattern in group.tasks for each in _matching(pattern)):
                for name in group.optimizers:
                    if name in found.setdefault(task_id, {}):
                        raise InvalidValue(f"the plan names {name!r} twice for {task_id!r}; name it once")
                    found[task_id][name] = group.seeds
        return found


def load_plan(path: Path = OURS) -> Plan:
    """The plan in a TOML file.

    Raises:
        InvalidValue: It can't be read, or is no plan.
    """
    try:
        return Plan.model_validate(load_toml(path))
    except OSError as error:
        raise InvalidValue(unreadable(path, error, "the plan ")) from None
    except ValidationError as error:
        where, why = ".".join(map(str, error.errors()[0]["loc"])), error.errors()[0]["msg"]
        raise InvalidValue(f"the plan '{path}': {where}: {why}") from None
    except ValueError as error:
        raise InvalidValue(f"the plan '{path}' is no TOML: {error}") from None


def _matching(pattern: str) -> Iterable[str]:
    if not _PATTERN & set(pattern):
        return [pattern]
    found = [name for name in entries("tasks") if fnmatchcase(name, pattern)]
    if not found:
        raise InvalidValue(f"the plan: no task matches {pattern!r}; see: naslab list tasks")
    return found
