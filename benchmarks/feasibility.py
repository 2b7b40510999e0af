"""What exact feasibility costs: P(V) with its gradient, draws and the most probable architecture.

Perceptrons of TabNAS' widths under limits on parameters; one core. Policies are random (normal logits of 0.5), new for
every measurement. Set-up happens once per search, the rest once per step. Medians; the bracket is how far apart the
certified bounds of P(V) are, in percent of it (0 where the diagram is exact).

    python benchmarks/feasibility.py [--repetitions 51]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import naslab
from naslab.feasibility import Feasibility
from naslab.search_spaces.mlp import WIDTHS

PAPER = {
    "Volkert": (180, 10, 27_882),
    "Aloi": (128, 1000, 64_568),
    "Criteo, limit of 3 layers": (1027, 1, 41_153),
    "Criteo, limit of 5 layers": (1027, 1, 75_353),
}
GRID = [(depth, widths, limit) for depth in (3, 5, 7, 10) for widths in (10, 20) for limit in (100_000, 1_000_000)]


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - started)


def measure(space: naslab.SearchSpace, limit: int, repetitions: int) -> str:
    """One line of the table."""
    started = time.perf_counter()
    feasible = Feasibility(space, {"params": limit})
    setup = time.perf_counter() - started
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {"gradient": [], "draw": [], "draws": [], "best": []}
    widths = []
    for _ in range(repetitions):
        logits = [0.5 * rng.standard_normal(size) for size in space.sizes]
        times["gradient"].append(milliseconds(lambda x=logits: feasible.with_gradient(x)))
        times["draw"].append(milliseconds(lambda x=logits: feasible.sample(x, rng)))
        times["draws"].append(milliseconds(lambda x=logits: feasible.sample(x, rng, 256)))
        times["best"].append(milliseconds(lambda x=logits: feasible.most_probable(x)))
        low, high = np.exp(feasible.bracket(logits))
        widths.append(100 * (high - low) / ((high + low) / 2))
    columns = " ".join(f"{statistics.median(values):9.2f}" for values in times.values())
    return f"{100 * feasible.fraction():7.3f} {feasible.backend:>7} {setup:8.2f} {columns} {max(widths):9.3f}"


def growth() -> None:
    """How set-up grows: a space with its cost tables by the number of widths, a diagram by the number of layers."""
    for count in (100, 200, 400):
        options = {"in_features": 100, "out_features": 10, "depth": 5, "widths": tuple(range(1, count + 1))}
        taken = min(
            milliseconds(lambda given=options: naslab.search_space("mlp", **given).cost_model) for _ in range(3)
        )
        print(f"cost tables of 5 layers x {count} widths: {taken / 1e3:.3f} s")
    for depth in (5, 7, 10):
        space = naslab.search_space("mlp", in_features=100, out_features=10, depth=depth, widths=WIDTHS)
        least, most = (space.cost(tuple(k * (size - 1) for size in space.sizes)).params for k in (0, 1))
        limit = {"params": least + (most - least) // 4}
        taken = min(milliseconds(lambda of=space, given=limit: Feasibility(of, given)) for _ in range(3))
        print(f"diagram of {depth} layers x 20 widths, a quarter of the parameters: {taken / 1e3:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=51)
    repetitions = parser.parse_args().repetitions
    print(f"{'':44} {'% feas.':>7} {'backend':>7} {'set-up s':>8} {'P(V)+grad':>9} {'1 draw':>9} ", end="")
    print(f"{'256 draws':>9} {'MAP, ms':>9} {'bracket %':>9}")
    for name, (inputs, outputs, limit) in PAPER.items():
        space = naslab.search_space("mlp", in_features=inputs, out_features=outputs, depth=5)
        print(f"{f'5 layers x 20 widths, {name}':44} {measure(space, limit, repetitions)}", flush=True)
    for depth, count, limit in GRID:
        widths = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512) if count == 10 else WIDTHS
        space = naslab.search_space("mlp", in_features=100, out_features=10, depth=depth, widths=widths)
        if limit >= space.cost(tuple(size - 1 for size in space.sizes)).params:
            continue  # does not bind
        name = f"{depth} layers x {count} widths, {limit:,} parameters"
        print(f"{name:44} {measure(space, limit, repetitions)}", flush=True)
    growth()


if __name__ == "__main__":
    main()
