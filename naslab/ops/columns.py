"""What turns the columns of a table into features: embeddings of categories, and a truncated decomposition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from naslab.errors import InvalidSpace
from naslab.ops.base import Count, Operation, Shape, Value, check_known


@dataclass(frozen=True)
class EntityEmbedding(Operation):
    """Learnt vectors for the categories of some columns (Guo & Berkhahn 2016), as Auto-PyTorch Tabular has them.

    The input is one-hot columns of each category, one category after the other, and any other features behind them.
    An embedding is a linear layer with bias over the columns of one category: rows may be mixtures. Categories with
    few values stay as they are.

    Args:
        sizes: How many values each category has.
        reductions: For each category, the length of its vectors as a share of its number of values; rounded down, at
            least 1 and at most one less than there are values.
        least: Categories with fewer values are left as they are; at least 3.
        columns: ``"own"``: every embedding reads the columns of its category. ``"shifted"``: it reads too early by the
            columns (all but one) of categories before it that are left as they are: a published bug, see
            :func:`naslab.search_spaces.tabular.tabular`.
    """

    sizes: tuple[int, ...]
    reductions: tuple[Value, ...]
    least: Value = 3
    columns: str = "own"

    def __post_init__(self) -> None:
        check_known(self, "columns", ("own", "shifted"))
        if not self.sizes or len(self.sizes) != len(self.reductions):
            raise InvalidSpace(f"{self!r}: give one number of values and one reduction per category")

    def embedded(self) -> Iterator[tuple[int, int, int]]:
        """Of every category that is embedded: its first column, its number of values and the length of its vectors."""
        start = 0
        for size, reduction in zip(self.sizes, self.reductions, strict=True):
            if size >= self.least:
                yield start, size, min(max(int(reduction * size), 1), size - 1)
            start += size if self.columns == "own" or size >= self.least else 1

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if len(shape) != 1 or shape[0] < sum(self.sizes):
            raise InvalidSpace(f"{self!r}: an input of shape {shape}; allowed: ({sum(self.sizes)} or more features,)")
        return (shape[0] - sum(size - length for _, size, length in self.embedded()),)

    def params(self, shape: Shape, out: Shape) -> Count:
        return sum((size + 1) * length for _, size, length in self.embedded())

    def macs(self, shape: Shape, out: Shape) -> Count:
        return sum(size * length for _, size, length in self.embedded())


@dataclass(frozen=True)
class TruncatedSVD(Operation):
    """The coordinates of a row along the first right singular vectors of the training rows (no mean is subtracted).

    The vectors are no parameters: they are fitted to what arrives from the training rows before training
    (:func:`naslab.evaluators.fitting.fit`), and are random orthonormal ones until then.

    Args:
        dimensions: How many; at most one less than the features, of which there are at least 2.
    """

    dimensions: Any = 10

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if len(shape) != 1 or shape[0] < 2:
            raise InvalidSpace(f"{self!r}: an input of shape {shape}; allowed: vectors of at least 2 features")
        return (min(self.dimensions, shape[0] - 1),)

    def macs(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * out[0]
