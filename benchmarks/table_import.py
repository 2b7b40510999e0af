"""How long a table takes: importing a million rows, opening it, looking up a row. Run with the number of rows.

``table_import.py nasbench101 [EVERY]`` takes the cells of the shared NAS-Bench-101 (every EVERY-th; test accuracies,
which no comparison may use) instead: importing, opening, the task, random search, and `correlate` over all of them with
`params` and its page. Seconds are those of one process's CPU: other work on the machine counts little.
"""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

SCHEMA = """
provenance = "random numbers"
{choices}
[[columns]]
column = "valid"
dataset = "data"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"
[[columns]]
column = "phone_ms"
dataset = "data"
metric = "phone_ms"
role = "cost"
unit = "ms"
direction = "min"
[tasks.data]
reward = "valid"
truth = "valid"
"""
OPTIONS = (10, 10, 10, 10, 10, 20)


def write(folder: Path, rows: int) -> None:
    """A file of as many different rows, out of two million combinations, and its schema."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(int(np.prod(OPTIONS)))[:rows]
    columns = [*np.unravel_index(chosen, OPTIONS), rng.random(rows).round(4) * 100, rng.random(rows).round(4) + 1]
    names = [*(f"c{i}" for i in range(len(OPTIONS))), "valid", "phone_ms"]
    with (folder / "t.csv").open("w") as stream:
        stream.write(",".join(names) + "\n")
        stream.writelines(",".join(map(str, row)) + "\n" for row in zip(*(c.tolist() for c in columns), strict=True))
    choices = "".join(f'[[choices]]\nname = "c{i}"\noptions = {list(range(n))}\n' for i, n in enumerate(OPTIONS))
    (folder / "s.toml").write_text(SCHEMA.format(choices=choices))


def measure(folder: Path) -> None:
    """Import the file, open the table and look rows up, in a process of its own."""
    from naslab.tables import open_table
    from naslab.tables.from_csv import import_csv

    begun = time.perf_counter()
    table = import_csv(folder / "t.csv", folder / "s.toml", "large")
    print(f"import: {time.perf_counter() - begun:.1f} s for {len(table):,} rows")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    begun = time.perf_counter()
    table = open_table(table.path)
    print(f"open: {1000 * (time.perf_counter() - begun):.1f} ms")
    wanted = [tuple(row) for row in table.architectures[:100_000].tolist()]
    table.row(wanted[0])
    begun = time.perf_counter()
    for each in wanted:
        table.row(each)
    print(f"look-up: {1e6 * (time.perf_counter() - begun) / len(wanted):.2f} us")


CELLS = """
space = "nasbench101"
architecture = "cell"
provenance = "FreeREA's copy of NAS-Bench-101: mean test accuracy after 108 epochs"
protocol = "test-only"
[[columns]]
column = "test"
dataset = "cifar10"
metric = "accuracy"
split = "test"
role = "truth"
unit = "%"
direction = "max"
[tasks.cifar10]
reward = "test"
truth = "test"
"""
EVALUATIONS, REPEATS = 20_000, 5


def write_cells(folder: Path, every: int) -> None:
    """The shared file, as a cell in the space's notation and its accuracy."""
    with gzip.open(Path(os.environ["NASLAB_SHARED_DATA"]) / "nasbench101.csv.gz", "rt") as file:
        rows = [line.rstrip().split(",") for line in file.read().splitlines()[1::every]]
    lines = (f"{edges}|{operations},{100 * float(test):.4f}\n" for _, edges, operations, _, test in rows)
    (folder / "t.csv").write_text("cell,test\n" + "".join(lines))
    (folder / "s.toml").write_text(CELLS)


def measure_cells(folder: Path) -> None:
    """In a process of its own."""
    import naslab
    from naslab.tables import find_table
    from naslab.tables.from_csv import import_csv

    def lap(what: str, *done: object, per: int = 0) -> None:
        nonlocal begun
        spent = time.process_time() - begun
        print(f"{what}: {1e6 * spent / per:.1f} us" if per else f"{what}: {spent:.2f} s", flush=True)
        begun = time.process_time()

    begun = time.process_time()
    lap("import", table := import_csv(folder / "t.csv", folder / "s.toml", "cells"))
    print(f"{len(table):,} cells")
    lap("open", find_table("cells"))
    task = naslab.task("cells/cifar10")
    lap("the task")
    task.reward()
    lap("its reward")
    for seed in range(REPEATS):
        naslab.search(task, "random", budget=EVALUATIONS, seed=seed)
        lap("an evaluation of random search", per=EVALUATIONS)
    found = naslab.correlate(task, ["params"], "all")
    lap("correlate with params")
    found.report(folder / "report")
    lap("its page")
    print(f"Spearman {found.scores['params'].rank().corr(pd.Series(found.truth, found.scores.index).rank()):.4f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    of_cells, arguments = sys.argv[1:2] == ["nasbench101"], [each for each in sys.argv[1:] if each != "nasbench101"]
    if len(arguments) > 1:
        (measure_cells if of_cells else measure)(Path(arguments[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            count = int(arguments[0]) if arguments else 1 if of_cells else 1_000_000
            (write_cells if of_cells else write)(Path(name), count)
            environment = {**os.environ, "NASLAB_CACHE": f"{name}/cache"}
            kind = ["nasbench101"] if of_cells else []
            subprocess.run([sys.executable, __file__, *kind, str(count), name], check=True, env=environment)
