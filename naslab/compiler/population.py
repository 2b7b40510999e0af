"""Networks of one space as one module: a population that is trained in a single batched computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from naslab.compiler.devices import indices, moved
from naslab.compiler.network import edge_name
from naslab.compiler.stacking import stack
from naslab.errors import InvalidSpace
from naslab.ops import Shape
from naslab.space import Architecture, SearchSpace, reaching_output, resolve


def stack_networks(
    space: SearchSpace, architectures: Sequence[Architecture], networks: Sequence[fx.GraphModule]
) -> Population:
    """Compiled networks of one space as one module, from ``(B, ...)`` to ``(B, P, classes)``.

    The members start from the networks' parameters and never affect each other, so that training the population by
    the sum of its members' losses equals training each alone. Operations of one kind that lead to the same node run as
    one; members that agree on an edge need no copying, so architectures are best given in sorted order.

    Args:
        space: The search space.
        architectures: P architectures of this space.
        networks: What ``compile_network`` made of them; their own parameters stay as they are.

    Raises:
        InvalidSpace: The space concatenates, has an operation without a stacked form, or widths of images (or of
            vectors that not every network treats alike) are choices.
    """
    return Population(space, architectures, networks)


_NOBODY = -1  # the only member of a tensor of zeros, so that no real member is found in it


class Population(nn.Module):
    """See :func:`stack_networks`."""

    def __init__(
        self, space: SearchSpace, architectures: Sequence[Architecture], networks: Sequence[fx.GraphModule]
    ) -> None:
        super().__init__()
        self.size, self._order = len(networks), space.order
        self._nodes = nn.ModuleDict()
        self._zeros: dict[int, Shape] = {}
        decisions = [space.decisions(a) for a in architectures]
        wanted = [reaching_output(space.resolve(a)) for a in architectures]
        parts = [dict(network.named_children()) for network in networks]
        shapes = space.cost_model.shapes
        for node in space.order:
            if shapes[node].resolution:
                raise InvalidSpace(f"node {node!r} has a size that is a choice: train its networks one by one")
        uneven = {node for node in space.order if len({shapes[node].at(d) for d in decisions}) > 1}
        present: dict[Any, list[int]] = {}  # by node: the members for which it is not zero, in order
        for number, node in enumerate(space.order):
            if not space.inputs[node]:
                present[node] = list(range(self.size))
                continue
            if (how := space.graph.nodes[node].get("combine", "sum")) != "sum":
                what = "concatenates" if how == "concat" else f"combines by {how!r}"
                raise InvalidSpace(f"node {node!r} {what}: train its networks one by one")
            terms = []
            for source in space.inputs[node]:
                name, op = edge_name(space.graph, source, node), space.graph.edges[source, node]["op"]
                for member in range(self.size):
                    chosen, module = resolve(op, decisions[member]), parts[member].get(name)
                    passes = chosen.is_identity and node in wanted[member] and member in present[source]
                    if module is not None or passes:
                        shape = shapes[source].largest
                        terms.append(_Term(source, shape, not space.inputs[source], member, chosen, module))
            alike = set(Counter((term.source, term.op) for term in terms).values()) <= {self.size}
            if not alike and uneven & {node, *space.inputs[node]}:
                raise InvalidSpace(f"node {node!r}: networks that differ in widths and operations have no stacked form")
            present[node] = sorted({term.member for term in terms})
            if terms:
                self._nodes[str(number)] = _Node(terms, present, present[node], self.size)
            else:
                present[node] = [_NOBODY]
                self._zeros[number] = shapes[node].largest
        if present[space.order[-1]] != list(range(self.size)):
            raise InvalidSpace("a network whose output is exactly zero has no stacked form")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every member, ``(B, P, classes)``."""
        values: dict[Any, Tensor] = {}
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        for number, node in enumerate(self._order):
            if str(number) in self._nodes:
                values[node] = self._nodes[str(number)](values)
            else:
                values[node] = x.new_zeros(len(x), *self._zeros[number]) if number in self._zeros else x
        return values[self._order[-1]]


class _Term(NamedTuple):
    """What one edge delivers in one member's network."""

    source: Any
    shape: Shape
    from_input: bool
    member: int
    op: Any
    module: nn.Module | None  # None: the identity


class _Node(nn.Module):
    """Computes one node: operations of one kind run as one, whatever their source; then members' terms are added."""

    def __init__(
        self, terms: Sequence[_Term], present: Mapping[Any, list[int]], members: Sequence[int], size: int
    ) -> None:
        super().__init__()
        chunks: dict[Any, list[_Term]] = {}
        for term in terms:
            chunks.setdefault((term.source, term.module is None or term.op), []).append(term)
        kinds: dict[Any, list[_Term]] = {}
        for (source, op), chunk in chunks.items():
            # An operation that all members share is kept apart: it needs no copying.
            apart = source if len(chunk) == size or chunk[0].from_input else None
            kinds.setdefault((op, chunk[0].shape, apart), []).extend(chunk)
        self.kinds = nn.ModuleList(_Kind(kind, present) for kind in kinds.values())
        self.add = _Add([[term.member for term in kind] for kind in kinds.values()], members)

    def forward(self, values: Mapping[Any, Tensor]) -> Tensor:
        return self.add([kind(values) for kind in self.kinds])


class _Kind(nn.Module):
    """Operations of one kind that lead to one node."""

    def __init__(self, terms: Sequence[_Term], present: Mapping[Any, list[int]]) -> None:
        super().__init__()
        modules = [term.module for term in terms if term.module is not None]
        self.from_input = terms[0].from_input
        self.operation = stack(modules, self.from_input) if modules else nn.Identity()
        if self.from_input and next(self.operation.parameters(), None) is None:
            raise InvalidSpace(f"{terms[0].op} of the input has no stacked form: train its networks one by one")
        self.sources = list(dict.fromkeys(term.source for term in terms))
        self.gather = _Gather([([t.member for t in terms if t.source == s], present[s]) for s in self.sources])

    def forward(self, values: Mapping[Any, Tensor]) -> Tensor:
        inputs = [values[source] for source in self.sources]
        delivered: Tensor = self.operation(inputs[0] if self.from_input else self.gather(inputs))
        return delivered


class _Gather:
    """Picks members from several tensors and joins them. A member that a tensor lacks is zero there."""

    def __init__(self, picks: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
        self.plain = len(picks) == 1 and list(picks[0][0]) == list(picks[0][1])
        self.picks = [_Selection(wanted, available) for wanted, available in picks]
        self.inverses = [_Selection(available, wanted) for wanted, available in picks]
        self.lengths = [len(wanted) for wanted, _ in picks]

    def __call__(self, sources: Sequence[Tensor]) -> Tensor:
        if self.plain:
            return sources[0]
        joined: Tensor = _Gathered.apply(self, *sources)  # type: ignore[no-untyped-call]
        return joined


class _Gathered(torch.autograd.Function):
    """Members are picked at most once, so the gradient of a selection is a selection. Autograd can't know that."""

    @staticmethod
    def forward(ctx: Any, gather: _Gather, *sources: Tensor) -> Tensor:
        ctx.gather = gather
        pieces = [pick(_rows(x, pick.available)) for pick, x in zip(gather.picks, sources, strict=True)]
        return _like(pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1), sources[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gather = ctx.gather
        pieces = torch.split(_rows(gradient, sum(gather.lengths)), gather.lengths, dim=1)
        return None, *(_like(back(g), gradient) for back, g in zip(gather.inverses, pieces, strict=True))


class _Add:
    """The sum of each member's terms."""

    def __init__(self, kinds: Sequence[Sequence[int]], members: Sequence[int]) -> None:
        self.lengths = [len(kind) for kind in kinds]
        self.spread = [None if list(kind) == list(members) else _Selection(kind, members) for kind in kinds]
        places: list[list[int]] = [[] for _ in members]  # for each member: where its terms are in the joined kinds
        slot, count = {member: i for i, member in enumerate(members)}, 0
        for kind, spread in zip(kinds, self.spread, strict=True):
            if spread is not None:
                for i, member in enumerate(kind):
                    places[slot[member]].append(count + i)
                count += len(kind)
        ranks = max(map(len, places), default=0)
        self.ranks = [_Selection([p[r] if r < len(p) else -1 for p in places], range(count)) for r in range(ranks)]

    def __call__(self, terms: Sequence[Tensor]) -> Tensor:
        if len(terms) == 1 and self.spread[0] is None:
            return terms[0]
        total: Tensor = _Added.apply(self, *terms)  # type: ignore[no-untyped-call]
        return total


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, add: _Add, *terms: Tensor) -> Tensor:
        ctx.add = add
        rows = [_rows(term, length) for term, length in zip(terms, add.lengths, strict=True)]
        summands = [r for r, spread in zip(rows, add.spread, strict=True) if spread is None]
        scattered = [r for r, spread in zip(rows, add.spread, strict=True) if spread is not None]
        if scattered:
            joined = scattered[0] if len(scattered) == 1 else torch.cat(scattered, dim=1)
            summands += [rank(joined) for rank in add.ranks]
        total = summands[0] if len(summands) == 1 else summands[0] + summands[1]
        for summand in summands[2:]:
            total += summand
        return _like(total, terms[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        add = ctx.add
        rows = None
        gradients: list[Tensor | None] = [None]
        for spread in add.spread:
            if spread is None:
                gradients.append(gradient)
            else:
                rows = _rows(gradient, spread.available) if rows is None else rows
                gradients.append(_like(spread(rows), gradient))
        return tuple(gradients)


class _Selection:
    """Picks members from ``(N, available, C)``; zeros for those that are not there."""

    def __init__(self, wanted: Sequence[int], available: Sequence[int]) -> None:
        place = {member: i for i, member in enumerate(available)}
        self.available = len(place)
        self.index = indices([place.get(member, self.available) for member in wanted], "cpu")
        self.pads = any(member not in place for member in wanted)
        self.plain = list(wanted) == list(available)

    def __call__(self, rows: Tensor) -> Tensor:
        if self.plain:
            return rows
        if self.pads:
            rows = torch.cat([rows, rows.new_zeros(len(rows), 1, rows.shape[2])], dim=1)
        if self.index.device != rows.device:
            self.index = moved(self.index, rows.device)  # once: it stays there
        return rows.index_select(1, self.index)


def _rows(x: Tensor, members: int) -> Tensor:
    """``(N, members, C)``: an image's pixels are rows."""
    if x.dim() == 3:
        return x
    b, channels, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(b * h * w, members, channels // members)


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """Back to the form of ``x``: an image in channels-last format, or features."""
    if x.dim() == 3:
        return rows
    b, _, h, w = x.shape
    return rows.reshape(b, h, w, -1).permute(0, 3, 1, 2)
