"""Building a pocket table: resumable, parallel, deterministic."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from naslab import running
from naslab.compiler.network import compile_network, edge_name
from naslab.datasets.catalogue import SOURCES
from naslab.errors import InvalidValue, OutputError
from naslab.evaluators.calibration import calibration_seconds
from naslab.files import load_json, lock, unreadable, written_whole
from naslab.files.arrays import load_npy
from naslab.pocket.benchmarks import Pocket, pocket
from naslab.pocket.work import TIMINGS, time_block, train_block
from naslab.running import Progress, do_in_processes
from naslab.space import Architecture
from naslab.tables import cache_folder
from naslab.tables.packaged.pocket import write_archive

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 33),
}
"""Workers have one thread, and keep the memory they have: giving it back after every step costs a tenth of the time."""


def build_table(name: str | Pocket, *, workers: int = 1, progress: Progress | None = None) -> Path:
    """Train every architecture of a pocket benchmark and time each alone.

    Finished units of work are files in ``<cache>/builds/<table>``: the same command again does what is missing.
    Blocks are trained by ``workers`` processes of one thread each; then one process times them, so that nothing
    disturbs the clock. What is trained does not depend on the number of workers or on interruptions.

    Args:
        name: Such as ``"pocket-mlp/segments"``; or a benchmark of one's own.
        workers: Processes.
        progress: Called with the units done, their number, and the last one.

    Returns:
        The archive; the package ships a copy of it.

    Raises:
        UnknownTable: There is no such benchmark.
        InvalidValue: No worker; or the folder holds a build of something else, and names what differs.
        OutputError: Another process is building the same; or a file of the build can't be read.
        WorkerDied: A worker was killed; what was done is kept.
    """
    if workers < 1:
        raise InvalidValue(f"workers={workers}. Allowed: 1 or more")
    benchmark = pocket(name)
    folder = cache_folder() / "builds" / benchmark.table
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        spec = {**benchmark.describe(), "versions": versions(benchmark)}
        _begin(folder, spec)
        blocks = len(benchmark.blocks)
        trainings = {trained_file(folder, b, s): (b, s) for s in range(1, benchmark.seeds + 1) for b in range(blocks)}
        timings = {folder / f"timed-{block:05d}.npy": (block,) for block in range(blocks)}
        total = len(trainings) + len(timings)
        _do(train_one, benchmark, trainings, workers, lambda done, last: progress and progress(done, total, last))
        done_before = len(trainings)
        _do(time_one, benchmark, timings, 1, lambda done, last: progress and progress(done_before + done, total, last))
        calibration = folder / "calibration.json"
        if not calibration.exists():
            _write(calibration, json.dumps(calibration_seconds()).encode())
        return _assemble(benchmark, folder, spec)


def trained_file(folder: Path, block: int, seed: int) -> Path:
    """Where the counts of one block and seed are."""
    return folder / f"trained-{block:05d}-{seed}.npy"


def versions(benchmark: Pocket) -> dict[str, str]:
    """Versions that the numbers depend on, besides the benchmark's definition."""
    return running.versions("python", "torch", "numpy", SOURCES[benchmark.dataset].partition("==")[0])


def machine() -> str:
    """The kind of processor, as far as PyTorch's kernels depend on it."""
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def run_units(
    function: Callable[..., Any], units: Mapping[Any, tuple[Any, ...]], workers: int, done: Callable[[Any, Any], None]
) -> None:
    """Call a function with each unit's arguments in processes of one thread; report results as they come."""
    do_in_processes(function, units, workers, done, environment=ENVIRONMENT)


def _do(
    function: Any,
    benchmark: Pocket,
    units: Mapping[Path, tuple[Any, ...]],
    workers: int,
    tick: Callable[[int, str], Any],
) -> None:
    missing = {path: (benchmark, *arguments) for path, arguments in units.items() if not path.exists()}
    count = len(units) - len(missing)
    tick(count, "")

    def done(path: Path, values: npt.NDArray[Any]) -> None:
        nonlocal count
        save_array(path, values)
        count += 1
        tick(count, path.stem)

    run_units(function, missing, workers, done)


def train_one(benchmark: str | Pocket, block: int, seed: int) -> npt.NDArray[np.uint16]:
    """:func:`naslab.pocket.work.train_block` for a worker process."""
    return train_block(pocket(benchmark), block, seed)


def time_one(benchmark: str | Pocket, block: int) -> npt.NDArray[np.float64]:
    """:func:`naslab.pocket.work.time_block` for a worker process."""
    return time_block(pocket(benchmark), block)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as stream:
        if not lock(stream.fileno(), wait=False):
            raise OutputError(f"'{folder}' is being built by another process")
        for abandoned in folder.glob("*.draft"):  # of a build that was killed
            abandoned.unlink(missing_ok=True)
        yield


def _begin(folder: Path, spec: Mapping[str, Any]) -> None:
    """Note what is built, or refuse to mix it with something else."""
    file = folder / "build.json"
    spec = json.loads(json.dumps(spec))
    if not file.exists():
        _write(file, json.dumps(spec, indent=1).encode())
        return
    begun = _reread(load_json, file)
    for key, now, then in differences(spec, begun):
        raise InvalidValue(
            f"'{folder}' holds a build that was begun with {key}={then!r}, and now it is {now!r}. "
            "Fix: move that folder away, or set NASLAB_CACHE to another one"
        )


def _reread(load: Callable[[Path], Any], file: Path) -> Any:
    """A finished unit of a build."""
    try:
        return load(file)
    except OSError as error:
        raise OutputError(unreadable(file, error)) from None
    except ValueError as error:
        raise OutputError(
            f"'{file}' can't be used ({error}). Fix: move that file away, and give the same command again"
        ) from None


def differences(now: Any, then: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two descriptions differ: dotted keys, what is now and what was then."""
    if isinstance(now, dict) and isinstance(then, dict):
        for key in sorted({*now, *then}):
            yield from differences(now.get(key), then.get(key), f"{prefix}.{key}" if prefix else key)
    elif now != then:
        yield prefix, now, then


def _assemble(benchmark: Pocket, folder: Path, spec: Mapping[str, Any]) -> Path:
    space, blocks = benchmark.search_space, range(len(benchmark.blocks))
    right = np.stack(
        [
            np.concatenate([_reread(load_npy, trained_file(folder, block, seed)) for block in blocks], axis=2)
            for seed in range(1, benchmark.seeds + 1)
        ],
        axis=3,
    )  # (3, epochs, N, seeds)
    timed = np.concatenate([_reread(load_npy, folder / f"timed-{block:05d}.npy") for block in blocks], axis=1)
    costs = [_trained_costs(benchmark, a) for a in benchmark.trained]
    build = {key: value for key, value in spec.items() if key != "versions"}
    header = {
        "format": 1,
        "name": benchmark.table,
        "dataset": benchmark.short,
        "options": space.sizes,
        "timings": TIMINGS,
        "data": {"name": benchmark.dataset, "sha256": benchmark.data.sha256},
        "provenance": {
            "source": f"naslab table build {benchmark.name}",
            "build": build,
            "versions": spec["versions"],
            "machine": machine(),
            "calibration_seconds": _reread(load_json, folder / "calibration.json"),
        },
    }
    path = folder / f"{benchmark.table}.npz"
    arrays: dict[str, npt.NDArray[Any]] = {
        "rows": benchmark.rows(),
        "trained": np.array(benchmark.trained, np.uint8),
        "right": right.transpose(2, 0, 1, 3),
        "timings": timed.T.astype(np.float32),
        "costs": np.array(costs, np.int64),
    }
    write_archive(path, header, arrays)
    return path


def _trained_costs(benchmark: Pocket, architecture: Architecture) -> tuple[int, int]:
    """Parameters and MACs of a network as it is trained: dead branches cut."""
    space = benchmark.search_space
    network, (shapes, arriving) = compile_network(space, architecture), space.shapes(architecture)
    parts, macs = dict(network.named_children()), 0
    for source, node, attributes in space.resolve(architecture).edges(data=True):
        if edge_name(space.graph, source, node) in parts:
            macs += attributes["op"].macs(shapes[source], arriving[source, node])
    return sum(parameter.numel() for parameter in network.parameters()), macs


def save_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write an array's file whole or not at all."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    _write(path, stream.getvalue())


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as draft:
        draft.write_bytes(content)
