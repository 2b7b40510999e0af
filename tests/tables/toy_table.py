"""A table small enough to check by eye."""

from __future__ import annotations

import numpy as np

from naslab.tables import Reading
from naslab.tables.header import ColumnSpec, TableSpec, TableTask


def toy_spec(**changes: object) -> TableSpec:
    """Two choices (2 and 3 options), one dataset; validation at 1 and 4 epochs with two seeds; seconds."""
    valid = ColumnSpec(
        dataset="toy",
        metric="accuracy",
        split="valid",
        role="reward",
        unit="%",
        direction="max",
        epochs=(1, 4),
        seeds=("7", "8"),
    )
    test = valid.model_copy(update={"split": "test", "role": "truth", "epochs": (4,)})
    seconds = valid.model_copy(
        update={
            "metric": "train_seconds",
            "split": None,
            "role": "cost",
            "epochs": (4,),
            "seeds": ("mean",),
            "unit": "seconds",
            "direction": "min",
        }
    )
    task = TableTask(
        reward=Reading(column=valid.name, epochs=1),
        truth=Reading(column=test.name, epochs=4),
        space_options={},
    )
    fields: dict[str, object] = {
        "name": "toy",
        "space": "toy-space",
        "options": (2, 3),
        "columns": (valid, test, seconds),
        "tasks": {"toy": task},
        "provenance": {"source": "invented"},
    }
    return TableSpec.model_validate({**fields, **changes})


TOY_ARCHITECTURES = [(1, 2), (0, 0), (0, 1)]


def toy_arrays() -> dict[str, np.ndarray]:
    return {
        "toy/accuracy/valid": np.array(
            [[[10.0, 20.0], [30.0, 50.0]], [[1.0, np.nan], [3.0, 5.0]], [[0.0, 0.0], [np.nan, np.nan]]]
        ),
        "toy/accuracy/test": np.arange(6.0).reshape(3, 1, 2),
        "toy/train_seconds": np.array([8.0, 80.0, 800.0]).reshape(3, 1, 1),
    }
