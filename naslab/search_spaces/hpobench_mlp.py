"""HPOBench's perceptrons and how they are trained (Eggensperger et al. 2021, ``nn_benchmark.py``), five decisions."""

from __future__ import annotations

from typing import Any

import networkx as nx

from naslab import ops
from naslab.search_spaces.counts import check_count
from naslab.space import Choice, Recipe, SearchSpace

DEPTHS = (1, 2, 3)
WIDTHS = (16, 25, 40, 64, 101, 161, 256, 406, 645, 1024)
BATCHES = (4, 6, 10, 16, 25, 40, 64, 101, 161, 256)
RATES = (1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3, 5.9948424e-3, 2.1544347e-2, 7.742637e-2,
         2.7825594e-1, 1.0)  # fmt: skip
PENALTIES = (1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5, 2.7825593e-4, 2.1544348e-3, 1.6681006e-2,
             1.2915497e-1, 1.0)  # fmt: skip
ORDER = ("alpha", "batch_size", "depth", "learning_rate_init", "width")
"""The benchmark's names of the decisions, in the order in which an architecture lists them."""
EPOCHS = 243


def hpobench_mlp(features: int = 21, outputs: int = 1) -> SearchSpace:
    """One to three hidden layers of one width with ReLU: 30,000 architectures.

    The recipe is part of the space: learning rate, L2 penalty and rows per batch are decisions; Adam, a constant
    learning rate and 243 epochs are fixed. Parameters are those of scikit-learn's ``MLPClassifier``, which the
    benchmark trained.

    Deviations from it: its penalty is divided by the rows of a batch and leaves biases out, naslab's weight decay does
    neither; it stops when the training loss has not improved by 1e-4 for ten epochs; it trains on rows that do not
    fill a batch. Initial weights are naslab's (PyTorch's), not scikit-learn's.

    Args:
        features: Numbers in a row, one-hot columns counted one by one.
        outputs: One for two classes, else one per class, as scikit-learn has them.

    Raises:
        InvalidValue: Not whole numbers of at least 1.
    """
    check_count(features=features, outputs=outputs)
    width = Choice("width", WIDTHS)
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(features,))
    last, layer = "x", ops.Sequence((ops.Linear(), ops.ReLU()))
    for place in DEPTHS:
        node = f"hidden{place}"
        graph.add_node(node, width=width)
        options = tuple(layer if place <= depth else ops.Identity() for depth in DEPTHS)
        graph.add_edge(last, node, op=Choice("depth", options, labels=DEPTHS))
        last = node
    graph.add_node("y", width=outputs)
    graph.add_edge(last, "y", op=ops.Linear())
    recipe = Recipe(
        epochs=EPOCHS,
        batch=Choice("batch_size", BATCHES),
        learning_rate=Choice("learning_rate_init", RATES),
        optimizer="adam",
        schedule="constant",
        weight_decay=Choice("alpha", PENALTIES),
    )
    return SearchSpace(graph, name="hpobench-mlp", order=ORDER, recipe=recipe)
