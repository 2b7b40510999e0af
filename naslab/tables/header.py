"""What a table says about itself: the models behind ``header.json``, and the rules they keep.

The rule that matters most is :func:`check_reading`: what a search is rewarded with can't be test data.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from naslab.errors import InvalidTable
from naslab.files import clipped, read_number
from naslab.tables.messages import nearest

Split = Literal["train", "valid", "test"]
Role = Literal["reward", "truth", "cost", "context"]
Direction = Literal["max", "min"]
Protocol = Literal["honest", "test-only"]
"""``test-only``: nothing but test scores was recorded, so that searches see what they are judged by. Reports say it."""
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PlainFile = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.npy$")]
Whole = Annotated[int, Field(strict=True)]
"""A whole number that is one in the file: pydantic reads the text ``1_0`` as 10."""
SpaceOption = bool | int | float | str | tuple[Whole, ...]

MOST_OPTIONS = 256
"""Of one choice: an option is stored as one byte."""


class Strict(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSpec(Strict):
    """What one column of a table holds.

    ``epochs`` are the training lengths at which it was recorded, ascending; empty for a metric that has none
    (a latency). ``seeds`` name the recorded trainings, or are ``("mean",)`` where only their mean is known. Without
    ``dataset`` it holds for all of them: what a network costs on a device often does not depend on the data.
    """

    dataset: Word | None
    metric: Word
    split: Split | None
    role: Role
    unit: str
    direction: Direction
    epochs: tuple[Annotated[Whole, Field(gt=0)], ...]
    seeds: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def name(self) -> str:
        """``dataset/metric/split``, without what is not stated."""
        return "/".join(filter(None, (self.dataset, self.metric, self.split)))

    def is_cost_on(self, dataset: str) -> bool:
        """Whether a search on this dataset may limit it or have it as an objective: it is a cost, better when lower."""
        return self.dataset in (dataset, None) and (self.role, self.direction, self.split) == ("cost", "min", None)

    @property
    def depth(self) -> tuple[int, int]:
        """Length of the epochs axis (1 where the metric has no epochs) and of the seeds axis."""
        return max(1, len(self.epochs)), len(self.seeds)

    @property
    def is_time(self) -> bool:
        """Whether it holds durations, which are never negative: a search would gain time by paying them."""
        return self.metric.endswith("seconds") or (self.role == "cost" and self.unit in ("s", "seconds"))

    @model_validator(mode="after")
    def _ordered(self) -> ColumnSpec:
        if list(self.epochs) != sorted(set(self.epochs)) or len(self.seeds) != len(set(self.seeds)):
            raise InvalidTable(f"{self.name!r}: epochs must ascend and seeds must differ")
        return self


Option = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | str


class StatedChoice(Strict):
    """A decision that a table was recorded over, where its space is no registered one."""

    name: Annotated[str, StringConstraints(pattern=r"^[^=;\s]+$")]
    options: Annotated[tuple[Option, ...], Field(min_length=1, max_length=MOST_OPTIONS)]

    def index(self, value: Option) -> int:
        """The position of an option, written as a number or a text. Raises InvalidTable: there is none such."""
        found = self.positions.get(str(value).strip())
        if found is None:
            number = read_number(str(value))
            found = next((i for i, each in enumerate(self.options) if number is not None and each == number), None)
        if found is None:
            raise InvalidTable(
                f"choice {self.name!r} has no option {clipped(str(value))}.{nearest(str(value), self.positions)} "
                f"Options: {clipped(', '.join(self.positions))}"
            )
        return found

    @property
    def positions(self) -> dict[str, int]:
        """The position of each option as it is written."""
        return {str(option): i for i, option in enumerate(self.options)}


class StatedRule(Strict):
    """Only these combinations of options are valid."""

    scope: Annotated[tuple[str, ...], Field(min_length=1)]
    allowed: Annotated[tuple[tuple[Option, ...], ...], Field(min_length=1)]


class Builder(Strict):
    """A function of a person's own file that builds a table's space: where it is, and the hash of the file."""

    file: str
    function: str
    sha256: str


class Reading(Strict):
    """A column at one training length; ``epochs`` is None where the metric has none."""

    column: str
    epochs: Whole | None


class DataReference(Strict):
    """The rows that the networks were trained on: a dataset's name and the hash that its rows must have."""

    name: str
    sha256: str


class TableTask(Strict):
    """What a search on one dataset is rewarded with, what it is judged by, the options of its space, and its rows.

    ``dataset`` is stated where it is not the task's name: a dataset may have several tasks. ``guess`` is the truth of a
    network that ignores its input, where it is known: what is not better has failed.
    """

    reward: Reading
    truth: Reading
    space_options: dict[str, SpaceOption]
    data: DataReference | None = None
    dataset: Word | None = None
    guess: float | None = None


class TableSpec(Strict):
    """All of a table but its arrays: what an importer states and ``write_table`` stores.

    ``curve`` says that a column's epochs are what one training per seed went through, so that a longer evaluation
    continues a shorter one. Otherwise each number of epochs was a training of its own, with its own schedule.
    ``choices`` and ``rules`` are the space, called ``space``, where it is no registered one; or ``builder`` builds it.

    Raises :class:`~naslab.errors.InvalidTable` (through pydantic's ``ValidationError``) where a task reads a
    column that is not there, or is rewarded with what it must not see.
    """

    name: Word
    space: str
    options: Annotated[tuple[Annotated[Whole, Field(gt=0, le=MOST_OPTIONS)], ...], Field(min_length=1)]
    columns: tuple[ColumnSpec, ...]
    tasks: dict[Word, TableTask]
    provenance: dict[str, Any]
    curve: bool = False
    protocol: Protocol = "honest"
    choices: tuple[StatedChoice, ...] = ()
    rules: tuple[StatedRule, ...] = ()
    builder: Builder | None = None

    @property
    def untimed(self) -> list[str]:
        """The datasets of tasks for which no training seconds were recorded."""
        datasets = dict.fromkeys(task.dataset or name for name, task in self.tasks.items())
        columns = {column.name for column in self.columns}
        return [dataset for dataset in datasets if f"{dataset}/train_seconds" not in columns]

    @model_validator(mode="after")
    def _consistent(self) -> TableSpec:
        columns = {column.name: column for column in self.columns}
        if len(columns) < len(self.columns):
            raise InvalidTable("two columns have the same dataset, metric and split")
        everywhere = {column.metric for column in self.columns if column.dataset is None}
        for column in self.columns:
            if column.dataset is not None and column.split is None and column.metric in everywhere:
                raise InvalidTable(f"{column.metric!r} is stated without a dataset, and for {column.dataset!r}, too")
        for name, task in self.tasks.items():
            dataset = task.dataset or name
            for use in ("reward", "truth"):
                reading: Reading = getattr(task, use)
                if reading.column not in columns:
                    hint = nearest(reading.column, columns)
                    raise InvalidTable(
                        f"the {use} of {dataset!r} is {reading.column!r}, no column of this table.{hint}"
                    )
                column = columns[reading.column]
                if reading.epochs not in (column.epochs or (None,)):
                    raise InvalidTable(
                        f"the {use} of {dataset!r} is {reading.column!r} at {reading.epochs} epochs; "
                        f"recorded: {', '.join(map(str, column.epochs)) or 'no epochs'}"
                    )
                check_reading(use, reading.column, dataset, column, self.protocol)
        return self


class StoredArray(Strict):
    """One ``.npy`` file of a table."""

    file: PlainFile
    sha256: str
    shape: tuple[Whole, ...]
    dtype: str


class StoredColumn(ColumnSpec, StoredArray):
    """A column and the file that holds it."""


class Header(TableSpec):
    """``header.json``. ``sha256`` is over the rest of it, which contains the hash of every file.

    ``keys`` is there for a sample of a space: the digest of each row's key, by which others are looked up.
    """

    format: Literal[1]
    architectures: StoredArray
    columns: tuple[StoredColumn, ...]
    sha256: str
    keys: StoredArray | None = None

    @property
    def files(self) -> tuple[StoredArray, ...]:
        """Every array of the table, the architectures first."""
        return (self.architectures, *self.columns, *([self.keys] if self.keys else []))


def content_hash(header: dict[str, Any]) -> str:
    """SHA-256 of a header's canonical JSON (sorted keys, no spaces), its own ``sha256`` left out."""
    rest = {key: value for key, value in header.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def check_reading(use: str, name: str, dataset: str, column: Any, protocol: Protocol = "honest") -> None:
    """Refuse a reward or truth that would make a comparison dishonest.

    A reward has the role ``reward`` and is not test data; a truth has the role ``truth`` or ``reward``; both belong to
    the task's own dataset. ``column`` is anything with ``dataset``, ``split`` and ``role``; ``name`` is the name that
    the user wrote. Under the protocol ``"test-only"`` a reward may be test data, and have the role ``truth``.
    Raises :class:`~naslab.errors.InvalidTable`.
    """
    if column.dataset != dataset:
        raise InvalidTable(f"the {use} of {dataset!r} is {name!r}, which belongs to {column.dataset!r}")
    test_only = protocol == "test-only"
    if use == "reward" and column.split == "test" and not test_only:
        raise InvalidTable(
            f"the reward of {dataset!r} is {name!r}, which is test data. "
            "A search must not see it: reward it with a 'valid' split, or, where nothing else was recorded, state "
            'protocol = "test-only", which every report names'
        )
    allowed = ("reward",) if use == "reward" and not test_only else ("truth", "reward")
    if column.role not in allowed:
        roles = " or ".join(map(repr, allowed))
        raise InvalidTable(f"the {use} of {dataset!r} is {name!r}, whose role is {column.role!r}. Allowed: {roles}")
