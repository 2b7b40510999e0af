"""What processes that evaluate beside each other gain: the same live trainings by one process and by several.

Regularized evolution on `pocket-mlp/segments@live`, alone and with several workers, in turn; wall seconds of the search
without the start of the processes (its clock), and their ratio.

    python benchmarks/real_workers.py [--evaluations 100] [--workers 2] [--repetitions 3]
"""

import argparse
import statistics
import time

import naslab

TASK, STRATEGY = "pocket-mlp/segments@live", "regularized-evolution"


def alone(evaluations: int, seed: int) -> float:
    """Wall seconds by one process."""
    started = time.perf_counter()
    naslab.search(TASK, STRATEGY, budget=evaluations, seed=seed)
    return time.perf_counter() - started


def beside(evaluations: int, seed: int, workers: int) -> tuple[float, float]:
    """Wall seconds of the run by several processes, without their start; and with it."""
    started = time.perf_counter()
    result = naslab.search(TASK, STRATEGY, budget=evaluations, seed=seed, workers=workers)
    whole = time.perf_counter() - started
    last = result.trace.steps[-1].told
    assert last is not None
    return last.at, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    naslab.search(TASK, "random", budget=2)  # imports, and the calibration of seconds
    ratios = []
    for seed in range(given.repetitions):
        one = alone(given.evaluations, seed)
        run, whole = beside(given.evaluations, seed, given.workers)
        ratios.append(one / whole)
        print(f"seed {seed}: alone {one:.1f} s; {given.workers} workers {whole:.1f} s (clock of the run: {run:.1f} s)")
    print(f"speed-up, start of the processes included: {statistics.median(ratios):.2f} (median of {len(ratios)})")


if __name__ == "__main__":
    main()
