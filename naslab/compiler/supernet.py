"""All architectures of a space at once, over one set of weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, fx, nn

from naslab.choice import Architecture, Choice, resolve, scope
from naslab.compiler.choice_ops import CategoricalOp, MixedOp, Option, Site
from naslab.compiler.decisions import Decision, Sparse, checked
from naslab.compiler.drop_path import DropPath
from naslab.compiler.lowering import lower
from naslab.compiler.network import check_names, compile_network, edge_name, made
from naslab.compiler.primitives import Norm
from naslab.compiler.sharing import Shared, tensors_of
from naslab.cost import Features, combinations
from naslab.errors import InvalidSpace, InvalidValue, UnknownName
from naslab.space import SearchSpace

Form: TypeAlias = Literal["mixed", "categorical"]


def compile_supernet(
    space: SearchSpace,
    choices: Form = "mixed",
    *,
    generator: torch.Generator | None = None,
    affine: bool = False,
    track_running_stats: bool = False,
    partial_channels: int = 1,
    drop_path: DropPath | None = None,
    fast: bool = True,
) -> Supernet:
    """The supernet of a space.

    Args:
        space: The search space.
        choices: ``"mixed"``: every site is a :class:`MixedOp`, written out in the graph. ``"categorical"``: every
            site is a :class:`CategoricalOp`.
        generator: For the initial weights; a fresh one with its default seed where None.
        affine: Whether batch normalisations have a weight and a bias (in a supernet they would compete with the
            mixture's weights, so DARTS and its family go without).
        track_running_stats: Whether they keep running statistics; by default they use the batch's, without which shared
            weights rank badly (NATS-Bench; Dong et al. 2021).
        partial_channels: K of PC-DARTS (Xu et al. 2020): one in K channels passes through a choice between operations
            on images, the others by it, see :func:`~naslab.compiler.choice_ops.bypass`; edge normalisation is
            ``edges`` when the supernet is called.
        drop_path: Drops options at random while training, see :class:`~naslab.compiler.drop_path.DropPath`.
        fast: Whether the mixed graph is rewritten by the passes of :mod:`naslab.compiler.passes`: same result, same
            ``state_dict``.

    Raises:
        InvalidSpace: An operation has no builder or does not fit; or, in mixed form, a width is a choice beside an
            operation for which masking does not equal slicing.
    """
    _check_form(choices)
    if not isinstance(partial_channels, int) or partial_channels < 1:
        raise InvalidValue(f"partial_channels={partial_channels!r}: K is an integer of at least 1")
    check_names(space.graph)
    inputs = [node for node in space.order if not space.inputs[node]]
    if len(inputs) > 1:
        raise InvalidSpace(f"a supernet has one input; nodes without predecessors are {inputs}")
    norm = Norm(affine, track_running_stats)
    parts = _Parts(space, norm, generator or torch.Generator(), partial_channels)
    return Supernet(space, choices, norm, parts.fixed, parts.sites, parts.hosts, parts.shared, drop_path, fast=fast)


class Supernet(nn.Module):
    """Runs any mixture of a space's architectures.

    Made by :func:`compile_supernet`. It owns operation weights, never architecture parameters: those belong to the
    optimizer, which passes decisions in. Modules are named after edges; the modules of a site after its options.

    Attributes:
        space: The search space.
        form: ``"mixed"`` or ``"categorical"``.
    """

    def __init__(
        self,
        space: SearchSpace,
        form: Form,
        norm: Norm,
        fixed: Mapping[str, nn.Module],
        sites: Mapping[str, Site],
        hosts: Mapping[str, Mapping[str, nn.Module]],
        shared: Mapping[str, Mapping[str, Shared]],
        drop_path: DropPath | None,
        *,
        fast: bool,
    ) -> None:
        super().__init__()
        self.space, self.form, self.norm, self.fast = space, form, norm, fast
        self._fixed, self._sites, self._hosts, self._shared = dict(fixed), dict(sites), dict(hosts), dict(shared)
        self.drop_path = drop_path
        self._derived: dict[str, Any] = {}
        for name, module in fixed.items():
            self.add_module(name, module)
        for name, site in sites.items():
            if form == "categorical":
                self.add_module(name, CategoricalOp(site, hosts[name], shared[name], drop_path))
            else:
                self.add_module(name, MixedOp(site, hosts[name], shared[name], drop_path))
        _ = self.graph_module  # written now, so that what can't be expressed is said at compile time

    def forward(
        self,
        x: Tensor,
        decisions: Mapping[str, Decision] | Sequence[Decision],
        edges: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Run the supernet.

        Args:
            x: A batch of inputs.
            decisions: One per choice, by name or in the space's order: an option index, ``(K,)`` weights, or
                :class:`~naslab.compiler.decisions.Sparse`. The mixed form runs indices and sparse mixtures as the
                categorical form does: only what is active.
            edges: Optional weights of whole edges by the name of the edge's (first) choice; 1 where absent (PC-DARTS).

        Raises:
            InvalidValue: A choice lacks its decision, a decision has the wrong shape, or ``edges`` names no edge.
        """
        found = checked(decisions, self.space.choices)
        if edges:
            known = {site.scope[0] for site in self._sites.values() if site.scope}
            for name in edges:
                if name not in known:
                    raise InvalidValue(f"a weight for edge {UnknownName(name, known)}")
        if self.form == "mixed" and not all(isinstance(decision, Tensor) for decision in found.values()):
            if self._widths_are_indices(found):
                return self.view("categorical").forward(x, found, edges)
            found = {c.name: _dense(c.name, found[c.name], len(c.options)) for c in self.space.choices}
        result: Tensor = self._graph(edges is not None)(x, found, edges or {})
        return result

    @property
    def graph_module(self) -> fx.GraphModule:
        """The compiled graph of this form."""
        return self._graph(False)

    def view(self, form: Form) -> Supernet:
        """The other form over the same parameters (itself, if it has this form)."""
        _check_form(form)
        if form == self.form:
            return self
        if "other" not in self._derived:
            self._derived["other"] = Supernet(
                self.space,
                form,
                self.norm,
                self._fixed,
                self._sites,
                self._hosts,
                self._shared,
                self.drop_path,
                fast=self.fast,
            )
            self._derived["other"]._derived["other"] = self
        other: Supernet = self._derived["other"]
        other.training = self.training
        return other

    def extract(self, architecture: Architecture) -> fx.GraphModule:
        """One architecture as a network of its own, with copies of the supernet's weights; its output is equal.

        Raises:
            InvalidArchitecture: It is not of this space.
            InvalidValue: The supernet has partial channels, which no architecture has.
        """
        if any(site.partial > 1 for site in self._sites.values()):
            raise InvalidValue("a supernet with partial channels has no weights for whole networks: train them anew")
        norm = self.norm
        network = compile_network(
            self.space, architecture, affine=norm.affine, track_running_stats=norm.track_running_stats
        )
        decisions = self.space.decisions(architecture)
        resolved = self.space.resolve(architecture)
        like = next(self.parameters(), None)
        if like is not None:
            network.to(device=like.device, dtype=like.dtype)
        present = dict(network.named_children())
        with torch.no_grad():
            for source, node in resolved.edges:
                name = edge_name(resolved, source, node)
                if name in present:
                    values = self._values(name, decisions)
                    for key, tensor in tensors_of(present[name]).items():
                        tensor.copy_(values[key])
        network.train(self.training)
        return network

    def _values(self, name: str, decisions: Mapping[str, int]) -> Mapping[str, Tensor]:
        """The tensors that one edge uses under the given decisions."""
        if name in self._fixed:
            return tensors_of(self._fixed[name])
        site = self._sites[name]
        position = 0
        for choice, size in zip(site.scope, site.sizes, strict=True):
            position = position * size + decisions[choice]
        option = site.options[position]
        assert option.host is not None
        if option.host not in self._shared[name]:
            return tensors_of(self._hosts[name][option.host])
        shape = site.source.at(decisions)
        out = option.op.output_shape(shape, resolve(site.width, decisions))
        pieces = tuple((piece.largest[0], piece.at(decisions)[0]) for piece in site.pieces)
        return self._shared[name][option.host].tensors(option.op, shape, out, pieces)

    def _graph(self, with_edges: bool) -> fx.GraphModule:
        key = f"graph{with_edges}"
        if key not in self._derived:
            self._derived[key] = lower(
                self.space,
                self.form,
                self._fixed,
                self._modules,
                self._sites,
                self._shared,
                self.drop_path,
                with_edges,
                self.fast,
            )
        graph: fx.GraphModule = self._derived[key]
        return graph

    def _widths_are_indices(self, decisions: Mapping[str, Decision]) -> bool:
        return all(isinstance(decisions[name], int) for site in self._sites.values() for name in site.widths)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": {}}  # graphs are written again when needed


class _Parts:
    """What a supernet is made of, edge by edge."""

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
            concatenates = space.graph.nodes[node].get("combine", "sum") == "concat"
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
        if name in self.fixed or name in self.sites:
            raise InvalidSpace(f"two edges are called {name!r}: give one of them another name=... (a dot counts as _)")
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
                options.append(Option(chosen, hosts.setdefault(_host(op, decisions), str(len(options)))))
        modules: dict[str, nn.Module] = {}
        shared: dict[str, Shared] = {}
        for host, key in hosts.items():
            out = host.output_shape(shape, largest)
            modules[key] = made(host, shape, out, self.norm, self.generator, name)
            if widths or any(option.host == key and option.op != host for option in options):
                shared[key] = Shared(host, modules[key], shape, out, self.norm)
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
        """The pieces of what an edge delivers: those of its input, unless it makes features of its own."""
        ops = [op for op in _operations(self.space.graph.edges[source, node]["op"]) if not op.is_zero]
        return () if any(op.sets_width for op in ops) else pieces

    def _pieces(self, node: Any, passed: Sequence[tuple[Features, ...]]) -> tuple[Features, ...]:
        """The shapes of the tensors that a node concatenates; empty where its features are of one piece."""
        sources = self.space.inputs[node]
        if self.space.graph.nodes[node].get("combine", "sum") == "concat":
            arriving = [self.space.cost_model.arriving[source, node] for source in sources]
            return tuple(piece for whole, parts in zip(arriving, passed, strict=True) for piece in parts or (whole,))
        if len(set(map(tuple, (map(id, parts) for parts in passed)))) > 1 and any(
            piece.scope for parts in passed for piece in parts
        ):
            raise InvalidSpace(
                f"node {node!r} adds tensors that are concatenated in different ways while their widths depend on "
                "choices: which features belong together is not defined"
            )
        return passed[0] if passed else ()

    def _partial(self, name: str, op: Any, arriving: Features, leaving: Features) -> int:
        """K where an edge has partial channels: a choice between operations on images that keep the width."""
        if self.partial == 1 or not arriving.space or not leaving.space:
            return 1
        if arriving.scope or leaving.scope or int(arriving.widths) != int(leaving.widths):
            raise InvalidSpace(f"edge {name!r}: partial channels need one width, the same before and after it")
        if int(arriving.widths) % self.partial:
            raise InvalidSpace(f"edge {name!r}: {int(arriving.widths)} channels can't be cut into {self.partial} parts")
        if leaving.space not in (arriving.space, tuple(-(-side // 2) for side in arriving.space)):
            raise InvalidSpace(f"edge {name!r}: channels that pass by can keep or halve an image, nothing else")
        return self.partial

    def _paths(self, node: Any) -> int:
        """The number of options other than zero that lead to a node."""
        ops = [self.space.graph.edges[source, node]["op"] for source in self.space.inputs[node]]
        return sum(not option.is_zero for op in ops for option in _operations(op))


def _host(value: Any, decisions: Mapping[str, int]) -> Any:
    """The operation whose tensors an option uses: its numeric attributes at their largest, all else as decided."""
    if isinstance(value, Choice):
        if all(isinstance(option, int | float) and not isinstance(option, bool) for option in value.options):
            return max(value.options)
        return _host(value.options[decisions[value.name]], decisions)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _host(old, decisions) for name, old in fields.items() if scope(old)})
    return value


def _operations(op: Any) -> Iterable[Any]:
    """The outermost operations that an edge can carry, attributes undecided."""
    return [inner for option in op.options for inner in _operations(option)] if isinstance(op, Choice) else [op]


def _options(value: Any) -> Sequence[Any]:
    return [o for option in value.options for o in _options(option)] if isinstance(value, Choice) else [value]


def _check_form(form: str) -> None:
    if form not in ("mixed", "categorical"):
        raise InvalidValue(f"choices {UnknownName(str(form), ['mixed', 'categorical'])}")


def _dense(name: str, decision: Decision, size: int) -> Tensor:
    if isinstance(decision, Sparse):
        raise InvalidValue(f"choice {name!r}: a Sparse decision can't be combined with weights for a width")
    if isinstance(decision, int):
        return torch.eye(size)[decision]
    return decision
