"""The tiny benchmark under its name, and its units of work done once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny_pocket
from tiny_pocket import TINY

from naslab.pocket.benchmarks import POCKETS
from naslab.pocket.build import build_table


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(POCKETS, TINY.name, TINY)  # type: ignore[arg-type]
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every unit of work, computed in this process."""
    folder = tmp_path_factory.mktemp("units") / "done"
    tiny_pocket.do_units(folder)
    return folder


@pytest.fixture
def folder(units: Path, cache: Path) -> Path:
    """The build's folder, in which every unit is done and nothing is collected yet."""
    return Path(shutil.copytree(units, tiny_pocket.build_folder(cache)))


@pytest.fixture
def archive(folder: Path) -> Path:
    """What the build makes of these units."""
    path = build_table(TINY)
    assert path.parent == folder
    return path
