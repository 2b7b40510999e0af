"""What would make scores look better than they will be is said, with how to leave it out; ordinary columns are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from writing import alternating, write

from naslab.tabular.leakage import warnings_of
from naslab.tabular.plan import plan_search
from naslab.tabular.reading import read_table
from naslab.tabular.splitting import split

RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal(200)
SORTED = ["no"] * 100 + ["yes"] * 100


def said(path: Path, target: list[object], kind: str = "classification", **columns: object) -> list[str]:
    table = read_table(write(path, {**columns, "target": target}), "target")
    assert table.target.kind == kind
    return warnings_of(table, split(table.y, table.target.kind, np.random.default_rng(0)), path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my table.csv"


@pytest.mark.parametrize(
    ("numbers", "how"),
    [
        (range(1000, 1200), "it rises from row to row"),
        (range(400, 200, -1), "it falls from row to row"),
        (np.cumsum(RNG.integers(1, 9, 200)), "it rises from row to row"),
        ([*range(120), "", *range(121, 200)], "it rises from row to row"),
        ([f"2021-01-01 {row // 60:02}:{row % 60:02}" for row in range(200)], "it rises from row to row"),
        (RNG.permutation(200) + 7, "it is every whole number from 7 to 206 once"),
    ],
)
def test_running_numbers(file, numbers, how):
    (warning,) = [says for says in said(file, SORTED[::-1] if how == "" else list(RNG.permutation(SORTED)),
                                        **{"my id": list(numbers), "noise": NOISE}) if "running" in says]  # fmt: skip
    assert f"column 'my id' looks like a running number: {how}" in warning
    assert "leave it out by --drop 'my id'" in warning


@pytest.mark.parametrize(
    ("copy", "how"),
    [
        ([str(label == "yes") for label in SORTED], "each of its 2 values goes with one class, with 0 exceptions"),
        ([int(label == "yes") for label in SORTED], "each of its 2 values goes with one class"),
        ([f"{label}{row % 3}" for row, label in enumerate(SORTED)], "each of its 6 values goes with one class"),
        ([5 * (label == "yes") + abs(n) for label, n in zip(SORTED, NOISE, strict=True)], "every class has a range"),
    ],
)
def test_copies_of_a_class(file, copy, how):
    (warning,) = said(file, SORTED, code=copy, noise=NOISE)
    assert f"column 'code' looks like a copy of the target 'target': {how}" in warning
    assert "leave it out by --drop code" in warning


def test_copies_of_a_number(file):
    values = np.exp(NOISE)
    (warning,) = said(file, list(values), "regression", cents=(100 * values).tolist(), noise=RNG.permutation(NOISE))
    assert "column 'cents' looks like a copy of the target 'target': their order is the same" in warning
    level = alternating(1.5, 2.5, 7.25, rows=200)
    (warning,) = [w for w in said(file, level, "regression", name=[f"n{v}" for v in level], noise=NOISE) if "copy" in w]
    assert (
        "column 'name' looks like a copy of the target 'target': each of its 3 values goes with one number" in warning
    )


def test_ordinary_columns_are_not_suspected(file):
    """Good features, sorted rows, ties and counts: none is a running number or a copy."""
    signal = np.sort(NOISE)
    label = ["yes" if s + 0.3 * n > 0 else "no" for s, n in zip(signal, RNG.permutation(NOISE), strict=True)]
    columns = {
        "sorted with ties": np.floor(10 * signal).astype(int), "noise": RNG.permutation(NOISE),
        "colour": RNG.choice(["red", "green"], 200), "count": RNG.integers(0, 1000, 200),
    }  # fmt: skip
    assert said(file, label, **columns) == []
    price = list((signal + 0.2 * RNG.standard_normal(200)).round(4))
    assert said(file, price, "regression", **columns) == []


def test_repeated_rows_across_the_split(file):
    repeated = [*range(100), *range(100)]
    labels = alternating("yes", "no", rows=100) * 2
    x = RNG.standard_normal(100).round(3)
    (warning,) = said(file, labels, x=[x[row] for row in repeated], noise=[NOISE[row] for row in repeated])
    table = read_table(file, "target")
    train, *held = split(table.y, "classification", np.random.default_rng(0))
    copies = {row % 100 for row in train.tolist()}
    count = sum(row % 100 in copies for row in np.concatenate(held).tolist())
    assert warning.startswith(f"Warning: {count} of 80 validation and test rows (")
    assert "are also among the training rows, equal in every column" in warning
    assert f"pandas.read_csv({str(file)!r}).drop_duplicates()" in warning


def test_it_is_said_before_training_and_can_be_left_out(tmp_path):
    path = write(tmp_path / "t.csv", {"id": range(1000, 1200), "b": NOISE, "label": SORTED})
    plan = plan_search(path, "label")
    warnings = [says for says in plan.says if says.startswith("Warning")]
    assert len(warnings) == 2  # it runs, and it tells the classes apart
    assert all("--drop id" in says for says in warnings)
    plan = plan_search(path, "label", drop=["id"])
    assert not [says for says in plan.says if says.startswith("Warning")]
    assert plan.preprocessor.features == ("b",)


def test_the_shared_running_number(shared_data: Path) -> None:
    path = shared_data.parent / "cases" / "running_number.csv"
    if not path.is_file():
        pytest.skip("the shared cases are not here")
    assert any("column 'id' looks like a running number" in says for says in plan_search(path, "label").says)
