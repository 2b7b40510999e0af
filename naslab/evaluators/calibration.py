"""How fast this machine is compared with the one that recorded a table's seconds."""

from __future__ import annotations

import statistics
import time
from functools import cache

import numpy as np
import torch

from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.evaluators.fitting import fit
from naslab.evaluators.threads import one_thread
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

_REPEATS = 5


def calibration_seconds() -> float:
    """CPU seconds that a fixed small training takes on one core of this machine: the median of five.

    The network is a pocket cell with every operation but zero, trained for 16 batches of 32 images of noise. Tables
    record this number. Where a comparison mixes tables and live measurements, live seconds are multiplied by recorded
    / measured, so that all seconds are those of the machine that the table was built on.
    """
    rng = np.random.default_rng(0)
    rows = Rows(rng.standard_normal((512, 1, 8, 8), np.float32), rng.integers(10, size=512))
    recipe = Recipe(epochs=1, batch=32, learning_rate=0.01)
    taken = []
    with one_thread():
        for repeat in range(1 + _REPEATS):  # the first one warms up
            network = compile_network(pocket_cell(), (3, 2, 4, 1, 3, 2), generator=torch.Generator().manual_seed(0))
            started = time.process_time()
            fit(network, rows, recipe, torch.Generator().manual_seed(repeat))
            taken.append(time.process_time() - started)
    return statistics.median(taken[1:])


@cache
def speed(recorded_seconds: float) -> float:
    """How many seconds of a table's machine one live second here is worth, measured once per process and table.

    Args:
        recorded_seconds: The table's own :func:`calibration_seconds`.
    """
    return recorded_seconds / calibration_seconds()
