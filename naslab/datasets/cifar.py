"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from a folder with the official files, binary or Python version.

No package ships these images and nothing is downloaded: https://www.cs.toronto.edu/~kriz/cifar.html. The Python version
consists of pickles; only numbers are read out of them, see :mod:`naslab.tables.pickles`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from naslab.datasets.rows import Rows
from naslab.errors import InvalidDataset, InvalidTable
from naslab.files import unreadable
from naslab.tables.pickles import Allowed, load_pickle

_PIXELS = 3 * 32 * 32
_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))


def load_cifar(folder: str | Path, split: Literal["train", "test"] = "train") -> Rows:
    """The images of a folder, ``(N, 3, 32, 32)``, standardised by channel as in NAS-Bench-201, and their classes.

    Args:
        folder: With the files of one version, as they come out of the official archive.
        split: ``"train"`` (50,000 images) or ``"test"`` (10,000).

    Raises:
        InvalidDataset: The folder holds no complete version, or a file is damaged or can't be read.
    """
    folder = Path(folder)
    for version in VERSIONS:
        files = [folder / name for name in (version.train if split == "train" else version.test)]
        if all(file.is_file() for file in files):
            parts = [version.read(file, version.classes) for file in files]
            images = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32).astype(np.float32)
            mean, scale = (np.array(each, np.float32).reshape(3, 1, 1) for each in version.channels)
            return Rows((images - mean) / scale, np.concatenate([labels for _, labels in parts]))
    raise InvalidDataset(
        f"'{folder}' holds no complete version of CIFAR's {split} images. Allowed: "
        + "; ".join(f"{version.name} ({', '.join(_named(version, split))})" for version in VERSIONS)
    )


def cifar_classes(folder: str | Path) -> int:
    """10 or 100: which CIFAR a folder holds; 0 where it holds none."""
    for version in VERSIONS:
        if all((Path(folder) / name).is_file() for name in version.train):
            return version.classes
    return 0


@dataclass(frozen=True)
class _Version:
    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: int
    read: Callable[[Path, int], tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]
    channels: tuple[tuple[float, ...], tuple[float, ...]]


def _named(version: _Version, split: str) -> tuple[str, ...]:
    files = version.train if split == "train" else version.test
    return files if len(files) == 1 else (files[0], "...", files[-1])


def _binary(file: Path, classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Records of the label's bytes (CIFAR-100: coarse, fine) and the pixels, channel by channel."""
    before = 1 if classes == 10 else 2
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise InvalidDataset(unreadable(file, error)) from None
    if not len(data) or len(data) % (before + _PIXELS):
        raise InvalidDataset(
            f"'{file}' has {len(data):,} bytes, not a multiple of a record's {before + _PIXELS:,}. Fix: get it again"
        )
    records = data.reshape(-1, before + _PIXELS)
    return records[:, before:], _checked(records[:, before - 1].astype(np.int64), classes, file)


def _pickled(file: Path, classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A dictionary with bytes as keys: ``data`` of shape ``(N, 3072)`` and a list of labels."""
    try:
        found = load_pickle(file, _ALLOWED, encoding="bytes")
        pixels, labels = found[b"data"].values, found[b"labels" if classes == 10 else b"fine_labels"]
        if pixels.shape != (len(labels), _PIXELS):
            raise InvalidDataset(f"'{file}' holds {len(labels)} labels for pixels of shape {pixels.shape}")
        return pixels, _checked(np.array([int(label) for label in labels], np.int64), classes, file)
    except InvalidTable as error:
        raise InvalidDataset(str(error)) from None
    except InvalidDataset:
        raise
    except Exception as error:  # a foreign pickle may raise anything
        raise InvalidDataset(f"'{file}' is no batch of CIFAR's Python version ({type(error).__name__})") from None


def _checked(labels: npt.NDArray[np.int64], classes: int, file: Path) -> npt.NDArray[np.int64]:
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise InvalidDataset(f"'{file}' has labels from {labels.min()} to {labels.max()}. Allowed: 0 to {classes - 1}")
    return labels


class _Bytes:
    """Stands for ``numpy.dtype``: nothing but unsigned bytes."""

    def __init__(self, code: Any, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise ValueError(f"dtype {code!r}")

    def __setstate__(self, state: object) -> None:
        pass


class _Array:
    """Stands for ``numpy.ndarray``: an array of bytes, made from bytes."""

    def __init__(self, *_: object) -> None:
        self.values = np.zeros((0, _PIXELS), np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_column, data = state
        if not isinstance(dtype, _Bytes):
            raise ValueError("dtype")
        self.values = np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_column else "C")


def _encoded(text: str, *_: object) -> bytes:
    return text.encode("latin1")  # how Python 3 writes bytes in the protocol of Python 2


_ALLOWED: Allowed = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Bytes,
    ("_codecs", "encode"): _encoded,
}
_CIFAR10 = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
_CIFAR100 = ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4))
VERSIONS = (
    _Version("CIFAR-10 binary", tuple(f"{b}.bin" for b in _BATCHES), ("test_batch.bin",), 10, _binary, _CIFAR10),
    _Version("CIFAR-10 Python", _BATCHES, ("test_batch",), 10, _pickled, _CIFAR10),
    _Version("CIFAR-100 binary", ("train.bin",), ("test.bin",), 100, _binary, _CIFAR100),
    _Version("CIFAR-100 Python", ("train",), ("test",), 100, _pickled, _CIFAR100),
)
"""What a folder may hold, with mean and standard deviation of the channels as NAS-Bench-201 has them."""
