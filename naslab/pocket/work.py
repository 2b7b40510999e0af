"""The two units of work of a build: training one block with one seed, and timing one block."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from naslab.compiler.network import compile_network
from naslab.compiler.population import stack_networks
from naslab.evaluators.fitting import count_right, fit, new_optimizer
from naslab.pocket.benchmarks import Pocket
from naslab.space import Architecture

TIMINGS = ("step_seconds", "validation_seconds", "latency_seconds", "latency_iqr_seconds")
_STEPS, _LATENCIES, _WARM_UP = 12, 21, 3


def train_block(pocket: Pocket, number: int, seed: int) -> npt.NDArray[np.uint16]:
    """Train one block.

    Returns:
        ``(3, epochs, P)``: how many training, validation and test rows were right after each epoch.
    """
    space, architectures = pocket.search_space, pocket.blocks[number]
    networks = [compile_network(space, a, generator=pocket.weights(a, seed)) for a in architectures]
    population = stack_networks(space, architectures, networks)
    held = {"valid": pocket.data.validation, "test": pocket.data.test}
    done = fit(population, pocket.data.train, pocket.recipe, pocket.batches(seed), held)
    return np.stack([done.train, done.scored["valid"], done.scored["test"]]).astype(np.uint16)


def time_block(pocket: Pocket, number: int) -> npt.NDArray[np.float64]:
    """Time the architectures of one block, each alone, in CPU seconds of one core.

    Returns:
        ``(4, P)``: median of a training step, a pass over the validation rows, median and interquartile range of the
        inference of one example.
    """
    return np.array([_timed(pocket, a) for a in pocket.blocks[number]]).T


def _timed(pocket: Pocket, architecture: Architecture) -> list[float]:
    network = compile_network(pocket.search_space, architecture, generator=pocket.weights(architecture, 0))
    rows, batch = pocket.data.train, pocket.recipe.batch
    x, y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
    order = torch.randperm(len(x), generator=pocket.batches(0))
    optimizer = new_optimizer(list(network.parameters()), pocket.recipe)

    def step(i: int) -> None:
        start = i * batch % (len(x) - batch + 1)
        drawn = order[start : start + batch]
        loss = functional.cross_entropy(network(x[drawn]), y[drawn])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    steps = _measured(step, _STEPS)
    held = pocket.data.validation
    vx, vy = torch.from_numpy(held.x), torch.from_numpy(held.y)
    scoring = _measured(lambda i: count_right(network, vx, vy), 1, warm_up=1)
    latencies = _latencies(network.eval(), vx[:1])
    quarters = statistics.quantiles(latencies, n=4)
    return [statistics.median(steps), scoring[0], statistics.median(latencies), quarters[2] - quarters[0]]


def _latencies(network: nn.Module, example: torch.Tensor) -> list[float]:
    with torch.inference_mode():
        return _measured(lambda i: network(example), _LATENCIES)


def _measured(function: Any, times: int, warm_up: int = _WARM_UP) -> list[float]:
    taken = []
    for i in range(warm_up + times):
        started = time.process_time()
        function(i)
        taken.append(time.process_time() - started)
    return taken[warm_up:]
