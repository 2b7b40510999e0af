"""The units of work: a block trained together is each of its rows trained alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_pocket import TINY, TRAININGS

from naslab.compiler.network import compile_network
from naslab.evaluators.fitting import fit
from naslab.pocket.benchmarks import Pocket, pocket
from naslab.pocket.build import trained_file
from naslab.pocket.work import TIMINGS, time_block, train_block
from naslab.space import Architecture

A_FEW = 3  # right rows by which floating-point sums in another order may change a count


def alone(benchmark: Pocket, architecture: Architecture, seed: int) -> np.ndarray:
    """Counts ``(3, epochs)`` of one network trained by itself."""
    network = compile_network(benchmark.search_space, architecture, generator=benchmark.weights(architecture, seed))
    held = {"valid": benchmark.data.validation, "test": benchmark.data.test}
    curve = fit(network, benchmark.data.train, benchmark.recipe, benchmark.batches(seed), held)
    return np.stack([curve.train[:, 0], curve.scored["valid"][:, 0], curve.scored["test"][:, 0]])


def test_a_row_of_a_block_is_the_network_trained_alone(units: Path) -> None:
    exact = 0
    for block, seed in TRAININGS:
        recorded = np.load(trained_file(units, block, seed))
        assert recorded.shape == (3, 2, len(TINY.blocks[block]))
        assert recorded.dtype == np.uint16
        for member, architecture in enumerate(TINY.blocks[block]):
            difference = recorded[:, :, member].astype(int) - alone(TINY, architecture, seed)
            assert np.abs(difference).max() <= A_FEW
            exact += not difference.any()
    assert exact >= 9  # half of the rows, to the last count


def test_seeds_and_architectures_are_trained_apart(units: Path) -> None:
    first, second = (np.load(trained_file(units, 0, seed)) for seed in (1, 2))
    assert (first != second).any(axis=(0, 1)).all()
    assert len(np.unique(first[:, -1], axis=1).T) == 4
    final = first[2, -1] / len(TINY.data.test)
    assert final.max() > 1.5 / 7  # two epochs are enough to do better than guessing


def test_a_block_is_timed_architecture_by_architecture() -> None:
    timed = time_block(TINY, 0)
    assert timed.shape == (len(TIMINGS), 4)
    named = dict(zip(TIMINGS, timed, strict=True))
    assert (named["latency_iqr_seconds"] >= 0).all()
    for name in ("step_seconds", "validation_seconds", "latency_seconds"):
        assert (named[name] > 0).all()
        assert (named[name] < 1).all()
    assert (named["latency_seconds"] < named["step_seconds"]).all()  # one example against 32 and their gradient


@pytest.mark.slow
@pytest.mark.parametrize("block", [0, 150, 339])
def test_a_cell_in_its_block_is_the_cell_trained_alone(block: int) -> None:
    cells = pocket("pocket-cell/mnist")
    short = dataclasses.replace(cells, recipe=dataclasses.replace(cells.recipe, epochs=2))
    recorded = train_block(short, block, 1)
    for member in range(0, len(short.blocks[block]), 4):
        difference = recorded[:, :, member].astype(int) - alone(short, short.blocks[block][member], 1)
        assert np.abs(difference).mean() <= A_FEW
