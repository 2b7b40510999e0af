"""Rewrites of a mixed supernet's graph that make it fast without changing its result or any ``state_dict``.

Each pass is one function over the fx graph and applies to any space. ``benchmarks/supernet_step.py`` measures them
alone and together; :data:`PASSES` holds those that save time on a CPU.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from naslab.compiler.fused import DepthwiseAverage, normalised_convolutions, summed_convolutions, weighted_sum
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
    """Compute repeated expressions only once: one ReLU and one pooling per tensor."""
    seen: dict[Any, fx.Node] = {}
    for node in module.graph.nodes:
        key: Any = None
        if node.op == "call_function" and not node.kwargs:
            key = (node.target, _hashable(node.args))
        elif type(part := _module(module, node)) in STATELESS:
            assert part is not None
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
        if type(part) is not nn.AvgPool2d or part.ceil_mode or part.count_include_pad or part.divisor_override:
            continue
        path = f"{node.target}/depthwise"
        module.add_submodule(path, DepthwiseAverage(part))
        node.target = path


def fold_weights(module: fx.GraphModule) -> None:
    """Turn a mixture's weight times a batch normalisation into a scaled one, which saves a pass over memory."""
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
    """Compute a sum of weighted tensors in one pass over memory, and gradients of its weights as dot products."""
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
    """Run convolutions of one input and one geometry in one call with stacked kernels, their normalisations in another.

    Only where each convolution is followed by a plain normalisation with the batch's own statistics: any other
    operation would have to run on a slice of the stacked output, which is slow. Run it after :func:`fold_weights`.
    """
    groups: dict[Any, list[tuple[fx.Node, fx.Node]]] = {}
    for node in module.graph.nodes:
        conv = _module(module, node)
        if not isinstance(conv, nn.Conv2d) or conv.groups != 1 or conv.bias is not None or len(node.users) != 1:
            continue
        if conv.padding_mode != "zeros":
            continue
        after = next(iter(node.users))
        norm = _module(module, after)
        if isinstance(norm, BatchNorm) and not (norm.affine or norm.track_running_stats):
            geometry = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, norm.eps)
            groups.setdefault((node.args[0], geometry), []).append((node, after))
    for (x, (_, stride, padding, dilation, eps)), pairs in groups.items():
        if len(pairs) < 2:
            continue
        with module.graph.inserting_before(pairs[-1][1]):  # every mixture weight is known here
            kernels = [module.graph.get_attr(f"{node.target}.weight") for node, _ in pairs]
            scales = [after.args[1] if len(after.args) > 1 else None for _, after in pairs]
            arguments = (x, kernels, scales, stride, padding, dilation, eps)
            outputs = module.graph.call_function(normalised_convolutions, arguments)
            pieces = [module.graph.call_function(operator.getitem, (outputs, i)) for i in range(len(pairs))]
        for (node, after), piece in zip(pairs, pieces, strict=True):
            after.replace_all_uses_with(piece)
            module.graph.erase_node(after)
            module.graph.erase_node(node)
    _sort(module.graph)


def add_stacked(module: fx.GraphModule) -> None:
    """Stacked convolutions of one input that lead to the same sums are added before they are cut into pieces.

    One addition instead of one per piece, and one gradient to gather. Run it after :func:`batch_convolutions`.
    """
    by_input: dict[Any, list[tuple[fx.Node, dict[fx.Node, fx.Node]]]] = {}
    for node in module.graph.nodes:
        if _is(node, normalised_convolutions) and (pieces := _pieces_by_sum(node)):
            by_input.setdefault(node.args[0], []).append((node, pieces))
    for x, found in by_input.items():
        (first, pieces), *others = found
        others = [(node, theirs) for node, theirs in others if _sizes(module, theirs) == _sizes(module, pieces)]
        if not others:
            continue
        order = list(pieces)
        calls = []
        for node, theirs in [(first, pieces), *others]:
            stacked: Any = node.args[1:]
            kernels, scales, *geometry = stacked
            index: list[Any] = [theirs[goal].args[1] for goal in order]
            calls.append(([kernels[i] for i in index], [scales[i] for i in index], *geometry))
        with module.graph.inserting_before(first):
            summed = module.graph.call_function(summed_convolutions, (x, calls))
            parts = [module.graph.call_function(operator.getitem, (summed, i)) for i in range(len(order))]
        for _, theirs in others:
            for piece in theirs.values():
                (sum_node,) = piece.users
                terms: Any = sum_node.args
                a, b = terms
                sum_node.replace_all_uses_with(b if a is piece else a)
                module.graph.erase_node(sum_node)
                module.graph.erase_node(piece)
        for goal, part in zip(order, parts, strict=True):
            pieces[goal].replace_all_uses_with(part)
            module.graph.erase_node(pieces[goal])
        for node, _ in [(first, pieces), *others]:
            module.graph.erase_node(node)
    _sort(module.graph)


def _pieces_by_sum(node: fx.Node) -> dict[fx.Node, fx.Node]:
    """The pieces of stacked convolutions by the sum that each goes into; empty where some go elsewhere."""
    found: dict[fx.Node, fx.Node] = {}
    for piece in node.users:
        goal = piece
        while (
            len(goal.users) == 1 and _is(user := next(iter(goal.users)), torch.add) and user.args[0] is not user.args[1]
        ):
            goal = user
        if goal is piece or goal in found:
            return {}
        found[goal] = piece
    return found


def _sizes(module: fx.GraphModule, pieces: dict[fx.Node, fx.Node]) -> dict[fx.Node, int]:
    """The number of features of each piece."""
    sizes = {}
    for goal, piece in pieces.items():
        stacked, i = piece.args
        sizes[goal] = len(module.get_parameter(stacked.args[1][i].target))  # type: ignore[union-attr,index,arg-type]
    return sizes


def channels_last(module: fx.GraphModule) -> None:
    """Turn the input into channels-last format: CPU convolutions, normalisations and poolings are faster in it."""
    x = next(node for node in module.graph.nodes if node.op == "placeholder")
    if not any(isinstance(_module(module, node), nn.Conv2d) for node in module.graph.nodes):
        return
    users = list(x.users)
    with module.graph.inserting_after(next(n for n in reversed(module.graph.nodes) if n.op == "placeholder")):
        turned = module.graph.call_function(innermost_channels, (x,))
    for user in users:
        user.replace_input_with(x, turned)


def innermost_channels(x: Tensor) -> Tensor:
    """An image in channels-last format; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


PASSES: tuple[Callable[[fx.GraphModule], None], ...] = (
    share_subexpressions,
    pool_by_convolution,
    fold_weights,
    batch_convolutions,
    add_stacked,
    fuse_sums,
    channels_last,
)


def _sort(graph: fx.Graph) -> None:
    """Put every node after the nodes it uses: calls that were joined stand where the last of them stood."""
    placed: set[fx.Node] = set()
    for node in list(graph.nodes):
        stack = [node]
        while stack:
            waiting = [used for used in stack[-1].all_input_nodes if used not in placed]
            if waiting:
                stack.extend(waiting)
                continue
            ready = stack.pop()
            if ready not in placed:
                placed.add(ready)
                if ready is not node:
                    node.prepend(ready)


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
