"""What Auto-PyTorch Tabular's space can do beside others: read and write its configurations, and draw a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from naslab import ops
from naslab.errors import InvalidArchitecture, UnknownName
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NODES = {
    "network": "NetworkSelector",
    "shapedmlpnet": "NetworkSelector",
    "shapedresnet": "NetworkSelector",
    "preprocessor": "PreprocessorSelector",
    "truncated_svd": "PreprocessorSelector",
    "embedding": "EmbeddingSelector",
    "learned": "EmbeddingSelector",
    "batch_size": "CreateDataLoader",
    "optimizer": "OptimizerSelector",
    "sgd": "OptimizerSelector",
    "adam": "OptimizerSelector",
    "batch_loss_computation_technique": "TrainNode",
    "mixup": "TrainNode",
}
"""The node of Auto-PyTorch's pipeline for the first part of a decision's name."""
_FIXED = {
    "Imputation:strategy": "mean",
    "InitializationSelector:initialization_method": "default",
    "InitializationSelector:initializer:initialize_bias": "Yes",
    "LearningrateSchedulerSelector:lr_scheduler": "cosine_annealing",
    "LearningrateSchedulerSelector:cosine_annealing:T_max": 50,
    "LearningrateSchedulerSelector:cosine_annealing:eta_min": 1e-08,
    "LossModuleSelector:loss_module": "cross_entropy_weighted",
    "NormalizationStrategySelector:normalization_strategy": "standardize",
    "ResamplingStrategySelector:over_sampling_method": "none",
    "ResamplingStrategySelector:target_size_strategy": "none",
    "ResamplingStrategySelector:under_sampling_method": "none",
}
_FIXED_OF = {
    "shapedmlpnet": {
        "NetworkSelector:shapedmlpnet:activation": "relu",
        "NetworkSelector:shapedmlpnet:mlp_shape": "funnel",
    },
    "shapedresnet": {
        "NetworkSelector:shapedresnet:activation": "relu",
        "NetworkSelector:shapedresnet:resnet_shape": "funnel",
    },
}


class AutoPyTorchSpace(SearchSpace):
    """A space whose decisions bear the names of Auto-PyTorch's, without their node."""

    def configuration(self, architecture: Architecture) -> dict[str, Any]:
        """The configuration of an architecture: what is active and what is always the same, by its names."""
        values = self.decisions(architecture)
        found: dict[str, Any] = dict(_FIXED)
        for each in self.decisions_in_order:
            if each.name in self.active(architecture):
                value = values[each.name]
                told = (each.labels or each.options)[value] if isinstance(each, Choice) else value
                found[f"{_NODES[each.name.partition(':')[0]]}:{each.name}"] = told
        return found | _FIXED_OF[found["NetworkSelector:network"]]

    def from_configuration(self, configuration: Mapping[str, Any]) -> Architecture:
        """Inverse of :meth:`configuration`; what is always the same may be missing.

        Raises:
            InvalidArchitecture: A name that the space does not know, a value that it does not have, or a decision that
                is missing.
        """
        fixed = _FIXED | _FIXED_OF["shapedmlpnet"] | _FIXED_OF["shapedresnet"]
        known = {f"{_NODES[each.name.partition(':')[0]]}:{each.name}": each.name for each in self.decisions_in_order}
        stated = []
        for key, value in configuration.items():
            if key in known:
                stated.append(f"{known[key]}={value}")
            elif key not in fixed:
                raise InvalidArchitecture(f"configuration: {UnknownName(key, [*known, *fixed])}")
            elif value != fixed[key]:
                raise InvalidArchitecture(f"configuration: {key}={value!r}. Allowed: {fixed[key]!r}")
        return self.from_string(";".join(stated))

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of one network: a box per layer or block, as high as it is wide; what is skipped is left out.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.chain_plots import Layer, draw_chain  # matplotlib takes half a second

        graph, shapes = self.resolve(architecture), self.shapes(architecture)[0]
        widest = max(features for (features,) in shapes.values())
        layers = []
        for _, node, attributes in graph.edges(data=True):
            op = attributes["op"]
            if not op.is_identity:
                height = 1 + round(9 * shapes[node][0] / widest)
                layers.append(Layer(_kind(op), height, tuple(_words(op)), shapes[node]))
        rows = f"{shapes['x'][0]} columns"
        return draw_chain(layers, ax, title=f"{self.name}, {rows}: {self.cost(architecture).params:,} parameters")


def _kind(op: ops.Operation) -> str:
    if isinstance(op, ops.PreActivationBlock):
        return "residual block"
    return "" if isinstance(op, ops.TruncatedSVD | ops.EntityEmbedding) else "linear layer"


def _words(op: ops.Operation) -> Iterator[str]:
    """What is written above a layer: its parts that are not always there."""
    if isinstance(op, ops.TruncatedSVD):
        yield "SVD"
    elif isinstance(op, ops.EntityEmbedding):
        yield "embed"
    elif isinstance(op, ops.Sequence):
        for part in op.parts:
            yield from _words(part)
    elif isinstance(op, ops.ScaledDropout):
        yield from ("drop", f"{op.rate:.2g}")
    elif isinstance(op, ops.ShakeDrop):
        yield from ("keep", f"{1 - op.most * op.share:.2g}")
    elif isinstance(op, ops.PreActivationBlock):
        yield from ("shake", "shake") if op.shake_shake else ()
        yield from _words(op.shake_drop)
        yield from _words(op.dropout)
