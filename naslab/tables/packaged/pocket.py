"""The pocket tables as naslab ships them: one compressed archive each, expanded into a table when first used.

An archive holds what ``naslab table build`` measured, once for every class of architectures that compute the same
function: counts of right rows instead of percentages, and the class of every architecture. It has a fortieth of the
table's size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.files import is_passing, read_json, unreadable
from naslab.files.arrays import load_npz, save_npz
from naslab.tables.format import file_sha256
from naslab.tables.header import ColumnSpec, Reading, Role, Split, TableSpec, TableTask
from naslab.tables.packaged.base import Content, Packaged

LAYOUT = 1
"""Version of an expanded table: goes up when what is written of an archive changes, so that no old one is used."""
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
_ROLES: dict[Split, Role] = {"train": "context", "valid": "reward", "test": "truth"}
_FOLDER = Path(__file__).parent.parent / "pocket_archives"


def shipped() -> dict[str, Path]:
    """The archives in the package, by name of their table."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.npz"))}


def pocket_table(archive: Path) -> Packaged:
    """The table of an archive: a row for every architecture, in percent and seconds.

    Reading it raises InvalidTable where the archive is damaged, or can't be read.
    """
    return Packaged(
        archive.stem,
        lambda: f"{LAYOUT}-{file_sha256(archive)[:12]}",
        partial(_describe, archive),
        partial(_read, archive),
    )


def write_archive(path: Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Store an archive: no pickle, no time stamps, so that equal content is equal bytes."""
    save_npz(path, {"header": np.array(json.dumps(header, sort_keys=True)), **arrays})


def read_archive(path: Path, only: str | None = None) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """What :func:`write_archive` stored; ``only="header"`` leaves the arrays where they are.

    Raises:
        InvalidTable: The file is damaged, or can't be read.
    """
    try:
        arrays = load_npz(path, only)
        return read_json(arrays.pop("header").item()), arrays
    except Exception as error:  # zipfile, its decompressors and NumPy raise many kinds for damage
        if is_passing(error):
            raise InvalidTable(unreadable(path, error)) from None
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InvalidTable:
    said = " ".join(str(error).split())[:200]
    return InvalidTable(
        f"'{path}' is damaged ({type(error).__name__}: {said}). Fix: pip install --force-reinstall naslab"
    )


_FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""What a header or an array raises that is not what it should be."""


def _describe(archive: Path) -> TableSpec:
    header, _ = read_archive(archive, only="header")
    try:
        return _spec(header)
    except _FAULTS as error:
        raise _damaged(archive, error) from None


def _read(archive: Path) -> Content:
    header, arrays = read_archive(archive)
    try:
        rows = np.array(list(np.ndindex(*header["options"])), np.uint8)
        return Content(rows, _columns(header, arrays), {})
    except _FAULTS as error:
        raise _damaged(archive, error) from None


def _spec(header: Mapping[str, Any]) -> TableSpec:
    """All of a table but its numbers."""
    dataset, build = header["dataset"], header["provenance"]["build"]
    epochs = tuple(range(1, build["recipe"]["epochs"] + 1))
    seeds = tuple(str(seed) for seed in range(1, build["seeds"] + 1))
    accuracy: dict[str, Any] = {
        "dataset": dataset,
        "metric": "accuracy",
        "unit": "%",
        "direction": "max",
        "epochs": epochs,
    }
    columns = [ColumnSpec(split=split, role=_ROLES[split], seeds=seeds, **accuracy) for split in SPLITS]
    once: dict[str, Any] = {"dataset": dataset, "split": None, "direction": "min", "seeds": ("once",)}
    costs: tuple[tuple[str, Role, str, tuple[int, ...]], ...] = (
        ("train_seconds", "cost", "seconds", epochs),
        ("latency_seconds", "cost", "seconds", ()),
        ("latency_iqr_seconds", "context", "seconds", ()),
        ("params", "context", "", ()),
        ("macs", "context", "", ()),
    )
    for metric, role, unit, lengths in costs:
        columns.append(ColumnSpec(metric=metric, role=role, unit=unit, epochs=lengths, **once))
    task = TableTask(
        reward=Reading(column=f"{dataset}/accuracy/valid", epochs=epochs[-1]),
        truth=Reading(column=f"{dataset}/accuracy/test", epochs=epochs[-1]),
        space_options={key: tuple(v) if isinstance(v, list) else v for key, v in build["options"].items()},
        data=header["data"],
    )
    return TableSpec(
        name=header["name"],
        space=build["space"],
        options=tuple(header["options"]),
        columns=tuple(columns),
        tasks={dataset: task},
        provenance=header["provenance"],
    )


def _columns(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The numbers of every architecture, from those of its class."""
    dataset, build = header["dataset"], header["provenance"]["build"]
    splits = dict(zip(SPLITS, build["splits"], strict=True))
    batch, epochs = build["recipe"]["batch"], np.arange(1, build["recipe"]["epochs"] + 1)
    steps = splits["train"] // batch
    found: dict[str, npt.NDArray[Any]] = {}
    for number, split in enumerate(SPLITS):
        # Training rows are counted when drawn; those of a last batch that is not full never are.
        size = splits[split] if split != "train" else steps * batch
        found[f"accuracy/{split}"] = arrays["right"][:, number].astype(np.float64) * 100 / size
    timings = {name: arrays["timings"][:, i].astype(np.float64) for i, name in enumerate(header["timings"])}
    seconds = timings["step_seconds"][:, None] * steps * epochs + timings["validation_seconds"][:, None]
    found["train_seconds"] = seconds[:, :, None]
    for name in ("latency_seconds", "latency_iqr_seconds"):
        found[name] = timings[name][:, None, None]
    for number, name in enumerate(("params", "macs")):
        found[name] = arrays["costs"][:, number].astype(np.float64)[:, None, None]
    return {f"{dataset}/{name}": values[arrays["rows"]] for name, values in found.items()}
