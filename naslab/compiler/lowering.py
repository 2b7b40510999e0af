"""Writes a supernet as an fx graph: mixtures term by term, categorical sites as opaque calls."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from naslab.compiler.choice_ops import Option, Site, bypass, width_index
from naslab.compiler.devices import moved
from naslab.compiler.network import edge_name, identifier
from naslab.compiler.parts import Parts
from naslab.compiler.passes import optimise
from naslab.compiler.primitives import is_built_in
from naslab.compiler.sharing import Shared
from naslab.errors import InvalidSpace
from naslab.ops import Shape
from naslab.space import Choice, Features, choices_in


def lower(
    parts: Parts,
    modules: Mapping[str, nn.Module | None],
    form: Literal["mixed", "categorical"],
    with_edges: bool,
    fast: bool,
) -> fx.GraphModule:
    """The graph of ``forward(x, decisions, edges)``.

    Args:
        parts: What the supernet is made of.
        modules: The supernet's modules by name; the children of a site's module are its options.
        form: How choices appear.
        with_edges: Whether ``edges`` weights are applied.
        fast: Whether the passes are run (mixed form only).
    """
    space = parts.space
    writer = _Writer(parts, modules, form, with_edges)
    values: dict[Any, fx.Node] = {}
    for node in space.order:
        sources = space.inputs[node]
        if not sources:
            values[node] = writer.x
            continue
        terms = []
        for source in sources:
            write = writer.mixed if form == "mixed" else writer.categorical
            terms.append(write(source, node, values[source]))
        values[node] = writer.combined(node, terms, masked=form == "mixed")
    writer.graph.output(values[space.order[-1]])
    writer.graph.lint()
    result = fx.GraphModule({**writer.used, **writer.extra}, writer.graph, f"{identifier(space.name)}_supernet")
    return optimise(result) if fast and form == "mixed" else result


class WidthMask(nn.Module):
    """Masks features for a mixture of widths: the mask is the weighted sum of the masks of the widths."""

    reaches: Tensor

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        reaches = torch.arange(max(widths), device="cpu") < torch.tensor(widths, device="cpu")[:, None]
        self.register_buffer("reaches", reaches.float(), persistent=False)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        if self.reaches.device != weights.device:  # a graph is no part of the supernet, which was moved without it
            self.reaches = moved(self.reaches, weights.device)
        mask = weights @ self.reaches.to(weights)
        return x * mask.reshape(1, -1, *[1] * (x.dim() - 2))


class SharedOption(nn.Module):
    """An option that runs on a part of a larger operation's tensors: a smaller kernel or expansion."""

    def __init__(self, shared: Shared, op: Any) -> None:
        super().__init__()
        self._shared, self.op = (shared,), op  # in a tuple: the tensors belong to the supernet's own modules

    def forward(self, x: Tensor) -> Tensor:
        (shared,) = self._shared
        return shared.widest(self.op, x)


def _first_channels(x: Tensor, partial: int) -> Tensor:
    return x[:, : x.shape[1] // partial]


class WidthTotal(nn.Module):
    """:func:`total` at a node whose width or size depends on decisions."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor, decisions: Mapping[str, Any], *terms: Tensor | None) -> Tensor:
        if any(term is not None and term.dim() for term in terms):
            return total(x, (), *terms)
        chosen = {name: width_index(name, decisions[name]) for name in self.features.everything}
        return total(x, self.features.at(chosen), *terms)


class Combination(nn.Module):
    """What a node makes of what arrives, where that depends on a decision."""

    def __init__(self, how: Choice) -> None:
        super().__init__()
        self.how = how

    def forward(self, decisions: Mapping[str, Any], *arriving: Tensor) -> Tensor:
        return combined(self.how.options[width_index(self.how.name, decisions[self.how.name])], *arriving)


def combined(how: str, *arriving: Tensor) -> Tensor:
    """What a node makes of what arrives: ``"sum"``, ``"concat"``, ``"product"`` or ``"mean"``."""
    if how == "concat":
        return torch.cat(arriving, 1)
    result = arriving[0]
    for term in arriving[1:]:
        result = result * term if how == "product" else result + term
    return result / len(arriving) if how == "mean" else result


def total(x: Tensor, shape: Shape, *terms: Tensor | None) -> Tensor:
    """The sum of what arrives at a node: None stands for zero, a number for a tensor filled with it.

    Args:
        x: The network's input, for the number of examples.
        shape: Shape of the node, for the case that no tensor arrives.
        terms: What arrives.
    """
    present = [term for term in terms if term is not None]
    if not any(term.dim() for term in present):
        base = x.new_zeros(x.shape[0], *shape)
        return base + sum(present) if present else base
    summed = present[0]
    for term in present[1:]:
        summed = summed + term
    return summed


class _Writer:
    def __init__(
        self,
        parts: Parts,
        modules: Mapping[str, nn.Module | None],
        form: Literal["mixed", "categorical"],
        with_edges: bool,
    ) -> None:
        self.space, self.fixed, self.sites = parts.space, parts.fixed, parts.sites
        self.shared, self.drop = parts.shared, parts.drop_path
        self.modules, self.form, self.with_edges = modules, form, with_edges
        self.graph = fx.Graph()
        self.x = self.graph.placeholder("x")
        self.decisions = self.graph.placeholder("decisions")
        self.edges = self.graph.placeholder("edges")
        self.used: dict[str, nn.Module] = {}
        self.extra: dict[str, nn.Module] = {}
        self._weights: dict[tuple[Any, ...], fx.Node] = {}

    def mixed(self, source: Any, node: Any, value: fx.Node) -> list[fx.Node]:
        """The terms of a mixture, to be added."""
        name, op = edge_name(self.space.graph, source, node), self.space.graph.edges[source, node]["op"]
        if name not in self.sites:
            return self._fixed(name, op, value)
        site = self.sites[name]
        self._check_masking(site)
        whole = value
        if site.partial > 1:
            value = self.graph.call_function(_first_channels, (value, site.partial))
        terms = []
        index = itertools.product(*map(range, site.sizes))
        # Equal options run once, with the sum of their weights; not a third party's, which may differ at every call.
        equal: dict[tuple[Option, Any], list[tuple[int, ...]]] = {}
        for option, picked in zip(site.options, index, strict=True):
            if not option.op.is_zero:
                ours = is_built_in(option.op)
                equal.setdefault((option, ours or picked), []).append(picked)
        for (option, _), picks in equal.items():
            term = value
            if option.host is not None:
                term = self._option(site, option, value)
            if self.drop is not None:
                self.extra["drop path"] = self.drop
                arguments = (term, site.depth, site.paths, option.op.is_identity)
                term = self.graph.call_module("drop path", arguments)
            weights = [[self._weight(choice, k) for choice, k in zip(site.scope, p, strict=True)] for p in picks]
            if len(weights) > 1:
                weights = [[self._folded(torch.add, [self._folded(torch.mul, factors) for factors in weights])]]
            for weight in weights[0]:
                term = self.graph.call_function(torch.mul, (weight, term))
                term.meta["weighted"] = True  # by a number: fuse_sums may take it
            terms.append(term)
        if site.partial > 1:
            summed = self._sum(terms, site.leaving, site.name) if terms else None
            halves = site.source.space != site.leaving.space
            terms = [self.graph.call_function(bypass, (whole, summed, site.partial, halves))]
        return [self._edge_weighted(site, term) for term in terms] if site.scope else terms

    def categorical(self, source: Any, node: Any, value: fx.Node) -> list[fx.Node]:
        """One opaque call."""
        name, op = edge_name(self.space.graph, source, node), self.space.graph.edges[source, node]["op"]
        if name not in self.sites:
            return self._fixed(name, op, value)
        module = self.modules[name]
        assert module is not None
        self.used[name] = module
        called = self._named(self.graph.call_module(name, (value, self.decisions)), name)
        return [self._edge_weighted(self.sites[name], called, optional=True)]

    def combined(self, node: Any, arriving: Sequence[list[fx.Node]], *, masked: bool) -> fx.Node:
        """What a node makes of what arrives, and the mask of a width that is a choice."""
        attributes = self.space.graph.nodes[node]
        shape = self.space.cost_model.shapes[node]
        how = attributes.get("combine", "sum")
        if masked and (shape.resolution or isinstance(how, Choice)):
            what = f"is combined by choice {how.name!r}" if isinstance(how, Choice) else "has a size that is a choice"
            raise InvalidSpace(f"node {node!r} {what}, which has no mixed form; use choices='categorical'")
        if how == "sum":
            value = self._sum([term for terms in arriving for term in terms], shape, str(node))
        else:
            parts = [
                self._sum(terms, self.space.cost_model.arriving[source, node], f"{source}/{node}")
                for source, terms in zip(self.space.inputs[node], arriving, strict=True)
            ]
            if how == "concat":
                return self._named(self.graph.call_function(torch.cat, (parts, 1)), str(node))
            if isinstance(how, Choice):
                path = f"{node}/combination".replace(".", "_")
                self.extra[path] = Combination(how)
                return self._named(self.graph.call_module(path, (self.decisions, *parts)), path)
            value = self._named(self.graph.call_function(combined, (how, *parts)), str(node))
        width = attributes.get("width")
        if not masked or not isinstance(width, Choice):
            return value
        if any(True for option in width.options for _ in choices_in(option)):
            raise InvalidSpace(f"node {node!r}: a width inside a width has no mixed form; use choices='categorical'")
        mask = f"{node}/mask".replace(".", "_")
        self.extra[mask] = WidthMask(width.options)
        weights = self.graph.call_function(operator.getitem, (self.decisions, width.name))
        return self._named(self.graph.call_module(mask, (value, weights)), mask)

    def _sum(self, terms: Sequence[fx.Node], shape: Features, name: str) -> fx.Node:
        plain = [t for t in terms if t.meta.get("always", True)]
        if len(plain) == len(terms) and terms:
            return self._folded(torch.add, terms)
        if shape.everything and self.form == "categorical":
            path = f"{name}/total".replace(".", "_")
            self.extra[path] = WidthTotal(shape)
            return self._named(self.graph.call_module(path, (self.x, self.decisions, *terms)), name)
        return self._named(self.graph.call_function(total, (self.x, shape.largest, *terms)), name)

    def _folded(self, function: Any, values: Sequence[fx.Node]) -> fx.Node:
        """``function(function(a, b), c)`` and so on."""
        folded = values[0]
        for value in values[1:]:
            folded = self.graph.call_function(function, (folded, value))
        return folded

    def _fixed(self, name: str, op: Any, value: fx.Node) -> list[fx.Node]:
        if op.is_zero:
            return []
        if op.is_identity:
            return [value]
        return [self._inlined(self.fixed[name], name, value)]

    def _inlined(self, module: nn.Module, path: str, value: fx.Node) -> fx.Node:
        """A sequence part by part, so that passes see the parts; anything else as one call."""
        if type(module) is nn.Sequential:
            for name, part in module.named_children():
                value = self._inlined(part, f"{path}.{name}", value)
            return value
        self.used[path] = module
        return self._named(self.graph.call_module(path, (value,)), path)

    def _child(self, name: str, host: str) -> nn.Module:
        site = self.modules[name]
        assert site is not None
        return site.get_submodule(host)

    def _option(self, site: Site, option: Option, value: fx.Node) -> fx.Node:
        assert option.host is not None
        shared = self.shared[site.name].get(option.host)
        if shared is None or option.op == shared.host:
            return self._inlined(self._child(site.name, option.host), f"{site.name}.{option.host}", value)
        path = f"{site.name}/{len(self.extra)}"
        self.extra[path] = SharedOption(shared, option.op)
        return self._named(self.graph.call_module(path, (value,)), path)

    def _check_masking(self, site: Site) -> None:
        for option in site.options:
            if site.widths and not option.op.masks_width:
                raise InvalidSpace(
                    f"edge {site.name!r}: its widths depend on {', '.join(map(repr, site.widths))}, and masked "
                    f"features change the result of {option.op}: use choices='categorical'"
                )
            if site.leaving.scope and option.op.sets_width and site.width is None:
                raise InvalidSpace(
                    f"edge {site.name!r}: nothing masks what {option.op} makes of its input's width, which depends on "
                    f"{', '.join(map(repr, site.widths))}: give its node a width, or use choices='categorical'"
                )

    def _weight(self, choice: str, k: int) -> fx.Node:
        if (choice,) not in self._weights:
            self._weights[(choice,)] = self.graph.call_function(operator.getitem, (self.decisions, choice))
        if (choice, k) not in self._weights:
            whole = self._weights[(choice,)]
            self._weights[(choice, k)] = self.graph.call_function(operator.getitem, (whole, k))
        return self._weights[(choice, k)]

    def _edge_weighted(self, site: Site, term: fx.Node, *, optional: bool = False) -> fx.Node:
        """A term times its edge's weight. In categorical form a term may be None or a number."""
        if self.with_edges and site.scope:
            term = self.graph.call_function(times, (self.edges, site.scope[0], term))
        term.meta["always"] = not optional
        return term

    def _named(self, node: fx.Node, name: str) -> fx.Node:
        node._rename(identifier(name))
        return node


def times(edges: Mapping[str, Tensor], name: str, term: Tensor | None) -> Tensor | None:
    """The output of an edge times the edge's weight, if it has one."""
    return term if term is None or name not in edges else edges[name] * term
