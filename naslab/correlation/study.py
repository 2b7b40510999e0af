"""Evaluators against the truth: who ranks architectures well, on what population, and how sure that is."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.data import FloatArray
from naslab.correlation.agreement import Agreement
from naslab.correlation.judges import Source, inputs_of, looks_at_inputs, sources, unscored
from naslab.correlation.populations import Population, draw
from naslab.correlation.scores import Scores, score_all, score_path
from naslab.errors import InvalidValue
from naslab.evaluators.stopwatch import WALL
from naslab.files import read_whole
from naslab.running import Progress, claimed_folder, placement_entries
from naslab.space import Architecture
from naslab.tasks import Task, table_notes
from naslab.tasks import task as task_of

SPEC = "correlation.json"
USUAL = 1000
FEWEST = 3
"""The fewest architectures that a correlation is computed of."""


class Correlations(Agreement):
    """What :func:`correlate` found, and its page."""

    def report(self, folder: str | Path, *, figures: Sequence[str] = ()) -> Path:
        """Write the page, its tables and figures, and the scores (``scores.csv``) into a folder.

        `figures`: further kinds of files for every figure beside SVG, ``"pdf"`` and ``"png"``.
        """
        from naslab.correlation.page import write  # needs matplotlib, which is slow to import

        return write(self, Path(folder), figures)


def correlate(
    task: str | Task,
    evaluators: Sequence[str] | str,
    architectures: int | str | None = None,
    *,
    population: str = "all",
    reference: str | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    seed: int = 0,
    data: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    deterministic: bool | None = None,
    progress: Progress | None = None,
) -> Correlations:
    """Score architectures by evaluators and judge the order by the task's truth, or by another evaluator.

    Args:
        task: An id, or a task of one's own.
        evaluators: Names as in :mod:`naslab.correlation.judges`, or one text with commas between them.
        architectures: How many are drawn, uniformly and without repetition; or ``"all"``. By default 1,000, or all
            where there are fewer.
        population: What they are drawn from: see :data:`naslab.correlation.populations.POPULATIONS`.
        reference: The name of an evaluator to judge by, instead of the truth.
        out: A folder where scores are kept: the same call again, or one with more evaluators or architectures,
            computes what is missing. Nothing is kept without it.
        workers: Processes. The scores do not depend on it.
        seed: Of the sample, of initial weights and batches.
        data: A folder of CIFAR images to score untrained networks on, for tasks that have no rows.
        device: Where networks run: see :meth:`naslab.tasks.Task.on`; by default the task's own, the CPU. A folder of
            scores is of one device.
        precision: Of the forward passes of evaluators that train, ``"float32"`` or ``"bfloat16"``; likewise.
        deterministic: Whether PyTorch takes only algorithms that add in a fixed order; likewise.
        progress: Called with the number done, the total and the evaluator.

    Raises:
        NaslabError: A name, a number or a folder that makes no sense; nothing that is kept is changed.
    """
    from naslab.registry import parse_list

    found = task_of(task) if isinstance(task, str) else task
    found = found.on(device, precision, deterministic)
    if data is not None:
        found = with_images(found, data)
    written = parse_list(evaluators) if isinstance(evaluators, str) else list(evaluators)
    wanted = sources(written, found)
    judge = sources([reference], found)[0] if reference is not None else None
    if judge is not None and len(judge.columns) != 1:
        raise InvalidValue(f"reference {reference!r} gives {len(judge.columns)} scores. Allowed: one")
    members = draw(found, population, *_number(architectures), seed)
    asked = [*wanted, *([judge] if judge else [])]
    gaps = set().union(*(unscored(source, found, members.architectures) for source in asked))
    if gaps:
        present = tuple(each for each in members.architectures if each not in gaps)
        text = f"{members.text}, {len(gaps):,} of them left out"
        members = dataclasses.replace(members, architectures=present, text=text)
    if workers < 1:
        raise InvalidValue(f"workers={workers}. Allowed: from 1")
    described = {"task": found.id, "source": dict(found.source), "seed": seed} | placement_entries(found.problem)
    folder = None if out is None else Path(out)
    with claimed_folder(folder, described, SPEC, "correlation study") if folder is not None else nullcontext():
        kept: dict[str, Scores] = {}
        for source in asked:
            if source.label in kept:
                kept[source.label].source = _both(kept[source.label].source, source)
            else:
                kept[source.label] = Scores(source, found, seed, folder and score_path(folder, source))
        for scores in kept.values():
            score_all(scores, found, seed, members.architectures, workers, progress)
    options = {"population": population, "reference": reference, "data": data, "seed": seed}
    options |= placement_entries(found.problem)
    command = " ".join(
        [
            f"naslab correlate {found.id} --evaluators '{','.join(written)}'",
            f"--architectures {len(members.architectures) + len(gaps)}",
            *(
                f"--{name} {value}".removesuffix(" True")
                for name, value in options.items()
                if value not in (None, "all", 0)
            ),
            f"--out {out or 'DIR'}",
        ]
    )
    judged = _judged(found, wanted, judge, kept, members, command, seed)
    left_out = f"Left out, because a stored score is missing there: {len(gaps):,} of the architectures."
    return dataclasses.replace(judged, notes=(*judged.notes, left_out)) if gaps else judged


def with_images(task: Task, folder: str | Path) -> Task:
    """The same task with CIFAR's training images as its rows.

    Raises:
        InvalidValue: The task has rows already.
        InvalidDataset: The folder holds no complete version.
    """
    from naslab.datasets.cifar import load_cifar

    if task.problem.train is not None:
        raise InvalidValue(f"--data {folder}: task {task.id!r} has rows of its own. Fix: leave --data out")
    rows = load_cifar(folder)
    digest = hashlib.sha256(rows.x[:1000].tobytes() + rows.y.tobytes()).hexdigest()[:16]
    problem = dataclasses.replace(task.problem, train=rows)
    return dataclasses.replace(task, problem=problem, source={**task.source, "rows": digest})


def _number(architectures: int | str | None) -> tuple[int | None, bool]:
    """How many, and whether fewer will do."""
    if architectures in ("all", None):
        return (None if architectures else USUAL), architectures is None
    number = read_whole(str(architectures))
    if number is None:
        raise InvalidValue(f"{architectures!r} architectures. Allowed: a whole number from 3, or all")
    return number, False


def _both(first: Source, second: Source) -> Source:
    return dataclasses.replace(first, columns={**first.columns, **second.columns})


def _judged(
    task: Task,
    wanted: Sequence[Source],
    judge: Source | None,
    kept: dict[str, Scores],
    members: Population,
    command: str,
    seed: int,
) -> Correlations:
    space, architectures = task.problem.space, members.architectures
    columns = {n: kept[s.label].column(n, architectures) for s in wanted for n in s.columns}
    passes = {
        n: np.array([kept[s.label].passes[metric][a] for a in architectures])
        for s in wanted
        for n, metric in s.columns.items()
    }
    if judge is None:
        truth = task.sign * _truths(task, architectures)
    else:
        truth = np.array(kept[judge.label].column(next(iter(judge.columns)), architectures))
    finite = np.isfinite(truth)
    learned = set().union(*(scores.learned for scores in kept.values()))
    judged = finite & np.array([a not in learned for a in architectures])
    if judged.sum() < FEWEST:
        raise InvalidValue(
            f"{int(judged.sum())} of {len(architectures)} architectures are left to be judged: evaluators learned from "
            f"{len(learned)}. Fix: fewer labels, or more architectures"
        )
    notes = _notes(task, wanted, judge, kept, int((~finite).sum()), int((finite & ~judged).sum()))
    trainings = None if judge is not None else _trainings(task, architectures)
    chosen = [a for a, keep in zip(architectures, judged, strict=True) if keep]
    return Correlations(
        task=task.id,
        reference=task.metric if judge is None else next(iter(judge.columns)),
        unit=task.unit if judge is None else "",
        population=members.text,
        scores=pd.DataFrame(columns, index=pd.Index([space.to_string(a) for a in architectures]))[judged],
        truth=truth[judged],
        params=_params(task, chosen),
        trainings=None if trainings is None else task.sign * trainings[judged],
        seconds={n: float(np.median(spent / scores)) for n, (spent, scores) in ((n, p.T) for n, p in passes.items())},
        sharing={n: int(p[:, 1].max()) for n, p in passes.items()},
        duplicates=len(chosen) - len(set(space.canonical_classes(chosen))),
        making={n: kept[s.label].making for s in wanted for n in s.columns},
        notes=tuple(notes),
        seed=seed,
        command=command,
        environment={**next(iter(kept.values())).header["versions"], **task.source},
    )


def _truths(task: Task, architectures: Sequence[Architecture]) -> FloatArray:
    values = getattr(task.truth, "values", None)
    told = values.__getitem__ if isinstance(values, Mapping) else task.true_value
    return np.array([told(a) for a in architectures], np.float64)


def _params(task: Task, architectures: Sequence[Architecture]) -> FloatArray:
    """NaN where nothing tells: choices without a network, of which the table has no such cost."""
    space = task.problem.space
    if not space.has_network:
        known = task.problem.measured.get("params", {})
        return np.array([known.get(a, np.nan) for a in architectures], float)
    if space.ranges:
        return np.array([space.cost(a).params for a in architectures], float)
    return np.asarray(space.cost_model.values("params", np.array(architectures)), float)


def _trainings(task: Task, architectures: Sequence[Any]) -> FloatArray | None:
    values, trainings = getattr(task.truth, "values", None), getattr(task.truth, "trainings", None)
    if values is None or trainings is None or trainings.shape[1] < 2:
        return None
    row = {a: i for i, a in enumerate(values)}
    return np.asarray(trainings[[row[a] for a in architectures]], float)


def _notes(
    task: Task, wanted: Sequence[Source], judge: Source | None, kept: dict[str, Scores], missing: int, learned: int
) -> list[str]:
    notes = table_notes(task)
    if task.problem.device != "cpu":
        notes.append(f"Networks ran on {task.problem.device!r}: seconds are {WALL}, not CPU seconds.")
    if task.problem.precision != "float32":
        notes.append(f"Networks that were trained were trained in {task.problem.precision}.")
    inputs = {inputs_of(s, task) for s in wanted if looks_at_inputs(s)} - {""}
    if inputs == {"gaussian"}:
        notes.append("Untrained networks were shown Gaussian noise with random labels: the task has no rows.")
    elif inputs:
        notes.append("Untrained networks were shown a batch of the task's training rows.")
    if missing:
        notes.append(f"{missing:,} architectures without a finite reference are left out.")
    if learned:
        notes.append(f"Left out, because an evaluator learned from them: {learned:,} of the architectures.")
    reward = getattr(task.reward, "column", None)
    table = getattr(task.reward, "table", None)
    if judge is None and table is not None and any(s.target == "reward" for s in wanted):
        dataset = task.id.rpartition("/")[2].partition("@")[0]
        entry = table.tasks.get(dataset)
        if entry is not None and entry.truth.column == reward:
            notes.append("The reward is one of the trainings whose mean is the truth: its agreement is no news.")
    return notes
