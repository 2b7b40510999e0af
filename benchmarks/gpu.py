"""What naslab takes on a GPU, beside plain PyTorch on the same one.

On NAS-Bench-201's images (3x32x32), everything in turn in one process, seconds between two events on the device:

- mixed: a step of the mixed supernet (forward, backward over weights and mixture), beside the same one written by hand;
- sampled: the same for one path of the categorical form, beside the cell's network alone;
- training: an epoch of one cell's network by `fit`, beside a loop of plain PyTorch over the same network;
- population: an epoch of several cells in one computation, beside the plain loop over one after the other;
- proxies: one architecture by all proxies that train nothing, and by two of them, beside a backward pass alone.

Each line has the median seconds, the median ratio to plain PyTorch, and the peak memory of both (of the GPU; nothing
is measured on a CPU).

    python benchmarks/gpu.py [--device cuda] [--size full] [--repetitions 7]
    python benchmarks/gpu.py --device cpu --size tiny       # whether it runs
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from supernet_step import PlainSupernet, mixture_weights
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler import compile_network, compile_supernet
from naslab.compiler.devices import resolved
from naslab.compiler.layout import channels_last
from naslab.compiler.population import stack_networks
from naslab.datasets import Rows
from naslab.errors import NaslabError
from naslab.evaluators.fitting import fit, new_optimizer, placed
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.search_spaces.nasbench201 import nasbench201
from naslab.space import Recipe

CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
Run = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """How much is computed."""

    channels: int
    cells: int
    batch: int
    rows: int
    members: int


SIZES = {"tiny": Size(2, 1, 4, 8, 2), "full": Size(16, 5, 128, 12_800, 8)}


def step(run: Callable[[], Tensor], parameters: list[Tensor]) -> Run:
    return lambda: torch.autograd.grad(run().square().mean(), parameters, allow_unused=True)


class Workload:
    """What is measured, on one device and of one size."""

    def __init__(self, device: str, size: Size) -> None:
        self.device, self.size = device, size
        self.space = nasbench201(channels=size.channels, cells_per_stage=size.cells)
        self.cell = self.space.from_string(CELL)
        rng = np.random.default_rng(0)
        x = rng.standard_normal((size.rows, 3, 32, 32), np.float32)
        self.rows = Rows(x, rng.integers(10, size=size.rows))
        self.placed = placed(self.rows, device)
        self.batch = self.placed.x[: size.batch]
        self.recipe = Recipe(1, size.batch, 0.1, optimizer="sgd")

    def network(self, architecture: tuple[int, ...] | None = None) -> nn.Module:
        return compile_network(self.space, architecture or self.cell, device=self.device)

    def mixed(self) -> tuple[Run, Run]:
        weights = [w.detach().to(self.device).requires_grad_() for w in mixture_weights()]
        plain = PlainSupernet(self.size.channels, self.size.cells).to(self.device)
        ours = compile_supernet(self.space, device=self.device)
        return (
            step(lambda: ours(self.batch, weights), [*ours.parameters(), *weights]),
            step(lambda: plain(self.batch, weights), [*plain.parameters(), *weights]),
        )

    def sampled(self) -> tuple[Run, Run]:
        supernet = channels_last(compile_supernet(self.space, "categorical", device=self.device))
        alone = channels_last(supernet.extract(self.cell))
        return (
            step(lambda: supernet(self.batch, self.cell), list(supernet.parameters())),
            step(lambda: alone(self.batch), list(alone.parameters())),
        )

    def training(self) -> tuple[Run, Run]:
        ours, plain = self.network(), self.network()
        return self.fitted(ours), lambda: self.plainly_trained(plain)

    def population(self) -> tuple[Run, Run]:
        rng = np.random.default_rng(1)
        cells = sorted(dict.fromkeys([self.cell, *(self.space.sample(rng) for _ in range(4 * self.size.members))]))
        cells = [a for a in cells if self.space.is_connected(a)][: self.size.members]
        population = stack_networks(self.space, cells, [compile_network(self.space, a) for a in cells])
        members = [self.network(a) for a in cells]
        return self.fitted(population.to(self.device)), lambda: [self.plainly_trained(each) for each in members]

    def proxies(self, names: str | list[str]) -> tuple[Run, Run]:
        judge = ZeroCost(self.space, self.rows, names, batch=min(64, self.size.batch), device=self.device)
        network = self.network()
        x, y = self.placed.x[: len(judge.x)], self.placed.y[: len(judge.x)]
        parameters = list(network.parameters())
        return (
            lambda: judge.evaluate(self.cell, rng=np.random.default_rng(0)),
            lambda: torch.autograd.grad(functional.cross_entropy(network(x), y), parameters),
        )

    def fitted(self, model: nn.Module) -> Run:
        return lambda: fit(model, self.placed, self.recipe, torch.Generator().manual_seed(0))

    def plainly_trained(self, network: nn.Module) -> None:
        optimizer = new_optimizer(list(network.parameters()), self.recipe)
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(0)).to(self.device)
        for rows in order.split(self.size.batch):
            loss = functional.cross_entropy(network(self.placed.x[rows]), self.placed.y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


def peak(device: str, run: Run) -> float:
    """MiB that a run takes beyond what was there."""
    if not device.startswith("cuda"):
        return float("nan")
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def seconds(device: str, run: Run) -> float:
    watch = Stopwatch(device)
    run()
    return watch.seconds()


def measure(device: str, name: str, runs: tuple[Run, Run], repetitions: int) -> None:
    times = [[seconds(device, run) for run in runs] for _ in range(repetitions + 2)][2:]  # the first two warm up
    ours, plain = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    memory = " / ".join(f"{peak(device, run):.0f}" for run in runs)
    print(f"| {name} | {ours:.4g} s | {plain:.4g} s | {ratio:.2f} | {memory} MiB |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=list(SIZES), default="full")
    parser.add_argument("--repetitions", type=int, default=7)
    arguments = parser.parse_args()
    try:
        device = resolved(arguments.device)
    except NaslabError as error:
        sys.exit(f"Nothing was measured: {error}")
    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"{card}, PyTorch {torch.__version__}, {SIZES[arguments.size]}\n")
    print("| what | naslab | plain PyTorch | ratio | peak memory, naslab / plain |\n|---|---:|---:|---:|---:|")
    work = Workload(device, SIZES[arguments.size])
    named: dict[str, Callable[[], tuple[Run, Run]]] = {
        "a step of the mixed supernet": work.mixed,
        "a step of one path, beside the cell alone": work.sampled,
        "an epoch of one cell": work.training,
        f"an epoch of {work.size.members} cells together, beside one by one": work.population,
        "all proxies, beside a backward pass": lambda: work.proxies("all"),
        "naswot, likewise": lambda: work.proxies(["naswot"]),
        "synflow, likewise": lambda: work.proxies(["synflow"]),
    }
    for name, make in named.items():
        measure(device, name, make(), arguments.repetitions)


if __name__ == "__main__":
    main()
