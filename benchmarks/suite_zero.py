"""Our zero-cost scores beside those that NAS-Bench-Suite-Zero stored of the same NAS-Bench-201 cells (CIFAR-10).

Krishnakumar et al. 2022, "NAS-Bench-Suite-Zero". Their inputs are images of CIFAR-10, ours 64 rows of standard normal
noise, and initial weights differ. Per proxy: Spearman's correlation of the two scores; and that of each with the
validation accuracy which they stored. 95 % percentile bootstrap intervals over cells.

    python benchmarks/suite_zero.py FILE.json [--cells 725] [--workers 2]
"""

import argparse
import ast
import json
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import naslab
from naslab.evaluators.threads import one_thread
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.search_spaces.nasbench201 import EDGES, OPERATIONS
from naslab.space import Architecture

THEIR_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
THEIR_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
THEIR_NAMES = {
    "params": "params", "flops": "flops", "synflow": "synflow", "l2-norm": "l2_norm", "naswot": "nwot",
    "grad-norm": "grad_norm", "snip": "snip", "fisher": "fisher", "jacob-cov": "jacov", "plain": "plain",
    "grasp": "grasp", "epe-nas": "epe_nas",
}  # fmt: skip
RESAMPLES = 1000


def stored(path: Path) -> dict[Architecture, dict[str, Any]]:
    """What they stored, by cell."""
    cells = json.loads(path.read_text())["cifar10"]
    return {architecture(ast.literal_eval(cell)): entry for cell, entry in cells.items()}


def architecture(theirs: tuple[int, ...]) -> Architecture:
    chosen = dict(zip(THEIR_EDGES, (THEIR_OPERATIONS[index] for index in theirs), strict=True))
    return tuple(list(OPERATIONS).index(chosen[edge]) for edge in EDGES)


def theirs(entry: dict[str, Any], name: str) -> float:
    """One of their scores; one cell lacks its synflow."""
    return float(entry.get(THEIR_NAMES[name], {}).get("score", math.nan))


def ours(cell: Architecture, seed: int = 0) -> dict[str, float]:
    """All scores of a cell; those that they call nwot count all ReLUs, as our nwot does."""
    proxies = ["nwot" if name == "naswot" else name for name in THEIR_NAMES]
    evaluator = ZeroCost(naslab.search_space("nasbench201"), proxies=proxies, seed=seed)
    with one_thread():
        found = evaluator.evaluate(cell, rng=np.random.default_rng((seed, *cell))).metrics
    return {name: found[proxy] for name, proxy in zip(THEIR_NAMES, proxies, strict=True)}


def correlated(a: list[float], b: list[float]) -> str:
    """Spearman's correlation with its interval, over the pairs in which both are known."""
    pairs = np.array([pair for pair in zip(a, b, strict=True) if not any(map(math.isnan, pair))])
    rng = np.random.default_rng(0)
    resamples = [pairs[rng.integers(len(pairs), size=len(pairs))] for _ in range(RESAMPLES)]
    low, high = np.quantile([stats.spearmanr(*each.T).statistic for each in resamples], [0.025, 0.975])
    return f"{stats.spearmanr(*pairs.T).statistic:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cells", type=int, default=725)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    known = stored(args.file)
    order = np.random.default_rng(0).permutation(len(known))[: args.cells]
    cells = [sorted(known)[i] for i in order]
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(pool.map(ours, cells, chunksize=5))
    truth = [known[cell]["val_accuracy"] for cell in cells]
    print(f"{len(cells)} cells\n{'proxy':<10} {'ours, theirs':>24} {'ours, accuracy':>26} {'theirs, accuracy':>26}")
    for name in THEIR_NAMES:
        here, there = [scores[name] for scores in found], [theirs(known[cell], name) for cell in cells]
        columns = (correlated(here, there), correlated(here, truth), correlated(there, truth))
        print(f"{name:<10} {columns[0]:>24} {columns[1]:>26} {columns[2]:>26}")


if __name__ == "__main__":
    main()
