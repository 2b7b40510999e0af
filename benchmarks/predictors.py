"""What learned predictors cost on NAS-Bench-201: encoding all 15,625 cells, fitting, predicting all of them.

Labels are noise: what a fit costs does not depend on what it finds. CPU seconds of one core; encodings: the least of
some repetitions, in turn in one process. `tnasp` is asked to fit 781 labels and predict all cells within 60 seconds,
an encoding to take at most one.

    python benchmarks/predictors.py [--labels 78 781] [--predictors tnasp path-kernel] [--repetitions 3]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

import naslab
from naslab.evaluators.predictors import encodings, operation_graphs, patterns, positions, renas, summaries
from naslab.evaluators.predictors.catalogue import PREDICTORS, predictor
from naslab.evaluators.predictors.wiring import Wiring
from naslab.evaluators.threads import one_thread
from naslab.space import Architecture, SearchSpace

SPACE = "nasbench201"
ENCODINGS: dict[str, Callable[[Wiring, list[Architecture]], object]] = {
    "one-hot": encodings.one_hot,
    "one-hot of what reaches the output": encodings.live_one_hot,
    "tokens and cells": lambda wiring, cells: (
        positions.edge_tokens(wiring, cells),
        positions.laplacians(positions.cell_adjacency(wiring, cells)),
    ),
    "graphs of operations": operation_graphs.operation_graphs,
    "multisets of paths": patterns.path_codes,
    "patterns of one round": lambda wiring, cells: patterns.pattern_codes(wiring, cells, 1),
    "summaries of paths": lambda wiring, cells: (
        summaries.summaries(wiring, cells),
        summaries.transitions(wiring, cells),
    ),
    "cost matrices": renas.cost_matrices,
}


def seconds(way: Callable[[], object]) -> float:
    started = time.process_time()
    way()
    return time.process_time() - started


def encoded(space: SearchSpace, cells: list[Architecture], repetitions: int) -> dict[str, float]:
    """Seconds of each encoding; what depends on the space alone is made anew each time."""
    spent: dict[str, list[float]] = {name: [] for name in ENCODINGS}
    for _ in range(repetitions):
        for name, encode in ENCODINGS.items():
            wiring = Wiring(space)
            spent[name].append(seconds(lambda encode=encode, wiring=wiring: encode(wiring, cells)))  # type: ignore[misc]
    return {name: min(found) for name, found in spent.items()}


def fitted(space: SearchSpace, cells: list[Architecture], name: str, labels: int) -> tuple[float, float]:
    """Seconds of a fit, and of predicting all cells."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(cells))[:labels]
    learned = predictor(name, space)
    scores = rng.standard_normal(labels)
    fit = seconds(lambda: learned.fit([cells[row] for row in rows], scores, rng=rng))
    return fit, seconds(lambda: learned.predict(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="+", default=[78, 781])
    parser.add_argument("--predictors", nargs="+", default=list(PREDICTORS))
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    space = naslab.search_space(SPACE)
    cells = list(space.architectures())
    with one_thread():
        print(f"encoding {len(cells):,} cells, milliseconds")
        for name, found in encoded(space, cells, arguments.repetitions).items():
            print(f"  {name}: {1000 * found:.0f}", flush=True)
        for labels in arguments.labels:
            print(f"{labels} labels: fit, prediction of {len(cells):,}, both; seconds")
            for name in arguments.predictors:
                fit, query = fitted(space, cells, name, labels)
                print(f"  {name}: {fit:.2f}, {query:.2f}, {fit + query:.2f}", flush=True)


if __name__ == "__main__":
    main()
