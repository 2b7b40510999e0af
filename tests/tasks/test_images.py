"""A folder of CIFAR makes a task trainable: stand-ins of the official binary format, written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cifar_files import stand_in

import naslab
from naslab.errors import InvalidDataset
from naslab.tasks.images import with_images


def test_one_half_trains_and_the_other_validates(tmp_path: Path) -> None:
    plain = naslab.task("nasbench201/cifar10")
    task = with_images(plain, stand_in(tmp_path, 5))
    train, held = task.problem.train, task.problem.validation
    assert train is not None
    assert held is not None
    assert {len(train), len(held)} == {12, 13}
    every = np.concatenate([train.x, held.x]).reshape(25, -1)
    assert len(np.unique(every, axis=0)) == 25
    assert task.source["table_sha256"] == plain.source["table_sha256"]
    assert task.source["images_sha256"] != with_images(plain, stand_in(tmp_path / "b", 5, 1)).source["images_sha256"]
    assert task.true_value((1,) * 6) == plain.true_value((1,) * 6)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="holds no complete version"):
        with_images(naslab.task("nasbench201/cifar10"), tmp_path)
    with pytest.raises(InvalidDataset, match=r"imagenet16-120 needs \(3, 16, 16\)"):
        with_images(naslab.task("nasbench201/imagenet16-120"), stand_in(tmp_path))
    with pytest.raises(InvalidDataset, match="in 10 classes; nasbench201/cifar100 needs"):
        with_images(naslab.task("nasbench201/cifar100"), tmp_path)
    with pytest.raises(InvalidDataset, match=r"needs \(1, 8, 8\)"):
        with_images(naslab.task("pocket-cell/mnist"), tmp_path)
