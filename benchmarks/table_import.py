"""How long a table takes: importing a million rows, opening it, looking up a row. Run with the number of rows."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

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


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as name:
            count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
            write(Path(name), count)
            environment = {**os.environ, "NASLAB_CACHE": f"{name}/cache"}
            subprocess.run([sys.executable, __file__, str(count), name], check=True, env=environment)
