"""Scores of architectures, kept in a file as they are made, so that nothing is computed twice.

A file serves one evaluator. Its header line names the evaluator, the task and the versions. Then comes one line per
batch of architectures, each written by one call: a kill at any moment loses at most the batches under way.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from naslab.correlation.judges import Source, build, inputs_of, is_stateful, learns
from naslab.errors import FOREIGN, InvalidValue, NaslabError, PluginError
from naslab.evaluators import Evaluation, Evaluator, check_charge
from naslab.evaluators.arithmetic import fixed_order
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.threads import one_thread
from naslab.running import Kept, Progress, do_in_processes, placement_entries, seed_sequence, versions
from naslab.space import Architecture
from naslab.tasks import Task

FORMAT = 1
BATCH = 20
Batch: TypeAlias = tuple[tuple[Architecture, ...], tuple[str, ...]]
"""Architectures, and the metrics that they lack."""
_Outcome: TypeAlias = tuple[list[Evaluation], float, tuple[Architecture, ...]]


class Scores:
    """The scores of an evaluator, in memory and (with a path) in a file.

    Args:
        source: The evaluator.
        task: The task.
        seed: Of everything drawn.
        path: The file; it may hold some of the scores, or more than will be asked for.

    Attributes:
        found: Architecture -> metric -> score; of the source's metrics and perhaps of others.
        seconds: Architecture -> seconds that its first evaluation took or, from a table, was charged.
        passes: Metric -> architecture -> seconds of the pass that gave it, and how many metrics that pass gave.
        making: Seconds to make the evaluator (to train shared weights, say), the last time it was made.
        learned: Architectures that the evaluator was made from.

    Raises:
        OutputError: The file holds scores of something else, is damaged, or can't be read.
    """

    def __init__(self, source: Source, task: Task, seed: int, path: Path | None = None) -> None:
        self.source, self.path = source, path
        self.found: dict[Architecture, dict[str, float]] = {}
        self.seconds: dict[Architecture, float] = {}
        self.passes: dict[str, dict[Architecture, tuple[float, int]]] = {}
        self.making = 0.0
        self.learned: set[Architecture] = set()
        self._kept = Kept(path, _header(source, task, seed), "scores")
        try:
            for entry in self._kept.entries:
                self._take(entry)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise self._kept.damaged() from None

    @property
    def header(self) -> dict[str, Any]:
        """What the scores depend on."""
        return dict(self._kept.header)

    def missing(self, architectures: Sequence[Architecture]) -> list[Batch]:
        """The batches still to be scored, in the order of the architectures."""
        metrics = tuple(self.source.columns.values())
        batches = []
        for start in range(0, len(architectures), BATCH):
            waiting: dict[tuple[str, ...], list[Architecture]] = {}
            for a in architectures[start : start + BATCH]:
                lacking = tuple(m for m in metrics if m not in self.found.get(a, {}))
                if lacking:
                    waiting.setdefault(lacking, []).append(a)
            batches += [(tuple(group), lacking) for lacking, group in waiting.items()]
        return batches

    def add(
        self,
        batch: Batch,
        evaluations: Sequence[Evaluation],
        making: float = 0.0,
        learned: Sequence[Architecture] = (),
    ) -> None:
        """Keep what was found.

        Raises:
            OutputError: The file can't be written; what is in it is kept.
        """
        architectures, metrics = batch
        scores = {m: [_of(e, m, self.source) for e in evaluations] for m in metrics}
        entry = {
            "architectures": [list(a) for a in architectures],
            "scores": {metric: [_plain(value) for value in values] for metric, values in scores.items()},
            "seconds": [e.seconds for e in evaluations],
            **({"making": making} if making else {}),
            **({"learned": [list(a) for a in learned]} if learned else {}),
        }
        self._kept.add(entry, separators=(",", ":"))
        self._take(entry)

    def column(self, name: str, architectures: Iterable[Architecture]) -> list[float]:
        """The scores of this name."""
        metric = self.source.columns[name]
        return [self.found[a][metric] for a in architectures]

    def _take(self, entry: Mapping[str, Any]) -> None:
        for row, options in enumerate(entry["architectures"]):
            known = self.found.setdefault(tuple(options), {})
            for metric, values in entry["scores"].items():
                known.setdefault(metric, float(values[row]))
            spent = float(entry["seconds"][row])
            self.seconds.setdefault(tuple(options), spent)
            for metric in entry["scores"]:
                self.passes.setdefault(metric, {}).setdefault(tuple(options), (spent, len(entry["scores"])))
        self.making = entry.get("making", self.making)
        self.learned.update(map(tuple, entry.get("learned", ())))


def score_all(
    scores: Scores,
    task: Task,
    seed: int,
    architectures: Sequence[Architecture],
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Score what is missing.

    Every architecture has a generator of its own, keyed by the seed, the evaluator and the architecture: scores do not
    depend on what else is scored, in which order, or by how many processes. (An evaluator with an ``evaluate_many`` of
    its own is asked for whole batches, keyed by their first architecture.)

    Args:
        scores: What there is, and where it goes.
        task: The same that `scores` was made for.
        seed: Likewise.
        architectures: All that are wanted.
        workers: Processes; an evaluator that has to be trained first stays in one.
        progress: Called after every batch.

    Raises:
        NaslabError: The evaluator refuses the task, its options or an architecture.
        PluginError: It breaks down.
        WorkerDied: A worker process ended unexpectedly.
    """
    batches = scores.missing(architectures)
    total = len(architectures)
    done = total - sum(len(batch[0]) for batch in batches)
    label = scores.source.label

    def took(batch: Batch, outcome: _Outcome) -> None:
        nonlocal done
        scores.add(batch, *outcome)
        done += len(batch[0])
        if progress:
            progress(min(done, total), total, label)

    if workers == 1 or len(batches) < 2 or is_stateful(scores.source):
        judge = _Judge(scores.source, task, seed)
        for batch in batches:
            took(batch, judge(batch))
        return
    do_in_processes(
        _in_worker, {batch: (batch,) for batch in batches}, workers, took,
        begin=_start, begin_with=(scores.source, task, seed), device=task.problem.device, what=f"scoring by {label!r}",
    )  # fmt: skip


def score_path(folder: Path, source: Source) -> Path:
    """Where the scores of an evaluator are kept."""
    name = re.sub(r"[^A-Za-z0-9.=-]+", "_", source.label).strip("_")
    if name != source.label:
        name += "-" + hashlib.sha256(source.label.encode()).hexdigest()[:8]
    return folder / "scores" / f"{name}.jsonl"


class _Judge:
    """Evaluators of a source, made when they are first needed: one for each set of metrics that is missing."""

    def __init__(self, source: Source, task: Task, seed: int) -> None:
        self.source, self.task, self.seed = source, task, seed
        self._made: dict[tuple[str, ...], Evaluator] = {}

    def __call__(self, batch: Batch) -> _Outcome:
        """Evaluations of a batch; if the evaluator had to be made, seconds for that and what it learned from."""
        architectures, metrics = batch
        making, learned = 0.0, tuple[Architecture, ...]()
        with one_thread(), fixed_order(self.task.problem.deterministic):
            if metrics not in self._made:
                watch = Stopwatch(self.task.problem.device)
                key = "labels" if learns(self.source) else self.source.label
                rng = np.random.default_rng(seed_sequence(self.seed, key, "making"))
                self._made[metrics] = build(self.source, self.task, rng, metrics)
                making, learned = watch.seconds(), tuple(self._made[metrics].learned)
            evaluator = self._made[metrics]
            try:
                if type(evaluator).evaluate_many is not Evaluator.evaluate_many:
                    found = evaluator.evaluate_many(architectures, rng=self._rng(architectures[0]))
                else:
                    found = [evaluator.evaluate(a, rng=self._rng(a)) for a in architectures]
                for architecture, evaluation in zip(architectures, found, strict=True):
                    check_charge(evaluation, evaluator, architecture)
                return found, making, learned
            except NaslabError:
                raise
            except FOREIGN as error:
                what = f"{self.source.label!r} breaks down at one of {architectures[0]}..."
                raise PluginError(f"{what}: {type(error).__name__}: {error}") from error

    def _rng(self, architecture: Architecture) -> np.random.Generator:
        return np.random.default_rng(seed_sequence(self.seed, self.source.label, architecture))


_judge: list[_Judge] = []


def _start(source: Source, task: Task, seed: int) -> None:
    _judge[:] = [_Judge(source, task, seed)]


def _in_worker(batch: Batch) -> _Outcome:
    evaluations, making, learned = _judge[0](batch)
    return [Evaluation(e.score, e.seconds, dict(e.metrics)) for e in evaluations], making, learned


def _header(source: Source, task: Task, seed: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "evaluator": source.label,
        "options": dict(source.options),
        "task": task.id,
        "space": task.problem.space.name,
        "source": dict(task.source),
        "inputs": inputs_of(source, task),
        "seed": seed,
        "versions": versions("naslab", "torch", "numpy"),
        **placement_entries(task.problem),
    }


def _of(evaluation: Evaluation, metric: str, source: Source) -> float:
    if not metric:
        return float(evaluation.score)
    if metric not in evaluation.metrics:
        raise InvalidValue(f"{source.label!r} gives no {metric!r}; it gives {', '.join(evaluation.metrics) or 'none'}")
    return float(evaluation.metrics[metric])


def _plain(value: float) -> float | str:
    """JSON has no infinities: they are written as texts, which ``float`` reads."""
    return value if math.isfinite(value) else str(value)
