"""What zero-cost proxies cost, beside the passes that they are made of.

Networks of NAS-Bench-201 (16 channels, 5 cells per stage, 3x32x32), one thread, everything in turn in one process;
trust the ratios. A pass is that of the compiled network in plain PyTorch, in training mode: forward without gradients,
or forward with the backward of the cross-entropy.

- naswot against one forward pass; {grad-norm, snip, plain, fisher, l2-norm} against one forward and backward pass;
- all of the peer's proxies (NASLib's, see PEER) together, compiling included, against the sum of the seconds that
  NASLib took on another machine, as seconds and in units of a forward and backward pass there and here;
- every proxy alone, and all together.

    python benchmarks/zero_cost.py [--batch 32] [--architectures 3] [--repetitions 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

import naslab
from naslab.compiler import compile_network
from naslab.compiler.layout import channels_last
from naslab.evaluators.zero_cost.base import scores
from naslab.evaluators.zero_cost.blocks import cut_nodes
from naslab.evaluators.zero_cost.catalogue import PROXIES, TRAINED, proxies
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.evaluators.zero_cost.shared import Pass

GROUP = ("grad-norm", "snip", "plain", "fisher", "l2-norm")
PEER = {
    "params": 0.269,
    "flops": 0.287,
    "synflow": 0.603,
    "nwot": 1.046,
    "jacob-cov": 1.455,
    "epe-nas": 1.369,
    "snip": 1.306,
    "grad-norm": 1.305,
    "fisher": 1.487,
    "grasp": 4.474,
    "plain": 1.534,
    "l2-norm": 0.018,
    "zen": 0.995,
}
"""NASLib's seconds for one score of each, batch 32, one thread, on another 2-core machine."""
PEER_PASS = 0.784
"""Its seconds for a forward and backward pass of that batch (the lower of two medians)."""


class Measured:
    """One network, and the ways to look at it."""

    def __init__(self, space: naslab.SearchSpace, architecture: tuple[int, ...], batch: int) -> None:
        self.space, self.architecture, self.batch = space, architecture, batch
        self.network = channels_last(compile_network(space, architecture, cut=False))
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(batch, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
        self.y = torch.randint(10, (batch,), generator=generator)
        self.blocks = cut_nodes(space)

    def forward(self) -> None:
        with torch.no_grad():
            self.network(self.x)

    def forward_backward(self) -> None:
        loss = functional.cross_entropy(self.network(self.x), self.y)
        torch.autograd.grad(loss, list(self.network.parameters()), allow_unused=True)

    def scored(self, names: Sequence[str]) -> Callable[[], None]:
        wanted = proxies(names)
        wants = frozenset().union(*(proxy.wants for proxy in wanted))

        def run() -> None:
            scores(wanted, Pass(self.network, self.x, self.y, torch.Generator(), wants, blocks=self.blocks))

        return run

    def evaluated(self, names: Sequence[str]) -> Callable[[], None]:
        evaluator = ZeroCost(self.space, proxies=names, batch=self.batch)
        return lambda: evaluator.evaluate(self.architecture, rng=np.random.default_rng(0)) and None


def in_turn(ways: dict[str, Callable[[], None]], repetitions: int) -> dict[str, float]:
    """CPU seconds of each, the least of several rounds; the first round warms up."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(1 + repetitions):
        for name, way in ways.items():
            started = time.process_time()
            way()
            spent[name].append(time.process_time() - started)
    return {name: min(seconds[1:]) for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--architectures", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space, rng = naslab.search_space("nasbench201"), np.random.default_rng(0)
    untrained = [name for name in PROXIES if name not in TRAINED]
    found: list[dict[str, float]] = []
    while len(found) < arguments.architectures:
        architecture = space.sample(rng)
        if not space.is_connected(architecture):
            continue
        measured = Measured(space, architecture, arguments.batch)
        ways: dict[str, Callable[[], None]] = {
            "forward": measured.forward,
            "forward and backward": measured.forward_backward,
            "group": measured.scored(GROUP),
            "peer": measured.evaluated(list(PEER)),
            "all": measured.evaluated("all"),
            **{name: measured.scored([name]) for name in untrained},
        }
        found.append(in_turn(ways, arguments.repetitions))
        print(f"{space.to_string(architecture)}: forward {found[-1]['forward']:.3f} s", flush=True)

    def ratio(name: str, unit: str) -> str:
        ratios = [each[name] / each[unit] for each in found]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    print(f"naswot: {ratio('naswot', 'forward')} forward passes")
    print(f"{', '.join(GROUP)} together: {ratio('group', 'forward and backward')} forward and backward passes")
    ours = statistics.mean(each["peer"] for each in found)
    peer = sum(PEER.values())
    print(
        f"the peer's {len(PEER)} proxies together: {ours:.2f} s, {ratio('peer', 'forward and backward')} passes; "
        f"NASLib {peer:.2f} s, {peer / PEER_PASS:.1f} passes: {peer / ours:.1f}x by the clock"
    )
    print(f"all {len(untrained)} together: {ratio('all', 'forward and backward')} forward and backward passes")
    for name in untrained:
        print(f"  {name}: {ratio(name, 'forward and backward')}")


if __name__ == "__main__":
    main()
