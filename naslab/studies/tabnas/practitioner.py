"""The study of a practitioner's searches: is the found network better than simpler alternatives?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.analysis.report import write_page
from naslab.analysis.statistics import bootstrap_interval
from naslab.running import Progress
from naslab.studies.base import Outcome, environment, in_processes
from naslab.studies.tabnas.real_tables import TABLES
from naslab.tabular.page import FOUND
from naslab.tabular.search import search_csv

SEEDS = 10
OPTIMIZER = "tabnas"


@dataclass(frozen=True)
class Run:
    """One search with everything that it is compared with; the seed is also that of the split.

    Attributes:
        table: Its name.
        seed: Of the split, the search and the trainings.
        folder: The study's.
    """

    table: str
    seed: int
    folder: Path = field(repr=False)


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: every search in a folder of its own, and a page."""
    for name, table in TABLES.items():
        table.write(out / "tables" / f"{name}.csv")
    work = [Run(name, seed, out) for name in TABLES for seed in range(SEEDS)]
    found = in_processes(search, work, workers, progress, out / "results.jsonl")
    results = pd.DataFrame([row for rows in found for row in rows])
    summary = summarised(results)
    section = Section("The found network beside simpler alternatives")
    section.says.append(
        f"{SEEDS} seeds; each draws its own split (60/20/20), search and trainings, with naslab's defaults for a "
        "table: the limit is a quarter of the largest network's parameters. The validation rows choose one finalist, "
        "one network of constant width and one random network; 'random feasible' is the first random one drawn."
    )
    section.add(
        "summary",
        "Test scores",
        summary,
        "Means over seeds with 95 % bootstrap intervals, widened for few seeds. 'ahead' is the mean of the found "
        "network's test "
        "score minus this one's on the same split; 'wins' counts the seeds on which it is higher, ties one half.",
    )
    section.add("seconds", "Seconds of a search", seconds_of(results), "Everything from reading to the saved model.")
    section.add("runs", "All runs", results, "Test scores in percent: accuracy, or r2.")
    notes = [" ".join(description.split())]
    page = write_page(
        [section], out / "report", title, "naslab reproduce tabnas-csv", environment("torch", "scikit-learn"), notes
    )
    return Outcome([(title, summary)], page)


def search(one: Run) -> list[dict[str, Any]]:
    """In a worker: one search; a row per competitor."""
    started = time.perf_counter()
    result = search_csv(
        one.folder / "tables" / f"{one.table}.csv",
        TABLES[one.table].target,
        out=one.folder / "searches" / one.table / str(one.seed),
        optimizer=OPTIMIZER,
        seed=one.seed,
    )
    seconds = time.perf_counter() - started
    frame = result.frame[["network", "widths", "params", "validation", "test"]].astype(object)
    same = {"table": one.table, "seed": one.seed, "metric": result.model.objective.metric, "seconds": seconds}
    return [
        {**same, **{str(k): v for k, v in row.items()}} for row in frame.where(frame.notna(), None).to_dict("records")
    ]


def summarised(results: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds with intervals, per table and competitor (`results`: the rows of :func:`search`)."""
    rows = []
    for (table, metric), found in results.groupby(["table", "metric"], sort=False):
        by_seed = found.pivot(index="seed", columns="network", values="test").astype(float)
        for name in found["network"].unique():
            ahead = (by_seed[FOUND] - by_seed[name]).to_numpy()
            row: dict[str, Any] = {"table": table, "metric": metric, "network": name, "seeds": len(by_seed)}
            row["params"] = found.loc[found["network"] == name, "params"].astype(float).mean()
            row |= _mean("test", by_seed[name].to_numpy())
            row |= _mean("ahead", ahead if name != FOUND else np.empty(0))
            row["wins"] = float((ahead > 0).sum() + (ahead == 0).sum() / 2) if name != FOUND else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def seconds_of(results: pd.DataFrame) -> pd.DataFrame:
    """How long the searches took, per table."""
    once = results.drop_duplicates(["table", "seed"])
    return once.groupby("table", sort=False)["seconds"].agg(["median", "max"]).reset_index()


def _mean(name: str, values: Any) -> dict[str, float]:
    interval = bootstrap_interval([values], np.random.default_rng(0), statistic=np.mean)
    return {name: interval.value, f"{name} low": interval.low, f"{name} high": interval.high}
