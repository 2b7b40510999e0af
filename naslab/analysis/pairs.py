"""Kendall's tau-b and the weighted tau of many architectures: both follow from each one's number of discordant pairs.

SciPy counts pairs anew for either, and adds weights pair by pair in the weighted one: 15 times as slow where there are
hundreds of thousands. The values are its values (``tests/analysis/test_pairs.py``).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
"""``(n,)``: 0 for the lowest value, 1 for the next, equal numbers for equal values."""


def taus(x: Codes, y: Codes) -> tuple[float, float]:
    """Tau-b (Kendall 1945), and the weighted tau of Vigna 2015 ("A weighted correlation index for rankings with ties").

    The weighted one adds ``1 / (1 + place)`` of both members of a pair, places from 0 for the best by x and, where x is
    equal, by y; then with x and y exchanged. It is the mean of both, as SciPy's ``weightedtau``.

    Returns:
        NaN, NaN where one side is constant or there are fewer than two values.
    """
    n = len(x)
    if n < 2 or not (np.ptp(x) and np.ptp(y)):
        return np.nan, np.nan
    by_x, by_y = np.argsort(x * (y.max() + 1) + y), np.argsort(y * (x.max() + 1) + x)
    in_order = np.flatnonzero(np.diff(x[by_x], prepend=-1) | np.diff(y[by_x], prepend=-1))
    sizes = np.diff(in_order, append=n)
    both = np.empty(n, np.int64)
    both[by_x] = np.repeat(sizes, sizes)
    discordant = _discordant(x, y, by_x) if y.max() <= x.max() else _discordant(y, x, by_y)
    untied_x, untied_y = n - np.bincount(x)[x], n - np.bincount(y)[y]
    concordant = untied_x + untied_y - (n - both) - discordant
    balance = concordant - discordant

    def tau(weights: npt.NDArray[np.float64] | int) -> float:
        pairs, of_x, of_y = (float((weights * each).sum()) for each in (balance, untied_x, untied_y))
        return pairs / math.sqrt(of_x * of_y)

    weights = np.empty((2, n))
    hyperbolic = 1 / np.arange(n, 0, -1.0)
    weights[0, by_x], weights[1, by_y] = hyperbolic, hyperbolic
    return tau(1), (tau(weights[0]) + tau(weights[1])) / 2


def _discordant(x: Codes, y: Codes, order: Codes) -> Codes:
    """``(n,)``: with how many others each stands in one order by x and in the other by y.

    Bit by bit of y, from the highest: what is equal so far stays together, in the order of x. Among these, the ones
    before a zero are larger and come earlier.

    Args:
        x: Codes.
        y: Codes; the fewer there are, the faster.
        order: By x, and by y where x is equal.
    """
    n = len(x)
    values, place, places = y[order], np.arange(n), np.arange(n)
    larger_before = np.zeros(n, np.int64)
    for bit in range(int(y.max()).bit_length() - 1, -1, -1):
        group = values >> (bit + 1)
        begins = np.flatnonzero(np.diff(group, prepend=-1))
        sizes = np.diff(begins, append=n)
        one = (values >> bit) & 1
        before = np.cumsum(one) - one
        ones = np.diff(before[begins], append=one.sum())
        begin = np.repeat(begins, sizes)
        ones_before = before - np.repeat(before[begins], sizes)
        larger_before += np.where(one, 0, ones_before)
        target = np.where(one, begin + np.repeat(sizes - ones, sizes) + ones_before, places - ones_before)
        values, place, larger_before = (_moved(each, target) for each in (values, place, larger_before))
    # Now in the order of y, and of x where y is equal: as many come later with a smaller y as come at all, less those
    # that come earlier.
    begins = np.flatnonzero(np.diff(values, prepend=-1))
    smaller = np.repeat(begins, np.diff(begins, append=n))
    smaller_before = place - larger_before - (places - smaller)
    found = np.empty(n, np.int64)
    found[order[place]] = larger_before + smaller - smaller_before
    return found


def _moved(values: Codes, target: Codes) -> Codes:
    moved = np.empty_like(values)
    moved[target] = values
    return moved
