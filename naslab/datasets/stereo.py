"""Random-dot stereograms (Julesz 1960): pairs of images with known disparity at every pixel. Made, not collected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.datasets.rows import Dataset, Rows

SIDE = 16
MOST = 4
"""The largest disparity, in pixels."""
SIZES = (256, 64, 128)


def random_dots(
    sizes: Sequence[int] = SIZES, side: int = SIDE, most: int = MOST, rectangles: int = 2, seed: int = 0
) -> Dataset:
    """Pairs of images of random black and white dots, with the disparity of the left one.

    A pair shows a plane and rectangles in front of it, each at a distance of its own, the nearest on top. A pixel
    of the left image has the colour of the right one's pixel so many columns to its left as its disparity says; dots
    that only the right image shows are hidden in the left one.

    Args:
        sizes: Numbers of training, validation and test pairs.
        side: Height and width.
        most: The largest disparity, in pixels.
        rectangles: In front of the plane of a pair.
        seed: Of all pairs.

    Returns:
        ``x`` is ``(N, 2, side, side)``: the left and the right image, dots of -1 and 1; ``y`` is ``(N, 1, side,
        side)``: whole numbers from 0 to ``most``, in pixels.
    """
    rng = np.random.default_rng(seed)
    splits = []
    digest = hashlib.sha256(f"random-dots {tuple(sizes)} {side} {most} {rectangles} {seed}".encode())
    for size in sizes:
        disparity = np.stack([_distances(rng, side, most, rectangles) for _ in range(size)])
        dots = 2.0 * rng.integers(0, 2, (size, side, side + most)) - 1  # columns to the left of the right image first
        columns = np.arange(side) + most - disparity
        left = np.take_along_axis(dots, columns, axis=2)
        x = np.stack([left, dots[:, :, most:]], axis=1).astype(np.float32)
        y = disparity[:, None].astype(np.float32)
        digest.update(x.astype("<f4").tobytes() + y.astype("<f4").tobytes())
        splits.append(Rows(x, y))
    train, validation, test = splits
    return Dataset("random-dots", train, validation, test, classes=1, sha256=digest.hexdigest())


def _distances(rng: np.random.Generator, side: int, most: int, rectangles: int) -> npt.NDArray[np.int64]:
    """The disparity of every pixel: a plane, and rectangles of a quarter to a half of its sides."""
    levels = np.sort(rng.integers(0, most + 1, 1 + rectangles))
    found = np.full((side, side), levels[0])
    for level in levels[1:]:
        height, width = rng.integers(side // 4, side // 2 + 1, 2)
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        found[top : top + height, left : left + width] = level
    return found
