"""A sampled benchmark: several datasets, seeds with holes, costs of devices; in by the schema that is drafted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import naslab
from naslab.errors import InvalidTable, InvalidValue, UnknownMetric
from naslab.tables.first_schema import draft_schema
from naslab.tables.format import Table
from naslab.tables.from_csv import import_csv

OPERATIONS, DATASETS = ("none", "conv 3x3", "pool"), ("pets", "Stanford Cars")
KEYS = ["op_0", "op_1", "num layers"]


@pytest.fixture
def wide() -> pd.DataFrame:
    """Twenty of 27 architectures; one has nothing on pets, another no latency on the phone."""
    rng = np.random.default_rng(0)
    rows = [dict(zip(KEYS, (OPERATIONS[i % 3], OPERATIONS[i // 3 % 3], 2 * (i // 9)), strict=True)) for i in range(27)]
    frame = pd.DataFrame(rows).iloc[rng.permutation(27)[:20]].reset_index(drop=True)
    for dataset in DATASETS:
        for split in ("valid", "test"):
            for seed in range(3):
                scores = rng.uniform(50, 90, 20).round(3)
                frame[f"{dataset}/{split}_acc_seed{seed}"] = np.where(rng.random(20) < 0.1, np.nan, scores)
    frame.loc[3, [name for name in frame if name.startswith("pets/")]] = np.nan
    for device in ("phone", "A100"):
        frame[f"{device}_latency_ms"] = rng.uniform(1, 9, 20).round(3)
    frame.loc[5, "phone_latency_ms"] = np.nan
    return frame


def stored(frame: pd.DataFrame, folder: Path, schema: str = "") -> Table:
    frame.to_csv(folder / "t.csv", index=False)
    drafted = draft_schema(folder / "t.csv").replace('unit = "TODO"', 'unit = "%"')
    assert len(drafted.splitlines()) <= 40
    (folder / "s.toml").write_text(schema or drafted)
    return import_csv(folder / "t.csv", folder / "s.toml", "unseen")


def test_the_drafted_schema_says_what_the_file_holds(wide: pd.DataFrame, tmp_path: Path) -> None:
    table = stored(wide, tmp_path)
    assert list(table.tasks) == ["pets", "Stanford-Cars"]
    assert [choice.name for choice in table.header.choices] == ["op_0", "op_1", "num_layers"]
    for dataset, name in zip(DATASETS, table.tasks, strict=True):
        task = naslab.task(f"unseen/{name}")
        space = task.problem.space
        tests = wide[[f"{dataset}/test_acc_seed{seed}" for seed in range(3)]].mean(axis=1)
        truths, phone = {}, {}
        for i, row in wide[KEYS].iterrows():
            key = space.whole.from_string(f"op_0={row.iloc[0]};op_1={row.iloc[1]};num_layers={row.iloc[2]}")
            truths[key], phone[key] = tests[i], wide["phone_latency_ms"][i]
        known = {a: truth for a, truth in truths.items() if np.isfinite(truth)}
        assert set(space.architectures()) == set(known)
        assert {a: task.true_value(a) for a in known} == pytest.approx(known)
        costs = {a: task.problem.measured["phone_latency_ms"][a] for a in known}
        assert costs == pytest.approx({a: phone[a] for a in known}, nan_ok=True)


def test_a_limit_on_a_device_excludes_what_was_not_measured(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide, tmp_path)
    problem = naslab.task("unseen/Stanford-Cars").problem
    found = naslab.search("unseen/Stanford-Cars", "random", budget=200, max={"phone_latency_ms": 5.0})
    asked = {step.query.architecture for step in found.trace.steps if step.feasible}
    fast = wide[wide["phone_latency_ms"] <= 5.0]
    assert len(asked) == len(fast)
    assert all(problem.cost("phone_latency_ms", a) <= 5.0 for a in asked)
    with pytest.raises(InvalidValue, match="no training seconds"):
        naslab.search("unseen/pets", "random", budget="10s")


def test_correlate_leaves_out_what_was_not_measured(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide, tmp_path)
    found = naslab.correlate("unseen/Stanford-Cars", ["table[column=phone_latency_ms]"])
    assert len(found.scores) == 19
    assert any("is missing there: 1 of the architectures" in note for note in found.notes)
    assert found.population.startswith("all ")
    assert found.population.endswith(" architectures, 1 of them left out")
    tests = wide[[f"Stanford Cars/test_acc_seed{seed}" for seed in range(3)]].mean(axis=1)
    wanted = -wide["phone_latency_ms"].drop(5).corr(tests.drop(5), method="spearman")
    assert found.summary["Spearman"][0] == pytest.approx(wanted)


LONG = """
provenance = "invented for this test"
spread = ["dataset", "seed"]
choices = [
  { name = "op_{i}", options = ["none", "conv 3x3", "pool"] },
  { name = "layers", column = "num layers", options = [0, 2, 4] },
]
columns = [
  { column = "{dataset}/{seed}/valid", dataset = "{dataset}", seed = "{seed}", metric = "accuracy", split = "valid", role = "reward", unit = "%", direction = "max" },
  { column = "{dataset}/{seed}/test", dataset = "{dataset}", seed = "{seed}", metric = "accuracy", split = "test", role = "truth", unit = "%", direction = "max" },
  { column = "{dataset}/{seed}/ms", dataset = "{dataset}", seed = "{seed}", metric = "phone_ms", role = "cost", unit = "ms", direction = "min" },
]
[tasks."{dataset}"]
reward = "{dataset}/0/valid"
truth = "{dataset}/0/test"
"""  # noqa: E501


def rows(wide: pd.DataFrame) -> pd.DataFrame:
    """The same with a row per training; what was not trained has none."""
    found = []
    for _, row in wide.iterrows():
        for dataset in DATASETS:
            for seed in range(3):
                valid, test = (row[f"{dataset}/{split}_acc_seed{seed}"] for split in ("valid", "test"))
                if np.isfinite([valid, test]).all():
                    told = {"dataset": dataset, "seed": seed, "valid": valid, "test": test}
                    found.append({**row[KEYS], **told, "ms": row["A100_latency_ms"]})
    return pd.DataFrame(found)


def test_a_row_per_training(wide: pd.DataFrame, tmp_path: Path) -> None:
    frame = rows(wide)
    table = stored(frame, tmp_path, LONG)
    assert list(table.tasks) == ["pets", "Stanford-Cars"]
    assert table.values("pets/accuracy/test").shape == (20, 3)
    task = naslab.task("unseen/Stanford-Cars")
    cars = frame[frame["dataset"] == "Stanford Cars"]
    best = cars.groupby(KEYS)["test"].mean().max()
    assert task.optimum == pytest.approx(best)
    assert len(list(task.problem.space.architectures())) == cars.groupby(KEYS).ngroups


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), r"rows 2 and \d+ are both about .* with dataset .*, seed 0"),
        (lambda frame: frame.assign(seed=""), "row 2: 'seed' is ''; needed"),
        (lambda frame: frame.rename(columns={"seed": "sead"}), "no column 'seed'. Did you mean 'sead'"),
    ],
)
def test_faults_of_rows_are_named(wide: pd.DataFrame, tmp_path: Path, change: object, complaint: str) -> None:
    with pytest.raises(InvalidTable, match=complaint):
        stored(change(rows(wide)), tmp_path, LONG)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "op_{i}"', 'name = "ap_{i}"', r"the choice 'ap_\{i\}' matches none of the file's columns"),
        (
            'dataset = "{dataset}", seed = "{seed}", metric = "accuracy", split = "valid"',
            'metric = "valid"',
            "one dataset",
        ),
    ],
)
def test_faults_of_schemas_are_named(wide: pd.DataFrame, tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in LONG
    with pytest.raises(InvalidTable, match=complaint):
        stored(rows(wide), tmp_path, LONG.replace(old, new))


def test_reports_say_that_it_is_a_sample_and_show_its_costs(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide, tmp_path)
    tasks, limits = ["unseen/Stanford-Cars"], {"phone_latency_ms": 8.0}
    compared = naslab.compare(tasks, ["random"], budget=5, seeds=2, max=limits, out=tmp_path / "runs")
    page = compared.report().read_text()
    assert "unseen/Stanford-Cars is a sample of its space: searches draw from 20 architectures" in page
    assert "phone_latency_ms was not measured for 1 of the 20 architectures" in page
    assert "No training seconds were recorded for unseen/Stanford-Cars" in page
    assert compared.data.costs == ["phone_latency_ms"]
    assert "No cost is known" not in page
    free = naslab.compare(tasks, ["random"], budget=5, seeds=2, out=tmp_path / "free")
    assert set(free.data.costs) == {"phone_latency_ms", "A100_latency_ms"}


def test_correlating_choices_without_networks_makes_a_page_without_sizes(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide, tmp_path)
    found = naslab.correlate("unseen/Stanford-Cars", ["table[column=phone_latency_ms]"])
    assert "Nothing tells how many parameters" in found.report(tmp_path / "page").read_text()
    assert "params" not in pd.read_csv(tmp_path / "page" / "scores.csv").columns


def test_all_objectives_at_once_need_no_parameters(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide, tmp_path)
    objectives = ["score", "A100_latency_ms"]
    assert naslab.search("unseen/Stanford-Cars", "optuna-nsgaii", budget=5, objectives=objectives).architecture
    with pytest.raises(UnknownMetric, match=r"optuna-nsgaii\[cost=NAME\]"):
        naslab.search("unseen/Stanford-Cars", "optuna-nsgaii", budget=5)


def test_a_limit_at_a_measured_cost_keeps_what_has_it(wide: pd.DataFrame, tmp_path: Path) -> None:
    """11.855 was measured three times; a third of their sum is another number."""
    frame = rows(wide).assign(ms=11.855)
    assert sum([11.855] * 3) / 3 != 11.855
    stored(frame, tmp_path, LONG)
    problem = naslab.task("unseen/Stanford-Cars").problem
    assert {problem.measured["phone_ms"][a] for a in problem.space.architectures()} == {11.855}


def test_measured_parameters_are_a_cost_where_there_is_no_network(wide: pd.DataFrame, tmp_path: Path) -> None:
    stored(wide.rename(columns={"A100_latency_ms": "params"}), tmp_path)
    problem = naslab.task("unseen/pets").problem
    assert problem.cost("params", next(iter(problem.space.architectures()))) > 0
