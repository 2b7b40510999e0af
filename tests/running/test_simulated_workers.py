"""Workers on a recorded clock: the schedule, checked by hand and against a simulation by small steps of time."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.evaluators import Evaluation, Evaluator
from naslab.optimizers import AskTell
from naslab.running import trace_path
from naslab.space import Architecture
from naslab.tasks import Problem, Task
from naslab.testing import toy_tasks, toy_trials

SPACE = toy_tasks()["plain"].problem.space
ORDER = list(itertools.islice(SPACE.architectures(), 24))


class Timed(Evaluator):
    """Evaluation *n* of the order takes ``seconds[n]``."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds = dict(zip(ORDER, seconds, strict=False))

    def evaluate(self, architecture: Architecture, *, rng: np.random.Generator, **_: Any) -> Evaluation:
        return Evaluation(float(rng.random()), self.seconds[architecture])


class InOrder(AskTell):
    """Asks for one after the other, and remembers what it was told when."""

    concurrent = True

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self.waiting = list(ORDER)

    def ask(self) -> Any:
        return self.waiting.pop(0) if self.waiting else None

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass


class InPairs(InOrder):
    """Asks for two, and waits until it was told both."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self.open, self.asked = 0, 0

    def ask(self) -> Any:
        if self.open and self.asked % 2 == 0:
            return naslab.Wait()
        self.asked, self.open = self.asked + 1, self.open + 1
        return super().ask()

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self.open -= 1


class AlwaysWaits(InOrder):
    def ask(self) -> Any:
        return naslab.Wait()


def timed(*seconds: float) -> Task:
    evaluator = Timed(list(seconds))
    return Task("timed", Problem(SPACE), lambda: evaluator, evaluator)


def schedule(task: Task, optimizer: type[AskTell], workers: int, budget: Any = 24) -> list[tuple[int, int, int, float]]:
    """For each line: its ask, asks made before it was told, its worker, the clock."""
    found = naslab.search(task, optimizer, budget=budget, simulate_workers=workers)
    return [(step.ask, *step.told) for step in found.trace.steps if step.told is not None]


def test_twelve_events_by_hand() -> None:
    """Three workers; evaluations of 3, 2, 2, 1, 4, 1, ... seconds; the whole schedule was drawn on paper."""
    seconds = [3.0, 2.0, 2.0, 1.0, 4.0, 1.0, 1.0, 2.0, 1.0, 0.0, 5.0, 1.0]
    assert schedule(timed(*seconds), InOrder, 3, 12) == [
        (1, 3, 1, 2.0),  # both end at 2: in the order of their asks, and only then workers 1 and 2 ask (3 and 4)
        (2, 3, 2, 2.0),
        (0, 5, 0, 3.0),  # ends with 3
        (3, 5, 1, 3.0),  # workers 0 and 1 ask: 5 and 6
        (5, 7, 0, 4.0),
        (6, 7, 1, 4.0),  # workers 0 and 1 ask: 7 (until 6) and 8 (until 5)
        (8, 9, 1, 5.0),  # worker 1 asks 9, which takes no time
        (9, 10, 1, 5.0),  # and 10 (until 10)
        (4, 11, 2, 6.0),  # began at 2
        (7, 11, 0, 6.0),  # worker 0 asks the last one, 11
        (11, 12, 0, 7.0),
        (10, 12, 1, 10.0),
    ]


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_constant_durations_advance_in_lock_step(workers: int) -> None:
    found = schedule(timed(*[2.0] * 24), InOrder, workers)
    assert [each[0] for each in found] == list(range(24))
    assert [each[2] for each in found] == [n % workers for n in range(24)]
    assert [each[3] for each in found] == [2.0 * (n // workers + 1) for n in range(24)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_schedule_is_that_of_small_steps_of_time(workers: int, seed: int) -> None:
    seconds = np.random.default_rng(seed).integers(0, 6, 24).astype(float).tolist()
    expected: list[tuple[int, int, int, float]] = []
    asked, running = 0, dict[int, tuple[int, float]]()
    for now in range(200):
        again = True
        while again:
            for ask, worker in sorted((ask, worker) for worker, (ask, until) in running.items() if until == now):
                expected.append((ask, asked, worker, float(now)))
                del running[worker]
            for worker in range(workers):
                if worker not in running and asked < 24:
                    running[worker] = (asked, now + seconds[asked])
                    asked += 1
            again = any(until == now for _, until in running.values())
    if workers == 1:
        found = naslab.search(timed(*seconds), InOrder, budget=24).trace.steps
        assert [step.ask for step in found] == [each[0] for each in expected]
    else:
        assert schedule(timed(*seconds), InOrder, workers) == expected


def test_a_budget_in_seconds_is_the_makespan_and_retires_workers() -> None:
    """Worker 0 would end at 11 and stops; worker 1 goes on until its next one would end past 10, too."""
    found = schedule(timed(6.0, 4.0, 3.0, 5.0, 3.0, 9.0), InOrder, 2, "10s")
    assert found == [(1, 2, 1, 4.0), (0, 3, 0, 6.0), (2, 4, 1, 7.0), (4, 5, 1, 10.0)]


@pytest.mark.parametrize("workers", [2, 4, 7])
def test_work_is_shared(workers: int) -> None:
    seconds = np.random.default_rng(workers).random(24).tolist()
    found = schedule(timed(*seconds), InOrder, workers)
    makespan = found[-1][3]
    assert sum(seconds) / workers <= makespan <= sum(seconds) / workers + max(seconds)


def test_who_waits_is_asked_again_when_something_was_told() -> None:
    found = schedule(timed(*[1.0, 3.0] * 12), InPairs, 4, 8)
    assert [each[3] for each in found] == [1.0, 3.0, 4.0, 6.0, 7.0, 9.0, 10.0, 12.0]
    assert [each[0] for each in found] == list(range(8))


def test_who_waits_for_what_would_end_past_the_budget_has_ended() -> None:
    """The first of a pair would end at 9 and does not count; its strategy waits for it, and two workers for that."""
    found = schedule(timed(9.0, 1.0), InPairs, 3, "3s")
    assert found == [(1, 2, 1, 1.0)]


def test_waiting_for_nothing_is_an_error() -> None:
    for workers in (1, 2):
        with pytest.raises(naslab.NaslabError, match="waits while nothing is under way"):
            naslab.search(timed(*[1.0] * 24), AlwaysWaits, budget=3, simulate_workers=workers)


def test_one_worker_is_the_plain_loop(tmp_path: Path) -> None:
    for name, options in (("a", {}), ("b", {"simulate_workers": 1})):
        naslab.search("pocket-mlp/segments", "regularized-evolution", budget="40s", out=tmp_path / name, **options)
    traces = [trace_path(tmp_path / name, "pocket-mlp/segments", "regularized-evolution", 0) for name in "ab"]
    assert traces[0].read_bytes() == traces[1].read_bytes()
    assert b'"at"' not in traces[0].read_bytes()


@pytest.mark.parametrize("optimizer", ["random", "regularized-evolution", "local-search"])
def test_killed_at_thirty_moments(tmp_path: Path, optimizer: str) -> None:
    """A run that was cut at any byte continues to the same bytes."""
    task = toy_trials()
    naslab.search(task, optimizer, budget="100s", out=tmp_path, simulate_workers=4)
    path = trace_path(tmp_path, task.id, optimizer, 0)
    whole = path.read_bytes()
    for cut in np.random.default_rng(0).integers(0, len(whole), 30).tolist():
        path.write_bytes(whole[:cut])
        naslab.search(task, optimizer, budget="100s", out=tmp_path, simulate_workers=4)
        assert path.read_bytes() == whole


def test_a_comparison_with_processes_writes_the_same(tmp_path: Path) -> None:
    asked = {"seeds": 4, "budget": "30s", "simulate_workers": 4}
    tasks, optimizers = ["pocket-mlp/segments"], ["random", "regularized-evolution", "reinforce"]
    for name, workers in (("one", 1), ("two", 2)):
        results = naslab.compare(tasks, optimizers, out=tmp_path / name, workers=workers, **asked)
    traces = sorted((tmp_path / "one").glob("runs/*/*/*.jsonl"))
    assert len(traces) == 12
    for path in traces:
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    assert "--simulate-workers 4 " in results.command
    frame = results.frame.set_index("optimizer")
    assert frame.loc["random", "utilisation"].between(0.95, 1).all()
    assert (frame.loc["random", "makespan"] <= 30).all()
    assert frame.loc["reinforce", "utilisation"].isna().all()  # it waits for every answer: one worker
    assert b"workers" not in (tmp_path / "one" / "runs/pocket-mlp--segments/reinforce/0.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ("pocket-mlp/segments@live", "whose clock is measured"),
        ("pocket-mlp/segments@shared", "OneShot has a state"),
    ],
)
def test_what_can_not_be_simulated_is_refused(task: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(naslab.NaslabError, match=complaint):
        naslab.compare([task], ["random"], seeds=1, budget=3, out=tmp_path / "out", simulate_workers=2)
    assert not (tmp_path / "out").exists()
