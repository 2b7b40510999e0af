"""Learned cells and how searches reach them: graphs as in the DARTS paper, probabilities over time as a heat map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MplPath

from naslab.analysis.style import INK, ShownAxes, palette, style

WIDTH = 3.4
ACROSS, UP = 0.85, 0.26  # inches between nodes, and between arcs


def draw_cell(cell: nx.DiGraph[Any], ax: Axes | None = None, *, title: str = "") -> Axes:
    """A cell as an arc diagram: nodes in the order of the data flow, operations as arcs above them, none on another.

    Args:
        cell: Acyclic; each edge's ``label`` is written on it and gives its colour. An edge without a label is thin, and
            below the nodes. Data flow from left to right.
        ax: Where to draw; new axes by default.
        title: Above it.
    """
    order = {node: place for place, node in enumerate(nx.lexicographical_topological_sort(cell, key=_given(cell)))}
    edges = [(order[u], order[v], data.get("label", "")) for u, v, data in cell.edges(data=True)]
    above = max((v - u for u, v, label in edges if label), default=1)
    below = max((v - u for u, v, label in edges if not label), default=0)
    with style():
        if ax is None:
            width = max(WIDTH, ACROSS * len(order))
            high, low = UP * above + 0.25, 0.5 * UP * below + 0.15
            figure = Figure(figsize=(width, high + low + 0.25))
            box = (0, 0, 1, (high + low) / (high + low + 0.25))
            ax = figure.add_axes(box, axes_class=ShownAxes)
            ax.set(xlim=(-0.5, len(order) - 0.5), ylim=(-low, high))
        colours = {name: look.colour for name, look in palette(sorted({e[2] for e in edges if e[2]})).items()}
        for start, end, label in edges:
            height = UP * (end - start) if label else -0.5 * UP * (end - start)
            curve = MplPath([(start, 0), ((start + end) / 2, 2 * height), (end, 0)], [1, 3, 3])
            line, colour = (1.1, colours[label]) if label else (0.5, "#7f7f7f")
            ax.add_patch(PathPatch(curve, fill=False, lw=line, ec=colour, zorder=1))
            if label:
                ax.text(
                    (start + end) / 2, height, label, ha="center", va="center", fontsize=5.5, color=colours[label],
                    zorder=2, bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
                )  # fmt: skip
        for node, place in order.items():
            ax.text(
                place, 0, str(node), ha="center", va="center", fontsize=7, zorder=3,
                bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": INK, "lw": 0.6},
            )  # fmt: skip
        ax.set_title(title)
        ax.axis("off")
    return ax


def draw_distribution(
    shares: npt.NDArray[np.float64], rows: Sequence[str], *, title: str = "", groups: Mapping[str, int] | None = None
) -> Axes:
    """Probabilities over time: one row per option, one column per epoch.

    Args:
        shares: ``(rows, epochs)``.
        rows: What the rows are.
        title: Above it.
        groups: Name -> number of rows, from top to bottom: named and set apart at the left.
    """
    with style():
        height = 0.5 + 0.115 * len(rows)
        figure = Figure(figsize=(WIDTH, height))
        box = (1.3 / WIDTH, 0.35 / height, (WIDTH - 1.8) / WIDTH, (height - 0.55) / height)
        ax = figure.add_axes(box, axes_class=ShownAxes)
        image = ax.imshow(shares, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="none")
        image_axes = figure.add_axes(((WIDTH - 0.42) / WIDTH, 0.35 / height, 0.08 / WIDTH, (height - 0.55) / height))
        figure.colorbar(image, cax=image_axes).ax.tick_params(labelsize=6)
        ax.set_yticks(range(len(rows)), rows, fontsize=5.5)
        ax.tick_params(axis="y", length=0)
        start = 0
        for name, size in (groups or {}).items():
            if start:
                ax.axhline(start - 0.5, color="white", lw=1.2)
            ax.text(
                -0.75, start + size / 2 - 0.5, name, transform=ax.get_yaxis_transform(), va="center", ha="center",
                fontsize=6.5,
            )  # fmt: skip
            start += size
        ax.set(xlabel="epoch", title=title)
    return ax


def _given(cell: nx.DiGraph[Any]) -> Callable[[Any], int]:
    """The order in which a cell's nodes were added, for what the edges leave open."""
    place = {node: number for number, node in enumerate(cell)}
    return lambda node: place[node]
