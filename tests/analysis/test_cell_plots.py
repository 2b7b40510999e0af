"""Cells as arc diagrams, probabilities as heat maps: what is in the drawing."""

from __future__ import annotations

import networkx as nx
import numpy as np
from matplotlib.patches import PathPatch

from naslab.analysis.cell_plots import draw_cell, draw_distribution
from naslab.analysis.style import figure_of, render


def cell() -> nx.DiGraph:
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(["0", "1", "2"])
    graph.add_edge("0", "1", label="conv")
    graph.add_edge("0", "2", label="skip")
    graph.add_edge("1", "2", label="conv")
    graph.add_edge("2", "output")
    return graph


def test_every_operation_is_an_arc_with_its_name_and_nothing_is_written_over() -> None:
    ax = draw_cell(cell(), title="found")
    arcs = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    texts = [text.get_text() for text in ax.texts]
    assert len(arcs) == 4
    assert sorted(texts) == ["0", "1", "2", "conv", "conv", "output", "skip"]
    figure = figure_of(ax)
    assert len(render(figure, "png")) > 1000
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    colours = {tuple(arc.get_edgecolor()) for arc in arcs}
    assert len(colours) == 3  # two operations, and what leads to the output


def test_a_heat_map_shows_every_row_and_group() -> None:
    shares = np.linspace(0, 1, 12).reshape(4, 3)
    ax = draw_distribution(shares, ["a", "b", "a", "b"], groups={"first": 2, "second": 2}, title="t")
    np.testing.assert_array_equal(ax.images[0].get_array(), shares)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "a", "b"]
    assert [text.get_text() for text in ax.texts] == ["first", "second"]
