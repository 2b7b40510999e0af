"""What the search loop costs per evaluation, beside the least that it could cost.

Runs each strategy on the packaged NAS-Bench-201 with its trace written to disk, one core, and reports microseconds per
evaluation: median over repetitions, minimum in brackets. The floor does no search at all: it draws a random
architecture, looks its score up and writes a line. Both are measured in turn in one process; trust the ratio.

``random x4`` is random search on four simulated workers.

    python benchmarks/search_loop.py [--evaluations 5000] [--repetitions 7]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import naslab
from naslab.optimizers import optimizer_spec
from naslab.running import Execution, Trace, run, seed_sequence
from naslab.tasks import Budget

STRATEGIES = ("random", "regularized-evolution", "local-search", "reinforce", "random x4", "regularized-evolution x4")
NASLIB_MICROSECONDS = 212_000  # per step of regularized evolution on a stub table; measured once, on another day


def floor(task: naslab.Task, evaluations: int, path: Path) -> float:
    """Draw, look up, write: seconds."""
    reward, rng = task.reward(), np.random.default_rng(0)
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    started = time.perf_counter()
    for _ in range(evaluations):
        architecture = task.problem.space.sample(rng)
        found = reward.evaluate(architecture, rng=rng)
        os.write(file, f"{list(architecture)} {found.score!r} {found.seconds!r}\n".encode())
    seconds = time.perf_counter() - started
    os.close(file)
    return seconds


def search(task: naslab.Task, name: str, evaluations: int, path: Path) -> float:
    """One run with its trace: seconds."""
    name, _, workers = name.partition(" x")
    execution = Execution(simulated=int(workers or 1))
    optimizer = optimizer_spec(name).build(task.problem, np.random.default_rng(1))
    assert isinstance(optimizer, naslab.AskTell)
    with Trace({"benchmark": name}, path) as trace:
        started = time.perf_counter()
        recorded = run(task, optimizer, Budget(evaluations, "evaluations"), trace, seed_sequence(name), execution)
        seconds = time.perf_counter() - started
    assert recorded.end is not None
    return seconds / recorded.end["evaluations"] * evaluations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=5000)
    parser.add_argument("--repetitions", type=int, default=7)
    arguments = parser.parse_args()
    task, count = naslab.task("nasbench201/cifar10"), arguments.evaluations
    times: dict[str, list[float]] = {name: [] for name in ("floor", *STRATEGIES)}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(arguments.repetitions):
            times["floor"].append(floor(task, count, Path(folder) / f"floor{repetition}"))
            for name in STRATEGIES:
                times[name].append(search(task, name, count, Path(folder) / f"{name}{repetition}"))
    print(f"{'strategy':24} {'us per evaluation':>20} {'x floor':>8}")
    for name, seconds in times.items():
        each = [s / count * 1e6 for s in seconds]
        ratio = statistics.median(s / f for s, f in zip(seconds, times["floor"], strict=True))
        print(f"{name:24} {statistics.median(each):10.1f} ({min(each):6.1f}) {ratio:8.1f}")
    ours = statistics.median(times["regularized-evolution"]) / count * 1e6
    print(f"NASLib's regularized evolution on a stub table: {NASLIB_MICROSECONDS / ours:,.0f} times as long")


if __name__ == "__main__":
    main()
