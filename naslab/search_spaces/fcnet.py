"""Klein & Hutter's fully connected networks and how they are trained (2019, section 3), nine decisions in all."""

from __future__ import annotations

from typing import Any

import networkx as nx

from naslab import ops
from naslab.search_spaces.counts import check_count
from naslab.space import Choice, Recipe, SearchSpace

UNITS = (16, 32, 64, 128, 256, 512)
RATES = (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)
DROPOUTS = (0.0, 0.3, 0.6)
ORDER = (
    "activation_fn_1",
    "activation_fn_2",
    "batch_size",
    "dropout_1",
    "dropout_2",
    "init_lr",
    "lr_schedule",
    "n_units_1",
    "n_units_2",
)
"""The benchmark's names of the decisions, in the order in which an architecture lists them."""
LAYERS = 2


def fcnet(features: int = 9) -> SearchSpace:
    """Two hidden layers, each with its own width, activation and dropout, and one output: 62,208 architectures.

    The recipe is part of the space: learning rate, schedule and rows per batch are decisions; Adam and 100 epochs are
    fixed. Parameters are those of the benchmark's networks.

    Deviations from the benchmark's code (``train_fcnet.py``): the cosine falls with every step, not every epoch; rows
    that do not fill a batch are left out of an epoch. Initial weights are naslab's (PyTorch's), not Keras'.

    Args:
        features: Numbers in a row: 9 (protein structure), 15 (naval propulsion), 20 (Parkinson's telemonitoring) or
            380 (slice localization).

    Raises:
        InvalidValue: Not a whole number of at least 1.
    """
    check_count(features=features)
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(features,))
    last = "x"
    for layer in range(1, LAYERS + 1):
        graph.add_node(f"hidden{layer}", width=Choice(f"n_units_{layer}", UNITS))
        graph.add_edge(last, f"hidden{layer}", op=ops.Linear())
        activation = Choice(f"activation_fn_{layer}", (ops.ReLU(), ops.Tanh()), labels=("relu", "tanh"))
        graph.add_edge(f"hidden{layer}", f"active{layer}", op=activation)
        last = f"dropped{layer}"
        graph.add_edge(f"active{layer}", last, op=ops.Dropout(Choice(f"dropout_{layer}", DROPOUTS)))
    graph.add_node("y", width=1)
    graph.add_edge(last, "y", op=ops.Linear())
    recipe = Recipe(
        epochs=100,
        batch=Choice("batch_size", (8, 16, 32, 64)),
        learning_rate=Choice("init_lr", RATES),
        optimizer="adam",
        schedule=Choice("lr_schedule", ("cosine", "constant"), labels=("cosine", "const")),
    )
    return SearchSpace(graph, name="fcnet", order=ORDER, recipe=recipe)
