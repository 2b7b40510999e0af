"""HW-NAS-Bench (Li et al. 2021): costs of NAS-Bench-201's cells on six devices, to be joined to a table of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidTable
from naslab.files import clipped
from naslab.tables.format import Table
from naslab.tables.from_csv import Recorded
from naslab.tables.header import ColumnSpec
from naslab.tables.joining import Addition, space_of
from naslab.tables.pickles import NUMPY_ARRAYS, load_pickle
from naslab.tables.rows import read_bytes

DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "ImageNet16-120"}
_SPACE = "nasbench201"
_METRICS = {
    "edgegpu_latency": ("edgegpu_ms", "ms"),
    "edgegpu_energy": ("edgegpu_mj", "mJ"),
    "raspi4_latency": ("raspi4_ms", "ms"),
    "edgetpu_latency": ("edgetpu_ms", "ms"),
    "pixel3_latency": ("pixel3_ms", "ms"),
    "eyeriss_latency": ("eyeriss_ms", "ms"),
    "eyeriss_energy": ("eyeriss_mj", "mJ"),
    "eyeriss_arithmetic_intensity": ("eyeriss_arithmetic_intensity", ""),
    "fpga_latency": ("fpga_ms", "ms"),
    "fpga_energy": ("fpga_mj", "mJ"),
}


def read_hw_nas_bench(table: Table, path: Path | str) -> Addition:
    """The costs in ``HW-NAS-Bench-v1_0.pickle`` for the datasets of a table of NAS-Bench-201's cells.

    Latencies in milliseconds, energies in millijoules, as the README states; what is measured and what estimated is in
    the paper. The arithmetic intensity is no cost and kept as context. FBNet's look-up tables in the same file are left
    out. Lists or NumPy arrays of numbers are read, nothing else.

    Raises:
        InvalidTable: The table is of another space; the file is not this, or names anything but plain data. One line
            with the dataset, the metric and the index.
    """
    path = Path(path)
    check_space(table, path)
    content = load_pickle(path, NUMPY_ARRAYS)
    data = content.get(_SPACE) if isinstance(content, dict) else None
    if not isinstance(data, dict):
        raise InvalidTable(f"'{path}' is not HW-NAS-Bench's file: it has no {_SPACE!r}")
    space = space_of(table)
    columns: list[ColumnSpec] = []
    arrays = {}
    architectures: npt.NDArray[np.int64] | None = None
    for dataset in datasets(table, path):
        results = data.get(DATASETS[dataset])
        if not isinstance(results, dict):
            raise InvalidTable(f"'{path}' has no {DATASETS[dataset]!r}")
        try:
            found = [space.from_string(string) for string in _strings(results.get("config"))]
            if len(set(found)) < len(found) or not found:
                raise ValueError(f"config lists {len(found):,} architectures, {len(set(found)):,} of them different")
            rows: npt.NDArray[np.int64] = np.array(found)
            if architectures is None:
                architectures = rows
            elif not np.array_equal(architectures, rows):
                raise ValueError("config lists other architectures than of the other datasets")
            for theirs, (metric, unit) in _METRICS.items():
                spec = _column(dataset, metric, unit)
                columns.append(spec)
                arrays[spec.name] = np.array(_numbers(results.get(theirs), theirs, len(rows)))[:, None, None]
        except (ValueError, InvalidArchitecture) as error:
            raise InvalidTable(f"'{path}', {dataset}: {error}") from None
    assert architectures is not None
    return Addition(
        Recorded(architectures, tuple(columns), arrays),
        {
            "source": "HW-NAS-Bench v1.0 (Li et al. 2021), GATECH-EIC/HW-NAS-Bench",
            "licence": "MIT",
            "cite": "Li et al. 2021, HW-NAS-Bench: Hardware-Aware Neural Architecture Search Benchmark, ICLR",
            "files": {path.name: hashlib.sha256(read_bytes(path)).hexdigest()},
        },
    )


def check_space(table: Table, path: Path) -> None:
    """Raises InvalidTable where a table is of another space than NAS-Bench-201's."""
    if table.space != _SPACE:
        raise InvalidTable(
            f"'{path}' is about cells of {_SPACE!r}; table {table.name!r} holds those of {table.space!r}"
        )


def datasets(table: Table, path: Path) -> list[str]:
    """Those of a table's tasks that such a file knows. Raises InvalidTable where there is none."""
    ours = {task.dataset or name for name, task in table.tasks.items()}
    if not ours & DATASETS.keys():
        raise InvalidTable(f"'{path}' is about {', '.join(DATASETS)}; table {table.name!r} about {', '.join(ours)}")
    return [dataset for dataset in DATASETS if dataset in ours]


def _strings(config: Any) -> Iterator[str]:
    """The official string of every architecture in order. Raises ValueError."""
    if isinstance(config, dict):
        config = [config.get(index) for index in range(len(config))]
    if not isinstance(config, list):
        raise ValueError(f"config is {clipped(config)}, no list of architectures")
    for index, entry in enumerate(config):
        string = entry.get("arch_str") if isinstance(entry, dict) else None
        if not isinstance(string, str):
            raise ValueError(f"config number {index:,} has no arch_str: {clipped(entry)}")
        yield string


def _numbers(values: Any, metric: str, count: int) -> list[float]:
    """Raises ValueError."""
    if not isinstance(values, list) or len(values) != count:
        given = f"{len(values):,} numbers" if isinstance(values, list) else clipped(values)
        raise ValueError(f"{metric} is {given}, not a list of one number for each of {count:,} architectures")
    for index, value in enumerate(values):
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{metric} of number {index:,} is {clipped(value)}; allowed: a number from 0")
    return [float(value) for value in values]


def _column(dataset: str, metric: str, unit: str) -> ColumnSpec:
    return ColumnSpec(
        dataset=dataset,
        metric=metric,
        split=None,
        role="cost" if unit else "context",
        unit=unit,
        direction="min" if unit else "max",
        epochs=(),
        seeds=("mean",),
    )
