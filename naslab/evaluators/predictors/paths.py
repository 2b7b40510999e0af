"""The truncated path encoding: which of the shortest sequences of operations lead through a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import ZERO, Cell, Wiring
from naslab.space import Architecture

MOST_PATHS = 1000
"""Most paths of a cell that are followed, the shortest."""


class PathFeatures:
    """Features of White et al. 2021 (BANANAS), section 3.1, that occur in some architectures.

    A feature is an input and the operations along a path from it to the output, identities included; it is 1 where an
    architecture has such a path without a zero on it.

    Args:
        wiring: Of the space.
        architectures: Those whose features are kept.
        most: How many features are kept, the shortest, and of equal length those that occur most often; 0 for all.

    Attributes:
        columns: Number of features.
    """

    def __init__(self, wiring: Wiring, architectures: Sequence[Architecture], most: int = 0) -> None:
        self._wiring = wiring
        self._paths = [shortest_paths(cell) for cell in wiring.cells]
        counted: dict[tuple[int, ...], int] = {}
        for key, _, present in self._occurrences(architectures):
            counted[key] = counted.get(key, 0) + int(present.sum())
        kept = sorted(counted, key=lambda key: (len(key), -counted[key], key))
        self._column = {key: i for i, key in enumerate(kept[: most or None])}
        self.columns = len(self._column)

    def __call__(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float32]:
        """``(n, columns)`` zeros and ones."""
        found = np.zeros((len(architectures), self.columns), np.float32)
        for key, rows, present in self._occurrences(architectures):
            if key in self._column:
                found[rows[present], self._column[key]] = 1
        return found

    def _occurrences(
        self, architectures: Sequence[Architecture]
    ) -> list[tuple[tuple[int, ...], npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
        """For each sequence that occurs: its cell, input and operations; all row numbers; in which rows it occurs."""
        options = self._wiring.options(architectures)
        rows = np.arange(len(options))
        occurrences = []
        for which, (cell, paths) in enumerate(zip(self._wiring.cells, self._paths, strict=True)):
            operations = cell.operations(options)
            for path in paths:
                sequences, inverse = np.unique(operations[:, path], axis=0, return_inverse=True)
                for i, sequence in enumerate(sequences):
                    if (sequence != ZERO).all():
                        key = (which, cell.edges[path[0]].tail, *sequence.tolist())
                        occurrences.append((key, rows, inverse.reshape(-1) == i))
        return occurrences


def shortest_paths(cell: Cell, most: int = MOST_PATHS) -> list[list[int]]:
    """Paths from an input to the output as lists of edge numbers, shortest first; at most ``most``."""
    leaving: dict[int, list[int]] = {}
    for number, edge in enumerate(cell.edges):
        leaving.setdefault(edge.tail, []).append(number)
    complete: list[list[int]] = []
    begun: list[list[int]] = [[number] for source in cell.sources for number in leaving.get(source, [])]
    while begun and len(complete) < most:
        complete += [path for path in begun if cell.edges[path[-1]].head == cell.nodes - 1]
        begun = [[*path, number] for path in begun for number in leaving.get(cell.edges[path[-1]].head, [])]
    return complete[:most]
