"""Evaluators against the truth: who ranks architectures well, on what population, and how sure that is."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import naslab
from naslab.analysis import correlation
from naslab.analysis.data import FloatArray
from naslab.errors import InvalidValue
from naslab.ranking.judges import Source, inputs_of, looks_at_inputs, sources
from naslab.ranking.populations import Population, draw
from naslab.ranking.scores import Scores, score_all, score_path
from naslab.running import Progress, claimed_folder, seed_sequence
from naslab.tasks import Task

SPEC = "correlation.json"
USUAL = 1000
FEWEST = 3
"""Architectures that a correlation can be computed of."""


@dataclass(frozen=True, eq=False)
class Correlations:
    """What evaluators said about a population, and how well that agrees with a reference.

    Attributes:
        task: Id of the task.
        reference: What they are judged by: the truth's metric, or an evaluator's name.
        unit: The reference's unit.
        population: Which architectures these are, in words.
        scores: One row per architecture (index: its official string), one column per evaluator, higher is better.
        truth: ``(n,)``: the reference, higher is better.
        params: ``(n,)``: parameters of each architecture.
        trainings: ``(n, S)``: single trainings behind the truth, higher is better; None where they are not known.
        seconds: Evaluator -> median seconds for an architecture; those of one pass are the pass's, together.
        making: Evaluator -> CPU seconds that making it took once: fitting a predictor, training shared weights.
        notes: Sentences that a reader must know.
        seed: Of sample, scores and intervals.
        command: That makes the same again.
        environment: Versions and data that the numbers depend on.
    """

    task: str
    reference: str
    unit: str
    population: str
    scores: pd.DataFrame
    truth: FloatArray
    params: FloatArray
    trainings: FloatArray | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    making: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seed: int = 0
    command: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The reference with its unit."""
        return f"{self.reference} ({self.unit})" if self.unit else self.reference

    @property
    def evaluators(self) -> list[str]:
        """Their names, in the order in which they were given."""
        return [str(name) for name in self.scores.columns]

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Every evaluator against the reference: see :func:`naslab.analysis.correlation.agreement`."""
        return correlation.agreement(self.scores, self.truth, self._rng("agreement"))

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Architectures, scores that are not finite and ties: see :func:`naslab.analysis.correlation.counts`."""
        return correlation.counts(self.scores)

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Spearman's correlations of all evaluators with each other; the last row is the reference."""
        return correlation.matrix(self.scores.assign(**{self.reference: self.truth}))

    @cached_property
    def bias(self) -> pd.DataFrame:
        """Spearman's correlation with the number of parameters, of every evaluator and of the reference."""
        return correlation.bias(self.scores.assign(**{self.reference: self.truth}), self.params, self._rng("bias"))

    @cached_property
    def ceiling(self) -> pd.DataFrame:
        """What the noise of trainings leaves to be predicted: see :func:`naslab.analysis.correlation.ceiling`."""
        trainings = np.empty((0, 2)) if self.trainings is None else self.trainings
        return correlation.ceiling(trainings, self._rng("ceiling"))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per evaluator, the best Spearman first."""
        return wide(self.statistics).merge(self.counts, on="evaluator").sort_values(
            "Spearman", ascending=False, kind="stable", ignore_index=True
        )  # fmt: skip

    def report(self, folder: str | Path) -> Path:
        """Write the page, its tables and figures, and the scores (``scores.csv``) into a folder."""
        from naslab.ranking.page import write

        return write(self, Path(folder))

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(seed_sequence(self.task, self.reference, self.seed, purpose))


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
    progress: Progress | None = None,
) -> Correlations:
    """Score architectures by evaluators and judge the order by the task's truth, or by another evaluator.

    Args:
        task: An id, or a task of one's own.
        evaluators: Names as in :mod:`naslab.ranking.judges`, or one text with commas between them.
        architectures: How many are drawn, uniformly and without repetition; or ``"all"``. By default 1,000, or all
            where there are no more.
        population: What they are drawn from: see :data:`naslab.ranking.populations.POPULATIONS`.
        reference: The name of an evaluator to judge by, instead of the truth.
        out: A folder where scores are kept: the same call again, or one with more evaluators or architectures,
            computes what is missing. Nothing is kept without it.
        workers: Processes. The scores do not depend on it.
        seed: Of the sample, of initial weights and batches.
        data: A folder of CIFAR images to score untrained networks on, for tasks that have no rows.
        progress: Called with what is done, the total and the evaluator.

    Raises:
        NaslabError: A name, a number or a folder that makes no sense; nothing that is kept is changed.
    """
    from naslab.registry import parse_list

    found = naslab.task(task) if isinstance(task, str) else task
    if data is not None:
        found = with_images(found, data)
    written = parse_list(evaluators) if isinstance(evaluators, str) else list(evaluators)
    wanted = sources(written, found)
    judge = sources([reference], found)[0] if reference is not None else None
    if judge is not None and len(judge.columns) != 1:
        raise InvalidValue(f"reference {reference!r} gives {len(judge.columns)} scores. Allowed: one")
    members = draw(found, population, *_number(architectures), seed)
    if workers < 1:
        raise InvalidValue(f"workers={workers}. Allowed: from 1")
    described = {"task": found.id, "source": dict(found.source), "seed": seed}
    folder = None if out is None else Path(out)
    with claimed_folder(folder, described, SPEC, "correlation study") if folder is not None else nullcontext():
        kept: dict[str, Scores] = {}
        for source in [*wanted, *([judge] if judge else [])]:
            if source.label in kept:
                kept[source.label].source = _both(kept[source.label].source, source)
            else:
                kept[source.label] = Scores(source, found, seed, folder and score_path(folder, source))
        for scores in kept.values():
            score_all(scores, found, seed, members.architectures, workers, progress)
    options = {"population": population, "reference": reference, "data": data, "seed": seed}
    command = " ".join(
        [
            f"naslab correlate {found.id} --evaluators '{','.join(written)}'",
            f"--architectures {len(members.architectures)}",
            *(f"--{name} {value}" for name, value in options.items() if value not in (None, "all", 0)),
            f"--out {out or 'DIR'}",
        ]
    )
    return _judged(found, wanted, judge, kept, members, command, seed)


def wide(statistics: pd.DataFrame) -> pd.DataFrame:
    """One row per evaluator, each statistic with its bounds in columns of their own: as tables show it."""
    columns: dict[str, Any] = {"evaluator": list(dict.fromkeys(statistics["evaluator"]))}
    for statistic, rows in statistics.groupby("statistic", sort=False):
        by_name = rows.set_index("evaluator").loc[columns["evaluator"]]
        columns[str(statistic)] = by_name["value"].to_numpy()
        for bound in ("low", "high"):
            columns[f"{statistic} {bound}"] = by_name[bound].to_numpy()
    return pd.DataFrame(columns)


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
    try:
        return int(architectures), False
    except ValueError:
        raise InvalidValue(f"{architectures!r} architectures. Allowed: a whole number from 3, or all") from None


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
    seconds = {
        n: float(np.median([kept[s.label].seconds[a] for a in architectures])) for s in wanted for n in s.columns
    }
    sign = 1.0 if task.direction == "max" else -1.0
    if judge is None:
        truth = sign * np.array([task.true_value(a) for a in architectures])
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
        params=np.array([space.cost(a).params for a in chosen], float),
        trainings=None if trainings is None else sign * trainings[judged],
        seconds=seconds,
        making={n: kept[s.label].making for s in wanted for n in s.columns},
        notes=tuple(notes),
        seed=seed,
        command=command,
        environment={**next(iter(kept.values())).header["versions"], **task.source},
    )


def _trainings(task: Task, architectures: Sequence[Any]) -> FloatArray | None:
    values, trainings = getattr(task.truth, "values", None), getattr(task.truth, "trainings", None)
    if values is None or trainings is None or trainings.shape[1] < 2:
        return None
    row = {a: i for i, a in enumerate(values)}
    return np.asarray(trainings[[row[a] for a in architectures]], float)


def _notes(
    task: Task, wanted: Sequence[Source], judge: Source | None, kept: dict[str, Scores], missing: int, learned: int
) -> list[str]:
    notes = []
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
            notes.append("The reward is one of the trainings that the truth is the mean of: its agreement is no news.")
    return notes
