"""Images for tasks whose tables have none: a folder of CIFAR makes them trainable."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from naslab.datasets import Rows
from naslab.datasets.cifar import cifar_classes, load_cifar
from naslab.errors import InvalidDataset
from naslab.tasks import Task


def with_images(task: Task, folder: str | Path) -> Task:
    """The same task with rows: one half of CIFAR's training images to train weights on, the other to validate by.

    As in NAS-Bench-201's protocol of weight sharing (Dong & Yang 2020). Deviation: its halves are those of a published
    list, ours are drawn by a hash of the image's number.

    Args:
        task: On images of 32x32 pixels, such as ``"nasbench201/cifar10"``.
        folder: With the official files, see :func:`naslab.datasets.cifar.load_cifar`.

    Raises:
        InvalidDataset: The folder holds no CIFAR, or one that does not fit the task's space.
    """
    train, held, digest = _halves(Path(folder))
    (shape, classes), found = task.problem.space.ends, cifar_classes(folder)
    if shape != train.x.shape[1:] or found != classes:
        raise InvalidDataset(
            f"'{folder}' has images of shape {train.x.shape[1:]} in {found} classes; {task.id} needs {shape} in "
            f"{classes}. Fix: give the folder of its own images"
        )
    problem = dataclasses.replace(task.problem, train=train, validation=held)
    return dataclasses.replace(task, problem=problem, source={**task.source, "images_sha256": digest})


@cache
def _halves(folder: Path) -> tuple[Rows, Rows, str]:
    rows = load_cifar(folder)
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(f"cifar/{i}".encode()).digest())
    halves = np.array_split(np.array(order), 2)
    digest = hashlib.sha256(np.ascontiguousarray(rows.x).tobytes() + rows.y.tobytes()).hexdigest()
    first, second = (Rows(rows.x[np.sort(half)], rows.y[np.sort(half)]) for half in halves)
    return first, second, digest
