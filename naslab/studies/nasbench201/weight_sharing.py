"""The weight-sharing rows of the NAS-Bench-201 table (Dong & Yang 2020, table 5): searches on CIFAR-10's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from naslab.errors import InvalidValue
from naslab.optimizers import optimizer_spec
from naslab.running import Progress, constrained_task, default_budget, run_one, trace_path
from naslab.studies.base import in_processes
from naslab.studies.nasbench201.rows import Further, Picks, WeightSharing
from naslab.tables import Table
from naslab.tasks import Budget, Constraint, Placement
from naslab.tasks.images import with_images

FOLDER = "weight-sharing"


@dataclass(frozen=True)
class Run:
    """One search on a folder of images."""

    task: str
    optimizer: str
    seed: int
    data: str
    out: str
    device: str = "cpu"


def further_rows(
    protocol: WeightSharing,
    data: Path,
    out: Path,
    table: Table,
    datasets: Sequence[str],
    workers: int = 1,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Further:
    """Run every search, or go on with it, and return what each picked.

    Args:
        protocol: Which rows there are.
        data: A folder of CIFAR-10.
        out: Traces and checkpoints go here, one of each per run: a killed run goes on with its last epoch.
        table: Where the cells' accuracies are.
        datasets: Those that a pick is judged on.
        workers: Processes, of one thread each.
        progress: Called after every search.
        device: Where the searches run.

    Raises:
        InvalidDataset: The folder holds no CIFAR-10.
    """
    with_images(
        constrained_task(protocol.task, Constraint(), Placement(device)), data
    )  # refused here rather than in a worker
    work = [
        Run(protocol.task, optimizer, seed, str(data.resolve()), str(out.resolve()), device)
        for optimizer in protocol.rows.values()
        for seed in range(protocol.seeds)
    ]
    found = dict(zip(work, in_processes(search, work, workers, progress, device=device), strict=True))
    picks = []
    for published, optimizer in protocol.rows.items():
        rows = [table.row(tuple(found[run])) for run in work if run.optimizer == optimizer]
        picks.append(Picks(published, published, dict.fromkeys(datasets, rows)))
    return Further(picks, [_note(protocol, data)], [])


def search(work: Run) -> list[int]:
    """In a worker: the architecture that a search returns. Its trace goes into a file, and a checkpoint beside it."""
    task, spec = (
        with_images(constrained_task(work.task, Constraint(), Placement(work.device)), work.data),
        optimizer_spec(work.optimizer),
    )
    path = trace_path(Path(work.out) / FOLDER, task.id, spec.label, work.seed)
    recorded = run_one(task, spec, work.seed, Budget.parse(default_budget(spec)), path)
    if recorded.end is None or recorded.end["best"] is None:
        raise InvalidValue(f"{work.optimizer} returned nothing: see {path}")
    best: list[int] = recorded.end["best"]
    return best


def _note(protocol: WeightSharing, data: Path) -> str:
    """What the reader must know of these rows."""
    settings = ", ".join(f"{row}: {optimizer}" for row, optimizer in protocol.rows.items())
    return (
        f"Weight-sharing rows: {protocol.seeds} searches each on the images of {data}, one half to train weights and "
        f"the other to validate by, with the settings of the NAS-Bench-201 scripts ({settings}). Batch normalisation "
        "uses the statistics of the batch (those behind the published ENAS and DARTS rows are said to have kept "
        "running ones); candidates are ranked on all validation images (the scripts: one batch each, a different one)."
    )
