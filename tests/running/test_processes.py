"""Comparisons in several processes: killed, interrupted, started twice; every trace comes out the same."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks
from toy_tasks import run_naslab, traces

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluator

MIXED = ["random", "regularized-evolution", "optuna-tpe[startup=5]", "optuna-nsgaii[population=6]"]


def compare(task: Any, out: Path, optimizers: list[Any], **changes: Any) -> naslab.Results:
    return naslab.compare([task], optimizers, **{"budget": 25, "seeds": 3, "out": out, **changes})


def test_workers_change_no_trace(stored_task: str, tmp_path: Path) -> None:
    compare(stored_task, tmp_path / "one", MIXED, seeds=4)
    seen: list[tuple[int, int, str]] = []
    compare(stored_task, tmp_path / "two", MIXED, seeds=4, workers=2, progress=lambda *p: seen.append(p))
    assert traces(tmp_path / "one") == traces(tmp_path / "two")
    assert len(traces(tmp_path / "one")) == 16
    assert [(done, total) for done, total, _ in seen] == [(done, 16) for done in range(17)]
    assert len({last for _, _, last in seen}) == 17
    assert len((tmp_path / "two" / "times.jsonl").read_text().splitlines()) == 16


def test_any_executor_will_do_and_a_task_of_ones_own(stored_task: str, tmp_path: Path) -> None:
    compare(stored_task, tmp_path / "one", ["random", "reinforce"])
    with ThreadPoolExecutor(3) as threads:
        compare(stored_task, tmp_path / "threads", ["random", "reinforce"], executor=threads)
    compare(naslab.task(stored_task), tmp_path / "task", ["random", "reinforce"], workers=2)
    assert traces(tmp_path / "one") == traces(tmp_path / "threads") == traces(tmp_path / "task")


def test_what_cannot_be_sent_is_refused_for_processes_only(stored_task: str, tmp_path: Path) -> None:
    named = naslab.task(stored_task)
    lock = threading.Lock()

    def reward() -> Evaluator:
        with lock:
            return named.reward()

    own = dataclasses.replace(named, reward=reward)
    with pytest.raises(InvalidValue, match="can't be sent to a worker process"):
        compare(own, tmp_path / "processes", ["random", "reinforce"], workers=2)
    with ThreadPoolExecutor(2) as threads:
        compare(own, tmp_path / "threads", ["random", "reinforce"], executor=threads)
    compare(stored_task, tmp_path / "named", ["random", "reinforce"])
    assert traces(tmp_path / "threads") == traces(tmp_path / "named")


NOTEBOOK = """
import sys, naslab
STEP = 2
class Mine(naslab.AskTell):
    number = 0
    def ask(self):
        self.number += STEP
        return self.space.sample(self.rng)
    def tell(self, architecture, evaluation):
        pass
task, out, workers = sys.argv[1:]
naslab.compare([task], [Mine, "random"], budget=4, seeds=2, out=out, workers=int(workers))
"""


def test_a_class_of_a_notebook_is_sent_to_workers(stored_task: str, tmp_path: Path) -> None:
    def run(code: str, out: str, workers: int) -> str:  # a command has no file that a fresh process could import
        command = [sys.executable, "-c", code, stored_task, str(tmp_path / out), str(workers)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert run(NOTEBOOK, "one", 1) == run(NOTEBOOK, "two", 2) == ""
    assert run(NOTEBOOK, "one", 2) == ""
    changed = NOTEBOOK.replace("    number = 0", "    number = 1")  # the cell, edited and run again
    assert "code_sha256 was" in run(changed, "one", 1)
    assert traces(tmp_path / "one") == traces(tmp_path / "two")
    assert len(traces(tmp_path / "one")) == 4


def test_functions_of_functions_are_sent_to_workers(stored_task: str, tmp_path: Path) -> None:
    named = naslab.task(stored_task)
    own = dataclasses.replace(named, reward=lambda: named.reward())
    compare(own, tmp_path / "processes", ["random", "reinforce"], workers=2)
    compare(stored_task, tmp_path / "named", ["random", "reinforce"])
    assert traces(tmp_path / "processes") == traces(tmp_path / "named")


DYING = """
import os, naslab
class Dying(naslab.AskTell):
    def ask(self):
        os._exit(9)
    def tell(self, architecture, evaluation):
        pass
"""


def test_a_worker_that_dies_is_reported_in_one_line(stored_task: str, tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    done = run_naslab(
        "compare", stored_task, "--optimizers", f"random,{tmp_path}/dying.py:Dying", "--seeds", "2", "--budget", "5",
        "--workers", "2", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("WorkerDied: a worker process ended unexpectedly")
    assert "Traceback" not in done.stderr


# ---- kill -9 ---------------------------------------------------------------------------------------------------------

# One process loads everything once; every attempt is a fork of it, killed after the time given (never, if negative).
# Says for each whether it was killed while it ran.
KILLED = """
import json, os, signal, sys, time
import naslab, naslab.running.comparison, naslab.optimizers.optuna_samplers
task, optimizers, seeds, budget, workers, out, moments = json.loads(sys.argv[1])
def attempt():
    naslab.compare([task], optimizers, seeds=seeds, budget=budget, out=out, workers=workers)
if __name__ == "__main__":
    naslab.task(task)
    for moment in moments:
        child = os.fork()
        if not child:
            attempt()
            os._exit(0)
        if moment >= 0:
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.WIFSIGNALED(status), status, flush=True)
"""


def kill_repeatedly(task: str, out: Path, moments: list[float], *, workers: int, seeds: int, budget: int) -> int:
    """Returns how many attempts were under way when they were killed; the last attempt runs to its end."""
    script = out.parent / "killed.py"
    script.write_text(KILLED)
    arguments = json.dumps([task, MIXED, seeds, budget, workers, str(out), [*moments, -1]])
    done = subprocess.run([sys.executable, str(script), arguments], capture_output=True, text=True, timeout=400)
    lines = done.stdout.splitlines()
    assert lines[-1] == "False 0", done.stderr
    assert len(lines) == len(moments) + 1
    return sum(line.startswith("True") for line in lines)


def check_kills(task: str, tmp_path: Path, moments: list[float], enough: int, **size: int) -> None:
    undisturbed = tmp_path / "undisturbed"
    compare(task, undisturbed, MIXED, seeds=size["seeds"], budget=size["budget"])
    killed = kill_repeatedly(task, tmp_path / "killed", moments, **size)  # type: ignore[arg-type]
    assert killed >= enough
    assert traces(tmp_path / "killed") == traces(undisturbed)
    assert len(traces(undisturbed)) == len(MIXED) * size["seeds"]


def test_killed_at_ten_random_moments(stored_task: str, tmp_path: Path) -> None:
    moments = np.random.default_rng().uniform(0.0, 0.15, 10).tolist()
    check_kills(stored_task, tmp_path, moments, 8, workers=1, seeds=6, budget=50)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_with_two_workers(stored_task: str, tmp_path: Path) -> None:
    moments = np.random.default_rng().uniform(0.5, 1.8, 20).tolist()
    check_kills(stored_task, tmp_path, moments, 18, workers=2, seeds=30, budget=90)


LONG = ["compare", toy_tasks.TASK, "--optimizers", "optuna-tpe", "--seeds", "400", "--budget", "300", "--workers", "2"]


def descendants(process: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == process:
            found |= {int(folder.name)} | descendants(int(folder.name))
    return found


def alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the workers")
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
@pytest.mark.usefixtures("stored_task")
def test_workers_end_with_the_comparison(tmp_path: Path, how: signal.Signals, code: int) -> None:
    running = subprocess.Popen(
        toy_tasks.command(*LONG, "--out", str(tmp_path / "out")),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert wait_for(lambda: list(tmp_path.glob("out/runs/*/*/*.jsonl")))
    children = descendants(running.pid)
    assert len(children) >= 2
    if how is signal.SIGINT:
        os.killpg(running.pid, how)  # as a terminal does
    else:
        running.kill()
    started = time.monotonic()
    errors = running.communicate(timeout=300)[1]
    assert time.monotonic() - started < 8  # nobody waits for the runs under way
    assert running.returncode == code
    assert wait_for(lambda: not any(map(alive, children)), 10)
    assert "Traceback" not in errors
    if how is signal.SIGINT:
        assert errors.strip() == "Interrupted. What is done is kept: the same command again continues."


def test_two_at_once_on_one_folder(stored_task: str, tmp_path: Path) -> None:
    arguments = ["compare", stored_task, "--optimizers", "optuna-tpe,random", "--seeds", "5", "--budget", "40"]
    both = [
        subprocess.Popen(
            toy_tasks.command(*arguments, "--out", str(tmp_path / "both")),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    errors = [process.communicate(timeout=300)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    refused = errors[0 if both[0].returncode else 1]
    assert refused.splitlines() == [
        f"OutputError: {tmp_path / 'both'} is in use by another naslab process; wait for it or give another --out"
    ]
    compare(stored_task, tmp_path / "alone", ["optuna-tpe", "random"], seeds=5, budget=40)
    assert traces(tmp_path / "both") == traces(tmp_path / "alone")
