"""What one edge is for every combination of options: shapes and costs as tables.

The operation of an edge is a tree: a choice between operations branches, and so may the parts of a composite. Costs are
the sum over its leaves of "this leaf is taken" times the leaf's own table, so that a grammar is as large as its rules
and not as its sentences. A leaf is tabulated at once, see :mod:`naslab.space.many`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace
from naslab.ops import Operation
from naslab.space.choice import Choice, Decision, choices_in, replaced, resolve, scope
from naslab.space.features import Axes, Features, in_order, one_of, reduced, spread
from naslab.space.many import Decisions, Many, many, options, tabulated

METRICS = ("params", "macs", "activation_bytes", "peak_bytes")
BYTES_PER_NUMBER = 4  # float32

Costs: TypeAlias = dict[tuple[str, ...], npt.NDArray[np.int64]]
"""By scope: a table of each metric, the first axis. Tables are added up, those of ``peak_bytes`` compared."""


@dataclass(frozen=True)
class _Place:
    """An edge, the options that lead to one of its operations, and whether that is a part of a composite."""

    source: Any
    node: Any
    axes: Axes
    taken: Mapping[str, int] = dataclasses.field(default_factory=dict)
    inside: bool = False

    def __str__(self) -> str:
        return f"edge {self.source!r} -> {self.node!r}"


def edge_tables(
    graph: nx.DiGraph[Any], source: Any, node: Any, features: Features, axes: Axes
) -> tuple[Features, Costs]:
    """Output shape of one edge and its cost tables, over the choices they depend on.

    Args:
        graph: The space's graph.
        source: Where the edge begins.
        node: Where it ends.
        features: The shape of what it is given.
        axes: The space's choices.

    Raises:
        InvalidSpace: Something that is not an operation, or that does not fit.
    """
    width = graph.nodes[node].get("width")
    if may_concatenate(graph.nodes[node]):
        width = None  # what a concatenating node states is its total
    place = _Place(source, node, axes)
    return _tree(graph.edges[source, node]["op"], width, features, place)


def may_concatenate(attributes: Mapping[str, Any]) -> bool:
    """Whether a node concatenates, or may choose to."""
    how = attributes.get("combine", "sum")
    return "concat" in (how.options if isinstance(how, Choice) else (how,))


def add(costs: Costs, more: Costs) -> None:
    """Add costs to others."""
    for names, tables in more.items():
        old = costs.get(names)
        if old is None:
            costs[names] = tables
        else:
            costs[names] = np.concatenate([old[:-1] + tables[:-1], np.maximum(old[-1:], tables[-1:])])


def _tree(op: Any, width: Any, features: Features, place: _Place) -> tuple[Features, Costs]:
    if isinstance(op, Choice):
        branches = []
        for i, option in enumerate(op.options):
            there = dataclasses.replace(place, taken={**place.taken, op.name: i})
            branches.append(_tree(option, width, features, there))
        costs = _chosen(op.name, [more for _, more in branches], place.axes)
        return _branched(op.name, [out for out, _ in branches], place), costs
    parts = _parts(op, width, features)
    if parts is None:
        return _leaf(op, width, features, place)
    out: Features = features
    costs = {}
    for part, wanted in parts:
        out, more = _tree(part, wanted, out, dataclasses.replace(place, inside=True))
        add(costs, more)
    if op.adds_input and not features.equals(out):
        raise InvalidSpace(f"{place}: {op} turns {features.largest} into {out.largest}; it has to keep the shape")
    return out, costs


def _parts(op: Any, width: Any, features: Features) -> list[tuple[Any, Any]] | None:
    """The parts of a composite with the width that each is given: the destination's goes to the last that sets one.

    None if it has no choices inside, if it may be zero (which costs nothing, other parts included), or if which part is
    the last depends on choices and makes a difference.
    """
    parts = getattr(op, "inside", None)
    if not parts or not scope(op) or _may_be_zero(op):
        return None
    if width is None:
        return [(part, None) for part in parts]
    sets = [_sets_width(part) for part in parts]
    last = max((i for i, each in enumerate(sets) if True in each), default=None)
    if last is None or sets[last] == {True}:
        return [(part, width if i == last else None) for i, part in enumerate(parts)]
    if not scope(width) and features.sides[0].scope == () and int(features.widths) == width:
        return [(part, width) for part in parts]
    return None


def _may_be_zero(op: Any) -> bool:
    if isinstance(op, Choice):
        return any(map(_may_be_zero, op.options))
    if parts := getattr(op, "inside", None):
        return not op.adds_input and any(map(_may_be_zero, parts))
    return bool(getattr(op, "is_zero", False))


def _sets_width(op: Any) -> set[bool]:
    """Whether an operation sets the width, for any of its options."""
    if isinstance(op, Choice):
        return {each for option in op.options for each in _sets_width(option)}
    if not (parts := getattr(op, "inside", None)):
        return {bool(getattr(op, "sets_width", False))}
    found = [_sets_width(part) for part in parts]
    return {True} if {True} in found else {each for part in found for each in part}


def _chosen(name: str, branches: Sequence[Costs], axes: Axes) -> Costs:
    """Costs of a choice from those of its options: of each where it is taken, zero elsewhere."""
    found: Costs = {}
    for option, costs in enumerate(branches):
        for scope_, tables in costs.items():
            names = in_order({name, *scope_}, axes)
            if names not in found:
                found[names] = np.zeros((len(METRICS), *(axes.sizes[n] for n in names)), np.int64)
            here = spread(names, scope_, tables, {name: option}, lead=1)
            there = found[names][(slice(None),) * (1 + names.index(name)) + (slice(option, option + 1),)]
            there[:-1] += here[:-1]
            np.maximum(there[-1], here[-1], out=there[-1])
    return found


def _branched(name: str, outs: Sequence[Features], place: _Place) -> Features:
    """The shape after a choice between operations."""
    sized = [out for out in outs if not out.anywhere] or outs
    if len({len(out.sides) for out in sized}) > 1:
        raise InvalidSpace(
            f"{place}: choice {name!r} is between images and vectors: {', '.join(str(out.largest) for out in sized)}"
        )
    widths = one_of(name, [out.sides[0] for out in outs], place.axes)
    sides = []
    for axis in range(1, len(sized[0].sides)):
        first = sized[0].sides[axis]
        sides.append(one_of(name, [first if out.anywhere else out.sides[axis] for out in outs], place.axes))
    return Features((widths, *sides), all(out.anywhere for out in outs))


def _leaf(op: Any, width: Any, features: Features, place: _Place) -> tuple[Features, Costs]:
    """The tables of an operation, which may hold choices. Repeated ones that depend on none are looked up."""
    choices = [*choices_in(op), *choices_in(width)] if place.axes.sizes else []
    names = in_order({*(choice.name for choice in choices), *features.everything}, place.axes)
    if names:
        return _tables(op, width, features, place, names, choices)
    key = (op, width, features.largest, features.anywhere, place.inside)
    try:
        known = place.axes.constant.get(key)
    except TypeError:  # an operation that can't be hashed
        return _tables(op, width, features, place, names, choices)
    if known is None:
        known = place.axes.constant[key] = _tables(op, width, features, place, names, choices)
    return known


def _tables(
    op: Any, width: Any, features: Features, place: _Place, names: tuple[str, ...], choices: Sequence[Choice]
) -> tuple[Features, Costs]:
    structural = {choice.name for choice in choices if any(map(_holds_more, choice.options))}
    zero: set[bool] = set()

    def ask(decisions: Decisions) -> tuple[Any, ...]:
        chosen, wanted = (resolved(op, decisions), resolved(width, decisions)) if choices else (op, width)
        if not isinstance(chosen, Operation):
            raise InvalidSpace(f"{place}: {chosen!r} is not an operation{where({**place.taken, **decisions})}")
        shape = features.at(decisions)
        if wanted is not None and not is_size(wanted):
            raise InvalidSpace(
                f"node {place.node!r}: width {wanted!r} is not a positive number{where({**place.taken, **decisions})}"
            )
        out = chosen.output_shape(shape, wanted)
        if wanted is not None and not chosen.is_zero and differs(out[0], wanted):
            raise InvalidSpace(
                f"{place}: {chosen} keeps {out[0]} features, but node {place.node!r} states width {wanted}"
                f"{where({**place.taken, **decisions})}; give the node no width or use an operation that sets it"
            )
        zero.add(chosen.is_zero or (features.anywhere and chosen.is_identity))
        return (*counted(chosen, shape, out), out[0] if wanted is None else wanted, *out[1:])

    try:
        tables = tabulated(ask, names, place.axes.sizes, structural) if names else [np.array(each) for each in ask({})]
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise InvalidSpace(f"{place}: the number of sides of {op} depends on a choice; put each into a node") from None
    anywhere = zero == {True} and not place.inside  # an inner zero has the size that the parts after it see
    sides = tuple(reduced(names, side) for side in tables[len(METRICS) :])
    return Features(sides, anywhere), {names: np.stack(tables[: len(METRICS)])}


def counted(op: Any, shape: Any, out: Any) -> tuple[Any, ...]:
    """The costs of an operation without choices: a value of each metric."""
    return op.params(shape, out), op.macs(shape, out), *_memory(op, shape, out)


def _memory(op: Any, shape: Any, out: Any) -> tuple[Any, Any]:
    """Bytes of activations, and input plus output; of a composite the sum over its parts and the largest of them."""
    if op.is_zero or op.is_identity:
        return 0, 0
    if hasattr(op, "between"):
        kept, peak = 0, 0
        for part, arriving, leaving in op.between(shape, out):
            more, here = _memory(part, arriving, leaving)
            kept, peak = kept + more, here + (peak - here) * (peak > here)  # the larger one, of arrays too
        return kept, peak
    return BYTES_PER_NUMBER * prod(out), BYTES_PER_NUMBER * (prod(shape) + prod(out))


def _holds_more(option: Any) -> bool:
    """Whether an option is more than a value: an operation, or something with choices inside."""
    return dataclasses.is_dataclass(option) or isinstance(option, tuple)  # Choice is a dataclass, too


def resolved(value: Any, decisions: Decisions) -> Any:
    """As :func:`naslab.space.resolve`; where a decision is an array, the values that it chooses."""

    def at_once(each: Decision) -> Any:
        index = decisions.get(each.name)
        if isinstance(each, Choice) and isinstance(index, Many):
            return many(options(each.options)[index.view(np.ndarray)])
        return each

    several = any(isinstance(decision, Many) for decision in decisions.values())
    return resolve(replaced(value, at_once) if several else value, decisions)


def combinations(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[tuple[tuple[int, ...], dict[str, int]]]:
    """Every combination of options: its index in a table, and the same as decisions."""
    for index in itertools.product(*(range(sizes[name]) for name in names)):
        yield index, dict(zip(names, index, strict=True))


def is_size(value: object) -> bool:
    """Whether it is a positive whole number, or an array of such."""
    if isinstance(value, np.ndarray):
        return np.issubdtype(value.dtype, np.integer) and bool((value.view(np.ndarray) > 0).all())
    return isinstance(value, int | np.integer) and int(value) > 0


def differs(one: Any, other: Any) -> bool:
    """Whether two numbers differ, or two arrays of them anywhere."""
    return bool(np.any(np.not_equal(np.asarray(one).view(np.ndarray), np.asarray(other).view(np.ndarray))))


def where(decisions: Decisions) -> str:
    """Decisions in words."""
    return f" (where {', '.join(f'{name!r} is option {i}' for name, i in decisions.items())})" if decisions else ""
