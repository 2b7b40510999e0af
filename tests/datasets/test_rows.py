"""Cutting a dataset into splits: fixed, disjoint, standardised by what may be seen, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from naslab.datasets import Dataset
from naslab.datasets.rows import split_dataset

SIZES = (20, 12, 30)
RAW = np.random.default_rng(0).normal(3.0, [1.0, 10.0, 0.1], (70, 3))
NUMBERS = np.arange(70)  # as labels: every row says which one it is


def split(raw: np.ndarray = RAW, labels: np.ndarray = NUMBERS, sizes: Sequence[int] = SIZES, **options: Any) -> Dataset:
    return split_dataset(options.pop("name", "invented"), raw, labels, sizes, **{"by_feature": True, **options})


def splits_of(dataset: Dataset) -> list[np.ndarray]:
    return [rows.y for rows in (dataset.train, dataset.validation, dataset.test)]


def test_splits_are_disjoint_and_together_a_part_of_the_rows() -> None:
    parts = splits_of(split())
    assert [len(part) for part in parts] == list(SIZES)
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == sum(SIZES) < len(RAW)
    assert set(together.tolist()) <= set(range(70))
    assert len(split().train) == 20


def test_the_order_is_that_of_a_hash_of_name_and_row() -> None:
    order = sorted(range(70), key=lambda row: hashlib.sha256(f"invented/{row}".encode()).hexdigest())
    assert np.concatenate(splits_of(split())).tolist() == order[: sum(SIZES)]
    assert splits_of(split(name="other"))[0].tolist() != order[:20]


def test_every_row_keeps_its_numbers_standardised_by_the_training_rows() -> None:
    dataset = split()
    fitted = RAW[dataset.train.y]
    for rows in (dataset.train, dataset.validation, dataset.test):
        expected = (RAW[rows.y] - fitted.mean(axis=0)) / fitted.std(axis=0)
        np.testing.assert_allclose(rows.x, expected, rtol=1e-6, atol=1e-6)
        assert rows.x.dtype == np.float32
        assert rows.y.dtype == np.int64
    np.testing.assert_allclose(dataset.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.train.x.std(axis=0), 1, atol=1e-6)


def test_held_out_rows_do_not_move_the_scale() -> None:
    held = np.ones(70, bool)
    held[split().train.y] = False
    raw = np.where(held[:, None], RAW * 100 + 7, RAW)
    changed = split(raw)
    np.testing.assert_array_equal(changed.train.x, split().train.x)
    assert (changed.test.x != split().test.x).all()


def test_pixels_are_standardised_together() -> None:
    images = np.random.default_rng(1).integers(0, 9, (70, 1, 2, 2)).astype(np.uint8)
    dataset = split(images, by_feature=False)
    fitted = images[dataset.train.y].astype(float)
    assert dataset.test.x.shape == (30, 1, 2, 2)
    np.testing.assert_allclose(dataset.test.x, (images[dataset.test.y] - fitted.mean()) / fitted.std(), atol=1e-6)


def test_a_feature_that_never_changes_is_zero() -> None:
    raw = RAW.copy()
    raw[:, 1] = 4.0
    dataset = split(raw)
    assert not dataset.train.x[:, 1].any()
    assert np.isfinite(dataset.test.x).all()


def test_classes_are_counted() -> None:
    assert split().classes == 70
    assert split(labels=NUMBERS % 3).classes == 3


def test_the_hash_is_of_the_raw_numbers_and_can_be_recomputed() -> None:
    order = sorted(range(70), key=lambda row: hashlib.sha256(f"invented/{row}".encode()).digest())
    content = b"invented <f8 (70, 3) (20, 12, 30)"
    content += b"".join(RAW[row].astype("<f8").tobytes() for row in order)
    content += b"".join(int(NUMBERS[row]).to_bytes(8, "little") for row in order)
    assert split().sha256 == hashlib.sha256(content).hexdigest()


def test_the_hash_changes_with_everything_that_matters() -> None:
    order = np.concatenate(splits_of(split()))
    hashes = [split().sha256]
    for row in (order[0], order[25], order[40], next(iter(set(range(70)) - set(order.tolist())))):
        raw, labels = RAW.copy(), NUMBERS.copy()
        raw[row, 2] = np.nextafter(raw[row, 2], 9)
        labels[row] = 3 if labels[row] != 3 else 4
        hashes += [split(raw).sha256, split(labels=labels).sha256]
    hashes += [split(sizes=sizes).sha256 for sizes in ((21, 11, 30), (20, 13, 29), (20, 12, 31))]
    hashes += [split(name="other").sha256, split(RAW.astype(np.float32)).sha256, split(RAW[:69], NUMBERS[:69]).sha256]
    assert len(set(hashes)) == len(hashes) == 15
    assert split().sha256 == hashes[0]


@pytest.mark.parametrize("by_feature", [True, False])
def test_raw_numbers_are_left_as_they_were(by_feature: bool) -> None:
    before = RAW.copy()
    split(by_feature=by_feature)
    np.testing.assert_array_equal(RAW, before)
