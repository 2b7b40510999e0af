"""How evaluations were carried out: what failed, how busy workers were, and what was read of other tasks."""

from __future__ import annotations

import pandas as pd

from naslab.analysis.data import ResultsData

FAILURES, REASON = "failures", "commonest reason"
UTILISATION, MAKESPAN, RESUME = "utilisation", "makespan", "resume"
READ, READ_SECONDS = "source evaluations", "source seconds"
READ_SAYS = (
    "Means over n runs: evaluations and seconds on the task itself, which the budget counts; rewards of other tasks "
    "that the strategy read, and the seconds that these took when they were recorded, which it does not count. A dash: "
    "nobody recorded them."
)


def failed_evaluations(data: ResultsData) -> pd.DataFrame:
    """Per task and optimizer the evaluations that failed, by kind; no rows where none did.

    A failure is no infeasible architecture: that one was evaluated, and exceeds a limit.
    """
    frame = data.frame
    if FAILURES not in frame:
        return pd.DataFrame()
    kinds = [name for name in map(str, frame) if name.startswith(f"{FAILURES}: ")]
    rows = []
    for (task, optimizer), runs in frame.groupby(["task", "optimizer"], sort=False):
        failed = int(runs[FAILURES].sum())
        if failed:
            by_kind = {kind.partition(": ")[2]: int(runs[kind].sum()) for kind in kinds}
            reasons = runs[REASON].dropna().value_counts()
            counts = {"evaluations": int(runs["evaluations"].sum()), "failed": failed, **by_kind}
            rows.append({"task": task, "optimizer": optimizer, **counts, REASON: reasons.index[0]})
    return pd.DataFrame(rows)


def busy_workers(data: ResultsData) -> pd.DataFrame:
    """Per task and optimizer how long runs with several workers took, and how busy these were; else no rows."""
    frame = data.frame
    if UTILISATION not in frame:
        return pd.DataFrame()
    found = frame.dropna(subset=[UTILISATION]).groupby(["task", "optimizer"], sort=False)
    means = found.agg(n=(UTILISATION, "size"), makespan=(MAKESPAN, "mean"), utilisation=(UTILISATION, "mean"))
    return means.reset_index()


def read_elsewhere(data: ResultsData) -> pd.DataFrame:
    """Per task and optimizer what a run read of other tasks, beside what it was charged for; else no rows."""
    frame = data.frame
    if READ not in frame:
        return pd.DataFrame()
    found = frame.dropna(subset=[READ]).groupby(["task", "optimizer"], sort=False)
    means = {name: (name, "mean") for name in ("evaluations", "seconds", READ, READ_SECONDS)}
    return found.agg(n=(READ, "size"), **means).reset_index()


def resumed(data: ResultsData) -> list[str]:
    """In words, what evaluating a trial again did, for the strategies that do."""
    if RESUME not in data.frame:
        return []
    known = data.frame.dropna(subset=[RESUME]).drop_duplicates(["task", "optimizer", RESUME])
    how = {"continue": "go on from what they have reached, and pay for the rest", "scratch": "begin from scratch"}
    return [
        f"Trials of {', '.join(dict.fromkeys(rows['optimizer']))} on {task} {how[str(resume)]}."
        for (task, resume), rows in known.groupby(["task", RESUME], sort=False)
    ]
