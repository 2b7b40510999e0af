"""The TOML schema that says what the columns of a CSV mean.

::

    space = "nasbench201"
    architecture = "arch"                      # the CSV column with the space's official strings
    provenance = "where the numbers come from, and their licence"
    curve = true                               # its epochs are those of one training per seed; left out where each
                                               # number of epochs was a training of its own

    [[columns]]
    column = "cifar10/valid12"                 # the CSV column
    dataset = "cifar10"                        # left out for a cost that holds for all of them
    metric = "accuracy"
    split = "valid"                            # train, valid or test; left out where there is none
    role = "reward"                            # reward, truth, cost or context
    unit = "%"
    direction = "max"                          # or min; an empty cell is a missing value
    epochs = 12                                # left out for a metric that has none
    seed = "777"                               # left out for a mean over seeds

    [tasks.cifar10]                            # by the name of its dataset, or with a key dataset = "cifar10"
    reward = "cifar10/valid12"
    truth = "cifar10/test200"
    space_options = {num_classes = 10, input_shape = [3, 32, 32]}

Instead of ``space`` and ``architecture``, the space may be stated: a choice for each column that was varied, and which
combinations are valid where not all are. There is no network then: nothing is counted or trained::

    [[choices]]
    name = "depth"                             # also the name of the column, unless column = "..." names it
    options = [2, 3, 4]

    [[rules]]
    scope = ["depth", "dropout"]
    allowed = [[2, 0.0], [3, 0.0], [3, 0.5]]

Columns that are joined to a table (``naslab table join``) are described likewise, without tasks.
Or a function of your own file builds it, with the options of ``space_options``: ``space = "./mine.py:builder"``,
relative to the schema; see :mod:`naslab.tables.builders`.

``protocol = "test-only"`` lets test data be the reward where nothing else was recorded; every report names it. A column
or a task's name may be a pattern, such as ``column = "{dataset}/valid{seed}"`` with ``dataset = "{dataset}"`` and
``seed = "{seed}"``, and so may a choice: see :mod:`naslab.tables.patterns`. ``spread = ["dataset", "seed"]`` makes
one row of several that are about one architecture: see :mod:`naslab.tables.spreading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from naslab.errors import InvalidTable
from naslab.files import load_toml, unreadable
from naslab.tables.header import (
    ColumnSpec,
    Direction,
    Protocol,
    Reading,
    Role,
    SpaceOption,
    Split,
    StatedChoice,
    StatedRule,
    Strict,
    TableTask,
    Whole,
    Word,
    check_reading,
)
from naslab.tables.messages import explain, nearest
from naslab.tables.patterns import written_out


class CsvChoice(StatedChoice):
    """A choice, and the column that it is in where that has another name."""

    column: str | None = None

    @property
    def key(self) -> str:
        """The column that it is in."""
        return self.column or self.name


class CsvColumn(Strict):
    """What one column of the CSV holds."""

    column: str
    dataset: Word | None = None
    metric: Word
    split: Split | None = None
    role: Role
    unit: str
    direction: Direction
    epochs: Annotated[Whole, Field(gt=0)] | None = None
    seed: str = "mean"

    @model_validator(mode="after")
    def _of_a_dataset(self) -> CsvColumn:
        if self.dataset is None and self.role in ("reward", "truth"):
            raise InvalidTable(f"{self.column!r}: a {self.role} is of one dataset. Fix: state it; a cost may have none")
        if self.metric == "train_seconds" and (self.dataset is None or self.unit not in ("s", "seconds")):
            raise InvalidTable(
                f"{self.column!r}: train_seconds are the clock of one dataset, in seconds; given: dataset "
                f"{self.dataset or 'none'}, unit {self.unit!r}. Fix: state these, or call the metric otherwise"
            )
        return self

    @property
    def target(self) -> str:
        """Name of the table column that it becomes a part of."""
        return "/".join(filter(None, (self.dataset, self.metric, self.split)))


class CsvTask(Strict):
    """A task on one dataset, by default that of its name; ``reward`` and ``truth`` are CSV columns."""

    reward: str
    truth: str
    space_options: dict[str, SpaceOption] = Field(default_factory=dict)
    dataset: Word | None = None


class CsvSchema(Strict):
    """A whole schema; see the module for an example."""

    space: str | None = None
    architecture: str | None = None
    choices: tuple[CsvChoice, ...] = ()
    spread: tuple[str, ...] = ()
    rules: tuple[StatedRule, ...] = ()
    provenance: str
    curve: bool = False
    protocol: Protocol = "honest"
    columns: Annotated[tuple[CsvColumn, ...], Field(min_length=1)]
    tasks: dict[Word, CsvTask] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> CsvSchema:
        if bool(self.choices) == bool(self.space or self.architecture):
            raise InvalidTable("give either [[choices]], or space = NAME and architecture = COLUMN")
        if not self.choices and not (self.space and self.architecture):
            raise InvalidTable(f"key {'architecture' if self.space else 'space'!r} is missing")
        if self.rules and not self.choices:
            raise InvalidTable(f"rules: space {self.space!r} has its own; give them with [[choices]]")
        columns: dict[str, CsvColumn] = {}
        for column in self.columns:
            if column.column in columns or column.column in self.keys:
                raise InvalidTable(f"the CSV column {column.column!r} is described twice")
            columns[column.column] = column
        for members in self.groups().values():
            _check_group(members)
        for task_name, task in self.tasks.items():
            for use, name in (("reward", task.reward), ("truth", task.truth)):
                if name not in columns:
                    hint = nearest(name, columns)
                    raise InvalidTable(f"tasks.{task_name}.{use} = {name!r} is under no [[columns]].{hint}")
                check_reading(use, name, task.dataset or task_name, columns[name], self.protocol)
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say which architecture a row is about."""
        return (self.architecture,) if self.architecture else tuple(choice.key for choice in self.choices)

    @property
    def stated_choices(self) -> tuple[StatedChoice, ...]:
        """The choices without their columns: as a table states them."""
        return tuple(StatedChoice(name=each.name, options=each.options) for each in self.choices)

    def groups(self) -> dict[str, list[CsvColumn]]:
        """Table column -> the CSV columns that it is made of, in the order of the file."""
        groups: dict[str, list[CsvColumn]] = {}
        for column in self.columns:
            groups.setdefault(column.target, []).append(column)
        return groups

    def table_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns of the table: epochs ascending, seeds in the order of the file."""
        return tuple(
            ColumnSpec(
                dataset=members[0].dataset,
                metric=members[0].metric,
                split=members[0].split,
                role=members[0].role,
                unit=members[0].unit,
                direction=members[0].direction,
                epochs=tuple(sorted({member.epochs for member in members if member.epochs is not None})),
                seeds=tuple(dict.fromkeys(member.seed for member in members)),
            )
            for members in self.groups().values()
        )

    def table_tasks(self) -> dict[str, TableTask]:
        """The tasks in terms of the table's columns."""
        columns = {column.column: column for column in self.columns}

        def reading(name: str) -> Reading:
            return Reading(column=columns[name].target, epochs=columns[name].epochs)

        return {
            name: TableTask(
                reward=reading(task.reward),
                truth=reading(task.truth),
                space_options=task.space_options,
                dataset=task.dataset if task.dataset != name else None,
            )
            for name, task in self.tasks.items()
        }


def _check_group(members: list[CsvColumn]) -> None:
    """CSV columns that become one table column agree on everything but epochs and seed."""
    first, seen = members[0], set()
    for member in members:
        for key in ("role", "unit", "direction"):
            if getattr(member, key) != getattr(first, key):
                raise InvalidTable(
                    f"{member.column!r} and {first.column!r} are both {first.target} but differ in {key}: "
                    f"{getattr(member, key)!r} and {getattr(first, key)!r}"
                )
        if (member.epochs is None) != (first.epochs is None):
            raise InvalidTable(f"{member.column!r} and {first.column!r}: one has epochs, the other none")
        if (member.epochs, member.seed) in seen:
            raise InvalidTable(
                f"{member.column!r} repeats the dataset, metric, split, epochs and seed of another column"
            )
        seen.add((member.epochs, member.seed))


def read_schema(path: Path | str) -> CsvSchema:
    """Read and check a schema without patterns. Raises InvalidTable as :func:`check_schema`."""
    return check_schema(path, load_schema(path))


def check_schema(path: Path | str, raw: dict[str, Any], header: Sequence[str] | None = None) -> CsvSchema:
    """A schema that was read from a file; with the header of the data, its patterns are written out first.

    Raises InvalidTable: one line with the file, the key and what is allowed.

    A reward that is test data, or whose role is not ``reward``, is refused here.
    """
    try:
        return CsvSchema.model_validate(raw if header is None else written_out(raw, header))
    except ValidationError as error:
        raise InvalidTable(f"schema '{path}': {explain(error, CsvSchema)}") from None


def load_schema(path: Path | str) -> dict[str, Any]:
    """A schema as it is written. Raises InvalidTable where it can't be read, or is no TOML."""
    path = Path(path)
    try:
        return load_toml(path)
    except OSError as error:
        raise InvalidTable(unreadable(path, error, "the schema ")) from None
    except ValueError as error:  # not TOML, or not text
        raise InvalidTable(f"the schema '{path}' is not TOML: {error}") from None
