"""Whole steps of searches by gradients on NAS-Bench-201 (16 channels, 5 cells per stage, batch 16), one thread.

- `darts`: logits by a validation batch, then weights by a training batch, against the same two passes through plain
  PyTorch with the same optimisers (`supernet_step.py` has the plain network);
- `gdas` and `rsps`: against as many forward and backward passes of the one network that they sample, with the same
  optimiser's step on its weights. gdas makes two passes a step (logits, weights), rsps one.

NASLib's step of DARTS was measured on another day: it is set against ours by the clock, and by what plain PyTorch took
beside each.

Everything in turn in one process; ratios are medians of ratios taken in the same round.

    python benchmarks/one_shot_step.py [--repetitions 11]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from supernet_step import PlainSupernet, in_turn, ratio, report
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.layout import channels_last
from naslab.datasets import Rows
from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.updates import Learner
from naslab.search_spaces.nasbench201 import nasbench201
from naslab.tasks import Problem

BATCH = 16
NASLIB_STEP, PLAIN_PASS_THERE = 2.60, (1.3, 1.6)
"""Seconds of NASLib's whole step of DARTS, and of a pass of plain PyTorch beside it: measured once, on another day."""


def problem() -> Problem:
    rng = np.random.default_rng(0)
    halves = [Rows(rng.standard_normal((BATCH, 3, 32, 32), np.float32), rng.integers(10, size=BATCH)) for _ in "ab"]
    return Problem(nasbench201(), train=halves[0], validation=halves[1])


def search_of(name: str) -> OneShotSearch:
    search = optimizer_spec(f"{name}[batch={BATCH}]").build(problem(), np.random.default_rng(0))
    assert isinstance(search, OneShotSearch)
    search._schedule()
    search.model.supernet.train()
    return search


def step(search: OneShotSearch) -> Callable[[], None]:
    """What the search does with a batch of each half, as in `OneShotSearch.step`."""
    learner = Learner(search.model, search.relaxation, search.optimizer, search.weight_optimizer, search.generator)

    def run() -> None:
        train, held = search.train_batches.next(), search.held_batches.next()
        search.update.update(learner, train, held)
        search._train(*train)

    return run


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, 0.025, momentum=0.9, nesterov=True, weight_decay=5e-4)


def trained(run: Callable[[], Tensor], parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    run().backward()
    nn.utils.clip_grad_norm_(parameters, 5.0)
    optimizer.step()


def plain_darts() -> Callable[[], None]:
    network, rows = PlainSupernet(), problem()
    logits = [nn.Parameter(1e-3 * torch.randn(5)) for _ in range(6)]
    weights = list(network.parameters())
    adam, descent = torch.optim.Adam(logits, 3e-4, betas=(0.5, 0.999), weight_decay=1e-3), sgd(weights)
    batches = [(torch.from_numpy(each.x), torch.from_numpy(each.y)) for each in (rows.train, rows.validation)]

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(network(x, [torch.softmax(each, 0) for each in logits]), y)

    def run() -> None:
        train, held = batches
        for parameter, gradient in zip(logits, torch.autograd.grad(loss(*held), logits), strict=True):
            parameter.grad = gradient
        adam.step()
        trained(lambda: loss(*train), weights, descent)

    return run


def next_paths(search: OneShotSearch, count: int) -> list[tuple[int, ...]]:
    """The paths that the next step will draw (its logits hardly move between the two of gdas)."""
    generator = torch.Generator()
    generator.set_state(search.generator.get_state())
    p = [each.detach() for each in search.model.probabilities()]
    drawn = [search.weights.decide(p, generator)[0] for _ in range(count)]
    return [tuple(d if isinstance(d, int) else d.active[0] for d in decisions) for decisions in drawn]


def beside_the_network(name: str, passes: int, repetitions: int) -> dict[str, list[float]]:
    """Steps of a search, each followed by as many passes of the networks that it drew, cut out of its supernet."""
    search = search_of(name)
    x, y = search.train_batches.next()
    times: dict[str, list[float]] = {name: [], f"{passes} x the network": []}
    run = step(search)
    for repetition in range(repetitions + 1):
        made = []
        for path in next_paths(search, passes):
            network = channels_last(search.model.supernet.extract(path)).train()  # as in the supernet
            weights = list(network.parameters())
            made.append((network, weights, sgd(weights)))

        def alone(made: list = made) -> None:
            for network, weights, descent in made:
                trained(lambda network=network: functional.cross_entropy(network(x), y), weights, descent)

        alone()  # the first pass of a network allocates
        for key, each in zip(times, (run, alone), strict=True):
            started = time.perf_counter()
            each()
            if repetition:
                times[key].append(time.perf_counter() - started)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=11)
    repetitions = parser.parse_args().repetitions
    torch.set_num_threads(1)
    times = in_turn({"darts, plain": plain_darts(), "darts": step(search_of("darts"))}, repetitions)
    report("a step of darts", times)
    faster = ratio(times, "darts, plain", "darts")
    print(f"  plain / ours                     {faster:10.2f}")
    by_clock = NASLIB_STEP / statistics.median(times["darts"])
    least, most = (NASLIB_STEP / (2 * seconds) * faster for seconds in reversed(PLAIN_PASS_THERE))
    print(
        f"  NASLib / ours                    {by_clock:10.2f} by the clock, {least:.1f} to {most:.1f} by plain PyTorch"
    )
    for name, passes in (("gdas", 2), ("rsps", 1)):
        times = beside_the_network(name, passes, 4 * repetitions)
        report(f"a step of {name}", times)
        print(f"  {name} / network                  {ratio(times, *times):10.2f}")


if __name__ == "__main__":
    main()
