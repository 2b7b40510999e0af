"""What ``naslab table schema`` makes of columns: it imports as it is, and the numbers are those of the file."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import naslab
from naslab.errors import InvalidTable
from naslab.tables.first_schema import draft_schema
from naslab.tables.format import Table
from naslab.tables.from_csv import import_csv

SPACE = [
    dict(zip(("kernel_size", "act"), each, strict=True)) for each in itertools.product((3, 5, 7), ("relu", "none"))
]
RNG = np.random.default_rng(0)


def drafted(file: Path) -> Table:
    text = draft_schema(file)
    assert len(text.splitlines()) <= 20
    file.with_name("s.toml").write_text(text)
    return import_csv(file, file.with_name("s.toml"), "drafted")


def test_numbers_at_the_end_are_seeds(tmp_path: Path) -> None:
    names = [f"{d}/{split}_perf_{s}" for d in ("C 10", "SVHN") for split in ("valid", "test") for s in (777, 888)]
    frame = pd.DataFrame([{**row, **dict(zip(names, RNG.random(8), strict=True)), "A_ms": 1} for row in SPACE])
    frame.loc[2, "SVHN/test_perf_888"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = drafted(tmp_path / "t.csv")
    assert list(table.tasks) == ["C-10", "SVHN"]
    assert [choice.name for choice in table.header.choices] == ["kernel_size", "act"]
    np.testing.assert_allclose(table.mean("SVHN/perf/test"), frame[names[6:]].mean(axis=1))


def test_a_column_of_seeds_is_no_choice(tmp_path: Path) -> None:
    rows = [{**row, "seed": s, "val_rmse": RNG.random(), "test_rmse": RNG.random()} for row in SPACE for s in (1, 2)]
    frame = pd.DataFrame(rows).drop(index=3)
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = drafted(tmp_path / "t.csv")
    assert (len(table), table.values("data/rmse/test").shape) == (6, (6, 2))
    best = frame.groupby(["kernel_size", "act"])["test_rmse"].mean().min()
    assert naslab.task("drafted/data").optimum == pytest.approx(best)


def test_nested_datasets_and_seeds(tmp_path: Path) -> None:
    def scores() -> dict[str, dict[str, float]]:
        return {s: {"val_acc": RNG.random(), "test_acc": RNG.random()} for s in ("1", "2")}

    records = [{"cell": row, "results": {"wine": scores(), "adult": scores()}, "ms": {"cpu": 1.5}} for row in SPACE]
    del records[1]["results"]["adult"]  # type: ignore[attr-defined]
    (tmp_path / "t.json").write_text(json.dumps(records))
    table = drafted(tmp_path / "t.json")
    assert list(table.tasks) == ["wine", "adult"]
    assert (naslab.task("drafted/wine").problem.space.size, naslab.task("drafted/adult").problem.space.size) == (6, 5)
    first = records[0]["results"]["wine"]  # type: ignore[index]
    assert table.mean("wine/acc/test")[0] == pytest.approx((first["1"]["test_acc"] + first["2"]["test_acc"]) / 2)


def test_curves_are_one_column(tmp_path: Path) -> None:
    names = [f"{what}_epoch_{e}" for what in ("val_acc", "test_acc", "train_seconds") for e in (1, 2, 9)]
    frame = pd.DataFrame([{**row, **dict(zip(names, RNG.random(9), strict=True))} for row in SPACE])
    frame.loc[1, "train_seconds_epoch_2"] = np.nan
    frame.to_csv(tmp_path / "t.csv")
    table = drafted(tmp_path / "t.csv")  # with pandas' own number for each row
    assert naslab.task("drafted/data").problem.fidelities == (1, 2, 9)
    assert (table.untimed, table.tasks["data"].reward.epochs) == ([], 9)
    expected = frame["train_seconds_epoch_2"].fillna(frame["train_seconds_epoch_9"] * 2 / 9)  # a clock that stops, else
    np.testing.assert_allclose(table.charge("data", 2), expected)


def test_decimal_commas_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("depth;val_acc\n1;0,5\n2;0,7\n")
    with pytest.raises(InvalidTable, match="A point begins decimals"):
        draft_schema(tmp_path / "t.csv")


@pytest.mark.parametrize("other", ["", 'dataset = "data", '])
def test_a_clock_is_of_a_dataset_and_in_seconds(tmp_path: Path, other: str) -> None:
    pd.DataFrame([{**row, "val_acc": 1, "train_time": 2} for row in SPACE]).to_csv(tmp_path / "t.csv", index=False)
    text = draft_schema(tmp_path / "t.csv")
    entry = 'dataset = "data", metric = "train_seconds", role = "cost", unit = "seconds"'
    assert entry in text
    changed = entry.replace('"seconds"', '"h"') if other else entry.removeprefix('dataset = "data", ')
    (tmp_path / "s.toml").write_text(text.replace(entry, changed))
    with pytest.raises(InvalidTable, match=r"clock of one dataset, in seconds; given: dataset (none|data), unit"):
        import_csv(tmp_path / "t.csv", tmp_path / "s.toml", "clock")
