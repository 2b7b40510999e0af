"""What a supernet is made of: modules and sites, edge by edge."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from naslab.compiler.choice_ops import Option, Site
from naslab.compiler.drop_path import DropPath
from naslab.compiler.network import edge_name, made
from naslab.compiler.primitives import Norm
from naslab.compiler.sharing import Shared
from naslab.errors import InvalidSpace
from naslab.space import Choice, Features, SearchSpace, combinations, may_concatenate, resolve, scope


@dataclass(frozen=True)
class Parts:
    """What both forms of a supernet share.

    Attributes:
        space: The search space.
        norm: How batch normalisations behave.
        drop_path: Drops options at random, where there is one.
        fixed: Modules of edges without choices, by edge name.
        sites: The edges with choices.
        hosts: The modules of each site's options, by edge and option.
        shared: Where options use parts of one module's tensors, by edge and option.
    """

    space: SearchSpace
    norm: Norm
    drop_path: DropPath | None
    fixed: Mapping[str, nn.Module]
    sites: Mapping[str, Site]
    hosts: Mapping[str, Mapping[str, nn.Module]]
    shared: Mapping[str, Mapping[str, Shared]]


def build_parts(
    space: SearchSpace, norm: Norm, generator: torch.Generator, partial: int, drop_path: DropPath | None
) -> Parts:
    """Build and initialise every module of a supernet.

    Args:
        space: The search space.
        norm: How batch normalisations behave.
        generator: For the initial weights.
        partial: One in this many channels passes through a choice between operations on images.
        drop_path: Drops options at random, where there is one.
    """
    made_from = _Builder(space, norm, generator, partial)
    return Parts(space, norm, drop_path, made_from.fixed, made_from.sites, made_from.hosts, made_from.shared)


class _Builder:
    """Builds the parts edge by edge."""

    def __init__(self, space: SearchSpace, norm: Norm, generator: torch.Generator, partial: int) -> None:
        self.space, self.norm, self.generator, self.partial = space, norm, generator, partial
        self.place = {node: i / max(1, len(space.order) - 1) for i, node in enumerate(space.order)}
        self.sizes = {choice.name: len(choice.options) for choice in space.choices}
        self.rank = {name: i for i, name in enumerate(self.sizes)}
        self.fixed: dict[str, nn.Module] = {}
        self.sites: dict[str, Site] = {}
        self.hosts: dict[str, dict[str, nn.Module]] = {}
        self.shared: dict[str, dict[str, Shared]] = {}
        pieces: dict[Any, tuple[Features, ...]] = {}
        for node in space.order:
            concatenates = may_concatenate(space.graph.nodes[node])
            sources = space.inputs[node]
            for source in sources:
                self._edge(source, node, None if concatenates else space.graph.nodes[node].get("width"), pieces[source])
            pieces[node] = self._pieces(node, [self._passed(source, node, pieces[source]) for source in sources])

    def _edge(self, source: Any, node: Any, width: Any, pieces: tuple[Features, ...]) -> None:
        space, shapes = self.space, self.space.cost_model.shapes
        op, name = space.graph.edges[source, node]["op"], edge_name(space.graph, source, node)
        names = tuple(sorted(scope(op), key=self.rank.__getitem__))
        widths = tuple(sorted({*scope(width), *shapes[source].scope}, key=self.rank.__getitem__))
        shape = shapes[source].largest
        largest = max(_options(width)) if width is not None else None
        if not names and not widths:
            if not (op.is_zero or op.is_identity):
                out = op.output_shape(shape, largest)
                self.fixed[name] = made(op, shape, out, self.norm, self.generator, name)
            return
        partial = self._partial(name, op, shapes[source], shapes[node]) if names else 1
        shape = (shape[0] // partial, *shape[1:])
        largest = None if largest is None else largest // partial
        options: list[Option] = []
        hosts: dict[Any, str] = {}
        for _, decisions in combinations(names, self.sizes):
            chosen = resolve(op, decisions)
            if chosen.is_zero or chosen.is_identity:
                options.append(Option(chosen, None))
            else:
                options.append(Option(chosen, hosts.setdefault(largest_form(op, decisions), str(len(options)))))
        modules: dict[str, nn.Module] = {}
        shared: dict[str, Shared] = {}
        for host, key in hosts.items():
            out = host.output_shape(shape, largest)
            modules[key] = made(host, shape, out, self.norm, self.generator, name)
            smaller = [option.op for option in options if option.host == key and option.op != host]
            if widths or smaller:
                try:
                    shared[key] = Shared(host, modules[key], shape, out, self.norm)
                    for op in {smaller[0], smaller[-1]} if smaller else ():  # the others when they first run
                        shared[key].tensors(op, shape, op.output_shape(shape, largest))
                except InvalidSpace as error:
                    raise InvalidSpace(f"edge {name!r}: {error}") from None
        sizes = tuple(self.sizes[n] for n in names)
        site = Site(
            name,
            names,
            sizes,
            tuple(options),
            width,
            shapes[source],
            space.cost_model.arriving[source, node],
            pieces if widths else (),
            widths,
            partial,
            self.place[node],
            self._paths(node),
        )
        self.sites[name], self.hosts[name], self.shared[name] = site, modules, shared

    def _passed(self, source: Any, node: Any, pieces: tuple[Features, ...]) -> tuple[Features, ...]:
        """The pieces of what an edge delivers: those of its input, unless the operation makes new features."""
        ops = [op for op in _operations(self.space.graph.edges[source, node]["op"]) if not op.is_zero]
        return () if any(op.sets_width for op in ops) else pieces

    def _pieces(self, node: Any, passed: Sequence[tuple[Features, ...]]) -> tuple[Features, ...]:
        """The shapes of the tensors that a node concatenates; empty where its features are a single piece."""
        sources = self.space.inputs[node]
        how = self.space.graph.nodes[node].get("combine", "sum")
        if isinstance(how, Choice) and may_concatenate(self.space.graph.nodes[node]):
            if any(self.space.cost_model.arriving[source, node].scope for source in sources):
                raise InvalidSpace(
                    f"node {node!r} chooses whether to concatenate tensors whose widths depend on choices: which "
                    "features belong together is not defined"
                )
            return ()
        if how == "concat":
            arriving = [self.space.cost_model.arriving[source, node] for source in sources]
            return tuple(piece for whole, parts in zip(arriving, passed, strict=True) for piece in parts or (whole,))
        layouts = {tuple(map(id, parts)) for parts in passed}  # by identity: the same tensors in the same places
        if len(layouts) > 1 and any(piece.scope for parts in passed for piece in parts):
            raise InvalidSpace(
                f"node {node!r} adds tensors that are concatenated in different ways while their widths depend on "
                "choices: which features belong together is not defined"
            )
        return passed[0] if passed else ()

    def _partial(self, name: str, op: Any, arriving: Features, leaving: Features) -> int:
        """K for an edge with partial channels (a choice between operations on images that keep the width), else 1."""
        if self.partial == 1 or not arriving.space or not leaving.space:
            return 1
        if arriving.resolution or leaving.resolution:
            raise InvalidSpace(f"edge {name!r}: partial channels need sizes that depend on no choice")
        if arriving.scope or leaving.scope or int(arriving.widths) != int(leaving.widths):
            raise InvalidSpace(f"edge {name!r}: partial channels need one width, the same before and after it")
        if int(arriving.widths) % self.partial:
            raise InvalidSpace(f"edge {name!r}: {int(arriving.widths)} channels can't be cut into {self.partial} parts")
        if leaving.space not in (arriving.space, tuple(-(-side // 2) for side in arriving.space)):
            raise InvalidSpace(f"edge {name!r}: partial channels need operations that keep or halve the image")
        return self.partial

    def _paths(self, node: Any) -> int:
        """The number of options other than zero that lead to a node."""
        ops = [self.space.graph.edges[source, node]["op"] for source in self.space.inputs[node]]
        return sum(not option.is_zero for op in ops for option in _operations(op))


def largest_form(value: Any, decisions: Mapping[str, int]) -> Any:
    """The operation whose tensors an option uses: its numeric attributes at their largest, all else as decided."""
    if isinstance(value, Choice):
        if all(isinstance(option, int | float) and not isinstance(option, bool) for option in value.options):
            return max(value.options)
        return largest_form(value.options[decisions[value.name]], decisions)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(
            value, **{name: largest_form(old, decisions) for name, old in fields.items() if scope(old)}
        )
    if isinstance(value, tuple):
        return tuple(largest_form(each, decisions) for each in value)
    return value


def _operations(op: Any) -> Iterable[Any]:
    """The outermost operations that an edge can carry, attributes undecided."""
    return [inner for option in op.options for inner in _operations(option)] if isinstance(op, Choice) else [op]


def _options(value: Any) -> Sequence[Any]:
    return [o for option in value.options for o in _options(option)] if isinstance(value, Choice) else [value]
