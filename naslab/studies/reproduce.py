"""Reproducing published tables: a TOML file says what is run and which published numbers stand beside it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from naslab.datasets.cifar import load_cifar
from naslab.errors import InvalidValue, MissingTable, UnknownExperiment
from naslab.files import load_toml, read_number, unreadable
from naslab.running import Progress
from naslab.running.comparison import compare
from naslab.running.results import Results
from naslab.studies.base import Outcome, experiment_folder
from naslab.studies.nasbench201.rows import Picks, TrainingFree, WeightSharing
from naslab.tables import Table, find_table, table_names
from naslab.tables.header import Whole
from naslab.tables.messages import explain


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunsOf(_Strict):
    """The number of runs behind some published rows, where it differs from that of the others."""

    methods: tuple[str, ...]
    runs: Whole


class Published(_Strict):
    """Where the published numbers are: a CSV file with columns ``X`` and ``X_std``."""

    file: str
    method: str
    runs: Whole
    runs_of: tuple[RunsOf, ...] = ()

    def runs_behind(self, method: str) -> int:
        return next((entry.runs for entry in self.runs_of if method in entry.methods), self.runs)


class ReportedColumn(_Strict):
    """One column of the published table, and where to find it in the table of trainings."""

    label: str
    published: str
    dataset: str
    split: str
    epochs: Whole

    @property
    def name(self) -> str:
        return f"{self.dataset}/accuracy/{self.split}"


class Row(_Strict):
    """A published row that we run."""

    published: str
    optimizer: str


class Experiment(_Strict):
    """A published table of search results.

    ``table`` holds the protocol's trainings and ``import`` says how to get it; ``alternative`` is a table on which
    the same experiment can be run, labelled as such.
    """

    name: str
    title: str
    description: str
    table: str
    dataset: str
    alternative: str
    budget: str
    seeds: Whole
    published: Published
    columns: tuple[ReportedColumn, ...]
    rows: tuple[Row, ...]
    how_to_import: str
    folder: Path
    training_free: TrainingFree | None = None
    weight_sharing: WeightSharing | None = None


class Study(_Strict):
    """An experiment that is more than a comparison: ``study`` is the function that runs it, ``package.module:name``."""

    name: str
    title: str
    description: str
    study: str
    folder: Path


def experiments() -> list[Experiment | Study]:
    """All experiments, by name."""
    return sorted((_load(path) for path in experiment_folder().glob("*.toml")), key=lambda e: e.name)


def experiment(name: str) -> Experiment | Study:
    """The experiment of this name, or in this TOML file.

    Raises:
        UnknownExperiment: There is none.
    """
    if name.endswith(".toml"):
        return _load(Path(name))
    known = {e.name: e for e in experiments()}
    if name not in known:
        raise UnknownExperiment(name, known, see="naslab list experiments")
    return known[name]


def run_experiment(
    wanted: Experiment | Study,
    out: Path,
    *,
    workers: int = 1,
    table: str = "",
    training_free: int = 0,
    weight_sharing: bool = False,
    data: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Outcome:
    """Run an experiment (or finish it, in the same folder) and set its numbers beside the published ones.

    Args:
        wanted: The experiment.
        out: Its folder.
        workers: Processes.
        table: Run on this stored table instead of the experiment's.
        training_free: Fill in the training-free rows, too, from the scores of this many random architectures.
        weight_sharing: Fill in the weight-sharing rows, too: searches on the images of ``data``.
        data: A folder of CIFAR; training-free rows are scored on standard normal inputs where None.
        device: Where the searches of weight-sharing rows run; all else is on the CPU, as its pages say.
        progress: Called after every run.

    Raises:
        InvalidValue: An option that means nothing to this experiment.
        MissingTable: The experiment's table is not stored; says how to get it and what can be run without it.
    """
    if training_free and not (isinstance(wanted, Experiment) and wanted.training_free):
        raise InvalidValue(f"{wanted.name} has no training-free rows: --training-free means nothing to it")
    if weight_sharing and not (isinstance(wanted, Experiment) and wanted.weight_sharing):
        raise InvalidValue(f"{wanted.name} has no weight-sharing rows: --weight-sharing means nothing to it")
    if weight_sharing and data is None:
        raise InvalidValue("--weight-sharing trains on images: give a folder of CIFAR-10, --data DIR")
    if data is not None and not (training_free or weight_sharing):
        raise InvalidValue(f"--data {data} means nothing to {wanted.name} without --training-free or --weight-sharing")
    if device != "cpu" and not weight_sharing:
        raise InvalidValue(
            f"--device {device} means nothing to {wanted.name} without --weight-sharing: it runs on the CPU"
        )
    if isinstance(wanted, Study):
        if table:
            raise InvalidValue(f"{wanted.name} runs on no table: --table {table} means nothing to it")
        module, _, function = wanted.study.partition(":")
        outcome: Outcome = getattr(importlib.import_module(module), function)(
            wanted.title, wanted.description, out, workers=workers, progress=progress
        )
        return outcome
    name = table or wanted.table
    if name not in table_names():
        if table:
            find_table(table)  # refuses, naming the nearest
        raise MissingTable(
            f"{wanted.name} needs the table {name!r}. Import it: {wanted.how_to_import}; or run the same experiment on "
            f"the packaged table: naslab reproduce {wanted.name} --table {wanted.alternative}"
        )
    stored = find_table(name)
    published = _published(wanted)  # refused before anything runs
    if data is not None:
        load_cifar(data)  # likewise
    optimizers = [row.optimizer for row in wanted.rows]
    results = compare(
        [f"{name}/{wanted.dataset}"],
        optimizers,
        budget=wanted.budget,
        seeds=wanted.seeds,
        out=out,
        workers=workers,
        progress=progress,
    )
    further = []
    if wanted.training_free and training_free:
        from naslab.studies.nasbench201 import training_free_report

        further.append(
            training_free_report.further_rows(
                wanted.training_free, training_free, data, results, stored, _published_seconds(wanted, published),
                workers, progress,
            )
        )  # fmt: skip
    if wanted.weight_sharing and weight_sharing and data is not None:
        from naslab.studies.nasbench201 import weight_sharing as sharing

        datasets = [column.dataset for column in wanted.columns]
        further.append(
            sharing.further_rows(wanted.weight_sharing, data, out, stored, datasets, workers, progress, device)
        )
    picks = [*_compared_picks(wanted, results, stored), *(pick for each in further for pick in each.picks)]
    notes = [note for each in further for note in each.notes]
    tables = [table for each in further for table in each.tables]
    frame = beside_published(wanted, published, picks, stored)
    if name != wanted.table:  # another protocol: the difference would say nothing
        frame[["difference", "in standard errors"]] = np.nan
    title = wanted.title + ("" if name == wanted.table else f" (on table {name!r}: NOT the published protocol)")
    caption = (
        f"{' '.join(wanted.description.split())} Mean and standard deviation over runs, percent. Standard errors of "
        "the difference combine both samples. 'not run': a published row that naslab has no strategy for yet."
    )
    if name != wanted.table:
        notes = [f"Run on table {name!r} with its own reward, not with the published protocol.", *notes]
    report = results.report(
        title=title, notes=notes, tables=[("Beside the published numbers", frame, caption), *tables],
        command=f"naslab reproduce {wanted.name}" + (f" --table {table}" if table else "")
        + (" --training-free" if training_free else "")
        + (" --weight-sharing" if weight_sharing else "") + (f" --data {data}" if data else "")
        + (f" --device {device}" if device != "cpu" else ""),
    )  # fmt: skip
    return Outcome([(title, frame[frame["note"] != "not run"])], report)


def beside_published(wanted: Experiment, published: pd.DataFrame, picks: Sequence[Picks], table: Table) -> pd.DataFrame:
    """For every published row and column: ours (one line for each of the picks), theirs, the difference.

    Args:
        wanted: The experiment.
        published: Its published numbers.
        picks: What was picked for the published rows; those without are "not run".
        table: Where the picked architectures are judged.
    """
    rows = []
    for line in published.to_dict("records"):
        method = str(line[wanted.published.method])
        for ours in [each for each in picks if each.published == method] or [Picks(method, method, {})]:
            rows += [
                _compared(ours, column, line, table, wanted.published.runs_behind(method)) for column in wanted.columns
            ]
    return pd.DataFrame(rows)


def _published_seconds(wanted: Experiment, published: pd.DataFrame) -> dict[str, float]:
    """Row -> what its search cost, where that was published."""
    if "search_seconds" not in published:
        return {}
    return dict(published.set_index(wanted.published.method)["search_seconds"].dropna().astype(float))


def _compared_picks(wanted: Experiment, results: Results, table: Table) -> list[Picks]:
    """What the compared strategies picked; each is judged on every dataset."""
    space = next(iter(results.tasks.values())).problem.space
    found = results.frame[results.frame["status"] == "complete"]
    picks = []
    for row in wanted.rows:
        names = found.loc[found["optimizer"] == row.optimizer, "architecture"]
        picked = [table.row(space.from_string(name)) for name in names]
        picks.append(Picks(row.published, row.published, {column.dataset: picked for column in wanted.columns}))
    return picks


def _published(wanted: Experiment) -> pd.DataFrame:
    path = wanted.folder / "published" / wanted.published.file
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path}, the published numbers of {wanted.name}, can't be read: {error}") from None
    needed = [wanted.published.method, *(f"{c.published}{end}" for c in wanted.columns for end in ("", "_std"))]
    missing = [name for name in needed if name not in frame]
    if missing:
        raise InvalidValue(f"{path} lacks the column {missing[0]!r}, which {wanted.name} reports")
    return frame


def _published_number(cell: Any) -> float:
    """NaN where the file says nothing, or nothing that is a number."""
    number = read_number(cell) if isinstance(cell, str) else float(cell)
    return np.nan if number is None else number


def _compared(
    ours: Picks, column: ReportedColumn, line: dict[Any, Any], table: Table, published_runs: int
) -> dict[str, Any]:
    theirs, their_sd = (_published_number(line[f"{column.published}{end}"]) for end in ("", "_std"))
    picked = list(ours.rows.get(column.dataset, ()))
    recorded = column.name in table.columns and column.epochs in table.columns[column.name].epochs
    values = table.mean(column.name, column.epochs)[picked] if picked and recorded else np.empty(0)
    mean = float(values.mean()) if values.size else np.nan
    sd = float(values.std(ddof=1)) if values.size > 1 else np.nan
    error = sqrt(sd**2 / max(min(values.size, ours.independent), 1) + their_sd**2 / published_runs)
    return {
        "method": ours.label,
        "column": column.label,
        "ours": mean,
        "sd": sd,
        "runs": len(picked),
        "published": theirs,
        "published sd": their_sd,
        "difference": mean - theirs,
        "in standard errors": (mean - theirs) / error if error > 0 else np.nan,
        "note": "" if values.size else "not in this table" if picked else "not run",
    }


def _load(path: Path) -> Experiment | Study:
    try:
        content = load_toml(path)
    except OSError as error:
        raise InvalidValue(unreadable(path, error)) from None
    except ValueError as error:
        raise InvalidValue(f"{path} is no TOML: {error}") from None
    kind: type[Experiment] | type[Study] = Study if "study" in content else Experiment
    if kind is Experiment:
        content["how_to_import"] = content.pop("import", "")
    try:
        return kind(**content, folder=path.parent)
    except ValidationError as error:
        raise InvalidValue(f"{path}: {explain(error, kind)}") from None
