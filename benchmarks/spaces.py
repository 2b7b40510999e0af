"""How long search spaces take to build (shapes and cost tables of many choices, rules that count), and their networks.

python benchmarks/spaces.py [--repetitions 5] [SPACE...]

With the names of spaces: CPU milliseconds of one thread, the least of the repetitions, for the costs of an architecture
and its graph (mean of 100), and for compiling the largest network; beside it, what drawing as many random numbers takes
PyTorch alone. A wall clock on a shared machine measures the others, too.
"""

import argparse
import itertools
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import networkx as nx
import numpy as np

import naslab
from naslab import Choice, SearchSpace
from naslab.ops import AvgPool, Conv, Identity, MBConv, Operation, PooledLinear, Zero
from naslab.space import at_most

STAGES = ((24, 2), (32, 2), (64, 2), (96, 1), (160, 2), (320, 1))


@dataclass(frozen=True)
class Plain(Operation):
    """Closed forms in sums and products."""

    sets_width = True
    a: Any = 1
    b: Any = 1
    c: Any = 1
    d: Any = 1

    def params(self, shape: Any, out: Any) -> Any:
        return shape[0] * out[0] * self.a + self.b * self.c * out[0] + self.d

    def macs(self, shape: Any, out: Any) -> Any:
        return shape[0] * out[0] * self.a * self.d


@dataclass(frozen=True)
class Branching(Plain):
    """Closed forms that branch and take a maximum."""

    def params(self, shape: Any, out: Any) -> Any:
        return shape[0] * out[0] * self.a + max(1, self.b // 2) * self.c * out[0] + (self.d if self.d > 3 else 0)


@dataclass(frozen=True)
class Words(Plain):
    """Closed forms that look at words."""

    def params(self, shape: Any, out: Any) -> Any:
        return shape[0] * out[0] * (2 if self.a == "word 3" else 1)

    def macs(self, shape: Any, out: Any) -> Any:
        return shape[0] * out[0]


def five(kind: type[Plain], options: tuple[Any, ...]) -> SearchSpace:
    """One operation with four choices of eight options, to eight widths."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(16,))
    graph.add_node("y", width=Choice("width", tuple(range(8, 16))))
    graph.add_edge("x", "y", op=kind(*(Choice(name, options) for name in "abcd")))
    return SearchSpace(graph)


def mobile() -> SearchSpace:
    """21 inverted bottlenecks: each one's kernel, expansion and excitation, each stage's width and depth."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(3, 224, 224))
    graph.add_node("stem", width=16)
    graph.add_edge("x", "stem", op=Conv(stride=2))
    last = "stem"
    for stage, (width, stride) in enumerate(STAGES):
        for block in range(4 if stage else 1):
            name = f"{stage}.{block}"
            op: Any = MBConv(
                Choice(f"kernel {name}", (3, 5, 7)),
                stride if not block else 1,
                Choice(f"expansion {name}", (3, 4, 6)),
                Choice(f"excitation {name}", (False, True)),
            )
            if block > 1:
                op = Choice(f"depth {stage}", tuple(op if block <= depth else Identity() for depth in (1, 2, 3)))
            graph.add_node(name, width=Choice(f"width {stage}", (width, width * 3 // 2, 2 * width)))
            graph.add_edge(last, name, op=op)
            last = name
    graph.add_node("y", width=1000)
    graph.add_edge(last, "y", op=PooledLinear())
    return SearchSpace(graph)


def chain(edges: int) -> SearchSpace:
    """NAS-Bench-201's operations, one edge after the other."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("n0", shape=(16, 8, 8))
    for i in range(edges):
        options = (Zero(), Identity(), Conv(kernel=3), Conv(kernel=1), AvgPool())
        graph.add_edge(f"n{i}", f"n{i + 1}", op=Choice(f"c{i}", options))
    return SearchSpace(graph)


def nine_edges() -> SearchSpace:
    """NAS-Bench-101's rule: at most nine of the 21 edges of seven nodes."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    names = []
    graph.add_node(0, shape=(8,))
    for i, j in itertools.combinations(range(7), 2):
        names.append(f"{i}->{j}")
        graph.add_edge(i, j, op=Choice(names[-1], (Zero(), Identity())))
    return SearchSpace(graph, rules=[at_most(9, names, (1,))])


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "five choices of eight numbers": lambda: five(Plain, tuple(range(1, 9))),
    "the same, with branches": lambda: five(Branching, tuple(range(1, 9))),
    "four of them between words": lambda: five(Words, tuple(f"word {i}" for i in range(8))),
    "21 inverted bottlenecks": mobile,
    "500 edges": lambda: chain(500),
    "1,000 edges": lambda: chain(1000),
    "at most nine of 21 edges": nine_edges,
    **{name: partial(naslab.search_space, name) for name in ("mnasnet", "proxylessnas", "mobilenetv3", "fbnet")},
}


def least(work: Callable[[], object], repetitions: int) -> float:
    """CPU milliseconds of this thread."""
    taken = []
    for _ in range(repetitions):
        started = time.thread_time()
        work()
        taken.append(time.thread_time() - started)
    return 1e3 * min(taken)


def networks(name: str, repetitions: int) -> str:
    """What costs, graphs and the largest of 100 random networks take."""
    import torch

    space, rng = naslab.search_space(name), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(100)]
    costs = least(lambda: [space.cost(a) for a in drawn], repetitions) / len(drawn)
    graphs = least(lambda: [space.resolve(a) for a in drawn], repetitions) / len(drawn)
    params, largest = max((space.cost(a).params, a) for a in drawn)
    compiled = least(lambda: naslab.compile_network(space, largest, generator=torch.Generator()), repetitions + 1)
    numbers = least(lambda: torch.empty(params).uniform_(generator=torch.Generator()), repetitions)
    return (
        f"{name:16} costs {costs:7.3f}  graph {graphs:7.3f}  largest ({params / 1e6:.1f} M parameters) "
        f"{compiled:7.1f}, random numbers alone {numbers:6.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("names", nargs="*", metavar="SPACE")
    arguments = parser.parse_args()
    repetitions = arguments.repetitions
    for name in arguments.names:
        print(networks(name, repetitions), flush=True)
    if arguments.names:
        return
    for name, build in SPACES.items():
        taken = []
        for _ in range(repetitions):
            started = time.perf_counter()
            space = build()
            taken.append(time.perf_counter() - started)
        print(f"{name:46} {1e3 * min(taken):9.1f} ms {len(pickle.dumps(space)) / 1e3:9.1f} kB pickled", flush=True)


if __name__ == "__main__":
    main()
