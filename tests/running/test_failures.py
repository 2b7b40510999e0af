"""Evaluations that raise, hang, die or answer with nonsense are results with a reason."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import naslab
from naslab.errors import InvalidDataset, TrainingFailed
from naslab.evaluators import Evaluation, Evaluator
from naslab.optimizers import Step as GradientStep
from naslab.optimizers.gradient.strategies import DARTS
from naslab.running import Recorded, read, trace_path
from naslab.space import Architecture
from naslab.tasks import Problem, Task
from naslab.testing import ToyReward, toy_tasks, toy_trainings

SPACE = toy_tasks()["plain"].problem.space


class Costly(RuntimeError):
    seconds = 2.5


class Hostile(Evaluator):
    """Raises in 20 % of the evaluations, hangs in 2 %, returns NaN in 5 %, and writes what it did into a log."""

    def __init__(self, log: Path, hangs: float) -> None:
        self.log, self.hangs = log, hangs

    def evaluate(self, architecture: Architecture, *, rng: np.random.Generator, **_: Any) -> Evaluation:
        drawn = rng.random()
        kind = (
            "error" if drawn < 0.2 else "time limit" if drawn < 0.2 + self.hangs
            else "no number" if drawn < 0.25 + self.hangs else ""
        )  # fmt: skip
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{kind or 'good'}\n".encode())
        os.close(file)
        if kind == "error":
            raise ZeroDivisionError("in the evaluator")
        if kind == "time limit":
            time.sleep(1000)
        return Evaluation(math.nan if kind else float(rng.random()), 1.0 + float(rng.random()))


@dataclass(frozen=True)
class Reward:
    log: Path
    hangs: float

    def __call__(self) -> Evaluator:
        return Hostile(self.log, self.hangs)


def kinds(recorded: Recorded) -> Counter[str]:
    """What a trace says of its evaluations, and of earlier tries of them."""
    reasons = [step.evaluation.failure for step in recorded.steps]
    reasons += [reason for step in recorded.steps for reason in step.retried]
    return Counter(reason.partition(":")[0] or "good" for reason in reasons)


def attacked(folder: Path, runs: int, hangs: float, **options: Any) -> tuple[Counter[str], Counter[str]]:
    """Runs of 20 evaluations: what their traces say, and what the evaluator's own log says."""
    log = folder / "log"
    task = Task("hostile", Problem(SPACE), Reward(log, hangs), ToyReward())
    limit = 0.5 if hangs else None
    for seed in range(runs):
        naslab.search(task, "random", budget=20, seed=seed, out=folder, evaluation_limit=limit, **options)
    traces = [read(trace_path(folder, "hostile", "random", seed)) for seed in range(runs)]
    assert all(len(trace.steps) == 20 for trace in traces)
    return sum(map(kinds, traces), Counter[str]()), Counter(log.read_text().split("\n")[:-1])


@pytest.mark.parametrize(
    "options", [{}, {"simulate_workers": 4}, {"retries": 2}, {"simulate_workers": 4, "retries": 1}]
)
def test_the_traces_count_what_the_evaluator_did(tmp_path: Path, options: dict[str, Any]) -> None:
    said, done = attacked(tmp_path, 10, 0.0, **options)
    assert said == done
    assert set(done) == {"good", "error", "no number"}


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"simulate_workers": 4}])
def test_a_hundred_runs_under_attack(tmp_path: Path, options: dict[str, Any]) -> None:
    """With hangs: each stopped after half a second, its process replaced."""
    said, done = attacked(tmp_path, 100, 0.02, **options)
    assert said == done
    assert set(done) == {"good", "error", "no number", "time limit"}


class Bad(ToyReward):
    """Does one thing to the architectures that begin with option 0."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
        found = super().evaluate(architecture, **rest)
        if architecture[0]:
            return found
        match self.what:
            case "raises":
                raise KeyError("lost")
            case "states":
                raise Costly("expensive")
            case "diverges":
                raise TrainingFailed("a loss is not finite")
            case "exits":
                raise SystemExit(3)
            case "dies":
                os._exit(7)
            case "hangs":
                time.sleep(1000)
            case "none":
                return None  # type: ignore[return-value]
            case "text":
                return Evaluation("good", 1.0)  # type: ignore[arg-type]
            case "nan":
                return Evaluation(math.nan, 1.5)
            case "past":
                return Evaluation(1.0, -3.0)
            case "rows":
                raise InvalidDataset("no rows here")
        raise AssertionError(self.what)


@dataclass(frozen=True)
class BadReward:
    what: str

    def __call__(self) -> Evaluator:
        return Bad(self.what)


def bad(what: str) -> Task:
    return Task("bad", Problem(SPACE), BadReward(what), ToyReward())


@pytest.mark.parametrize(
    ("what", "failure", "seconds"),
    [
        ("raises", "error: KeyError: 'lost'", 0.0),
        ("states", "error: Costly: expensive", 2.5),
        ("diverges", "error: TrainingFailed: a loss is not finite", 0.0),
        ("exits", "error: SystemExit: 3", 0.0),
        ("none", "no number: Bad answered None for", 0.0),
        ("text", "no number: Bad gave the score 'good' to", 0.0),
        ("nan", "no number: the score is nan", 1.5),
        ("past", "no number: Bad charged -3.0 s for", 0.0),
    ],
)
def test_a_failure_is_a_result(tmp_path: Path, what: str, failure: str, seconds: float) -> None:
    result = naslab.search(bad(what), "random", budget=30, out=tmp_path)
    failed = [step for step in result.trace.steps if step.evaluation.failure]
    assert 0 < len(failed) < 30
    assert all(step.query.architecture[0] == 0 for step in failed)
    assert all(step.evaluation.failure.startswith(failure) for step in failed)
    assert {step.evaluation.seconds for step in failed} == {seconds}
    assert not any(step.incumbent for step in failed)
    assert result.architecture is not None
    assert result.architecture[0] > 0


@pytest.mark.parametrize(
    ("what", "failure", "seconds"),
    [("dies", "died: its process ended with exit code 7", 0.0), ("hangs", "time limit: stopped after 0.4 s", 0.4)],
)
def test_a_process_that_hangs_or_dies_is_replaced(tmp_path: Path, what: str, failure: str, seconds: float) -> None:
    result = naslab.search(bad(what), "random", budget=6, seed=1, out=tmp_path, evaluation_limit="0.4s", retries=1)
    failed = [step for step in result.trace.steps if step.evaluation.failed]
    assert 0 < len(failed) < 6
    assert {step.evaluation.failed for step in failed} == {failure}
    assert {step.retried for step in failed} == {(failure,)}
    assert {step.evaluation.seconds for step in failed} == {2 * seconds}  # both tries


def test_failures_are_raised_where_that_is_asked_for() -> None:
    with pytest.raises(naslab.NaslabError, match="failed on bad, seed 0: KeyError: 'lost'"):
        naslab.search(bad("raises"), "random", budget=30, on_failure="raise")


def test_what_would_fail_every_time_is_raised() -> None:
    with pytest.raises(InvalidDataset, match="no rows here"):
        naslab.search(bad("rows"), "random", budget=30)


def test_a_run_in_which_everything_fails_ends() -> None:
    always = Task("always", Problem(SPACE), lambda: ToyFailing(), ToyReward())
    result = naslab.search(always, "random", budget=20)
    assert result.failed
    with pytest.raises(
        naslab.NaslabError,
        match="10,000 evaluations in a row cost nothing, and this one failed: error: ValueError: always",
    ):
        naslab.search(always, "random", budget="20s")


class ToyFailing(ToyReward):
    def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
        raise ValueError("always")


def test_a_retried_evaluation_has_its_seed() -> None:
    """What fails by chance outside of the evaluator is the same when it is tried again."""

    class Flaky(ToyReward):
        tries = 0

        def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
            Flaky.tries += 1
            if Flaky.tries % 3:
                raise OSError("the network is down")
            return super().evaluate(architecture, **rest)

    flaky = Task("flaky", Problem(SPACE), Flaky, ToyReward())
    plain = Task("flaky", Problem(SPACE), ToyReward, ToyReward())
    found = naslab.search(flaky, "random", budget=10, retries=2).trace.steps
    expected = naslab.search(plain, "random", budget=10).trace.steps
    assert [step.evaluation for step in found] == [step.evaluation for step in expected]
    assert [step.retried for step in found] == [("error: OSError: the network is down",) * 2] * 10


class Broken(naslab.AskTell):
    """A strategy that breaks in every other run."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self.breaks = rng.random() < 0.5

    def ask(self) -> Architecture:
        if self.breaks:
            raise IndexError("in the strategy")
        return self.space.sample(self.rng)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass


def test_a_strategy_that_breaks_does_not_end_the_others(tmp_path: Path) -> None:
    task = toy_tasks()["plain"]
    with pytest.raises(
        naslab.NaslabError, match=r"runs could not go on; the others are done\. The first: .*IndexError"
    ):
        naslab.compare([task], [Broken, "random"], seeds=8, budget=5, out=tmp_path)
    frame = naslab.Results(tmp_path, {task.id: task}).frame
    counts = frame.groupby("optimizer", sort=False).status.value_counts()
    assert counts["random", "complete"] == 8
    assert 0 < counts[frame.optimizer.iloc[0], "complete"] < 8


def test_failures_are_counted_apart(tmp_path: Path) -> None:
    task = bad("raises")
    results = naslab.compare([task], ["random"], seeds=3, budget=30, out=tmp_path, simulate_workers=2)
    frame = results.frame
    assert (frame.failures > 0).all()
    assert (frame["failures: error"] == frame.failures).all()
    assert (frame.status == "complete").all()
    said = results.report().read_text()
    assert "Evaluations that failed" in said
    assert "KeyError" in said
    assert "share of them in which workers evaluated" in said
    table = pd.read_csv(tmp_path / "report/tables/failed-evaluations.csv")
    assert table.failed.tolist() == [frame.failures.sum()]
    assert table.evaluations.tolist() == [90]


class Diverging(DARTS):
    """A gradient search whose weights diverge in its second epoch."""

    def step(self) -> GradientStep | None:
        if self.epoch:
            raise TrainingFailed("a weight is not finite")
        return super().step()


def test_a_gradient_search_that_diverges_has_failed(tmp_path: Path) -> None:
    task = toy_trainings()["plain"]
    result = naslab.search(task, Diverging, budget="3epochs", out=tmp_path / "one")
    assert (result.failed, result.architecture, len(result.trace.steps)) == (True, None, 1)
    assert result.trace.end is not None
    assert result.trace.end["failed"] == "error: a weight is not finite"
    results = naslab.compare([task], [Diverging, "darts"], seeds=2, budget="3epochs", out=tmp_path / "runs")
    frame = results.frame
    assert frame.status.tolist() == ["failed", "failed", "complete", "complete"]
    assert "budget 3 epochs" in results.report().read_text()
    with pytest.raises(TrainingFailed, match="a weight is not finite"):
        naslab.search(task, Diverging, budget="3epochs", on_failure="raise")
