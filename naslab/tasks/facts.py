"""What a task offers at a glance: how large it is, what can be optimised, at which fidelities, on which clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from naslab.errors import InvalidTable, NaslabError
from naslab.registry import search_space
from naslab.space import METRICS
from naslab.tables import find_table, imported_names
from naslab.tables.header import TableSpec
from naslab.tables.packaged import packaged_tables

SECONDS, EVALUATIONS = "seconds of training", "evaluations only"


class Facts(NamedTuple):
    """A line of ``naslab list tasks``.

    Attributes:
        size: How many architectures.
        objectives: What a search is judged by, with its direction, and the costs that may be objectives or limited.
        fidelities: The numbers of epochs that may be asked for.
        clock: In what budgets may be given beside evaluations.
    """

    size: int
    objectives: str
    fidelities: str
    clock: str


def table_facts() -> dict[str, Facts]:
    """The facts about every packaged and every imported task, by its id.

    No table is made, and of those imported only rewards, truths and seconds are read.
    """
    return {**dict(_packaged()), **dict(_imported())}


def _packaged() -> Iterator[tuple[str, Facts]]:
    for name, table in packaged_tables().items():
        spec = table.describe()
        for dataset in spec.tasks:
            yield f"{name.removesuffix(f'-{dataset}')}/{dataset}", _facts(spec, dataset, table.size)


def _imported() -> Iterator[tuple[str, Facts]]:
    for name in imported_names():
        with suppress(InvalidTable):  # a damaged table is refused, by name, when it is asked for
            table = find_table(name)
            for dataset in table.tasks:
                yield f"{name}/{dataset}", _facts(table.header, dataset, int(table.known(dataset).sum()))


def _facts(spec: TableSpec, task: str, size: int) -> Facts:
    entry = spec.tasks[task]
    dataset = entry.dataset or task
    columns = {column.name: column for column in spec.columns}
    truth, reward = columns[entry.truth.column], columns[entry.reward.column]
    computed = METRICS if not spec.choices and _has_network(spec.space) else ()
    costs = [column.metric for column in spec.columns if column.is_cost_on(dataset)]
    return Facts(
        size,
        f"{truth.direction} {truth.split or ''} {truth.metric}; min {', '.join(dict.fromkeys([*computed, *costs]))}",
        _written(reward.epochs),
        EVALUATIONS if dataset in spec.untimed else SECONDS,
    )


def _written(epochs: tuple[int, ...]) -> str:
    if len(epochs) < 2:
        return "one" + (f" ({epochs[0]} epochs)" if epochs else "")
    whole = epochs == tuple(range(epochs[0], epochs[-1] + 1)) and len(epochs) > 2
    return (f"{epochs[0]} to {epochs[-1]}" if whole else ", ".join(map(str, epochs))) + " epochs"


@cache
def _has_network(space: str) -> bool:
    try:
        return search_space(space).has_network
    except NaslabError:  # of a plug-in that is not here, perhaps
        return False
