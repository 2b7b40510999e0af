"""A closed form asked for all combinations of options at once.

An operation states its costs in plain Python. It is given arrays, one value for each combination of options, that
behave as the single values would: where Python needs one value after all (``if``, ``int``, ``max``, a look-up in a
dictionary, the text of a message), the combinations are split into groups that agree on it, and each group is asked
again. Groups are products of sets of options, so that what does not look at a choice is never asked about it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Decisions: TypeAlias = Mapping[str, Any]
"""An option index by choice name, or an array of them."""


class Split(Exception):
    """One value is needed where there are several.

    Attributes:
        axis: Along which the values differ.
        groups: The places on this axis that agree.
    """

    def __init__(self, axis: int, groups: list[list[int]]) -> None:
        self.axis, self.groups = axis, groups


class Many(np.ndarray[Any, np.dtype[Any]]):
    """A value for each combination of options, one axis for each choice that has several; behaves as one value."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self._one())

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = (each.view(np.ndarray) if isinstance(each, Many) else each for each in inputs)
        result = getattr(ufunc, method)(*plain, **kwargs)
        return many(result) if isinstance(result, np.ndarray) else result

    # In place Python's numbers are not changed either.
    __iadd__ = np.ndarray.__add__  # type: ignore[assignment]
    __isub__ = np.ndarray.__sub__  # type: ignore[assignment]
    __imul__ = np.ndarray.__mul__  # type: ignore[assignment]
    __ifloordiv__ = np.ndarray.__floordiv__  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self._one())

    def __int__(self) -> int:
        return int(self._one())

    def __index__(self) -> int:
        return int(self._one().__index__())

    def __float__(self) -> float:
        return float(self._one())

    def __len__(self) -> int:
        return len(self._one())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._one())

    def __contains__(self, item: Any) -> bool:
        return item in self._one()

    def __getitem__(self, item: Any) -> Any:
        return self._one()[item]

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._one(), digits)

    def __ceil__(self) -> Any:
        return many(np.ceil(self.view(np.ndarray)).astype(np.int64))

    def __floor__(self) -> Any:
        return many(np.floor(self.view(np.ndarray)).astype(np.int64))

    def __repr__(self) -> str:
        return repr(self._one())

    def __str__(self) -> str:
        return str(self._one())

    def __format__(self, spec: str) -> str:
        return format(self._one(), spec)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # NumPy's own protocols
            raise AttributeError(name)
        return getattr(self._one(), name)

    def _one(self) -> Any:
        values = self.view(np.ndarray)
        if values.size and (values == values.flat[0]).all():
            return values.flat[0].item() if isinstance(values.flat[0], np.generic) else values.flat[0]
        for axis in range(values.ndim):
            groups: dict[Any, list[int]] = {}
            for place, part in enumerate(np.moveaxis(values, axis, 0)):
                groups.setdefault(str(part.tolist()), []).append(place)
            if len(groups) > 1:
                raise Split(axis, list(groups.values()))
        raise TypeError(f"{values} is no value")


def many(values: npt.NDArray[Any]) -> Many:
    """Values as one; truths become 0 and 1, which add up as Python's do."""
    return (values.astype(np.int64) if values.dtype == np.bool_ else values).view(Many)


def options(values: Sequence[Any]) -> npt.NDArray[Any]:
    """The options of a choice, to be looked up by arrays of option indices."""
    for kind in (int, float):
        if all(isinstance(each, kind) for each in values):
            return np.array(values, np.int64 if kind is int else np.float64)
    listed = np.empty(len(values), object)
    listed[:] = values
    return listed


def tabulated(
    ask: Callable[[Decisions], tuple[Any, ...]],
    names: Sequence[str],
    sizes: Mapping[str, int],
    one_by_one: Collection[str] = (),
) -> list[npt.NDArray[np.int64]]:
    """Tables over all combinations of options.

    Args:
        ask: Takes a decision by choice name, an option index or a :class:`Many` of them; returns whole numbers, always
            as many.
        names: The choices; each table has one axis for each, in this order.
        sizes: Number of options of each choice.
        one_by_one: The choices whose options can't be put into an array.

    Raises:
        Exception: What ``ask`` raises for a single combination.
    """
    tables: list[npt.NDArray[np.int64]] = []
    shape = [sizes[name] for name in names]

    def write(kept: list[list[int]], found: tuple[Any, ...]) -> None:
        if not tables:
            tables.extend(np.zeros(shape, np.int64) for _ in found)
        axes = [axis for axis, each in enumerate(kept) if len(each) > 1]
        whole = all(each[-1] - each[0] == len(each) - 1 for each in kept)  # slices are faster
        place = tuple(slice(each[0], each[-1] + 1) for each in kept) if whole else np.ix_(*kept)
        for table, values in zip(tables, found, strict=True):
            values = np.asarray(values).view(np.ndarray)
            if values.ndim:
                lengths = dict(zip(axes, values.shape, strict=True))
                values = values.reshape([lengths.get(axis, 1) for axis in range(len(kept))])
            table[place] = values

    def fill(kept: list[list[int]]) -> None:
        """Fill the part of the tables that belongs to these options of each choice."""
        several = [axis for axis, each in enumerate(kept) if len(each) > 1]
        decisions: dict[str, Any] = {name: each[0] for name, each in zip(names, kept, strict=True)}
        if not several:
            write(kept, ask(decisions))
            return
        for axis, index in zip(several, np.ix_(*(kept[axis] for axis in several)), strict=True):
            decisions[names[axis]] = index.view(Many)
        groups: list[list[int]] = [[place] for place in range(len(kept[several[0]]))]
        axis = several[0]
        try:
            found = ask(decisions)
            if _agree(found, ask, names, kept):
                write(kept, found)
                return
        except Split as split:
            axis, groups = several[split.axis], split.groups
        except Exception:  # one by one it succeeds, or says which option is at fault
            pass
        for group in groups:
            fill([*kept[:axis], [kept[axis][place] for place in group], *kept[axis + 1 :]])

    def first(kept: list[list[int]], left: Sequence[str]) -> None:
        if not left:
            fill(kept)
            return
        axis = names.index(left[0])
        for option in range(sizes[left[0]]):
            first([*kept[:axis], [option], *kept[axis + 1 :]], left[1:])

    first([list(range(size)) for size in shape], [name for name in names if name in one_by_one])
    return tables


def _agree(
    found: tuple[Any, ...],
    ask: Callable[[Decisions], tuple[Any, ...]],
    names: Sequence[str],
    kept: Sequence[Sequence[int]],
) -> bool:
    """Whether the first and the last combination give alone what they give among all.

    They do not where a closed form looks at types.
    """
    shape = [len(each) for each in kept if len(each) > 1]
    for corner in (0, -1):
        alone = ask({name: each[corner] for name, each in zip(names, kept, strict=True)})
        for value, one in zip(found, alone, strict=True):
            if np.broadcast_to(np.asarray(value).view(np.ndarray), shape).flat[corner] != one:
                return False
    return True
