"""What a node makes of what arrives: its sum, product, mean or concatenation, and the shape that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslab.errors import InvalidSpace, UnknownName
from naslab.space.choice import Choice, scope
from naslab.space.features import Axes, Features, in_order, one_of, reduced
from naslab.space.many import Decisions, tabulated
from naslab.space.tabulation import differs, is_size, may_concatenate, resolved, where

COMBINATIONS = ("sum", "concat", "product", "mean")
"""How a node combines what arrives. The mean is over all incoming edges, those that are zero included."""


def check_combination(node: Any, attributes: Mapping[str, Any]) -> None:
    """Refuse what is no way to combine tensors.

    Raises:
        InvalidSpace: Names the node.
    """
    how = attributes.get("combine", "sum")
    for option in how.options if isinstance(how, Choice) else (how,):
        if option not in COMBINATIONS:
            raise InvalidSpace(f"node {node!r}: combine={UnknownName(str(option), COMBINATIONS)}")
    if isinstance(how, Choice) and may_concatenate(attributes) and attributes.get("width") is not None:
        raise InvalidSpace(
            f"node {node!r} states a width and choice {how.name!r} may concatenate: a sum's width is that of every "
            "edge, a concatenation's their total; give the node no width"
        )


def given(node: Any, shape: Sequence[Any]) -> Features:
    """The shape of an input, each side of which may be a choice.

    Raises:
        InvalidSpace: A side that is not a positive whole number.
    """
    listed = [tuple(side.options) if isinstance(side, Choice) else (side,) for side in shape]
    if not listed or not all(is_size(option) for options in listed for option in options):
        raise InvalidSpace(f"node {node!r}: shape {tuple(shape)} is not made of positive numbers")
    tables = [
        np.array(options if isinstance(side, Choice) else side, np.int64)
        for side, options in zip(shape, listed, strict=True)
    ]
    return Features(tuple(reduced(scope(side), table) for side, table in zip(shape, tables, strict=True)))


def combined(
    node: Any, attributes: Mapping[str, Any], sources: Sequence[Any], arriving: Sequence[Features], axes: Axes
) -> Features:
    """The shape of a node from the shapes of what arrives.

    Raises:
        InvalidSpace: It does not fit, for some decisions.
    """
    how = attributes.get("combine", "sum")
    stated = attributes.get("width") if may_concatenate(attributes) else None
    if not isinstance(how, Choice):
        return _combined(node, how, stated, sources, arriving, axes)
    outs = [_combined(node, option, stated, sources, arriving, axes) for option in how.options]
    return Features(tuple(one_of(how.name, sides, axes) for sides in zip(*(out.sides for out in outs), strict=True)))


def _combined(
    node: Any, how: str, stated: Any, sources: Sequence[Any], arriving: Sequence[Features], axes: Axes
) -> Features:
    sized = next((features for features in arriving if not features.anywhere), arriving[0])
    if (
        stated is None
        and (how != "concat" or len(arriving) == 1)
        and all(f is sized or _fits(f, sized) for f in arriving)
    ):
        return Features(sized.sides, sized.anywhere)
    names = in_order({*scope(stated), *(name for features in arriving for name in features.everything)}, axes)

    def ask(decisions: Decisions) -> tuple[Any, ...]:
        shapes = [features.at(decisions) for features in arriving]
        from_first, first = sources[arriving.index(sized)], shapes[arriving.index(sized)]
        for source, shape, features in zip(sources, shapes, arriving, strict=True):
            other_size = not features.anywhere and (len(shape) != len(first) or any(map(differs, shape[1:], first[1:])))
            if other_size or (how != "concat" and differs(shape[0], shapes[0][0])):
                raise InvalidSpace(
                    f"node {node!r}: what arrives does not fit: {_words(first)} from {from_first!r}, {_words(shape)} "
                    f"from {source!r}{where(decisions)}"
                )
        width = sum(shape[0] for shape in shapes) if how == "concat" else shapes[0][0]
        wanted = resolved(stated, decisions)
        if stated is not None and differs(wanted, width):
            raise InvalidSpace(
                f"node {node!r} states width {wanted}, but what it concatenates has {width} features{where(decisions)}"
            )
        return width, *first[1:]

    sides = tuple(reduced(names, table) for table in tabulated(ask, names, axes.sizes))
    return Features(sides, all(features.anywhere for features in arriving))


def _fits(one: Features, other: Features) -> bool:
    """Whether two shapes are the same, or one is zero with as many features."""
    if one.anywhere:
        return one.sides[0].equals(other.sides[0])
    return one.equals(other)


def _words(shape: Sequence[Any]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
