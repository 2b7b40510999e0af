"""How much faster a population trains than its members one after the other, and whether it is the same training.

For each pocket benchmark a few random blocks are trained for an epoch, as the builder does it and by a lean loop of
plain PyTorch over the compiled networks (cross-entropy, fused optimiser, nothing recorded), in turn in one process on
one core; trust the ratio. Its floor is arithmetic: what is left when each operation costs nothing to call. Then 50
random architectures are trained both ways by the whole recipe, and the differences of their test accuracies are set
beside those between two seeds.

    python benchmarks/population_training.py [--blocks 6] [--architectures 50] [--only pocket-mlp/segments]
"""

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from naslab.compiler import compile_network
from naslab.compiler.population import stack_networks
from naslab.evaluators.fitting import fit, new_optimizer
from naslab.pocket.benchmarks import POCKETS, Pocket

SEED = 1


def networks(pocket: Pocket, architectures: list[tuple[int, ...]], seed: int = SEED) -> list[nn.Module]:
    return [compile_network(pocket.search_space, a, generator=pocket.weights(a, seed)) for a in architectures]


def one_by_one(pocket: Pocket, members: list[nn.Module]) -> float:
    """CPU seconds of an epoch of every member."""
    x, y = torch.from_numpy(pocket.data.train.x), torch.from_numpy(pocket.data.train.y)
    spent = 0.0
    for network in members:
        optimizer = new_optimizer(list(network.parameters()), pocket.recipe)
        order = torch.randperm(len(x), generator=pocket.batches(SEED))
        started = time.process_time()
        for batch in order.split(pocket.recipe.batch):
            loss = functional.cross_entropy(network(x[batch]), y[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        spent += time.process_time() - started
    return spent


def together(pocket: Pocket, architectures: list[tuple[int, ...]], members: list[nn.Module]) -> float:
    population = stack_networks(pocket.search_space, architectures, members)
    return float(fit(population, pocket.data.train, pocket.recipe, pocket.batches(SEED), epochs=1).seconds[-1])


def speed(pocket: Pocket, blocks: int, rng: np.random.Generator) -> None:
    ratios, alone, batched, count = [], 0.0, 0.0, 0
    drawn = rng.choice(len(pocket.blocks), min(blocks, len(pocket.blocks)), replace=False)
    for repetition, number in enumerate([drawn[0], *drawn]):  # the first one warms up
        architectures = pocket.blocks[number]
        slow = one_by_one(pocket, networks(pocket, architectures))
        fast = together(pocket, architectures, networks(pocket, architectures))
        if repetition:
            ratios.append(slow / fast)
            alone, batched, count = alone + slow, batched + fast, count + len(architectures)
    epochs = pocket.recipe.epochs
    print(
        f"{pocket.name}: {count / alone / epochs:.1f} trainings a second one by one, {count / batched / epochs:.1f} "
        f"together: {alone / batched:.1f}x (blocks of {pocket.block}: median {statistics.median(ratios):.1f}x, "
        f"{min(ratios):.1f}x to {max(ratios):.1f}x)",
        flush=True,
    )


def sameness(pocket: Pocket, count: int, rng: np.random.Generator) -> None:
    def accuracies(seed: int, stacked: bool) -> np.ndarray:
        found = []
        groups = (
            [chosen[i : i + pocket.block] for i in range(0, count, pocket.block)] if stacked else [[a] for a in chosen]
        )
        for group in groups:
            members = networks(pocket, group, seed)
            model = stack_networks(pocket.search_space, group, members) if stacked else members[0]
            done = fit(model, pocket.data.train, pocket.recipe, pocket.batches(seed), {"test": pocket.data.test})
            found += (100 * done.scored["test"][-1] / len(pocket.data.test)).tolist()
        return np.array(found)

    chosen = sorted(pocket.trained[i] for i in rng.choice(len(pocket.trained), count, replace=False))
    first = accuracies(SEED, stacked=True)
    same, other = np.abs(first - accuracies(SEED, stacked=False)), np.abs(first - accuracies(SEED + 1, stacked=True))
    print(
        f"{pocket.name}: test accuracy of {count} architectures, together against alone, points: "
        f"{np.mean(same == 0):.0%} equal, mean difference {same.mean():.3f}, largest {same.max():.2f}; "
        f"between two seeds: mean {other.mean():.2f}, largest {other.max():.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--only", choices=list(POCKETS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, pocket in POCKETS.items():
        if arguments.only in (None, name):
            speed(pocket, arguments.blocks, np.random.default_rng(0))
            sameness(pocket, arguments.architectures, np.random.default_rng(1))


if __name__ == "__main__":
    main()
