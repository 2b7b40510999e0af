"""Random-dot stereograms: what is stated about each pixel holds, and a seed gives the same ones."""

from __future__ import annotations

import numpy as np

from naslab.datasets.stereo import random_dots


def test_the_right_image_has_each_pixel_so_many_columns_to_its_left() -> None:
    dataset = random_dots((20, 3, 2), side=12, most=5, seed=3)
    seen = set()
    for rows, size in ((dataset.train, 20), (dataset.validation, 3), (dataset.test, 2)):
        assert (rows.x.shape, rows.y.shape) == ((size, 2, 12, 12), (size, 1, 12, 12))
        assert (rows.x.dtype, rows.y.dtype) == (np.float32, np.float32)
        assert set(np.unique(rows.x)) == {-1.0, 1.0}
        for (left, right), (disparity,) in zip(rows.x, rows.y, strict=True):
            for row, column in np.ndindex(12, 12):
                there = column - int(disparity[row, column])
                assert there < 0 or left[row, column] == right[row, there]
            seen |= set(np.unique(disparity))
    assert seen == {0, 1, 2, 3, 4, 5}


def test_a_seed_gives_the_same_pairs_and_another_one_others() -> None:
    one, same, other = (random_dots((4, 2, 2), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train.x, same.train.x)
    assert (one.sha256 == same.sha256, one.sha256 == other.sha256) == (True, False)
