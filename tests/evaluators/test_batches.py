"""Batches without end: every row once a pass, stored and taken up again, images moved and mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from naslab.datasets import Rows
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.batches import Batches, crop_flip

RNG = np.random.default_rng(0)
IMAGES = Rows(RNG.standard_normal((10, 3, 32, 32)).astype(np.float32), np.arange(10))


def batches(augmentation: str = "none") -> Batches:
    return Batches(IMAGES, 4, torch.Generator().manual_seed(1), augmentation)


def test_a_pass_has_no_row_twice() -> None:
    drawn = batches()
    for _ in range(5):
        labels = [*drawn.next()[1].tolist(), *drawn.next()[1].tolist()]
        assert len(set(labels)) == 8


@pytest.mark.parametrize("augmentation", ["none", "crop-flip"])
def test_they_go_on_from_a_state(augmentation: str) -> None:
    one, other = batches(augmentation), batches(augmentation)
    one.next()
    other.restore(one.state())
    for _ in range(6):
        (x, y), (a, b) = one.next(), other.next()
        assert torch.equal(x, a)
        assert torch.equal(y, b)


def test_every_image_is_a_window_of_the_padded_one_or_its_mirror_image() -> None:
    x = torch.from_numpy(IMAGES.x)
    padded = np.pad(IMAGES.x, ((0, 0), (0, 0), (4, 4), (4, 4)))
    seen, mirrored, draws = set(), 0, 40
    for seed in range(draws):
        for i, image in enumerate(crop_flip(x, torch.Generator().manual_seed(seed)).numpy()):
            found = [
                (down, right, flip)
                for down in range(9)
                for right in range(9)
                for flip, window in enumerate([padded[i, :, down : down + 32, right : right + 32]] * 2)
                if np.array_equal(image, window[:, :, ::-1] if flip else window)
            ]
            assert len(found) == 1
            seen.add(found[0][:2])
            mirrored += found[0][2]
    assert len(seen) > 70  # of 81 places
    assert abs(mirrored / (10 * draws) - 0.5) < 0.1


def test_what_is_no_image_is_not_cropped() -> None:
    flat = Rows(np.zeros((5, 3), np.float32), np.zeros(5, np.int64))
    with pytest.raises(InvalidValue, match="for images"):
        Batches(flat, 2, torch.Generator(), "crop-flip")
    with pytest.raises(UnknownName, match="crop-flip"):
        batches("crop")
