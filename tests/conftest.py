"""A cache of the test session's own, and the tables in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import toy_tasks

# Before torch is imported, here and in processes that tests start: threads of several test processes on few cores wait
# for each other actively, which takes ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test is timed: on a busy machine any example may take long.
hypothesis.settings.register_profile("naslab", deadline=None)
# For benchmarks/mutants.py: the same examples every time, and no search for the smallest that fails.
hypothesis.settings.register_profile(
    "mutants", deadline=None, derandomize=True, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)
hypothesis.settings.load_profile("naslab")


@pytest.fixture(scope="session", autouse=True)
def naslab_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """NASLAB_CACHE for this process and those it starts; the packaged table is built in it at most once."""
    folder = tmp_path_factory.mktemp("naslab-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASLAB_CACHE", str(folder))
        yield folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """What a device was asked for, by shape. On PyTorch's meta device, which has no numbers, the answers are ones."""
    import torch

    from naslab.compiler import devices

    asked: list[tuple[int, ...]] = []

    def fetched(tensor: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(tensor.shape))
        return torch.ones(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor.detach()

    monkeypatch.setattr(devices, "fetched", fetched)
    return asked


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = os.environ.get("NASLAB_SHARED_DATA")
    if not folder:
        pytest.skip("NASLAB_SHARED_DATA is not set: the real benchmark files are not here")
    return Path(folder)


@pytest.fixture(scope="session")
def stored_task(naslab_cache: Path) -> str:
    """Id of a task on a small stored table: 27 perceptrons, three fidelities, two seeds, a latency."""
    toy_tasks.store_table(naslab_cache / "tables" / toy_tasks.TABLE)
    return toy_tasks.TASK


@pytest.fixture(scope="session")
def nats_tss(naslab_cache: Path, shared_data: Path) -> str:
    """The name of a table imported from the shared CSV, with 12-epoch validation and 200-epoch test."""
    from naslab.studies.base import experiment_folder
    from naslab.tables.from_csv import import_csv

    import_csv(shared_data / "nasbench201.csv.gz", experiment_folder() / "tables" / "nasbench201.toml", "nats-tss")
    return "nats-tss"
