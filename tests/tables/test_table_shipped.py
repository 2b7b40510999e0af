"""The pocket tables in the package are those of the benchmarks, and tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import naslab
from naslab.compiler.network import compile_network
from naslab.pocket.benchmarks import POCKETS
from naslab.space import Architecture
from naslab.tables.packaged.pocket import read_archive, shipped


def archive_of(name: str) -> Path:
    return shipped()[POCKETS[name].table]


def flops(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Twice the multiplications and additions of one example, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return int(counter.get_total_flops())


def test_shipped_tables_are_small() -> None:
    assert set(shipped()) == {benchmark.table for benchmark in POCKETS.values()}
    assert sum(path.stat().st_size for path in shipped().values()) < 8e6


@pytest.mark.parametrize("name", POCKETS)
def test_a_shipped_table_is_that_of_the_benchmark(name: str) -> None:
    benchmark = POCKETS[name]
    header, arrays = read_archive(archive_of(name))
    count, epochs = len(arrays["trained"]), benchmark.recipe.epochs
    assert header["provenance"]["build"] == benchmark.describe()
    assert header["data"] == {"name": benchmark.dataset, "sha256": benchmark.data.sha256}
    assert 0.001 < header["provenance"]["calibration_seconds"] < 10
    assert arrays["right"].shape == (count, 3, epochs, benchmark.seeds)
    sizes = [len(benchmark.data.train), len(benchmark.data.validation), len(benchmark.data.test)]
    assert (arrays["right"].max(axis=(0, 2, 3)) <= sizes).all()
    assert (arrays["timings"] >= 0).all()
    assert (arrays["timings"][:, :3] > 0).all()
    assert set(arrays["rows"].tolist()) == set(range(count))
    space, trained = benchmark.search_space, [tuple(a) for a in arrays["trained"].tolist()]
    architectures: list[Architecture] = list(space.architectures())
    rng = np.random.default_rng(0)
    for place in rng.choice(len(architectures), 300, replace=False).tolist():
        assert space.canonical(architectures[place]) == space.canonical(trained[arrays["rows"][place]])
    for row in rng.choice(count, 10, replace=False).tolist():
        network = compile_network(space, trained[row])
        params, macs = arrays["costs"][row].tolist()
        assert params == sum(parameter.numel() for parameter in network.parameters())
        assert 2 * macs == flops(network, benchmark.data.train.x.shape[1:])


@pytest.mark.parametrize("name", POCKETS)
def test_a_shipped_table_is_a_task(name: str) -> None:
    _, arrays = read_archive(archive_of(name))
    benchmark, task = POCKETS[name], naslab.task(name)
    assert task.id == name
    assert task.recipe == benchmark.recipe
    assert task.problem.fidelities == tuple(range(1, benchmark.recipe.epochs + 1))
    assert task.problem.space.sizes == benchmark.search_space.sizes
    final = arrays["right"][:, 2, -1].mean(axis=1) * 100 / len(benchmark.data.test)
    assert task.optimum == pytest.approx(final.max())
    assert final.max() > 70
    architecture = task.problem.sample(np.random.default_rng(0))
    row = arrays["rows"][list(task.problem.space.architectures()).index(architecture)]
    assert task.true_value(architecture) == pytest.approx(final[row])
    assert len(task.problem.train or ()) == len(benchmark.data.train)


@pytest.mark.slow
@pytest.mark.parametrize("name", POCKETS)
def test_a_shipped_table_trains_what_the_benchmark_says(name: str) -> None:
    _, arrays = read_archive(archive_of(name))
    assert [tuple(a) for a in arrays["trained"].tolist()] == POCKETS[name].trained
    np.testing.assert_array_equal(arrays["rows"], POCKETS[name].rows())
