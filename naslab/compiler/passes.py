"""Rewrites of a mixed supernet's graph that make it fast without changing its result or anybody's ``state_dict``.

Each pass is one function over the fx graph and applies to any space. Measured alone and together by
``benchmarks/supernet_step.py``; :data:`PASSES` holds those that pay on a CPU.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from naslab.compiler.fused import DepthwiseAverage, grouped_convolution, weighted_sum
from naslab.compiler.primitives import BatchNorm

STATELESS = (nn.ReLU, nn.AvgPool2d, nn.MaxPool2d)


def optimise(module: fx.GraphModule) -> fx.GraphModule:
    """Run all of :data:`PASSES`."""
    for one in PASSES:
        one(module)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    return module


def share_subexpressions(module: fx.GraphModule) -> None:
    """Compute what is asked for twice once: one ReLU and one pooling per tensor."""
    seen: dict[Any, fx.Node] = {}
    for node in module.graph.nodes:
        key: Any = None
        if node.op == "call_function" and not node.kwargs:
            key = (node.target, _hashable(node.args))
        elif node.op == "call_module" and isinstance(part := _module(module, node), STATELESS):
            key = (type(part), part.extra_repr(), _hashable(node.args))
        if key is None:
            continue
        if key in seen:
            node.replace_all_uses_with(seen[key])
            module.graph.erase_node(node)
        else:
            seen[key] = node


def pool_by_convolution(module: fx.GraphModule) -> None:
    """Average pooling as a depthwise convolution with constant weights: several times faster on a CPU."""
    for node in module.graph.nodes:
        part = _module(module, node)
        if type(part) is nn.AvgPool2d and not part.ceil_mode and not part.count_include_pad:
            path = f"{node.target}/depthwise"
            _add(module, path, DepthwiseAverage(part))
            node.target = path


def fold_weights(module: fx.GraphModule) -> None:
    """A mixture's weight times a batch normalisation is a scaled batch normalisation: one pass over memory less."""
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target is not torch.mul:
            continue
        weight, term = node.args
        if not (isinstance(term, fx.Node) and isinstance(_module(module, term), BatchNorm) and len(term.users) == 1):
            continue
        with module.graph.inserting_before(node):
            x, *scale = term.args
            scale_node = module.graph.call_function(torch.mul, (weight, scale[0])) if scale else weight
            scaled = module.graph.call_module(str(term.target), (x, scale_node))
        node.replace_all_uses_with(scaled)
        module.graph.erase_node(node)
        module.graph.erase_node(term)


def fuse_sums(module: fx.GraphModule) -> None:
    """A sum of weighted tensors in one pass over memory, and gradients of its weights as dot products."""
    for node in reversed(list(module.graph.nodes)):
        if not _is(node, torch.add) or any(_is(user, torch.add) for user in node.users):
            continue
        plain: list[fx.Node] = []
        scaled: list[tuple[fx.Node, fx.Node]] = []
        _collect(node, plain, scaled)
        if len(plain) + len(scaled) < 2:
            continue
        with module.graph.inserting_before(node):
            weights, terms = [w for w, _ in scaled], [t for _, t in scaled]
            fused = module.graph.call_function(weighted_sum, (plain, weights, terms))
        node.replace_all_uses_with(fused)
    module.graph.eliminate_dead_code()


def batch_convolutions(module: fx.GraphModule) -> None:
    """Convolutions of one input with one geometry as one call with stacked kernels.

    Not in :data:`PASSES`: with channels last the outputs, which are slices, cost more than the larger call gains
    (measured; with channels first it is the other way round on small images).
    """
    groups: dict[Any, list[fx.Node]] = {}
    for node in module.graph.nodes:
        part = _module(module, node)
        if isinstance(part, nn.Conv2d) and part.groups == 1 and part.bias is None:
            geometry = (part.kernel_size, part.stride, part.padding, part.dilation)
            groups.setdefault((node.args[0], geometry), []).append(node)
    for (x, (_, stride, padding, dilation)), nodes in groups.items():
        if len(nodes) < 2:
            continue
        with module.graph.inserting_before(nodes[0]):
            weights = [module.graph.get_attr(f"{node.target}.weight") for node in nodes]
            outputs = module.graph.call_function(grouped_convolution, (x, weights, stride, padding, dilation))
            pieces = [module.graph.call_function(operator.getitem, (outputs, i)) for i in range(len(nodes))]
        for node, piece in zip(nodes, pieces, strict=True):
            node.replace_all_uses_with(piece)
            module.graph.erase_node(node)


def channels_last(module: fx.GraphModule) -> None:
    """Images with channels innermost, from the input on: CPU convolutions, normalisations and poolings prefer it."""
    x = next(node for node in module.graph.nodes if node.op == "placeholder")
    if not any(isinstance(_module(module, node), nn.Conv2d) for node in module.graph.nodes):
        return
    users = list(x.users)
    with module.graph.inserting_after(next(n for n in reversed(module.graph.nodes) if n.op == "placeholder")):
        turned = module.graph.call_method("to", (x,), {"memory_format": torch.channels_last})
    for user in users:
        user.replace_input_with(x, turned)


PASSES: tuple[Callable[[fx.GraphModule], None], ...] = (
    share_subexpressions,
    pool_by_convolution,
    fold_weights,
    fuse_sums,
    channels_last,
)


def _module(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _is(node: fx.Node, function: Any) -> bool:
    return node.op == "call_function" and node.target is function


def _collect(node: fx.Node, plain: list[fx.Node], scaled: list[tuple[fx.Node, fx.Node]]) -> None:
    """The summands of a tree of additions: plain ones, and (weight, tensor) pairs."""
    for term in node.args:
        assert isinstance(term, fx.Node)
        if _is(term, torch.add) and len(term.users) == 1:
            _collect(term, plain, scaled)
        elif _is(term, torch.mul) and len(term.users) == 1 and term.meta.get("weighted"):
            weight, tensor = term.args
            assert isinstance(weight, fx.Node)
            assert isinstance(tensor, fx.Node)
            scaled.append((weight, tensor))
        else:
            plain.append(term)


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    return value


def _add(module: fx.GraphModule, path: str, part: nn.Module) -> None:
    module.add_submodule(path, part)
