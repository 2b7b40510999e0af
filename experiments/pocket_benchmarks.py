"""The figures and numbers of docs/pocket-benchmarks.md, from the shipped tables.

Prints the page's tables as Markdown and writes its figures: what a benchmark is worth (how reliably it ranks), the
Pareto front against parameters, the best architectures drawn, and whether bottlenecks win under a parameter limit.

    python experiments/pocket_benchmarks.py [--out docs/figures]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from scipy import stats

import naslab
from naslab.analysis.tradeoff import pareto_front
from naslab.pocket.benchmarks import POCKETS, Pocket
from naslab.search_spaces.nasbench201 import EDGES
from naslab.tables import find_table

RESAMPLES = 1000
LIMITS = (0.05, 0.15, 0.3, 0.5, 0.75)  # shares of the architectures that keep the five limits
QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
TOP = 20  # how many of each kind are compared under a limit
SHORT = ("", "skip", "conv 1x1", "conv 3x3", "pool")


@dataclass(frozen=True)
class Numbers:
    """A benchmark's table, a row for every trained class.

    ``test`` and ``valid`` are ``(N, epochs, seeds)`` in percent; the others are ``(N,)``.
    """

    pocket: Pocket
    architectures: list[tuple[int, ...]]
    test: np.ndarray
    valid: np.ndarray
    params: np.ndarray
    connected: np.ndarray
    seconds: np.ndarray
    latency: np.ndarray
    spread: np.ndarray


def read(pocket: Pocket) -> Numbers:
    table, name = find_table(pocket.table), pocket.short
    trained = pocket.trained
    rows = [table.row(a) for a in trained]

    def column(metric: str) -> np.ndarray:
        return np.asarray(table.columns[f"{name}/{metric}"].values)[rows]

    return Numbers(
        pocket,
        trained,
        column("accuracy/test"),
        column("accuracy/valid"),
        column("params")[:, 0, 0],
        np.array([pocket.search_space.is_connected(a) for a in trained]),
        column("train_seconds")[:, -1, 0],
        column("latency_seconds")[:, 0, 0],
        column("latency_iqr_seconds")[:, 0, 0],
    )


def interval(statistic: Callable[[np.ndarray], float], n: int) -> tuple[float, float, float]:
    """A statistic of rows with its 95 % percentile bootstrap interval over rows."""
    rng = np.random.default_rng(0)
    drawn = [statistic(rng.integers(n, size=n)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return statistic(np.arange(n)), float(low), float(high)


def between_seeds(scores: np.ndarray, measure: Callable[..., Any], rows: np.ndarray) -> float:
    """The mean over all pairs of seeds of a rank correlation; ``scores`` is ``(N, seeds)``."""
    pairs = combinations(range(scores.shape[1]), 2)
    return float(np.mean([measure(scores[rows, i], scores[rows, j])[0] for i, j in pairs]))


def among_best(scores: np.ndarray, measure: Callable[..., Any], rows: np.ndarray) -> float:
    """The same within the best tenth. Which that is, says a seed that is not compared: chosen by their mean, two seeds
    of one architecture would be opposed, for the luck of one has to make up for the other's."""
    drawn, found = scores[rows], []
    for judge in range(drawn.shape[1]):
        best = drawn[drawn[:, judge] >= np.quantile(drawn[:, judge], 0.9)]
        others = np.delete(best, judge, axis=1)
        found.append(between_seeds(others, measure, np.arange(len(others))))
    return float(np.mean(found))


def reliability(numbers: Numbers) -> list[str]:
    """How reliably the benchmark ranks, and what it consists of: a Markdown table."""
    final, connected, data = numbers.test[:, -1], numbers.connected, numbers.pocket.data
    mean, k = final.mean(axis=1), final.shape[1]
    every = np.arange(len(mean))
    groups = {"all": every, "connected": np.flatnonzero(connected)}
    rows = [("architectures (trainings of each)", f"{len(mean):,} ({k})")]
    for label, group in groups.items():
        inside = final[group]
        rho, low, high = interval(partial(between_seeds, inside, stats.spearmanr), len(inside))
        tau = between_seeds(inside, stats.kendalltau, np.arange(len(inside)))
        what = f"{label} (n = {len(inside):,})"
        rows.append((f"Spearman between seeds, {what}", f"{rho:.3f} [{low:.3f}, {high:.3f}]"))
        rows.append((f"Kendall tau-b between seeds, {what}", f"{tau:.3f}"))
    inside = final[connected]
    rho, low, high = interval(partial(among_best, inside, stats.spearmanr), len(inside))
    tau = among_best(inside, stats.kendalltau, np.arange(len(inside)))
    rows.append(("Spearman between two seeds within the best 10 % by the third", f"{rho:.3f} [{low:.3f}, {high:.3f}]"))
    rows.append(("Kendall tau-b between two seeds within the best 10 % by the third", f"{tau:.3f}"))
    rho = between_seeds(final, stats.spearmanr, groups["connected"])
    one = np.mean([stats.spearmanr(v, mean)[0] for v in numbers.valid[:, -1].T])
    majority = np.bincount(data.test.y, minlength=data.classes).max() / len(data.test)
    chance = 100 * (majority + 3 * np.sqrt(majority * (1 - majority) / len(data.test)))
    within, early = numbers.test[groups["connected"]], numbers.valid[groups["connected"], :, 0]
    by_epoch = [between_seeds(scores, stats.spearmanr, np.arange(len(within))) for scores in within.transpose(1, 0, 2)]
    with_truth = [stats.spearmanr(scores, mean[connected])[0] for scores in early.T]
    rows += [
        (
            f"Spearman of the truth (mean of {k}) with another mean of {k}, expected",
            f"{k * rho / (1 + (k - 1) * rho):.3f}",
        ),
        ("Spearman of one validation accuracy with the truth", f"{one:.3f}"),
        ("test accuracy, %: 0, 10, 25, 50, 75, 90, 100 % quantiles", listed(np.quantile(mean, QUANTILES), 1)),
        ("standard deviation between architectures, points", f"{mean.std():.1f}"),
        ("standard deviation between seeds, points", f"{final.std(axis=1, ddof=1).mean():.1f}"),
        (
            f"trainings no better than chance (test accuracy <= {chance:.1f} %)",
            f"{100 * (final <= chance).mean():.2f} %",
        ),
        ("granularity of the test accuracy, points", f"{100 / len(data.test):.3f}"),
        ("Spearman between seeds after each epoch, connected", listed(by_epoch, 2)),
        ("Spearman of one validation accuracy after each epoch with the truth, connected", listed(with_truth, 2)),
        ("seconds of one training alone: median (min, max)", ranged(numbers.seconds)),
        ("all trainings one after the other, hours of one core", f"{numbers.seconds.sum() * k / 3600:.1f}"),
        ("latency of one example, ms: median (min, max)", ranged(1e3 * numbers.latency)),
        ("interquartile range of a latency, ms: median", f"{1e3 * np.median(numbers.spread):.3f}"),
    ]
    return [f"\n### {numbers.pocket.name}\n", "| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]


def listed(values: Iterable[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def ranged(values: np.ndarray) -> str:
    return f"{np.median(values):.2f} ({values.min():.2f}, {values.max():.2f})"


def is_bottleneck(widths: Sequence[int]) -> bool:
    """Whether an inner hidden layer is at least twice as wide, or at most half as wide, as both its neighbours."""
    inner = range(1, len(widths) - 1)
    wider = any(widths[i] >= 2 * max(widths[i - 1], widths[i + 1]) for i in inner)
    return wider or any(2 * widths[i] <= min(widths[i - 1], widths[i + 1]) for i in inner)


def bottlenecks(numbers: Numbers) -> list[str]:
    """Under five limits: the best network of each kind, and the best ``TOP`` of each kind by validation accuracy."""
    space = numbers.pocket.search_space
    widths = [tuple(c.options[o] for c, o in zip(space.choices, a, strict=True)) for a in numbers.architectures]
    kind = np.array([is_bottleneck(w) for w in widths])
    test, valid = numbers.test[:, -1], numbers.valid[:, -1].mean(axis=1)
    lines = [
        f"\n### {numbers.pocket.name}: {100 * kind.mean():.0f} % of the networks have a bottleneck\n",
        "| parameters <= | networks | best network (test accuracy, %) | best with a bottleneck | best without | "
        f"top {TOP} with minus top {TOP} without, points [95 %] |",
        "|---|---|---|---|---|---|",
    ]
    for share in LIMITS:
        limit = np.quantile(numbers.params, share, method="lower")
        feasible = numbers.params <= limit
        cells = []
        for group in (feasible, feasible & kind, feasible & ~kind):
            chosen = max(np.flatnonzero(group), key=lambda i: test[i].mean())
            cells.append(f"{'-'.join(map(str, widths[chosen]))} ({test[chosen].mean():.1f})")
        tops = [sorted(np.flatnonzero(feasible & group), key=lambda i: -valid[i])[:TOP] for group in (kind, ~kind)]
        rng = np.random.default_rng(0)

        def resampled(rows: list[int], rng: np.random.Generator = rng) -> float:
            drawn = rng.choice(rows, len(rows))
            return float(test[drawn, rng.integers(test.shape[1], size=len(rows))].mean())

        gaps = [resampled(tops[0]) - resampled(tops[1]) for _ in range(RESAMPLES)]
        gap = test[tops[0]].mean() - test[tops[1]].mean()
        low, high = np.quantile(gaps, [0.025, 0.975])
        lines.append(
            f"| {int(limit):,} | {feasible.sum():,} | {' | '.join(cells)} | {gap:+.2f} [{low:+.2f}, {high:+.2f}] |"
        )
    return lines


def draw_fronts(all_numbers: Sequence[Numbers], file: Path) -> None:
    figure, axes = plt.subplots(1, len(all_numbers), figsize=(10, 3.2))
    for axis, numbers in zip(axes, all_numbers, strict=True):
        mean = numbers.test[:, -1].mean(axis=1)
        front = pareto_front(mean, numbers.params)
        axis.plot(numbers.params, mean, ".", ms=1.5, color="#9aa0a6", rasterized=True, label="one architecture")
        axis.step(
            numbers.params[front],
            mean[front],
            where="post",
            color="#d55e00",
            lw=1.2,
            label=f"Pareto front ({len(front)})",
        )
        axis.set(xscale="log", xlabel="parameters", ylabel="test accuracy, % (mean of 3)", title=numbers.pocket.name)
        axis.legend(frameon=False, fontsize=7, loc="lower right")
    save(figure, file)


def draw_reliability(all_numbers: Sequence[Numbers], file: Path) -> None:
    figure, axes = plt.subplots(1, len(all_numbers), figsize=(10, 3.2))
    for axis, numbers in zip(axes, all_numbers, strict=True):
        final = numbers.test[numbers.connected, -1]
        rho = stats.spearmanr(final[:, 0], final[:, 1])[0]
        axis.plot(final[:, 0], final[:, 1], ".", ms=1.5, color="#0072b2", rasterized=True)
        axis.set(xlabel="test accuracy, %: seed 1", ylabel="seed 2")
        axis.set_title(f"{numbers.pocket.name}: Spearman {rho:.3f}", fontsize=10)
    save(figure, file)


def draw_best(all_numbers: Sequence[Numbers], file: Path, count: int = 3) -> None:
    figure, axes = plt.subplots(len(all_numbers), count, figsize=(10, 2.6 * len(all_numbers)))
    for line, numbers in zip(axes, all_numbers, strict=True):
        mean = numbers.test[:, -1].mean(axis=1)
        for rank, (axis, i) in enumerate(zip(line, np.argsort(-mean, kind="stable")[:count], strict=True), start=1):
            (draw_cell if numbers.pocket.family == "pocket-cell" else draw_widths)(axis, numbers, int(i))
            spread = numbers.test[i, -1].std(ddof=1)
            quality = f"{mean[i]:.1f} ± {spread:.1f} %, {int(numbers.params[i]):,} parameters"
            axis.set_title(f"{numbers.pocket.name}, no. {rank}: {quality}", fontsize=7)
            axis.set_axis_off()
    save(figure, file)


def draw_cell(axis: Axes, numbers: Numbers, row: int) -> None:
    graph: Any = nx.DiGraph()
    places = {0: (0, 0), 1: (1, 0.8), 2: (2, -0.8), 3: (3, 0)}
    labels = {edge: SHORT[o] for edge, o in zip(EDGES, numbers.architectures[row], strict=True) if o}
    graph.add_nodes_from(places)
    graph.add_edges_from(labels)
    names = {0: "in", 1: "1", 2: "2", 3: "out"}
    nx.draw_networkx(
        graph, places, labels=names, ax=axis, node_color="#e8eaed", edgecolors="#5f6368", font_size=7, node_size=420
    )
    for edge, label in labels.items():  # the edge through the middle is labelled beside the one that crosses it
        place = 0.75 if edge == (0, 3) else 0.4
        nx.draw_networkx_edge_labels(graph, places, edge_labels={edge: label}, ax=axis, font_size=6.5, label_pos=place)
    axis.margins(0.12)


def draw_widths(axis: Axes, numbers: Numbers, row: int) -> None:
    space, data = numbers.pocket.search_space, numbers.pocket.data
    hidden = [c.options[o] for c, o in zip(space.choices, numbers.architectures[row], strict=True)]
    widths = [data.train.x.shape[1], *hidden, data.classes]
    colours = ["#c6c9cd", *["#0072b2"] * len(hidden), "#c6c9cd"]
    axis.bar(range(len(widths)), widths, color=colours, width=0.6)
    for i, width in enumerate(widths):
        axis.text(i, min(width, 160), str(width), ha="center", va="bottom", fontsize=7)
    axis.set_ylim(0, 180)


def save(figure: Any, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, dpi=150, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    all_numbers = [read(pocket) for pocket in POCKETS.values()]
    print("## Reliability")
    for numbers in all_numbers:
        print("\n".join(reliability(numbers)))
    print("\n## Bottlenecks")
    for numbers in all_numbers:
        if numbers.pocket.family == "pocket-mlp":
            print("\n".join(bottlenecks(numbers)))
    draw_reliability(all_numbers, out / "pocket-reliability.png")
    draw_fronts(all_numbers, out / "pocket-fronts.png")
    draw_best(all_numbers, out / "pocket-best.png")
    print(f"\nfigures: {out}; naslab {naslab.__version__}")


if __name__ == "__main__":
    main()
