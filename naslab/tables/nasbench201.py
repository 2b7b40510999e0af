"""What the numbers of NAS-Bench-201 and NATS-Bench are, for every way of importing them."""

from __future__ import annotations

from typing import Any

from naslab.tables.header import ColumnSpec, SpaceOption

SPACE_OPTIONS: dict[str, dict[str, SpaceOption]] = {
    "cifar10": {"num_classes": 10, "input_shape": (3, 32, 32)},
    "cifar100": {"num_classes": 100, "input_shape": (3, 32, 32)},
    "imagenet16-120": {"num_classes": 120, "input_shape": (3, 16, 16)},
}
"""Dataset -> options of the search space."""

_ACCURACY = {"metric": "accuracy", "unit": "%", "direction": "max"}
_COST = {"split": None, "direction": "min"}
_COLUMNS: dict[str, dict[str, Any]] = {
    "train": {**_ACCURACY, "split": "train", "role": "context"},
    "valid": {**_ACCURACY, "split": "valid", "role": "reward"},
    "test": {**_ACCURACY, "split": "test", "role": "truth"},
    "train_seconds": {**_COST, "metric": "train_seconds", "role": "cost", "unit": "seconds"},
    "latency_seconds": {**_COST, "metric": "latency_seconds", "role": "cost", "unit": "seconds"},
    "params_M": {**_COST, "metric": "params_M", "role": "context", "unit": "millions"},
    "flops_M": {**_COST, "metric": "flops_M", "role": "context", "unit": "millions"},
}


def describe(dataset: str, what: str, epochs: tuple[int, ...], seeds: tuple[str, ...]) -> ColumnSpec:
    """A column of a dataset; ``what`` is a split (for its accuracy) or one of the costs."""
    return ColumnSpec(dataset=dataset, epochs=epochs, seeds=seeds, **_COLUMNS[what])
