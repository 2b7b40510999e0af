"""Patterns of the data flow as hashes: paths, and the neighbourhood of every tensor; multisets of them as counts.

What cannot affect the output is left out, and identities are replaced by what they pass on, as in
:mod:`naslab.space.dataflow`: architectures with isomorphic data flows have equal multisets. Hashes have 64 bits and are
computed from the operations' names, so that they do not depend on what else is encoded; two patterns share one by
chance only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import IDENTITY, ZERO, Cell, Ints, Wiring
from naslab.space import Architecture

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint64]
"""Hashes of patterns; 0 is none."""

MOST_PATHS = 1000
"""Cells with more paths are not encoded by paths."""


class Multisets:
    """Rows of hashes as counts.

    Args:
        codes: ``(n, k)`` of the training rows; their patterns are the vocabulary.
    """

    def __init__(self, codes: Codes) -> None:
        found = np.unique(codes)
        self.vocabulary = found[found != 0]

    def __call__(self, codes: Codes) -> Floats:
        """``(m, V + 1)`` how often each known pattern occurs, and the Euclidean norm of the counts of unknown ones.

        The last column makes distances to training rows what they would be if all patterns had columns.
        """
        ordered = np.sort(codes, axis=1)
        first = np.ones(ordered.shape, np.bool_)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        run = np.cumsum(first, axis=1) - 1
        rows = np.arange(len(codes))[:, None]
        times = np.zeros(ordered.shape)
        np.add.at(times, (rows, run), 1.0)
        first &= ordered != 0
        row, _ = np.nonzero(first)
        pattern, often = ordered[first], times[row, run[first]]
        place = np.searchsorted(self.vocabulary, pattern)
        place[place == len(self.vocabulary)] = 0
        known = np.isin(pattern, self.vocabulary)
        counts = np.zeros((len(codes), len(self.vocabulary) + 1))
        counts[row[known], place[known]] = often[known]
        np.add.at(counts[:, -1], row[~known], often[~known] ** 2)
        counts[:, -1] = np.sqrt(counts[:, -1])
        return counts


def path_codes(wiring: Wiring, architectures: Sequence[Architecture]) -> Codes:
    """``(n, paths)`` a hash of the operations along every path from an input to the output, identities skipped.

    The multiset of a row's codes is the multiset of its paths; ``(n, 0)`` where a cell has more than 1000
    (:data:`MOST_PATHS`).
    """
    options = wiring.options(architectures)
    if any(_number_of_paths(cell) > MOST_PATHS for cell in wiring.cells):
        return np.zeros((len(options), 0), np.uint64)
    hashes = _hashes(wiring.vocabulary)
    found = []
    for which, cell in enumerate(wiring.cells):
        operations = cell.operations(options)
        labels = hashes[operations]
        arriving: list[list[Codes]] = [[] for _ in range(cell.nodes)]
        for source, name in cell.sources.items():
            start = _mixed(_hashes([f"{which}: {name}"]))
            arriving[source] = [np.broadcast_to(start, len(options))]
        for edge, column, label in zip(cell.edges, operations.T, labels.T, strict=True):
            for code in arriving[edge.tail]:
                longer = np.where(column == IDENTITY, code, _mixed(code + label))
                arriving[edge.head].append(np.where((column == ZERO) | (code == 0), np.uint64(0), longer))
        found += arriving[-1]
    return np.stack(found, axis=1)


def pattern_codes(wiring: Wiring, architectures: Sequence[Architecture], depth: int) -> list[Codes]:
    """Weisfeiler-Lehman colours of the data flow after 0, 1, ..., ``depth`` rounds, each ``(n, tensors)``.

    A tensor's first colour is what it is (an input, an operation's result, the output) and its cell. Every round adds
    the colours of the tensors that it is computed from, and of those that are computed from it, each with
    multiplicities. Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3, on directed graphs, with the
    two directions distinguished.
    """
    options = wiring.options(architectures)
    rounds: list[list[Codes]] = [[] for _ in range(depth + 1)]
    for which, cell in enumerate(wiring.cells):
        for found, codes in zip(rounds, _colours(wiring, which, cell, options, depth), strict=True):
            found.append(codes)
    return [np.concatenate(found, axis=1) for found in rounds]


def _colours(wiring: Wiring, which: int, cell: Cell, options: Ints, depth: int) -> list[Codes]:
    operations = cell.operations(options)
    operations = np.where(cell.live(operations), operations, ZERO)
    renames = operations == IDENTITY
    computes = (operations != ZERO) & ~renames
    n = len(options)
    inputs = np.zeros((n, len(cell.sources)), np.bool_)
    nodes = list(cell.sources)
    for edge, on in zip(cell.edges, (operations != ZERO).T, strict=True):
        if edge.tail in cell.sources:
            inputs[:, nodes.index(edge.tail)] |= on
    starts = _hashes([f"{which}: {name}" for name in cell.sources.values()])
    labels = _hashes([f"{which}: {name}" for name in wiring.vocabulary])
    output = np.full((n, 1), _hashes([f"{which}: output"])[0])
    colours = np.concatenate(
        [np.where(inputs, starts, 0), np.where(computes, labels[operations], 0), output],
        axis=1,
        dtype=np.uint64,
    )
    exists = colours != 0
    k = len(cell.sources)
    found = [np.where(exists, _mixed(colours), 0)]
    for _ in range(depth):
        arriving, leaving = np.zeros((2, cell.nodes, n), np.uint64)  # sums of hashed colours: multisets
        into, out_of = _mixed(found[-1] + _SALT[0]), _mixed(found[-1] + _SALT[1])
        into[~exists], out_of[~exists] = 0, 0
        for place, source in enumerate(nodes):
            arriving[source] = into[:, place]
        for i, edge in enumerate(cell.edges):
            arriving[edge.head] += np.where(renames[:, i], arriving[edge.tail], into[:, k + i])
        leaving[-1] = out_of[:, -1]
        for i, edge in reversed(list(enumerate(cell.edges))):
            leaving[edge.tail] += np.where(renames[:, i], leaving[edge.head], out_of[:, k + i])
        finer = np.zeros_like(colours)
        for place, source in enumerate(nodes):
            finer[:, place] = leaving[source]
        for i, edge in enumerate(cell.edges):
            finer[:, k + i] = arriving[edge.tail] + _mixed(leaving[edge.head])
        finer[:, -1] = arriving[-1]
        found.append(np.where(exists, _mixed(found[-1] + _mixed(finer)), 0))
    return found


_SALT = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03))


def _mixed(codes: Codes) -> Codes:
    """A bijection of 64 bits that scatters (splitmix64's finaliser; Steele et al. 2014)."""
    mixed = codes + _SALT[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scattered: Codes = mixed ^ (mixed >> np.uint64(31))
    return scattered


def _hashes(texts: Sequence[str]) -> Codes:
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.asarray([int.from_bytes(digest, "little") for digest in digests], np.uint64)


def _number_of_paths(cell: Cell) -> int:
    counts = [int(node in cell.sources) for node in range(cell.nodes)]
    for edge in cell.edges:
        counts[edge.head] += counts[edge.tail]
    return counts[-1]
