"""All architectures of a space at once, over one set of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, fx, nn

from naslab.compiler.choice_ops import CategoricalOp, MixedOp
from naslab.compiler.decisions import Decision, Sparse, checked, position
from naslab.compiler.devices import one_hot, resolved
from naslab.compiler.drop_path import DropPath
from naslab.compiler.lowering import lower
from naslab.compiler.network import check_names, compile_network, edge_name
from naslab.compiler.parts import Parts, build_parts
from naslab.compiler.primitives import Norm
from naslab.compiler.sharing import tensors_of
from naslab.errors import InvalidSpace, InvalidValue, UnknownName
from naslab.space import Architecture, SearchSpace, resolve

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
    device: str = "cpu",
) -> Supernet:
    """The supernet of a space.

    Args:
        space: The search space.
        choices: ``"mixed"``: every site is a :class:`MixedOp`, written out in the graph. ``"categorical"``: every
            site is a :class:`CategoricalOp`.
        generator: For the initial weights; a fresh one with its default seed where None.
        affine: Whether batch normalisations have a weight and a bias (in a supernet they would compete with the
            mixture's weights, so DARTS and its family have none).
        track_running_stats: Whether they keep running statistics. By default they use the batch's: with running ones,
            shared weights rank architectures badly (NATS-Bench; Dong et al. 2021).
        partial_channels: K of PC-DARTS (Xu et al. 2020): one in K channels passes through a choice between operations
            on images, the others bypass it, see :func:`~naslab.compiler.choice_ops.bypass`; edge normalisation is
            given as ``edges`` when the supernet is called.
        drop_path: Drops options at random while training, see :class:`~naslab.compiler.drop_path.DropPath`.
        fast: Whether the mixed graph is rewritten by the passes of :mod:`naslab.compiler.passes`: same result, same
            ``state_dict``.
        device: Where the supernet is; its weights are drawn on the CPU and moved.

    Raises:
        InvalidSpace: The space has more than one input; two edges have the same name, or one that PyTorch uses; an
            operation has no builder or does not fit; a node adds tensors that are concatenated in different ways; an
            edge does not take partial channels; or, in mixed form, a width is a choice at an operation for which
            masking does not equal slicing, or a width has widths inside.
        InvalidValue: The space has ranges or a recipe with decisions; there is no such form, or no such device; or
            ``partial_channels`` is no whole number of at least 1.
    """
    _check_form(choices)
    device = resolved(device)
    if not isinstance(partial_channels, int) or partial_channels < 1:
        raise InvalidValue(f"partial_channels={partial_channels!r}: K is an integer of at least 1")
    space.require_network("a supernet")
    check_names(space.graph)
    inputs = [node for node in space.order if not space.inputs[node]]
    if len(inputs) > 1:
        raise InvalidSpace(f"a supernet has one input; nodes without predecessors are {inputs}")
    norm = Norm(affine, track_running_stats)
    parts = build_parts(space, norm, generator or torch.Generator(), partial_channels, drop_path)
    supernet = Supernet(parts, choices, fast=fast)
    return supernet if device == "cpu" else supernet.to(device)


class Supernet(nn.Module):
    """Runs any mixture of a space's architectures.

    Made by :func:`compile_supernet`. It owns operation weights, never architecture parameters: those belong to the
    optimizer, which passes decisions in. Modules are named after edges; the modules of a site after its options.

    Attributes:
        space: The search space.
        form: ``"mixed"`` or ``"categorical"``.
    """

    def __init__(self, parts: Parts, form: Form, *, fast: bool) -> None:
        super().__init__()
        self.space, self.form, self.fast = parts.space, form, fast
        self.drop_path = parts.drop_path
        self._parts = parts
        self._derived: dict[str, Any] = {}
        for name, module in parts.fixed.items():
            self.add_module(name, module)
        for name, site in parts.sites.items():
            kind = CategoricalOp if form == "categorical" else MixedOp
            self.add_module(name, kind(site, parts.hosts[name], parts.shared[name], parts.drop_path))
        _ = self.graph_module  # written now, so that its errors are raised at compile time

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
                categorical form does: only what is active; but where any width has weights, indices are one-hot weights
                with which every option runs, and no decision may be sparse. In the categorical form, and beside a
                sparse decision, widths are indices.
            edges: Optional weights of whole edges by the name of the edge's (first) choice; 1 where absent (PC-DARTS).

        Raises:
            InvalidValue: A choice lacks its decision, a decision has the wrong shape or names no option, a width that
                must be an index has weights, or ``edges`` names no edge.
        """
        found = checked(decisions, self.space.choices)
        if edges:
            known = {site.scope[0] for site in self._parts.sites.values() if site.scope}
            for name in edges:
                if name not in known:
                    raise InvalidValue(f"a weight for edge {UnknownName(name, known)}")
        if self.form == "mixed" and not all(isinstance(decision, Tensor) for decision in found.values()):
            if self._widths_are_indices(found):
                return self.view("categorical").forward(x, found, edges)
            found = {c.name: _dense(c.name, found[c.name], x.new_empty(len(c.options))) for c in self.space.choices}
        result: Tensor = self._graph(edges is not None)(x, found, edges or {})
        return result

    @property
    def graph_module(self) -> fx.GraphModule:
        """The compiled graph of this form."""
        return self._graph(False)

    def view(self, form: Form) -> Supernet:
        """This supernet in the given form, over the same parameters (itself, if it has that form)."""
        _check_form(form)
        if form == self.form:
            return self
        if "other" not in self._derived:
            self._derived["other"] = Supernet(self._parts, form, fast=self.fast)
            self._derived["other"]._derived["other"] = self
        other: Supernet = self._derived["other"]
        other.training = self.training
        return other

    def extract(self, architecture: Architecture) -> fx.GraphModule:
        """One architecture as a separate network with copies of the supernet's weights; it computes the same output.

        Raises:
            InvalidArchitecture: The architecture is not of this space.
            InvalidValue: The supernet has partial channels, which no architecture has.
        """
        if any(site.partial > 1 for site in self._parts.sites.values()):
            raise InvalidValue("a supernet with partial channels has no weights for whole networks: train them anew")
        norm = self._parts.norm
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
        if name in self._parts.fixed:
            return tensors_of(self._parts.fixed[name])
        site = self._parts.sites[name]
        option = site.options[position([decisions[choice] for choice in site.scope], site.sizes)]
        assert option.host is not None
        if option.host not in self._parts.shared[name]:
            return tensors_of(self._parts.hosts[name][option.host])
        shape = site.source.at(decisions)
        out = option.op.output_shape(shape, resolve(site.width, decisions))
        pieces = site.pieces_at(decisions)
        return self._parts.shared[name][option.host].tensors(option.op, shape, out, pieces)

    def _graph(self, with_edges: bool) -> fx.GraphModule:
        key = f"graph{with_edges}"
        if key not in self._derived:
            self._derived[key] = lower(self._parts, self._modules, self.form, with_edges, self.fast)
        graph: fx.GraphModule = self._derived[key]
        return graph

    def _widths_are_indices(self, decisions: Mapping[str, Decision]) -> bool:
        return all(isinstance(decisions[name], int) for site in self._parts.sites.values() for name in site.widths)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": {}}  # graphs are written again when needed


def _check_form(form: str) -> None:
    if form not in ("mixed", "categorical"):
        raise InvalidValue(f"choices {UnknownName(str(form), ['mixed', 'categorical'])}")


def _dense(name: str, decision: Decision, like: Tensor) -> Tensor:
    if isinstance(decision, Sparse):
        raise InvalidValue(f"choice {name!r}: a Sparse decision can't be combined with weights for a width")
    if isinstance(decision, int):
        return one_hot(decision, like)
    return decision
