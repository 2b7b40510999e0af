"""Small tables to try things on, and a private cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toy_table import TOY_ARCHITECTURES, toy_arrays, toy_spec

from naslab.tables import Table
from naslab.tables.writing import write_table


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NASLAB_CACHE", str(folder))
    return folder / "tables"


@pytest.fixture
def write_toy(cache: Path) -> Callable[..., Table]:
    def write(shift: float = 0.0, replace: bool = False, path: Path = cache / "toy") -> Table:
        arrays = {name: values + shift for name, values in toy_arrays().items()}
        return write_table(path, toy_spec(), TOY_ARCHITECTURES, arrays, replace=replace)

    return write


@pytest.fixture
def toy(write_toy: Callable[..., Table]) -> Table:
    return write_toy()
