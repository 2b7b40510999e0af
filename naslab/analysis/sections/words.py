"""Words that captions share."""

from __future__ import annotations

from naslab.analysis import tables
from naslab.analysis.data import ResultsData, TaskInfo

INTERVAL = "95 % bootstrap interval (2,000 resamples, widened for few runs as Student's is)"
EACH = "On each task"


def runs_of(data: ResultsData, info: TaskInfo | None = None) -> str:
    """How many runs a figure shows, for its caption."""
    tasks = list(data.tasks) if info is None else [info.id]
    counts = [len(data.scores(task, optimizer)) for task in tasks for optimizer in data.optimizers]
    low, high = min(counts), max(counts)
    n = f"{low}" if low == high else f"{low} to {high}, see the table of missing runs"
    each = "per optimizer" if len(tasks) == 1 else "per optimizer and task"
    single = " One run: no interval." if high == 1 else ""
    return f"Runs {each}: n = {n} (seeds {seeds_of(data)}).{single}"


def seeds_of(data: ResultsData) -> str:
    """The seeds, for a caption."""
    return tables.ranges(data.seeds)


def capital(text: str) -> str:
    """With a capital letter first."""
    return text[:1].upper() + text[1:]
