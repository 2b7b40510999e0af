"""Importing NAS-Bench-101, and the three sub-spaces of NAS-Bench-1Shot1 as looked up in it, from its official file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from naslab.errors import InvalidTable
from naslab.registry import search_space
from naslab.search_spaces.nasbench1shot1 import NASBench1Shot1
from naslab.search_spaces.nasbench101 import NASBench101
from naslab.space import SearchSpace, key_digest
from naslab.tables.format import Table
from naslab.tables.header import TableSpec
from naslab.tables.importers.nasbench101_records import Trainings, read_trainings, spec_of
from naslab.tables.importers.tfrecord import Reached
from naslab.tables.store import table_path
from naslab.tables.writing import write_table


def import_nasbench101(path: Path | str, name: str, progress: Reached | None = None) -> Table:
    """Store ``nasbench_full.tfrecord`` or ``nasbench_only108.tfrecord`` as the table ``name``, a row per cell.

    Accuracy (percent) on train, valid and test and ``train_seconds`` after each training of 4, 12, 36 and 108 epochs,
    three trainings each; ``params``. Reward: validation after the longest training, truth: test after it. Every
    checksum is verified, and every hash is compared with its cell's. Differences from the official API:

    * what was measured half through a training is left out, and so is what was measured before it;
    * a cell is stored as its first record states it: of two numberings with different channels the trained one.

    Raises InvalidTable in one line that names the record, with nothing written.
    """
    target, path = table_path(name), Path(path)
    found = read_trainings(path, progress)
    space = search_space("nasbench101")
    assert isinstance(space, NASBench101)
    architectures = np.empty((len(found.cells), len(space.sizes)), np.uint8)
    for row, stated in enumerate(found.cells):
        architectures[row] = space.from_spec(*spec_of(*stated))
    keys = np.frombuffer(b"".join(map(key_digest, found.rows)), np.uint8).reshape(-1, 16)  # the hashes, row by row
    return _written(target, name, space, {}, architectures, np.arange(len(architectures)), found, path, keys)


def import_nasbench1shot1(path: Path | str, name: str, progress: Reached | None = None, *, sub_space: int) -> Table:
    """Store one sub-space of NAS-Bench-1Shot1 (Zela et al. 2020) as the table ``name``, looked up in the official file
    of NAS-Bench-101.

    An architecture has the numbers of the cell that it is in NAS-Bench-101, found by the published hash, as in the
    authors' code; several are the same cell. Columns and tasks as of :func:`import_nasbench101`. Architectures whose
    cell the file lacks have no row.
    """
    target, path = table_path(name), Path(path)
    found = read_trainings(path, progress)
    space = search_space("nasbench1shot1", sub_space=sub_space)
    assert isinstance(space, NASBench1Shot1)
    architectures = np.array(list(space.architectures()), np.uint8)
    rows = np.array([found.rows.get(space.official_key(tuple(each)), -1) for each in architectures.tolist()])
    there = rows >= 0
    if not there.any():
        raise InvalidTable(f"'{path}' holds no cell of sub-space {sub_space} of NAS-Bench-1Shot1")
    return _written(target, name, space, {"sub_space": sub_space}, architectures[there], rows[there], found, path)


SUB_SPACES = {number: partial(import_nasbench1shot1, sub_space=number) for number in (1, 2, 3)}


def _written(
    target: Path,
    name: str,
    space: SearchSpace,
    options: dict[str, int],
    architectures: np.ndarray,
    rows: np.ndarray,
    found: Trainings,
    path: Path,
    keys: np.ndarray | None = None,
) -> Table:
    columns = found.columns(rows)
    table = TableSpec(
        name=name,
        space=space.name,
        options=tuple(space.sizes),
        columns=tuple(columns),
        tasks={"cifar10": found.task(options)},
        provenance=found.provenance(path),
    )
    arrays = {spec.name: values for spec, values in columns.items()}
    return write_table(target, table, architectures, arrays, keys=keys)
