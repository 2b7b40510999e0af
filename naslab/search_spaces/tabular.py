"""Auto-PyTorch Tabular's space: networks for tables, and how they are trained (Zimmer et al. 2021, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import networkx as nx

from naslab import ops
from naslab.errors import InvalidValue
from naslab.search_spaces.autopytorch import AutoPyTorchSpace
from naslab.space import SGD, Adam, Choice, Cosine, Derived, Range, Recipe

LAYERS = (1, 2, 3, 4, 5, 6)
GROUPS = (1, 2, 3, 4, 5)
BLOCKS = (1, 2, 3)
NETWORKS = ("shapedmlpnet", "shapedresnet")
SWITCH = (False, True)
_NUM_LAYERS = Choice("shapedmlpnet:num_layers", LAYERS, labels=LAYERS)
_MLP_UNITS = Range("shapedmlpnet:max_units", 64, 1024, log=True, integer=True)
_NUM_GROUPS = Choice("shapedresnet:num_groups", GROUPS, labels=GROUPS)
_NUM_BLOCKS = Choice("shapedresnet:blocks_per_group", BLOCKS, labels=BLOCKS)
_RESNET_UNITS = Range("shapedresnet:max_units", 32, 512, log=True, integer=True)


def tabular(
    features: int = 18,
    classes: int = 7,
    categories: Sequence[int] = (),
    epochs: int = 50,
    networks: Literal["corrected", "published"] = "corrected",
) -> AutoPyTorchSpace:
    """Auto-PyTorch Tabular's multi-layer perceptrons and residual networks with all their decisions.

    Decisions bear the names of its configurations (``shapedmlpnet:max_units``, ``adam:learning_rate``), so that
    strings are written in them and configurations can be read
    (:meth:`~naslab.search_spaces.autopytorch.AutoPyTorchSpace.from_configuration`). The networks: layers, or groups and
    blocks per group; units, from which a funnel of widths follows; dropout, shake-shake and shake-drop. Before them: a
    truncated singular value decomposition, or embeddings of the categories. The recipe: rows per batch, optimizer with
    its learning rate, L2 penalty and momentum, mixup.

    What is fixed there is no decision here: ReLU, cosine annealing over 50 epochs whatever the number of epochs. Class
    weights are the objective's affair (:class:`~naslab.evaluators.training_objective.TrainingObjective`), imputation,
    standardisation and one-hot columns that of whoever prepares the rows. With ``networks="published"`` the networks
    have the bugs of the code that the paper's tables came from:

    1. *dropout*: a residual network with dropout drops everything in training, at any ``max_dropout``: each branch is
       then its last bias, and at prediction its untrained weights are switched on.
    2. *shake*: shake-shake and shake-drop are constant in training and draw at prediction.
    3. *embedding*: behind a category that is not embedded, embeddings read the columns of the wrong categories.

    Deviations: the cosine falls with every step, not every epoch; weighted losses are divided by the number of rows,
    not by their weights; corrected shake-drop draws from [-1, 1], as its paper (Yamada et al. 2019), not from [0, 1].
    The last group has no dropout (its funnel ends at 0), nor has the only one, as in Auto-PyTorch.

    Args:
        features: Inputs of a row: the one-hot columns of the categories, one category after the other, then the
            standardised numbers. At least 2.
        classes: Numbers that the network gives.
        categories: How many values each category has; without any there is no decision on embeddings.
        epochs: Of a training.
        networks: ``"corrected"`` or ``"published"``.

    Raises:
        InvalidValue: A number that is not at least 1 (features: 2), categories with more columns than there are
            features, or neither kind of networks.
    """
    sizes = tuple(categories)
    for name, number, least in (
        ("features", features, 2),
        ("classes", classes, 1),
        *(("a category", size, 1) for size in sizes),
    ):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise InvalidValue(f"{name}={number!r}. Allowed: whole numbers of at least {least}")
    if features < sum(sizes):
        raise InvalidValue(f"features={features}: the one-hot columns of categories={sizes} alone are {sum(sizes)}")
    if networks not in ("corrected", "published"):
        raise InvalidValue(f"networks={networks!r}. Allowed: corrected, published")
    bugs = networks == "published"
    prepared = _prepared(sizes, bugs)
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(features,))
    graph.add_edge("x", "prepared", op=prepared)
    last = "prepared"
    for slot in range(GROUPS[-1] * BLOCKS[-1] + 1):
        node = "stem" if slot == 0 else f"block{slot}"
        graph.add_node(node, width=Derived(Width(slot, features, classes, prepared)))
        graph.add_edge(last, node, op=Choice("network", (_layer(slot), _block(slot, bugs)), labels=NETWORKS))
        last = node
    graph.add_node("logits", width=classes)
    head = Choice("network", (ops.Linear(), ops.Sequence((ops.BatchNorm(), ops.ReLU(), ops.Linear()))), labels=NETWORKS)
    graph.add_edge(last, "logits", op=head)
    return AutoPyTorchSpace(graph, name="tabular" if not bugs else "tabular-published", recipe=_recipe(epochs))


def funnel(features: int, outputs: int, units: int, layers: int) -> tuple[int, ...]:
    """The widths of so many layers, the outputs last: from ``max(features, units)`` down in equal steps."""
    if layers == 1:
        return (outputs,)
    first = max(features, units)
    step = max(0, int((first - outputs) / (layers - 1)))
    return (*(first - i * step for i in range(layers - 1)), outputs)


@dataclass(frozen=True)
class Perceptron:
    """The widths of a perceptron's hidden layers, of which there is one less than layers."""

    layers: Any = _NUM_LAYERS
    units: Any = _MLP_UNITS

    def widths(self, features: int, outputs: int) -> tuple[int, ...]:
        """Behind the stem and every block; a linear model has none."""
        return funnel(features, outputs, self.units, self.layers)[:-1]


@dataclass(frozen=True)
class Residual:
    """The widths of a residual network: of its stem, then of its blocks, which are equal in each group."""

    groups: Any = _NUM_GROUPS
    blocks: Any = _NUM_BLOCKS
    units: Any = _RESNET_UNITS

    def widths(self, features: int, outputs: int) -> tuple[int, ...]:
        """Behind the stem and every block."""
        stem, *groups, _ = funnel(features, outputs, self.units, self.groups + 2)
        return (stem, *(width for width in groups for _ in range(self.blocks)))


_NETWORK = Choice("network", (Perceptron(), Residual()), labels=NETWORKS)


@dataclass(frozen=True)
class Width:
    """The width behind the stem (0) or a block; that of the last one where there is none.

    Attributes:
        slot: The number of the block.
        features: Of a row.
        outputs: Of the network.
        prepared: The operation between the row and the network.
        network: The network's own decisions.
    """

    slot: int
    features: int
    outputs: int
    prepared: Any
    network: Any = _NETWORK

    def __call__(self, taken: Mapping[str, Any]) -> int:
        """The decisions are in the attributes; none of the others matters."""
        (features,) = self.prepared.output_shape((self.features,), None)
        widths: tuple[int, ...] = self.network.widths(features, self.outputs) or (features,)
        return widths[min(self.slot, len(widths) - 1)]


def _prepared(sizes: tuple[int, ...], bugs: bool) -> Choice:
    """What is done to a row before it enters the network."""
    svd = ops.TruncatedSVD(Range("truncated_svd:target_dim", 10, 256, integer=True))
    if not sizes:
        return Choice("preprocessor", (ops.Identity(), svd), labels=("none", "truncated_svd"))
    reductions = tuple(Range(f"learned:dimension_reduction_{i}", 0, 1) for i in range(len(sizes)))
    least = Range("learned:min_unique_values_for_embedding", 3, 300, log=True, integer=True)
    learned = ops.EntityEmbedding(sizes, reductions, least, "shifted" if bugs else "own")
    embedding = Choice("embedding", (ops.Identity(), learned), labels=("none", "learned"))
    return Choice("preprocessor", (embedding, svd), labels=("none", "truncated_svd"))


def _layer(slot: int) -> ops.Operation | Choice:
    """The hidden layer of a perceptron in a place, or nothing."""
    if slot > LAYERS[-1] - 2:
        return ops.Identity()
    most = Range("shapedmlpnet:max_dropout", 0, 1)
    options: list[ops.Operation] = []
    for layers in LAYERS:
        share = funnel(0, 0, 1000, layers)[min(slot, layers - 1)] / 1000
        drop = Choice(
            "shapedmlpnet:use_dropout", (ops.Identity(), ops.ScaledDropout(most, share, least=0.05)), labels=SWITCH
        )
        options.append(ops.Sequence((ops.Linear(), ops.ReLU(), drop)) if slot < layers - 1 else ops.Identity())
    return replace(_NUM_LAYERS, options=tuple(options))


def _block(slot: int, bugs: bool) -> ops.Operation | Choice:
    """The stem of a residual network (slot 0), one of its blocks, or nothing."""
    if slot == 0:
        return ops.Linear()

    def block(groups: int, blocks: int) -> ops.Operation:
        if slot > groups * blocks:
            return ops.Identity()
        dropped = ops.ScaledDropout(
            Range("shapedresnet:max_dropout", 0, 1),
            funnel(0, 0, 1000, groups)[(slot - 1) // blocks] / 1000,
            least=0.05,
            everything=bugs,
        )
        shaken = ops.ShakeDrop(Range("shapedresnet:max_shake_drop_probability", 0, 1), slot / (groups * blocks), bugs)
        return ops.PreActivationBlock(
            dropout=Choice("shapedresnet:use_dropout", (ops.Identity(), dropped), labels=SWITCH),
            shake_shake=Choice("shapedresnet:use_shake_shake", SWITCH),
            shake_drop=Choice("shapedresnet:use_shake_drop", (ops.Identity(), shaken), labels=SWITCH),
            inverted=bugs,
        )

    def group(groups: int) -> Choice:
        return replace(_NUM_BLOCKS, options=tuple(block(groups, blocks) for blocks in BLOCKS))

    return replace(_NUM_GROUPS, options=tuple(group(groups) for groups in GROUPS))


def _recipe(epochs: int) -> Recipe:
    """How a network is trained; the learning rate and the penalty are decisions of each optimizer's own."""
    kinds = ("sgd", "adam")
    rates = tuple(Range(f"{kind}:learning_rate", 1e-4, 1e-1, log=True) for kind in kinds)
    decays = tuple(Range(f"{kind}:weight_decay", 1e-5, 1e-1) for kind in kinds)
    updates = (SGD(Range("sgd:momentum", 0.1, 0.999), nesterov=False), Adam())
    return Recipe(
        epochs=epochs,
        batch=Range("batch_size", 16, 512, log=True, integer=True),
        learning_rate=Choice("optimizer", rates, labels=kinds),
        optimizer=Choice("optimizer", updates, labels=kinds),
        schedule=Cosine(epochs=50, end=1e-8),
        weight_decay=Choice("optimizer", decays, labels=kinds),
        mixup=Choice(
            "batch_loss_computation_technique", (0.0, Range("mixup:alpha", 0, 1)), labels=("standard", "mixup")
        ),
    )
