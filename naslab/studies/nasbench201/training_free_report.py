"""What a report says about the training-free rows of a table of searches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from naslab.running import Progress
from naslab.running.results import Results
from naslab.studies.nasbench201.rows import Further, Picks, TrainingFree
from naslab.studies.nasbench201.training_free import BATCH, Scored, scored_cells, training_free_rows
from naslab.tables import Table

SCORES = "training-free/naswot.jsonl"
_CAPTION = (
    "Cells: how many a run looks at without training any. Distinct: different cells that its runs picked on CIFAR-10. "
    "Independent: how many independent runs they are worth at least, because runs draw from the same scored cells (the "
    "variance of a mean over such draws is at most the share that a run sees). CPU seconds of scoring: the number of "
    "cells times the mean per cell, measured on this machine; published: seconds of the whole search."
)


def further_rows(
    protocol: TrainingFree,
    cells: int,
    data: Path | None,
    results: Results,
    table: Table,
    published_seconds: Mapping[str, float],
    workers: int = 1,
    progress: Progress | None = None,
) -> Further:
    """Score the cells (or go on with it, in the comparison's folder), and let every row pick.

    Args:
        protocol: Which rows there are.
        cells: How many cells are scored.
        data: A folder of CIFAR; None for standard normal inputs.
        results: The comparison that the rows join; AREA searches on its task, under its budget.
        table: Where the cells' accuracies are.
        published_seconds: Row -> what its search cost.
        workers: Processes.
        progress: Called after every block of scores.
    """
    scored = scored_cells(cells, data, results.folder / SCORES, workers, progress)
    (task,) = results.tasks.values()
    picks = training_free_rows(protocol, scored, task, results.spec["budget"], table)
    return Further(
        picks,
        _notes(scored, data, protocol),
        [("How the training-free rows were found", _found(picks, scored, published_seconds), _CAPTION)],
    )


def _found(picks: list[Picks], scored: Scored, published: Mapping[str, float]) -> pd.DataFrame:
    rows = []
    for each in picks:
        chosen = next(iter(each.rows.values()))
        rows.append(
            {
                "row": each.label,
                "cells": each.seen,
                "runs": len(chosen),
                "distinct": len(set(chosen)),
                "independent": min(each.independent, len(chosen)),
                "CPU seconds of scoring": each.seen * float(scored.seconds.mean()),
                "published seconds": published.get(each.published, np.nan),
            }
        )
    return pd.DataFrame(rows)


def _notes(scored: Scored, data: Path | None, protocol: TrainingFree) -> list[str]:
    inputs = "standard normal noise (no images were given)" if data is None else f"images of {data}"
    worst = int(np.isneginf(scored.scores).sum())
    seconds = np.quantile(scored.seconds, [0.05, 0.5, 0.95])
    return [
        f"Training-free rows: {len(scored.scores):,} random cells were scored once by NASWOT, with one initialisation "
        f"on one batch of {BATCH} inputs of 3 x 32 x 32: {inputs}. Each of {protocol.runs} runs draws its cells from "
        "these. The paper scores anew in every run, and with each dataset's own images; here one score serves all "
        f"three datasets. {worst:,} of the cells have the worst score (disconnected, or two rows with the same code).",
        f"A score takes {scored.seconds.mean():.2f} CPU seconds on average (median {seconds[1]:.2f}, 90 % between "
        f"{seconds[0]:.2f} and {seconds[2]:.2f}), as measured on this machine. AREA is not charged for it, as in the "
        "paper.",
        "The more of the scored cells a run sees, the more alike the runs are: the standard deviation between them is "
        "then smaller than fresh scores would give, and standard errors of the difference count no more runs than "
        "these are worth at least (see the table of how the rows were found).",
    ]
