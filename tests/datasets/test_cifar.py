"""CIFAR from its official files: stand-ins written here, byte by byte as the description has them."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from naslab.datasets.cifar import load_cifar
from naslab.errors import InvalidDataset

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(256, size=(10, 3072)).astype(np.uint8)
FINE, COARSE = [3, 9, 0, 1, 2, 5, 5, 7, 4, 8], [1] * 10
MEAN, SCALE = np.array([125.3, 123.0, 113.9]), np.array([63.0, 62.1, 66.7])


class Python2(pickle._Pickler):
    """Writes strings as Python 2 does, in which the official pickles were written."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, text: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(text)) + text)

    dispatch[bytes] = save_string

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = obj.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{obj.__name__}\n".encode())

    for kind in (type, type(len), type(lambda: 0)):
        dispatch[kind] = save_global
    del kind


def python2(data: object) -> bytes:
    stream = io.BytesIO()
    Python2(stream, protocol=2).dump(data)
    return stream.getvalue()


def python3(data: object) -> bytes:
    return pickle.dumps(data, protocol=2)


def cifar10_binary(folder: Path) -> None:
    for i in range(5):
        rows = slice(2 * i, 2 * i + 2)
        records = [bytes([label]) + row.tobytes() for label, row in zip(FINE[rows], PIXELS[rows], strict=True)]
        (folder / f"data_batch_{i + 1}.bin").write_bytes(b"".join(records))
    (folder / "test_batch.bin").write_bytes(bytes([6]) + PIXELS[0].tobytes())


def cifar10_python(folder: Path, write: Callable[[object], bytes] = python2) -> None:
    for i in range(5):
        rows = slice(2 * i, 2 * i + 2)
        batch = {b"data": PIXELS[rows], b"labels": FINE[rows], b"batch_label": b"x", b"filenames": [b"a.png", b"b.png"]}
        (folder / f"data_batch_{i + 1}").write_bytes(write(batch))
    (folder / "test_batch").write_bytes(write({b"data": PIXELS[:1], b"labels": [6]}))


@pytest.mark.parametrize("written", [cifar10_binary, cifar10_python, lambda f: cifar10_python(f, python3)])
def test_cifar10_is_read_in_order_and_standardised(tmp_path: Path, written: Callable[[Path], None]) -> None:
    written(tmp_path)
    rows = load_cifar(tmp_path)
    assert rows.x.shape == (10, 3, 32, 32)
    assert (rows.x.dtype, rows.y.dtype) == (np.float32, np.int64)
    assert rows.y.tolist() == FINE
    red, row, column = PIXELS[7, 0], PIXELS[7, 1024 + 32], PIXELS[7, 2048 + 1]  # channel by channel, row by row
    assert rows.x[7, 0, 0, 0] == pytest.approx((red - MEAN[0]) / SCALE[0], abs=1e-6)
    assert rows.x[7, 1, 1, 0] == pytest.approx((row - MEAN[1]) / SCALE[1], abs=1e-6)
    assert rows.x[7, 2, 0, 1] == pytest.approx((column - MEAN[2]) / SCALE[2], abs=1e-6)
    test = load_cifar(tmp_path, "test")
    assert (test.x.shape, test.y.tolist()) == ((1, 3, 32, 32), [6])


def test_the_stand_in_is_a_pickle_of_python_2() -> None:
    written = python2({b"data": PIXELS[:1]})
    assert b"numpy.core.multiarray\n_reconstruct" in written
    assert pickle.BINSTRING + struct.pack("<i", 3072) in written


def test_arrays_stored_by_column_are_read_as_well(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(python2({b"data": np.asfortranarray(PIXELS), b"fine_labels": FINE}))
    np.testing.assert_allclose(load_cifar(tmp_path).x[:, 0, 0, 0], (PIXELS[:, 0] - 129.3) / 68.2, atol=1e-6)


def test_cifar100_has_fine_labels(tmp_path: Path) -> None:
    fine = [99, *FINE[1:]]
    records = [bytes([c, f]) + row.tobytes() for c, f, row in zip(COARSE, fine, PIXELS, strict=True)]
    (tmp_path / "train.bin").write_bytes(b"".join(records))
    assert load_cifar(tmp_path).y.tolist() == fine
    (tmp_path / "train.bin").unlink()
    (tmp_path / "train").write_bytes(python2({b"data": PIXELS, b"fine_labels": fine, b"coarse_labels": COARSE}))
    np.testing.assert_array_equal(load_cifar(tmp_path).y, fine)


def refusal(folder: Path) -> str:
    with pytest.raises(InvalidDataset) as error:
        load_cifar(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_without_a_whole_version_is_refused(tmp_path: Path) -> None:
    assert "CIFAR-10 binary (data_batch_1.bin, ..., data_batch_5.bin)" in refusal(tmp_path)
    cifar10_binary(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    assert "no complete version" in refusal(tmp_path)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    cifar10_binary(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"\0" * 3000)
    assert "data_batch_2.bin' has 3,000 bytes" in refusal(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"\x0a" * 3073)
    assert "labels from 10 to 10. Allowed: 0 to 9" in refusal(tmp_path)


@pytest.mark.parametrize(
    "batch",
    [
        {b"labels": FINE},
        {b"data": PIXELS},
        {b"data": PIXELS, b"labels": FINE[:3]},
        {b"data": PIXELS[:, :5], b"labels": FINE},
        {b"data": PIXELS.astype(np.int64), b"labels": FINE},
        {b"data": b"text", b"labels": FINE},
        [1, 2],
    ],
)
def test_pickles_of_something_else_are_refused(tmp_path: Path, batch: object) -> None:
    cifar10_python(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(python2(batch))
    assert "data_batch_3'" in refusal(tmp_path)


class Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


def test_nothing_in_a_pickle_runs(tmp_path: Path) -> None:
    cifar10_python(tmp_path)
    witness = tmp_path / "witness"
    harmful = pickle.dumps({b"data": Malicious(f"touch {witness}"), b"labels": FINE}, protocol=2)
    (tmp_path / "data_batch_1").write_bytes(harmful)
    assert "is refused" in refusal(tmp_path)
    assert not witness.exists()
    pickle.loads(harmful)
    assert witness.exists()  # it would have
