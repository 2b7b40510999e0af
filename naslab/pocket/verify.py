"""Rebuilding random rows of a pocket table and comparing them with what is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable, InvalidValue
from naslab.pocket.benchmarks import Pocket, pocket
from naslab.pocket.build import differences, machine, run_units, train_one, versions
from naslab.running import Progress
from naslab.tables.packaged.pocket import SPLITS, read_archive, shipped


@dataclass(frozen=True)
class Verification:
    """What rebuilding rows showed.

    Attributes:
        rows: Rows rebuilt, each with one of its seeds.
        identical: How many of them gave exactly the same counts, over all epochs and splits.
        same_machine: Whether machine and versions are those of the build: then all rows must be identical.
        difference: Mean absolute difference of the final test accuracy, in percentage points.
        tolerance: The largest difference allowed on another machine: a quarter of the mean absolute difference between
            two seeds of the same architecture. The same seed on another machine starts from the same weights and sees
            the same batches; only the order of floating-point sums differs.
    """

    rows: int
    identical: int
    same_machine: bool
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.identical == self.rows if self.same_machine else self.difference <= self.tolerance


def verify_table(
    name: str | Pocket, count: int, *, workers: int = 1, seed: int = 0, progress: Progress | None = None
) -> Verification:
    """Train random rows of a shipped pocket table again.

    A row is trained in the block in which it was built, so that the same machine and versions give the same bits. The
    other rows of its block are therefore trained, too, but not compared.

    Args:
        name: Such as ``"pocket-mlp/segments"``; or the benchmark itself.
        count: Rows to rebuild, all different, each with one of its seeds.
        workers: Processes.
        seed: Which rows are drawn, and which of their seeds.
        progress: Called with the rows compared, their number, and the block and seed of the last.

    Raises:
        UnknownTable: There is no such benchmark.
        InvalidValue: ``count`` is below 1, or more than there are rows.
        InvalidTable: The package ships no such table; it is damaged or can't be read; or it was built from another
            space, other data, another recipe or other blocks.
    """
    benchmark = pocket(name)
    if not 1 <= count <= len(benchmark.trained):
        raise InvalidValue(f"--verify {count}. Allowed: 1 to {len(benchmark.trained):,} rows")
    if benchmark.table not in shipped():
        raise InvalidTable(
            f"this installation has no table of {benchmark.name!r}. Fix: pip install --force-reinstall naslab"
        )
    header, arrays = read_archive(shipped()[benchmark.table])
    recorded = header["provenance"]
    for key, value, then in differences(benchmark.describe(), recorded["build"]):
        raise InvalidTable(
            f"the shipped table of {benchmark.name!r} was built with {key}={then!r}, and now it is {value!r}"
        )
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(benchmark.trained), count, replace=False)
    seeds = rng.integers(1, benchmark.seeds + 1, size=count)
    units: dict[tuple[int, int], list[int]] = {}
    for row, which in zip(rows.tolist(), seeds.tolist(), strict=True):
        units.setdefault((row // benchmark.block, which), []).append(row)
    found: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

    def done(unit: tuple[int, int], right: npt.NDArray[np.uint16]) -> None:
        block, which = unit
        for row in units[unit]:
            found.append((right[:, :, row - block * benchmark.block], arrays["right"][row, :, :, which - 1]))
        if progress:
            progress(len(found), count, f"block {block}, seed {which}")

    run_units(train_one, {unit: (benchmark, *unit) for unit in units}, workers, done)
    rebuilt, shipped_rows = (np.array(each, np.int64) for each in zip(*found, strict=True))
    test = SPLITS.index("test")
    points = 100 / len(benchmark.data.test)
    return Verification(
        rows=count,
        identical=int((rebuilt == shipped_rows).all(axis=(1, 2)).sum()),
        same_machine=recorded["versions"] == versions(benchmark) and recorded["machine"] == machine(),
        difference=float(np.abs(rebuilt - shipped_rows)[:, test, -1].mean() * points),
        tolerance=_between_seeds(benchmark, arrays["right"]) * points / 4,
    )


def _between_seeds(benchmark: Pocket, right: npt.NDArray[Any]) -> float:
    """Mean absolute difference of the final test counts of two seeds."""
    final = right[:, SPLITS.index("test"), -1].astype(np.int64)
    pairs = [(i, j) for i in range(benchmark.seeds) for j in range(i)]
    return float(np.mean([np.abs(final[:, i] - final[:, j]).mean() for i, j in pairs]))
