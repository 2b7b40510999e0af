"""Evaluations in processes beside each other, or on an executor."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.evaluators import Evaluation
from naslab.running import read, trace_path
from naslab.space import Architecture
from naslab.tasks import Problem, Task
from naslab.testing import ToyReward, toy_tasks

SPACE = toy_tasks()["plain"].problem.space


class Slow(ToyReward):
    """Takes a twentieth of a second, more for some."""

    clock = "measured"

    def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
        time.sleep(0.03 * (1 + architecture[0]))
        return super().evaluate(architecture, **rest)


SLOW = Task("slow", Problem(SPACE), Slow, ToyReward())


def scores(folder: Path) -> dict[int, float]:
    return {s.ask: s.evaluation.score for s in read(trace_path(folder, "slow", "random", 0)).steps}


@pytest.mark.parametrize("how", ["processes", "executor"])
def test_evaluations_beside_each_other(tmp_path: Path, how: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        options: dict[str, Any] = {"workers": 3} if how == "processes" else {"workers": 3, "executor": pool}
        result = naslab.search(SLOW, "random", budget=24, out=tmp_path, **options)
    steps = result.trace.steps
    assert sorted(step.ask for step in steps) == list(range(24))
    assert {step.told.worker for step in steps if step.told} == {0, 1, 2}
    told = [step.told for step in steps if step.told]
    assert [each.at for each in told] == sorted(each.at for each in told)
    assert all(step.told.asked <= i + 3 for i, step in enumerate(steps) if step.told)
    alone = naslab.search(SLOW, "random", budget=24, out=tmp_path / "alone").trace.steps
    assert scores(tmp_path) == {step.ask: step.evaluation.score for step in alone}  # seeds are those of trials
    path = trace_path(tmp_path, "slow", "random", 0)
    assert b"seconds" not in path.read_bytes()
    assert b'"at"' not in path.read_bytes()
    before = path.read_bytes()
    lines = before.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]))  # goes on from nine evaluations
    with ThreadPoolExecutor(3) as pool:
        options = {"workers": 3} if how == "processes" else {"workers": 3, "executor": pool}
        again = naslab.search(SLOW, "random", budget=24, out=tmp_path, **options)
    assert path.read_bytes().splitlines()[:10] == [line.rstrip() for line in lines[:10]]
    assert sorted(step.ask for step in again.trace.steps) == list(range(24))


def test_a_budget_in_seconds_is_the_time_of_the_run(tmp_path: Path) -> None:
    result = naslab.search(SLOW, "regularized-evolution", budget="1.5s", out=tmp_path, workers=2)
    told = [step.told for step in result.trace.steps if step.told]
    assert told[-1].at <= 1.5
    assert len(told) > 10


@pytest.mark.slow
def test_five_hundred_trainings_killed_twice(tmp_path: Path) -> None:
    """Nothing is lost, and the trace can be told again to the same strategy."""
    program = textwrap.dedent(f"""
        import naslab
        if __name__ == "__main__":
            naslab.search("pocket-mlp/segments@live", "regularized-evolution", budget=500, seed=1, workers=2,
                          out={str(tmp_path)!r})
    """)
    script = tmp_path / "run.py"
    script.write_text(program)
    path = trace_path(tmp_path, "pocket-mlp/segments@live", "regularized-evolution", 1)
    kept: list[bytes] = []
    for stop in (100, 300, None):
        with subprocess.Popen([sys.executable, str(script)]) as running:
            while stop is not None and (not path.exists() or path.read_bytes().count(b"\n") <= stop):
                assert running.poll() is None
                time.sleep(0.2)
            if stop is not None:
                running.send_signal(signal.SIGKILL)
            assert running.wait() in (0, -signal.SIGKILL)
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        assert all(whole.startswith(before) for before in kept)
        kept.append(whole)
    found = read(path)
    assert found.end is not None
    assert sorted(step.ask for step in found.steps) == list(range(500))
    naslab.search("pocket-mlp/segments@live", "regularized-evolution", budget=500, seed=1, workers=2, out=tmp_path)
    assert path.read_bytes() == kept[-1]


def test_trainings_go_on_from_their_checkpoints(tmp_path: Path) -> None:
    """A trial trained in three parts is the training in one, with its checkpoints and without."""
    task = naslab.task("pocket-mlp/segments@live")
    evaluator, architecture = task.reward(), task.problem.space.first
    whole = evaluator.evaluate(architecture, rng=np.random.default_rng(5))
    for lose in (False, True):
        since = None
        for fidelity in (2, 5, 20):
            part = evaluator.proceed(
                architecture, fidelity=fidelity, since=since, rng=np.random.default_rng(5),
                checkpoint=tmp_path / f"{lose}.checkpoint",
            )  # fmt: skip
            since = fidelity
            assert [epoch for epoch, _ in part.curve] == list(range(1, fidelity + 1))
            if lose:
                (tmp_path / f"{lose}.checkpoint").unlink()
        assert part.score == whole.score
        assert [score for _, score in part.curve] == [whole.metrics[f"accuracy/epoch{i}"] for i in range(1, 21)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"executor": object()}, "is no concurrent.futures.Executor"),
        ({"workers": 0}, "workers 0"),
        ({"workers": 2, "simulate_workers": 2}, "give one of the two"),
        ({"evaluation_limit": "soon"}, "limit 'soon' of an evaluation"),
        ({"on_failure": "ignore"}, "on_failure 'ignore'"),
        ({"retries": -1}, "retries -1"),
        ({"resume": "later"}, "resume 'later'"),
    ],
)
def test_what_can_not_be_carried_out(given: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(naslab.NaslabError, match=complaint):
        naslab.search(SLOW, "random", budget=3, out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_other_peoples_clients_are_named() -> None:
    client = type("Client", (), {"__module__": "distributed.client"})()
    with pytest.raises(naslab.NaslabError, match=r"give client\.get_executor\(\)"):
        naslab.search(SLOW, "random", budget=3, executor=client)  # type: ignore[arg-type]


def test_an_executor_can_not_stop_what_hangs() -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(naslab.NaslabError, match="a limit per evaluation needs processes"),
    ):
        naslab.search(SLOW, "random", budget=3, executor=pool, evaluation_limit="3s")
