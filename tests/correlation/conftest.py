"""Plug-ins that tests name, for this process and for those it starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def plugins_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")])))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which plug-ins keep what they are asked."""
    path = tmp_path / "asked.txt"
    path.touch()
    monkeypatch.setenv("RANKING_PLUGINS_LOG", str(path))
    return path
