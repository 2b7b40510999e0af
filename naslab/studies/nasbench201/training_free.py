"""The training-free rows of the NAS-Bench-201 table (Mellor et al. 2021, table 2): NASWOT's scores and its picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from naslab.datasets.cifar import load_cifar
from naslab.errors import InvalidTable, InvalidValue
from naslab.evaluators.threads import one_thread
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.optimizers.zero_cost import AREA
from naslab.registry import search_space
from naslab.running import Progress, Trace, run, seed_sequence
from naslab.space import Architecture
from naslab.studies.base import in_processes
from naslab.studies.nasbench201.rows import Picks, TrainingFree
from naslab.tables import Table
from naslab.tasks import Budget, Problem, Task

BLOCK = 25
"""Cells that are scored between two writes."""
BATCH = 128
"""Rows that a score sees, as in the paper."""
SEED = 0
FINAL_EPOCHS = 200


@dataclass(frozen=True)
class Block:
    """Some cells to score. Its ``repr`` says all that their scores depend on, besides versions.

    Attributes:
        cells: Numbers of the cells: an architecture's options as the digits of a number, most significant first.
        data: A folder of CIFAR; empty for standard normal inputs.
        batch: Rows of the batch.
    """

    cells: tuple[int, ...]
    data: str = ""
    batch: int = BATCH


@dataclass(frozen=True)
class Scored:
    """A uniform sample of cells with NASWOT's score of each.

    Attributes:
        architectures: All different, in random order.
        scores: One for each, from one initialisation on one batch that all cells see.
        seconds: CPU seconds that each score took.
    """

    architectures: Sequence[Architecture]
    scores: np.ndarray
    seconds: np.ndarray


def scored_cells(
    cells: int, data: Path | None, out: Path, workers: int = 1, progress: Progress | None = None
) -> Scored:
    """Score a uniform sample of NAS-Bench-201's cells, or go on where an interrupted call was killed.

    Args:
        cells: How many; a larger sample contains the smaller one.
        data: A folder of CIFAR; None for standard normal inputs.
        out: The file that keeps the scores, a line per block.
        workers: Processes. The scores do not depend on it.
        progress: Called after every block.

    Raises:
        OutputError: The file was written by other versions.
        InvalidDataset: The folder holds no CIFAR.
    """
    if data is not None:
        load_cifar(data)  # refused here rather than in a worker
    work = blocks(cells, "" if data is None else str(data.resolve()))
    found = np.array([line for block in in_processes(score_block, work, workers, progress, out) for line in block])
    sizes = search_space("nasbench201").sizes
    return Scored([_architecture(cell, sizes) for block in work for cell in block.cells], found[:, 0], found[:, 1])


def blocks(cells: int, data: str = "") -> list[Block]:
    """A uniform sample of cells in random order, in blocks."""
    order = np.random.default_rng(SEED).permutation(search_space("nasbench201").size)[:cells].tolist()
    return [Block(tuple(order[i : i + BLOCK]), data) for i in range(0, len(order), BLOCK)]


def score_block(block: Block) -> list[tuple[float, float]]:
    """In a worker: score and CPU seconds of each cell. Initial weights are keyed by the cell.

    Dead branches are cut off before the network runs: NASWOT leaves them out in any case, and this takes less time.
    """
    space = search_space("nasbench201")
    rows = load_cifar(block.data) if block.data else None
    evaluator = ZeroCost(space, rows, ["naswot"], batch=block.batch, cut=True, seed=SEED)
    found = []
    with one_thread():
        for cell in block.cells:
            evaluation = evaluator.evaluate(_architecture(cell, space.sizes), rng=np.random.default_rng((SEED, cell)))
            found.append((evaluation.score, evaluation.seconds))
    return found


def _architecture(cell: int, sizes: Sequence[int]) -> Architecture:
    return tuple(int(digit) for digit in np.unravel_index(cell, sizes))


class StoredArea(AREA):
    """AREA whose random cells are drawn from scored ones.

    Args:
        problem: The problem.
        rng: Its generator.
        scores: Of a uniform sample of the space.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, scores: Mapping[Architecture, float]) -> None:
        super().__init__(problem, rng)
        self._pool = list(scores)
        self._scores.know(scores)

    def candidates(self) -> list[Architecture]:
        return [self._pool[i] for i in self.rng.choice(len(self._pool), self.samples, replace=False).tolist()]


def training_free_rows(protocol: TrainingFree, scored: Scored, task: Task, budget: str, table: Table) -> list[Picks]:
    """Every run of every row: which cells it saw, and which it picked.

    A run of NASWOT or of "optimal" draws its N cells from the scored ones, each at most once; their random order
    decides among equal scores. "Optimal" is the best of each dataset by its own 200-epoch validation accuracy (its test
    accuracy where the table has no other).

    Args:
        protocol: Which rows there are.
        scored: A uniform sample of cells.
        task: What AREA searches on.
        budget: Of AREA.
        table: Where the cells' accuracies are.
    """
    rows = np.array([table.row(architecture) for architecture in scored.architectures])
    datasets, pool, runs = list(table.tasks), len(rows), protocol.runs

    def drawn(row: str, n: int) -> np.ndarray:
        rng = np.random.default_rng(seed_sequence(row))
        return np.array([rng.permutation(pool)[:n] for _ in range(runs)])

    def picks(row: str, n: int, values: Mapping[str, np.ndarray]) -> Picks:
        cells = drawn(row, n)
        found = {d: rows[cells[np.arange(runs), values[d][cells].argmax(axis=1)]].tolist() for d in datasets}
        return Picks(row, row, found, seen=n, independent=1 / (1 / runs + n / pool))

    scores = dict.fromkeys(datasets, scored.scores)
    most = max(*protocol.naswot.values(), *protocol.optimal.values())
    if pool < most:
        raise InvalidValue(f"{pool} scored cells: a row needs {most} to choose from")
    made = [picks(row, n, scores) for row, n in protocol.naswot.items()]
    made.append(picks(protocol.random, 1, scores))
    judged = {d: _final_accuracy(table, d)[rows] for d in datasets}
    made += [picks(row, n, judged) for row, n in protocol.optimal.items()]
    area, seen = _area(scored, task, Budget.parse(budget), max(runs, protocol.area_runs))
    evolved = [table.row(architecture) for architecture in area]
    for count in (protocol.area_runs, runs):
        label = f"{protocol.area} ({count} runs)"
        independent = 1 / (1 / count + seen / pool)
        made.append(Picks(protocol.area, label, dict.fromkeys(datasets, evolved[:count]), seen, independent))
    return made


def _area(scored: Scored, task: Task, budget: Budget, runs: int) -> tuple[list[Architecture], int]:
    """What each run of AREA returns, and from how many cells its initial population is chosen."""
    known = dict(zip(scored.architectures, scored.scores.tolist(), strict=True))
    found, seen = [], 0
    for seed in range(runs):
        key = (task.id, "area", seed)
        optimizer = StoredArea(task.problem, np.random.default_rng(seed_sequence(*key, "optimizer")), known)
        end = run(task, optimizer, budget, Trace({}), seed_sequence(*key, "evaluations")).end
        assert end is not None
        seen = optimizer.samples
        if end["best"] is not None:
            found.append(tuple(end["best"]))
    return found, seen


def _final_accuracy(table: Table, dataset: str) -> np.ndarray:
    """The accuracy of every row after all epochs: on validation data where it is recorded, else on test data."""
    for split in ("valid", "test"):
        column = f"{dataset}/accuracy/{split}"
        if column in table.columns and FINAL_EPOCHS in table.columns[column].epochs:
            return np.nan_to_num(table.mean(column, FINAL_EPOCHS), nan=-np.inf)
    raise InvalidTable(f"table {table.name!r} has no accuracy of {dataset} at {FINAL_EPOCHS} epochs to find a best by")
