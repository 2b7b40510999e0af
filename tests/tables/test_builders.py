"""A space that a person's own file builds: it runs for who imported with it, and for nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import naslab
from naslab.errors import InvalidTable, NaslabError, PluginError
from naslab.tables.from_csv import import_csv

BUILDER = """
import networkx as nx

from naslab import Choice, SearchSpace
from naslab.ops import Linear


def mine(inputs=3):
    graph = nx.DiGraph()
    graph.add_node("x", shape=(inputs,))
    graph.add_node("h", width=Choice("width", (2, 4, 8)))
    graph.add_node("y", width=2)
    graph.add_edge("x", "h", op=Linear())
    graph.add_edge("h", "y", op=Linear())
    return SearchSpace(graph, name="mine")


nothing = lambda: 3
"""
SCHEMA = """
space = "./code/space.py:mine"
architecture = "net"
provenance = "invented for this test"

[[columns]]
column = "valid"
dataset = "data"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"

[tasks.data]
reward = "valid"
truth = "valid"
space_options = {inputs = 5}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "space.py").write_text(BUILDER)
    (tmp_path / "s.toml").write_text(SCHEMA)
    (tmp_path / "t.csv").write_text("net,valid\nwidth=2,70\nwidth=4,80\nwidth=8,75\n")
    return tmp_path / "t.csv", tmp_path / "s.toml"


def test_it_is_searched_with_its_parameters(files: tuple[Path, Path], cache: Path) -> None:
    import_csv(*files, "own")
    space = naslab.task("own/data").problem.space
    assert [space.cost(a).params for a in space.architectures()] == [5 * w + w + 2 * w + 2 for w in (2, 4, 8)]
    result = naslab.search("own/data", "regularized-evolution", budget=9, max={"params": 60})
    assert result.name == "width=4"


def test_code_that_nobody_imported_with_does_not_run(files: tuple[Path, Path], cache: Path) -> None:
    """A table folder from elsewhere may name any file, such as one that it brings along."""
    import_csv(*files, "own")
    (cache.parent / "builders.txt").unlink()
    with pytest.raises(InvalidTable, match="with which no table was imported here: it does not run") as refused:
        naslab.task("own/data")
    assert "\n" not in str(refused.value)
    import_csv(*files, "own")
    assert naslab.task("own/data").problem.space.name == "mine"


@pytest.mark.parametrize("fate", ["changed", "gone"])
def test_code_that_is_no_longer_what_it_was(files: tuple[Path, Path], cache: Path, fate: str) -> None:
    import_csv(*files, "own")
    file = files[0].parent / "code" / "space.py"
    if fate == "gone":
        shutil.move(file, file.with_suffix(".old"))
    else:
        file.write_text(BUILDER.replace("(2, 4, 8)", "(2, 4, 16)"))
    with pytest.raises(
        InvalidTable, match="has changed" if fate == "changed" else "is gone. Fix: put the file back"
    ) as refused:
        naslab.task("own/data")
    assert "space.py" in str(refused.value)


@pytest.mark.parametrize(
    ("written", "error", "message"),
    [
        ("./code/space.py", InvalidTable, r"say which function .* ./code/space.py:FUNCTION"),
        ("./code/spaces.py:mine", InvalidTable, "no such file"),
        ("./code/space.py:mien", InvalidTable, "no function 'mien'. Did you mean 'mine'"),
        ("./code/space.py:nothing", PluginError, "unexpected keyword argument 'inputs'"),
    ],
)
def test_bad_builders(
    files: tuple[Path, Path], cache: Path, written: str, error: type[NaslabError], message: str
) -> None:
    files[1].write_text(SCHEMA.replace("./code/space.py:mine", written))
    with pytest.raises(error, match=message) as refused:
        import_csv(*files, "own")
    assert "\n" not in str(refused.value)
    assert not cache.exists()
    assert not (cache.parent / "builders.txt").exists()
