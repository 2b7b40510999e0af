"""Rules of the house that a linter does not know."""

import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parent.parent / "naslab").rglob("*.py"))
GLOBAL_RANDOMNESS = re.compile(
    r"\b(?:np|numpy)\.random\.(?:seed|rand|randn|randint|random|choice|shuffle|permutation|normal|uniform)\(|"
    r"(?<![\w.])random\.(?!Generator|getstate)\w+\(|torch\.manual_seed\("
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_global_randomness(source):
    assert not GLOBAL_RANDOMNESS.search(source.read_text())


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_file_is_one_idea(source):
    assert len(source.read_text().splitlines()) <= 400


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_torchvision_is_never_imported(source):
    assert "torchvision" not in source.read_text()
