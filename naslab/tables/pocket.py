"""The pocket tables as the package ships them: one compressed archive each, expanded into a table when first used.

An archive holds what ``naslab table build`` measured, once for every class of architectures that compute the same
function: counts of right rows instead of percentages, and the class of every architecture. It has a fortieth of the
table's size.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.files import is_passing, read_json, unreadable, written_whole
from naslab.files.arrays import load_npz
from naslab.tables.format import Table
from naslab.tables.header import ColumnSpec, Direction, Reading, TableSpec, TableTask
from naslab.tables.writing import write_table

LAYOUT = 1
"""Version of an expanded table: goes up when :func:`expand` changes what it writes, so that no old one is used."""
SPLITS = ("train", "valid", "test")
_ROLES = {"train": "context", "valid": "reward", "test": "truth"}
_FOLDER = Path(__file__).parent / "pocket_archives"


def shipped() -> dict[str, Path]:
    """The archives in the package, by name of their table."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.npz"))}


def write_archive(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Store an archive: no pickle, no time stamps, so that equal content is equal bytes."""
    with written_whole(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_LZMA) as archive:
        content = {"header": np.array(json.dumps(header, sort_keys=True)), **arrays}
        for name, array in content.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """What :func:`write_archive` stored.

    Raises:
        InvalidTable: The file is damaged, or can't be read.
    """
    try:
        arrays = load_npz(path)
        return read_json(arrays.pop("header").item()), arrays
    except Exception as error:  # zipfile, its decompressors and NumPy raise many kinds for damage
        if is_passing(error):
            raise InvalidTable(unreadable(path, error)) from None
        raise _damaged(path, error) from None


def expand(archive: Path, path: Path) -> Table:
    """Write the table of an archive to the folder ``path``: a row for every architecture, in percent and seconds.

    Raises:
        InvalidTable: The archive is damaged, or can't be read.
    """
    header, arrays = read_archive(archive)
    try:
        described = _described(header, arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise _damaged(archive, error) from None
    return write_table(path, *described)


def _damaged(path: Path, error: Exception) -> InvalidTable:
    said = " ".join(str(error).split())[:200]
    return InvalidTable(
        f"'{path}' is damaged ({type(error).__name__}: {said}). Fix: pip install --force-reinstall naslab"
    )


def _described(
    header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> tuple[TableSpec, npt.NDArray[np.uint8], dict[str, npt.NDArray[Any]]]:
    """What is written of an archive: the description, the architectures and the columns."""
    dataset, build = header["dataset"], header["provenance"]["build"]
    rows, options = arrays["rows"], tuple(header["options"])
    epochs = tuple(range(1, build["recipe"]["epochs"] + 1))
    seeds = tuple(str(seed) for seed in range(1, build["seeds"] + 1))
    splits = dict(zip(SPLITS, build["splits"], strict=True))
    steps = splits["train"] // build["recipe"]["batch"]
    specs: list[ColumnSpec] = []
    columns: dict[str, npt.NDArray[Any]] = {}

    def add(metric: str, split: Any, role: Any, unit: str, values: npt.NDArray[Any], of: tuple[Any, ...]) -> None:
        direction: Direction = "max" if metric == "accuracy" else "min"
        epochs, seeds = of
        spec = ColumnSpec(
            dataset=dataset,
            metric=metric,
            split=split,
            role=role,
            unit=unit,
            direction=direction,
            epochs=epochs,
            seeds=seeds,
        )
        specs.append(spec)
        columns[spec.name] = values[rows]

    for number, split in enumerate(SPLITS):
        # Training rows are counted when drawn; those of a last batch that is not full never are.
        size = splits[split] if split != "train" else steps * build["recipe"]["batch"]
        accuracy = arrays["right"][:, number].astype(np.float64) * 100 / size
        add("accuracy", split, _ROLES[split], "%", accuracy, (epochs, seeds))
    timings = {name: arrays["timings"][:, i].astype(np.float64) for i, name in enumerate(header["timings"])}
    seconds = timings["step_seconds"][:, None] * steps * np.array(epochs) + timings["validation_seconds"][:, None]
    once = ((), ("once",))
    add("train_seconds", None, "cost", "seconds", seconds[:, :, None], (epochs, ("once",)))
    for name in ("latency_seconds", "latency_iqr_seconds"):
        add(
            name,
            None,
            "cost" if name == "latency_seconds" else "context",
            "seconds",
            timings[name][:, None, None],
            once,
        )
    for number, name in enumerate(("params", "macs")):
        add(name, None, "context", "", arrays["costs"][:, number].astype(np.float64)[:, None, None], once)
    task = TableTask(
        reward=Reading(column=f"{dataset}/accuracy/valid", epochs=epochs[-1]),
        truth=Reading(column=f"{dataset}/accuracy/test", epochs=epochs[-1]),
        space_options={key: tuple(v) if isinstance(v, list) else v for key, v in build["options"].items()},
        data=header["data"],
    )
    spec = TableSpec(
        name=header["name"],
        space=build["space"],
        options=options,
        columns=tuple(specs),
        tasks={dataset: task},
        provenance=header["provenance"],
    )
    architectures = np.array(list(np.ndindex(*options)), np.uint8)
    return spec, architectures, columns
