"""Importing a folder of official NATS-Bench records (Dong et al., TPAMI 2021), topology or size space."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import InvalidTable
from naslab.registry import search_space
from naslab.tables.format import Floats, Table
from naslab.tables.header import ColumnSpec, Reading, TableSpec, TableTask
from naslab.tables.importers.nats_record import Record, read_record
from naslab.tables.importers.tfrecord import Reached
from naslab.tables.nasbench201 import SPACE_OPTIONS, describe
from naslab.tables.pickles import NUMPY_SCALARS, load_pickle
from naslab.tables.store import table_path
from naslab.tables.writing import write_table

_ENDINGS = (".pickle.pbz2", ".pickle")
_RECORD = re.compile(r"([0-9]{6})\.pickle(\.pbz2)?")


def import_nats(path: Path | str, name: str, progress: Reached | None = None) -> Table:
    """Store a folder of official records as the table ``name``.

    The folder holds ``meta.pickle.pbz2`` and ``NNNNNN.pickle.pbz2`` (compressed or not), or is the parent of exactly
    one that does. The table has exactly the architectures whose records are there; the provenance names the folder, and
    how many of all architectures it holds. Topology records belong to the space ``nasbench201`` (the official strings);
    size records to ``nats-size`` (five widths, each an index into 8, 16, ..., 64). ``progress(done, total)`` is called
    after each record.

    For each dataset: accuracy (percent) on train, valid and test and ``train_seconds`` after the last epoch of each
    training length and for each recorded seed; ``latency_seconds``, ``params_M`` and ``flops_M`` (as recorded: MACs
    plus biases, in millions). Differences from the official API (``api_utils.py``):

    * ``cifar10``: train and valid accuracy and ``train_seconds`` are of the networks trained on half of the
      training images (``cifar10-valid``), test accuracy of those trained on all of them, as the papers use
      them. The API reports train accuracy and seconds of whichever of the two names is asked for.
    * test is ``x-test`` on CIFAR-100 and ImageNet16-120, as in ``get_more_info``; ``ori-test`` there is
      validation and test images together and is left out.
    * only the end of each training is kept, not the curve; losses and top-5 are left out.
    * latency, parameters and FLOPs are means over all recorded trainings; the API's over one training length.
    * :meth:`Table.charge <naslab.tables.format.Table.charge>` is the training time; the API's
      ``simulate_train_eval`` adds one pass over the validation images.

    Tasks: reward = 12-epoch validation, truth = test after the longest training. Raises InvalidTable, naming
    the file, for a record that is truncated, damaged or not what its file name says, or for a pickle that
    names anything but plain numbers and containers; nothing is written then.
    """
    target = table_path(name)
    folder = _record_folder(Path(path))
    meta_file = next(file for file in _meta_files(folder) if file.is_file())
    strings = _architecture_strings(meta_file)
    files = _record_files(folder)
    topology = "|" in strings[0]
    space = search_space("nasbench201" if topology else "nats-size")
    cells = _Cells(len(files))
    architectures = []
    digest = hashlib.sha256()
    for row, (index, file) in enumerate(files):
        if index >= len(strings):
            raise InvalidTable(f"'{file}': '{meta_file}' lists only {len(strings):,} architectures")
        record = read_record(file, index, strings[index])
        architectures.append(space.from_string(strings[index]))
        digest.update(record.sha256.encode())
        cells.fill(row, record)
        if progress:
            progress(row + 1, len(files))
    columns = list(cells.columns())
    table = TableSpec(
        name=name,
        space=space.name,
        options=tuple(space.sizes),
        columns=tuple(spec for spec, _ in columns),
        tasks=_tasks(folder, {spec.name: spec for spec, _ in columns}),
        provenance={
            "source": f"NATS-Bench, {'topology' if topology else 'size'} space, records in '{folder.name}'",
            "licence": "MIT (D-X-Y/NATS-Bench)",
            "records": f"{len(files):,} of {len(strings):,}",
            "records_sha256": digest.hexdigest(),
        },
    )
    return write_table(target, table, architectures, {spec.name: values for spec, values in columns})


@dataclass
class _Cells:
    """Numbers as they come in: per column, one array over the rows for each (epochs, seed) that was seen."""

    rows: int
    seen: dict[tuple[str, str], dict[tuple[int, str], Floats]] = field(default_factory=dict)

    def fill(self, row: int, record: Record) -> None:
        for number in record.numbers:
            arrays = self.seen.setdefault((number.dataset, number.what), {})
            key = (number.epochs, number.seed)
            if key not in arrays:
                arrays[key] = np.full(self.rows, np.nan)
            arrays[key][row] = number.value

    def columns(self) -> Iterator[tuple[ColumnSpec, Floats]]:
        for (dataset, what), arrays in self.seen.items():
            epochs = sorted({epochs for epochs, _ in arrays})
            seeds = sorted({seed for _, seed in arrays})
            values = np.full((self.rows, len(epochs), len(seeds)), np.nan)
            for (epoch, seed), array in arrays.items():
                values[:, epochs.index(epoch), seeds.index(seed)] = array
            lengths = tuple(epoch for epoch in epochs if epoch)  # 0: no training length
            yield describe(dataset, what, lengths, tuple(seeds)), values


def _tasks(folder: Path, columns: dict[str, ColumnSpec]) -> dict[str, TableTask]:
    tasks = {}
    for dataset, options in SPACE_OPTIONS.items():
        valid, test = (columns.get(f"{dataset}/accuracy/{split}") for split in ("valid", "test"))
        if valid is None or test is None or 12 not in valid.epochs:
            raise InvalidTable(f"'{folder}': no record has 12-epoch validation and a test accuracy on {dataset!r}")
        tasks[dataset] = TableTask(
            reward=Reading(column=valid.name, epochs=12),
            truth=Reading(column=test.name, epochs=test.epochs[-1]),
            space_options=options,
        )
    return tasks


def _meta_files(folder: Path) -> list[Path]:
    return [folder / f"meta{ending}" for ending in _ENDINGS]


def _record_folder(folder: Path) -> Path:
    """The folder itself or its only child that holds records."""
    if not folder.is_dir():
        raise InvalidTable(f"'{folder}' is not a folder of NATS-Bench records")
    candidates = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    found = [candidate for candidate in candidates if any(file.is_file() for file in _meta_files(candidate))]
    if found and (found[0] == folder or len(found) == 1):
        return found[0]
    if found:
        names = ", ".join(f"'{candidate}'" for candidate in found)
        raise InvalidTable(f"'{folder}' holds several folders of records. Fix: name one of {names}")
    raise InvalidTable(f"'{folder}' has no meta.pickle.pbz2. Fix: name the folder of the unpacked official records")


def _record_files(folder: Path) -> list[tuple[int, Path]]:
    """(index, file) in the order of the official index; the compressed one where there are both."""
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if match := _RECORD.fullmatch(file.name):
            files[int(match[1])] = file  # .pbz2 sorts after .pickle
    if not files:
        raise InvalidTable(f"'{folder}' has no records (000000.pickle.pbz2, ...)")
    return sorted(files.items())


def _architecture_strings(file: Path) -> list[str]:
    meta: Any = load_pickle(file, NUMPY_SCALARS)
    strings = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(strings, list) or not strings or not all(isinstance(text, str) for text in strings):
        raise InvalidTable(f"'{file}' is not the meta file of NATS-Bench records: it has no list 'meta_archs'")
    return strings
