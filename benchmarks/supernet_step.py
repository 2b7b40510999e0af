"""One step of a supernet (forward and backward over weights and mixture), beside plain PyTorch and beside its
convolutions.

NAS-Bench-201 (16 channels, 5 cells per stage, batch 16, 3x32x32), one thread, everything in turn in one process:

- plain: the same supernet written by hand, one module per operation and edge;
- ours: `naslab.compile_supernet`, with every pass, and with each pass left out;
- convolutions alone: one call per convolution of the plain network, forward and backward;
- one sampled cell: categorical form against the same cell compiled alone.

Then an MLP of 784 inputs and 4 layers of 20 widths against a hand-written masked MLP, `compile_network` of 100 random
cells, and the time to compile chains of 125 to 1,000 edges. Peak memory is the growth of resident memory in a fresh
process.

    python benchmarks/supernet_step.py [--repetitions 7]
"""

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import naslab
from naslab.compiler import compile_network, compile_supernet, passes
from naslab.ops import Linear
from naslab.search_spaces.mlp import WIDTHS, mlp
from naslab.search_spaces.nasbench201 import EDGES, nasbench201

BATCH = 16


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out, affine=False, track_running_stats=False))


class PlainMixture(nn.Module):
    """One edge: five modules, a weighted sum."""

    def __init__(self, c: int) -> None:
        super().__init__()
        pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.options = nn.ModuleList([nn.Identity(), conv_bn(c, c, 1), conv_bn(c, c, 3), pool])

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return sum(w[k + 1] * option(x) for k, option in enumerate(self.options))


class PlainCell(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList([PlainMixture(c) for _ in EDGES])

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        nodes = [x]
        for v in (1, 2, 3):
            nodes.append(sum(self.edges[e](nodes[u], weights[e]) for e, (u, to) in enumerate(EDGES) if to == v))
        return nodes[3]


class PlainReduction(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = conv_bn(c, 2 * c, 3, 2), conv_bn(2 * c, 2 * c, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c, 2 * c, 1, bias=False))

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        return self.shortcut(x) + self.b(self.a(x))


class PlainSupernet(nn.Module):
    """NAS-Bench-201's supernet as one would write it."""

    def __init__(self, channels: int = 16, cells: int = 5) -> None:
        super().__init__()
        self.stem = conv_bn(3, channels, 3)[1:]
        blocks: list[nn.Module] = []
        for stage in range(3):
            c = channels * 2**stage
            blocks += [PlainReduction(c // 2)] if stage else []
            blocks += [PlainCell(c) for _ in range(cells)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(4 * channels, affine=False, track_running_stats=False)
        self.head = nn.Linear(4 * channels, 10)

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, weights)
        return self.head(functional.relu(self.norm(x)).mean((2, 3)))


def convolutions_alone(network: nn.Module, x: Tensor, weights: list[Tensor]) -> list[tuple[nn.Conv2d, Tensor]]:
    """Every convolution of the plain network with a tensor of its input's shape."""
    found: list[tuple[nn.Conv2d, Tensor]] = []
    hooks = [
        part.register_forward_pre_hook(lambda m, args: found.append((m, torch.randn_like(args[0]))))
        for part in network.modules()
        if isinstance(part, nn.Conv2d)
    ]
    with torch.no_grad():
        network(x, weights)
    for hook in hooks:
        hook.remove()
    return found


def mixture_weights(choices: int = 6, options: int = 5) -> list[Tensor]:
    return [torch.full((options,), 1 / options, requires_grad=True) for _ in range(choices)]


def step(run: Callable[[], Tensor], parameters: list[Tensor]) -> Callable[[], None]:
    def whole() -> None:
        torch.autograd.grad(run().square().mean(), parameters, allow_unused=True)

    return whole


def in_turn(candidates: dict[str, Callable[[], None]], repetitions: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for repetition in range(repetitions + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            if repetition:  # the first is warm-up
                times[name].append(time.perf_counter() - started)
    return times


def ratio(times: dict[str, list[float]], a: str, b: str) -> float:
    return statistics.median(x / y for x, y in zip(times[a], times[b], strict=True))


def supernet_candidates() -> dict[str, Callable[[], None]]:
    space, x, weights = nasbench201(), torch.randn(BATCH, 3, 32, 32), mixture_weights()
    plain = PlainSupernet()
    candidates = {"plain": step(lambda: plain(x, weights), [*plain.parameters(), *weights])}
    ours = compile_supernet(space)
    candidates["ours"] = step(lambda: ours(x, weights), [*ours.parameters(), *weights])
    kernels = convolutions_alone(plain, x, weights)

    def floor() -> None:
        for conv, given in kernels:
            given.requires_grad_()
            y = conv(given)
            torch.autograd.grad(y, [given, *conv.parameters()], torch.ones_like(y))

    candidates["convolutions alone"] = floor
    last = PlainSupernet().to(memory_format=torch.channels_last)
    x_last = x.to(memory_format=torch.channels_last)
    candidates["plain, channels last"] = step(lambda: last(x_last, weights), [*last.parameters(), *weights])
    return candidates


def without_each_pass() -> dict[str, Callable[[], None]]:
    space, x, weights = nasbench201(), torch.randn(BATCH, 3, 32, 32), mixture_weights()
    chosen, candidates = passes.PASSES, {}
    variants = {"every pass": chosen, "no pass": ()}
    variants |= {f"without {p.__name__}": tuple(q for q in chosen if q is not p) for p in chosen}
    for name, some in variants.items():
        passes.PASSES = some
        net = compile_supernet(space)
        candidates[name] = step(lambda net=net: net(x, weights), [*net.parameters(), *weights])
    passes.PASSES = chosen
    return candidates


def categorical_candidates() -> dict[str, Callable[[], None]]:
    space, x = nasbench201(), torch.randn(BATCH, 3, 32, 32)
    supernet = compile_supernet(space, "categorical")
    architecture = space.from_string(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    )
    alone = supernet.extract(architecture)
    return {
        "categorical": step(lambda: supernet(x, architecture), list(supernet.parameters())),
        "the cell alone": step(lambda: alone(x), list(alone.parameters())),
    }


class MaskedMLP(nn.Module):
    def __init__(self, inputs: int, widths: tuple[int, ...], depth: int) -> None:
        super().__init__()
        sizes = [inputs, *[max(widths)] * depth, 10]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])
        self.masks = (torch.arange(max(widths)) < torch.tensor(widths)[:, None]).float()

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        for layer, w in zip(self.layers[:-1], weights, strict=True):
            x = functional.relu(layer(x)) * (w @ self.masks)
        return self.layers[-1](x)


def mlp_candidates() -> dict[str, Callable[[], None]]:
    space, x = mlp(784, 10, depth=4), torch.randn(128, 784)
    weights = mixture_weights(4, len(WIDTHS))
    masked, ours = MaskedMLP(784, WIDTHS, 4), compile_supernet(space)
    small = (3, 9, 4, 2)
    return {
        "masked by hand": step(lambda: masked(x, weights), [*masked.parameters(), *weights]),
        "ours, mixed": step(lambda: ours(x, weights), [*ours.parameters(), *weights]),
        "ours, categorical": step(lambda: ours(x, small), list(ours.parameters())),
    }


def chain(edges: int) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_node(0, shape=(8,))
    for i in range(edges):
        graph.add_edge(i, i + 1, op=naslab.Choice(f"c{i}", (Linear(), naslab.ops.Identity())))
    return graph


def report(title: str, times: dict[str, list[float]]) -> None:
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:32} {statistics.median(seconds) * 1e3:10.2f} ms")


def peak_memory(which: str) -> float:
    """Megabytes that one step adds to a fresh process, at its peak."""
    done = subprocess.run([sys.executable, __file__, "--memory", which], check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure_memory(which: str) -> None:
    """Sampled every millisecond from outside the step, because what importing took is more than what a step takes."""
    torch.set_num_threads(1)
    run = supernet_candidates()[which]
    page = resource.getpagesize() / 2**20
    samples: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            samples.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.05)
    before = samples[-1]
    run()
    run()
    done.set()
    watcher.join()
    print(max(samples) - before)


def where_it_goes() -> None:
    """The time of one mixed step by kind of operation."""
    run = supernet_candidates()["ours"]
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run()
    kinds = {
        "convolutions (depthwise poolings too)": ("conv", "mkldnn"),
        "batch normalisation": ("batch_norm",),
        "ReLU": ("relu", "threshold", "clamp"),
        "sums and products": ("add", "mul", "dot", "WeightedSum"),
    }
    spent = dict.fromkeys([*kinds, "everything else"], 0.0)
    for event in profile.key_averages():
        kind = next((k for k, words in kinds.items() if any(w in event.key for w in words)), "everything else")
        spent[kind] += event.self_cpu_time_total / 1e3
    print("\nwhere a mixed step goes")
    for kind, milliseconds in spent.items():
        print(f"  {kind:40} {milliseconds:8.1f} ms {milliseconds / sum(spent.values()):6.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--memory", default="")
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.memory)
        return
    torch.set_num_threads(1)
    times = in_turn(supernet_candidates(), arguments.repetitions)
    report("NAS-Bench-201, mixed step", times)
    print(f"  plain / ours                     {ratio(times, 'plain', 'ours'):10.2f}")
    print(f"  plain channels last / ours       {ratio(times, 'plain, channels last', 'ours'):10.2f}")
    print(f"  ours / convolutions alone        {ratio(times, 'ours', 'convolutions alone'):10.2f}")
    memory = {name: peak_memory(name) for name in ("plain", "ours")}
    print(f"  peak memory, ours / plain        {memory['ours'] / memory['plain']:10.2f}  ({memory})")
    where_it_goes()
    times = in_turn(without_each_pass(), max(3, arguments.repetitions // 2))
    report("the passes", times)
    times = in_turn(categorical_candidates(), 2 * arguments.repetitions)
    report("one sampled cell", times)
    print(f"  categorical / alone              {ratio(times, 'categorical', 'the cell alone'):10.2f}")
    times = in_turn(mlp_candidates(), 5 * arguments.repetitions)
    report("MLP, 784 inputs, 4 layers of 20 widths, batch 128", times)
    print(f"  masked by hand / ours            {ratio(times, 'masked by hand', 'ours, mixed'):10.2f}")
    space, rng = nasbench201(), np.random.default_rng(0)
    seconds = []
    for architecture in [space.sample(rng) for _ in range(100)]:
        started = time.perf_counter()
        compile_network(space, architecture)
        seconds.append(time.perf_counter() - started)
    print(f"\ncompile_network, 100 random cells: median {statistics.median(seconds) * 1e3:.1f} ms")
    compile_supernet(naslab.SearchSpace(chain(10)))  # the first compilation imports half of torch.fx
    for edges in (125, 250, 500, 1000):
        space = naslab.SearchSpace(chain(edges))
        started = time.perf_counter()
        compile_supernet(space)
        print(f"compile_supernet, {edges:5} edges: {(time.perf_counter() - started) / edges * 1e3:.2f} ms an edge")


if __name__ == "__main__":
    main()
