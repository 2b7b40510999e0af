"""The only two ways in which a choice appears in a compiled graph: :class:`MixedOp` and :class:`CategoricalOp`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.cutting import Pieces
from naslab.compiler.decisions import Decision, hard_option, terms
from naslab.compiler.drop_path import DropPath
from naslab.compiler.sharing import Shared
from naslab.errors import InvalidValue
from naslab.space import Features, resolve


@dataclass(frozen=True)
class Option:
    """One option of a :class:`Site`.

    Attributes:
        op: The operation without choices.
        host: Name of the child module whose tensors it uses; None for zero and identity.
    """

    op: Any
    host: str | None


@dataclass(frozen=True)
class Site:
    """An edge whose operation or widths depend on choices.

    Attributes:
        name: Name of the edge.
        scope: The choices in its operation.
        sizes: Number of options of each choice in ``scope``.
        options: One for each combination of the choices' options; the last choice varies fastest.
        width: The width that the destination states: a number, a choice, or None.
        source: Shape of the input.
        leaving: Shape of the output.
        pieces: The shapes of the tensors that are concatenated in the input; empty if it is no concatenation.
        widths: The choices that input and output widths depend on.
        partial: Only one in this many channels passes through the mixture.
        depth: Where the destination stands in the order of the network's nodes: 0 is the input, 1 the output.
        paths: The number of options other than zero that lead to the destination, on this edge and all others.
    """

    name: str
    scope: tuple[str, ...]
    sizes: tuple[int, ...]
    options: tuple[Option, ...]
    width: Any
    source: Features
    leaving: Features
    pieces: tuple[Features, ...]
    widths: tuple[str, ...]
    partial: int = 1
    depth: float = 1.0
    paths: int = 1

    def pieces_at(self, decisions: Mapping[str, int]) -> Pieces:
        """Largest and present widths of the tensors that are concatenated in the input."""
        return tuple((piece.largest[0], piece.at(decisions)[0]) for piece in self.pieces)


def bypass(x: Tensor, mixed: Tensor | None, partial: int, halves: bool) -> Tensor:
    """Partial channel connections (Xu et al. 2020, PC-DARTS, section 3.1): the first 1/K of the channels have been
    mixed, the others bypass the mixture (halved by maximum pooling where it halves the image), and all are shuffled.

    Args:
        x: ``(N, C, H, W)``, the input of the edge.
        mixed: ``(N, C/K, H', W')``, a number, or None for zero.
        partial: K.
        halves: Whether the mixture halves the image.
    """
    share = x.shape[1] // partial
    others = x[:, share:]
    if halves:
        others = functional.max_pool2d(others, 2, 2, ceil_mode=True)
    if mixed is None or mixed.dim() == 0:
        mixed = others.new_zeros(()) if mixed is None else mixed.to(others.dtype)
        mixed = mixed.expand(len(x), share, *others.shape[2:])
    n, c, *pixels = (joined := torch.cat([mixed, others], dim=1)).shape
    return joined.reshape(n, partial, c // partial, *pixels).transpose(1, 2).reshape(n, c, *pixels)


class _SiteModule(nn.Module):
    """The modules of a site's options, by name."""

    def __init__(
        self,
        site: Site,
        hosts: Mapping[str, nn.Module],
        shared: Mapping[str, Shared],
        drop: DropPath | None = None,
    ) -> None:
        super().__init__()
        self.site, self.shared = site, dict(shared)
        self._drop = (drop,)  # in a tuple, so that it is no child: it belongs to the supernet
        for name, module in hosts.items():
            self.add_module(name, module)

    def _mixture(self, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor | None:
        """The weighted sum of options on all of ``x``: None if exactly zero, a number if it is the same everywhere."""
        site = self.site
        total: Tensor | None = None
        for term in terms([decisions[name] for name in site.scope], site.sizes):
            value: Tensor | None
            if term.runs:
                value = self._run(term.option, x, decisions)
                if value is not None and term.weight is not None:
                    value = term.weight * value
            else:
                value = term.weight
            if value is not None:
                total = value if total is None else total + value
        return total

    def _run(self, k: int, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor | None:
        option = self.site.options[k]
        if option.op.is_zero:
            return None
        value = x if option.host is None else self._hosted(option, x, decisions)
        (drop,) = self._drop
        if drop is None:
            return value
        dropped: Tensor = drop(value, self.site.depth, self.site.paths, option.op.is_identity)
        return dropped

    def _hosted(self, option: Option, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor:
        raise NotImplementedError

    def _partial(self, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor:
        """The mixture, joined with the channels that bypass it."""
        site = self.site
        mixed = self._mixture(x[:, : x.shape[1] // site.partial], decisions)
        return bypass(x, mixed, site.partial, site.source.space != site.leaving.space)

    def extra_repr(self) -> str:
        return ", ".join(str(option.op) for option in self.site.options)


class MixedOp(_SiteModule):
    """A mixture in which all options run.

    In a supernet's mixed form it is written out in the graph, term by term, so that passes see its terms; called on its
    own it computes the same.
    """

    def forward(self, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor:
        if self.site.partial > 1:
            return self._partial(x, decisions)
        total = self._mixture(x, decisions)
        if total is not None and total.dim():
            return total
        zeros = x.new_zeros(len(x), *self.site.leaving.largest)
        return zeros if total is None else zeros + total

    def _hosted(self, option: Option, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor:
        assert option.host is not None
        value: Tensor
        if option.host in self.shared:
            value = self.shared[option.host].widest(option.op, x)
        else:
            value = self.get_submodule(option.host)(x)
        return value


class _Hard(torch.autograd.Function):
    """``sum_k h_k o_k(x)`` for a one-hot h: only the hot option is computed, for all others the term is the number h_k.

    The sum equals the hot option's output, so nothing is multiplied: forward and backward cost what that option costs,
    plus one reduction for the gradients of h.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, weights: Tensor, drawn: int) -> Tensor:
        ctx.save_for_backward(value)
        ctx.drawn, ctx.count = drawn, len(weights)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (value,) = ctx.saved_tensors
        by_weight = None
        if ctx.needs_input_grad[1]:
            at_drawn, elsewhere = (gradient * value).sum(), gradient.sum()
            by_weight = torch.stack([at_drawn if k == ctx.drawn else elsewhere for k in range(ctx.count)])
        return gradient, by_weight, None


class CategoricalOp(_SiteModule):
    """Runs one option or a few. Opaque in the graph, because only a call decides which modules run."""

    def forward(self, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor | None:
        """The weighted sum of the options that run: None if exactly zero, a number if it is the same everywhere."""
        site = self.site
        if site.partial > 1:
            return self._partial(x, decisions)
        if not site.scope:
            return self._run(0, x, decisions)
        if len(site.scope) == 1:
            decision = decisions[site.scope[0]]
            if isinstance(decision, int):
                return self._run(decision, x, decisions)
            if (drawn := hard_option(decision)) is not None:
                value = self._run(drawn, x, decisions)
                if value is not None:
                    hard: Tensor = _Hard.apply(value, decision.weights, drawn)  # type: ignore[union-attr,no-untyped-call]
                    return hard
        return self._mixture(x, decisions)

    def _hosted(self, option: Option, x: Tensor, decisions: Mapping[str, Decision]) -> Tensor:
        assert option.host is not None
        if option.host not in self.shared:
            value: Tensor = self._modules[option.host](x)  # type: ignore[misc]
            return value
        chosen = {name: width_index(name, decisions[name]) for name in self.site.widths}
        shape, width = tuple(x.shape[1:]), resolve(self.site.width, chosen)
        out = option.op.output_shape(shape, None if width is None else width // self.site.partial)
        return self.shared[option.host].run(option.op, x, out, self.site.pieces_at(chosen))


def width_index(name: str, decision: Decision) -> int:
    """The decision for a width (a size, a combination) as an index, where only one can run."""
    if not isinstance(decision, int):
        raise InvalidValue(f"choice {name!r} is a width, a size or a combination: the categorical form needs an index")
    return decision
