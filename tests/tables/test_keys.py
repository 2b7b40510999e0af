"""The keys of a sample's rows: stored, found by, and rows of one key that disagree."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab.cli.entry import run_command
from naslab.errors import InvalidTable
from naslab.space import SearchSpace, listed, lookup_digest
from naslab.tables import find_table
from naslab.tables.from_csv import import_csv
from naslab.tables.keys import SEPARATE

SCHEMA = """
space = "{space}"
architecture = "cell"
provenance = "invented for this test"

[[columns]]
column = "valid"
dataset = "data"
metric = "accuracy"
split = "valid"
role = "reward"
unit = "%"
direction = "max"

[[columns]]
column = "milliseconds"
dataset = "data"
metric = "milliseconds"
role = "cost"
unit = "ms"
direction = "min"

[tasks.data]
reward = "valid"
truth = "valid"
"""
ISOMORPHIC = ("01 02 13 23|31", "01 02 13 23|13")
OTHERS = {
    "nasbench201": (
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|avg_pool_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|",
    ),
    "nasbench101": ("01 12|3", "01 02 12|m"),
}


def isomorphic(space: SearchSpace) -> tuple[str, str]:
    """Two cells of one key, as strings."""
    if space.name == "nasbench101":
        return ISOMORPHIC
    seen: dict[str, list[str]] = defaultdict(list)
    rng = np.random.default_rng(0)
    while True:
        architecture = space.sample(rng)
        same = seen[space.lookup_key(architecture)]
        if same and same[0] != space.to_string(architecture):
            return same[0], space.to_string(architecture)
        same.append(space.to_string(architecture))


def write(folder: Path, space: str, scores: dict[str, float]) -> tuple[Path, Path]:
    schema, file = folder / "s.toml", folder / "t.csv"
    schema.write_text(SCHEMA.format(space=space))
    file.write_text("cell,valid,milliseconds\n" + "".join(f"{c},{v},{i}\n" for i, (c, v) in enumerate(scores.items())))
    return file, schema


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_rows_of_one_key_may_agree(name: str, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = naslab.search_space(name)
    one, other = isomorphic(space)
    low, high = OTHERS[name]
    file, schema = write(tmp_path, name, {low: 10.0, one: 80.0, high: 90.0, other: 80.0})
    assert run_command(["table", "import", str(file), "--schema", str(schema), "--name", "twice"]) in (0, None)
    assert "1 rows are isomorphic to an earlier row, and agree with it" in capsys.readouterr().out
    known = naslab.task("twice/data").problem.space
    assert known.size == 4  # each has its own row


@pytest.mark.parametrize(
    ("name", "second", "message"),
    [
        ("nasbench101", 80.01, "data/accuracy/valid is 80 and 80.01; allowed: 9e-05 apart"),
        ("nasbench201", 39.0, "data/accuracy/valid is 80 and 39; allowed: 40 apart"),
    ],
)
def test_rows_of_one_key_that_disagree(name: str, second: float, message: str, tmp_path: Path, cache: Path) -> None:
    one, other = isomorphic(naslab.search_space(name))
    low, high = OTHERS[name]
    with pytest.raises(InvalidTable, match="rows 3 and 5 are isomorphic and disagree") as refused:
        import_csv(*write(tmp_path, name, {low: 10.0, one: 80.0, high: 90.0, other: second}), "twice")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(cache.rglob("*.npy"))


@pytest.mark.slow
def test_separate_trainings_of_isomorphic_cells_may_differ(tmp_path: Path, cache: Path) -> None:
    one, other = isomorphic(naslab.search_space("nasbench201"))
    low, high = OTHERS["nasbench201"]
    assert (
        len(import_csv(*write(tmp_path, "nasbench201", {low: 10.0, one: 80.0, high: 90.0, other: 41.0}), "twice")) == 4
    )


def test_what_is_stored_is_what_looking_up_takes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = naslab.search_space("nasbench101")
    one, other = isomorphic(space)
    table = import_csv(*write(tmp_path, "nasbench101", {OTHERS["nasbench101"][0]: 10.0, one: 80.0}), "sample")
    assert table.keys is not None
    assert table.keys[1].tobytes() == lookup_digest(space, space.from_string(other))
    known = naslab.task("sample/data").problem.space
    asked = []
    original = type(space).lookup_key
    monkeypatch.setattr(type(space), "lookup_key", lambda self, a: asked.append(a) or original(self, a))
    assert known.from_string(other) == space.from_string(one)
    assert len(asked) == 3  # what is looked up; the first and the last row, whether keys are still what they were


def test_keys_of_another_version_are_not_used() -> None:
    space = naslab.search_space("nasbench101")
    one, other = map(space.from_string, ISOMORPHIC)
    first = space.from_string(OTHERS["nasbench101"][0])
    some = listed(space, [first, one], np.zeros((2, 16), np.uint8))
    assert some.architecture(other) == one


@pytest.mark.slow
def test_separate_trainings_of_isomorphic_cells_are_closer_than_half_of_a_range() -> None:
    """What the rule allows is more than what happens on NAS-Bench-201, whose 15,625 cells are 5,425 functions."""
    table, space = find_table("nasbench201"), naslab.search_space("nasbench201")
    assert table is not None
    _, group = np.unique([space.canonical(tuple(row)) for row in table.architectures.tolist()], return_inverse=True)
    apart = []
    for name in (name for name in table.columns if "accuracy" in name):
        means = np.nanmean(table.columns[name].values.reshape(len(table), -1), axis=1)
        order = np.argsort(group, kind="stable")
        begins = np.flatnonzero(np.diff(group[order], prepend=-1))
        widest = np.maximum.reduceat(means[order], begins) - np.minimum.reduceat(means[order], begins)
        apart.append(widest.max() / np.ptp(means))
    assert apart == pytest.approx([0.265, 0.080, 0.319], abs=0.001)
    assert max(apart) < SEPARATE
