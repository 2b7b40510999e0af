"""Who evaluates: this process, processes of our own that can be ended and replaced, or an executor of somebody else."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as connections_ready
from typing import Any, TypeAlias

import numpy as np

from naslab.errors import FOREIGN, NaslabError, PluginError, WorkerDied
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.evaluators.threads import one_thread
from naslab.optimizers import Query
from naslab.running.attempt import Manner, attempt, failure
from naslab.running.seeds import TrialGenerator
from naslab.running.trace import Step
from naslab.running.workers import interrupts_held, packed, start_worker, visible_cards
from naslab.tasks import Task

Answer: TypeAlias = tuple[int, Evaluation, Sequence[str]]
"""Number of the ask, what came out, and why earlier tries failed."""


class Crew(ABC):
    """Evaluates what a run asks for. An evaluation that fails is tried again as often as the run wants."""

    @abstractmethod
    def evaluate(
        self, number: int, query: Query, since: Fidelity | None, known: Step | None
    ) -> tuple[Evaluation, Sequence[str]]:
        """One evaluation from beginning to end, and why earlier tries failed.

        Args:
            number: Of the ask.
            query: With its trial.
            since: What the trial was evaluated at before.
            known: What is recorded of it: then nothing is done.
        """

    @abstractmethod
    def close(self) -> None:
        """End whatever is still under way."""


class Beside(Crew):
    """Evaluates beside the process of the run, several at the same time.

    Attributes:
        workers: How many.
    """

    workers: int

    def begin(self) -> None:
        """Get ready; the clock of a run with real workers starts when this is done."""
        return

    @abstractmethod
    def start(self, worker: int, number: int, query: Query, since: Fidelity | None) -> None:
        """Begin an evaluation.

        Args:
            worker: An idle worker.
            number: Of the ask.
            query: With its trial.
            since: What the trial was evaluated at before.
        """

    @abstractmethod
    def wait(self, seconds: float = math.inf) -> list[Answer]:
        """What has come out, in the order of the asks; empty only if nothing does within some seconds."""

    def evaluate(
        self, number: int, query: Query, since: Fidelity | None, known: Step | None
    ) -> tuple[Evaluation, Sequence[str]]:
        if known is not None:
            return known.evaluation, known.retried
        self.start(0, number, query, since)
        while not (answers := self.wait()):
            pass
        ((_, evaluation, retried),) = answers
        return evaluation, retried


class Here(Crew):
    """This process, one evaluation after the other."""

    def __init__(self, evaluator: Evaluator, generator: TrialGenerator, manner: Manner, retries: int) -> None:
        self._evaluator, self._generator, self._manner, self._retries = evaluator, generator, manner, retries
        self._next = 0

    def evaluate(
        self, number: int, query: Query, since: Fidelity | None, known: Step | None
    ) -> tuple[Evaluation, Sequence[str]]:
        if query.trial == self._next:
            rng = self._generator.next()
            self._next += 1
        else:
            assert query.trial is not None
            rng = self._generator.of(query.trial)
        if known is not None:
            if self._evaluator.stateful:  # what is recorded holds, but its state must become what it was
                attempt(self._evaluator, query, since, rng, self._manner)
            return known.evaluation, known.retried
        evaluation = attempt(self._evaluator, query, since, rng, self._manner)
        if not evaluation.failed:
            return evaluation, ()
        job = _Job(number, query, since)
        while (answer := job.answered(evaluation, self._retries)) is None:
            assert query.trial is not None
            evaluation = attempt(self._evaluator, query, since, self._generator.of(query.trial), self._manner)
        return answer[1:]

    def close(self) -> None:
        pass


@dataclass
class _Job:
    """An evaluation under way."""

    number: int
    query: Query
    since: Fidelity | None
    begun: float = 0.0
    spent: float = 0.0
    retried: list[str] = field(default_factory=list)

    def answered(self, evaluation: Evaluation, retries: int) -> Answer | None:
        """The answer, or None if it is to be tried again."""
        if evaluation.failed and len(self.retried) < retries:
            self.retried.append(evaluation.failed)
            self.spent += evaluation.seconds
            return None
        return self.number, evaluation._replace(seconds=self.spent + evaluation.seconds), self.retried


class _Helper:
    """A process that evaluates, and its end of the line."""

    def __init__(self, work: bytes, card: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_help, args=(theirs, work, card))
        with interrupts_held():
            self.process.start()
        theirs.close()
        self.job: _Job | None = None
        self._ready = False

    def await_ready(self) -> None:
        """Wait until it has made its evaluator: what goes wrong before is no failure of an evaluation."""
        if self._ready:
            return
        self._ready = True
        try:
            complaint = self.line.recv()
        except (EOFError, OSError):
            self.process.join()
            raise WorkerDied(
                "a process that was to evaluate ended before it began (a script that calls naslab outside "
                '`if __name__ == "__main__":`?)'
            ) from None
        if complaint is not None:
            raise complaint

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


class Helpers(Beside):
    """Processes of our own. One that takes too long, or dies, is replaced.

    Args:
        workers: How many.
        task: What they evaluate for; it must be possible to send it to a process.
        seeds: Of the run's evaluations.
        manner: How they evaluate.
        retries: How often a failed evaluation is tried again.
        limit: Seconds that an evaluation may take.
    """

    def __init__(
        self,
        workers: int,
        task: Task,
        seeds: np.random.SeedSequence,
        manner: Manner,
        retries: int,
        limit: float | None,
    ) -> None:
        self.workers, self._retries, self._limit = workers, retries, limit
        self._work, self._manner = packed((task, seeds, manner)), manner
        self._cards = visible_cards() if manner.device == "cuda" else []
        self._helpers: dict[int, _Helper] = {}

    def start(self, worker: int, number: int, query: Query, since: Fidelity | None) -> None:
        self._send(worker, _Job(number, query, since))

    def wait(self, seconds: float = math.inf) -> list[Answer]:
        busy = {helper.line: worker for worker, helper in self._helpers.items() if helper.job is not None}
        now = time.monotonic()
        ends = [self._ends(self._helpers[worker]) - now for worker in busy.values()]
        timeout = max(0.0, min(seconds, *ends))
        ready = connections_ready(list(busy), None if timeout == math.inf else timeout)
        answers = [self._received(busy[line]) for line in ready if isinstance(line, Connection)]
        now = time.monotonic()
        late = [w for line, w in busy.items() if line not in ready and self._ends(self._helpers[w]) <= now]
        answers += [self._stopped(worker) for worker in late]
        return sorted((answer for answer in answers if answer is not None), key=lambda answer: answer[0])

    def close(self) -> None:
        for helper in self._helpers.values():
            helper.end()
        self._helpers.clear()

    def begin(self) -> None:
        for worker in range(self.workers):
            self._hire(worker)
        for helper in self._helpers.values():
            helper.await_ready()

    def _hire(self, worker: int) -> _Helper:
        if worker not in self._helpers:
            card = self._cards[worker % len(self._cards)] if self._cards else ""
            self._helpers[worker] = _Helper(self._work, card)
        return self._helpers[worker]

    def _send(self, worker: int, job: _Job) -> None:
        helper = self._hire(worker)
        helper.await_ready()
        job.begun, helper.job = time.monotonic(), job
        with suppress(OSError):  # it has died since: the line then says so
            helper.line.send((job.query, job.since))

    def _ends(self, helper: _Helper) -> float:
        assert helper.job is not None
        return math.inf if self._limit is None else helper.job.begun + self._limit

    def _received(self, worker: int) -> Answer | None:
        helper = self._helpers[worker]
        try:
            found = helper.line.recv()
        except (EOFError, OSError):
            helper.process.join()
            assert helper.job is not None
            spent = time.monotonic() - helper.job.begun
            why = f"its process ended with exit code {helper.process.exitcode}"
            return self._lost(worker, failure("died", why, 0.0 if self._manner.worth is None else spent))
        if not isinstance(found, Evaluation):
            raise found
        return self._answered(worker, found)

    def _stopped(self, worker: int) -> Answer | None:
        assert self._limit is not None
        spent = self._limit * (1.0 if self._manner.worth is None else self._manner.worth)
        return self._lost(worker, failure("time limit", f"stopped after {self._limit:g} s", spent))

    def _lost(self, worker: int, found: Evaluation) -> Answer | None:
        helper = self._helpers.pop(worker)
        helper.end()
        if not self._manner.record:
            raise WorkerDied(found.failed)
        assert helper.job is not None
        return self._settled(worker, helper.job, found)

    def _answered(self, worker: int, found: Evaluation) -> Answer | None:
        job, self._helpers[worker].job = self._helpers[worker].job, None
        assert job is not None
        return self._settled(worker, job, found)

    def _settled(self, worker: int, job: _Job, found: Evaluation) -> Answer | None:
        answer = job.answered(found, self._retries)
        if answer is None:
            self._send(worker, job)
        return answer


def _help(line: Connection, work: bytes, card: str) -> None:
    """What a helper does: evaluate until it is ended."""
    if card:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    start_worker()
    task, seeds, manner = pickle.loads(work)
    try:
        evaluator, generator = task.reward(), TrialGenerator(seeds)
    except FOREIGN as error:
        line.send(_sendable(error, f"the reward of {task.id!r} can't be made"))
        return
    line.send(None)
    with one_thread():
        while True:
            query, since = line.recv()
            try:
                found: Any = _plain(attempt(evaluator, query, since, generator.of(query.trial), manner))
            except FOREIGN as error:
                found = _sendable(error, "an evaluation failed")
            line.send(found)


def _plain(evaluation: Evaluation) -> Evaluation:
    """What can be sent, whatever mapping and numbers an evaluator gave."""
    metrics = {name: float(value) for name, value in evaluation.metrics.items()}
    return evaluation._replace(score=float(evaluation.score), seconds=float(evaluation.seconds), metrics=metrics)


def _sendable(error: BaseException, what: str) -> NaslabError:
    if isinstance(error, NaslabError):
        return error
    return PluginError(f"{what}: {type(error).__name__}: {error}".replace("\n", " "))


class OnExecutor(Beside):
    """An executor of somebody else's: what it runs can't be ended.

    Args:
        executor: It shares the file system, where trials go on.
        workers: How many evaluations it is given at the same time.
        task: As for :class:`Helpers`.
        seeds: Likewise.
        manner: Likewise.
        retries: Likewise.
    """

    def __init__(
        self,
        executor: Executor,
        workers: int,
        task: Task,
        seeds: np.random.SeedSequence,
        manner: Manner,
        retries: int,
    ) -> None:
        self._executor, self.workers, self._retries = executor, workers, retries
        self._run, self._work = uuid.uuid4().hex, packed((task, seeds, manner))
        self._jobs: dict[Future[Evaluation], _Job] = {}

    def start(self, worker: int, number: int, query: Query, since: Fidelity | None) -> None:
        self._submit(_Job(number, query, since))

    def wait(self, seconds: float = math.inf) -> list[Answer]:
        done, _ = wait(self._jobs, None if seconds == math.inf else max(0.0, seconds), FIRST_COMPLETED)
        answers = []
        for future in done:
            job = self._jobs.pop(future)
            try:
                answer = job.answered(future.result(), self._retries)
            except BrokenExecutor as error:
                raise WorkerDied(f"the executor broke: {error}; what is recorded is kept") from None
            if answer is None:
                self._submit(job)
            else:
                answers.append(answer)
        return sorted(answers, key=lambda answer: answer[0])

    def close(self) -> None:
        for future in self._jobs:
            future.cancel()

    def _submit(self, job: _Job) -> None:
        self._jobs[self._executor.submit(_on_executor, self._run, self._work, job.query, job.since)] = job


_LOCAL = threading.local()


def _on_executor(run: str, work: bytes, query: Query, since: Fidelity | None) -> Evaluation:
    """In a worker of an executor: evaluators are made once per run and thread."""
    if getattr(_LOCAL, "run", None) != run:
        task, seeds, manner = pickle.loads(work)
        _LOCAL.run, _LOCAL.parts = run, (task.reward(), TrialGenerator(seeds), manner)
    evaluator, generator, manner = _LOCAL.parts
    assert query.trial is not None
    with one_thread():
        return _plain(attempt(evaluator, query, since, generator.of(query.trial), manner))
