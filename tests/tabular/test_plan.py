"""Plans: what is assumed and said, and everything that can be wrong before a search begins."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from own_tables import write_table

from naslab.errors import InvalidDataset, InvalidValue, UnknownMetric, UnknownName, UnknownOptimizer, UnknownSearchSpace
from naslab.running import seed_sequence
from naslab.tabular.plan import extreme, plan_search
from naslab.tabular.splitting import split
from naslab.tasks import Budget


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


def test_what_is_assumed_is_said(table):
    plan = plan_search(table, "target")
    said = " ".join(plan.says)
    smallest, largest = (plan.space.cost(extreme(plan.space, largest=which)).params for which in (False, True))
    assert plan.space.to_string(extreme(plan.space, largest=True)) == "32-32-32"
    (limit,) = plan.task.problem.constraint.limits
    maximum = int(smallest + (largest - smallest) / 4)
    assert (limit.metric, limit.maximum) == ("params", maximum)
    for part in (
        "120 rows of 2 numeric columns and 1 categorical column, 6 features; 'target' is 2 classes (classification).",
        "72 rows to train on, 24 to validate, 24 to test once",
        "Judged by accuracy (higher is better), class weights: none. Class 'yes' has 30 rows, 'no' 90",
        "give --class-weights balanced and --metric balanced-accuracy",
        "each of 4, 8, 12, 16, 24, 32 units (default: up to about 2 sqrt(72 training rows)",
        f"Limit: params <= {maximum:,} (default: a quarter of the way from {smallest:,} of the smallest network, "
        f"4-4-4, to {largest:,} of the largest network, 32-32-32",
        "Search: tabnas, 3,006 steps of shared weights",
    ):
        assert part in said


def test_nothing_is_fitted_to_rows_that_are_held_out(table, tmp_path):
    plan = plan_search(table, "target")
    with table.open() as file:
        _, *rows = csv.reader(file)
    places = np.array([float(row[0]) for row in rows])
    encoder = plan.preprocessor.encoders[0]
    standardised = np.clip((places - encoder.mean) / encoder.scale, -10, 10)
    train = plan.task.problem.train.x[:, 0]
    assert train.mean() == pytest.approx(0, abs=1e-5)
    assert train.std() == pytest.approx(1, abs=1e-5)
    held = np.concatenate([plan.task.problem.validation.x[:, 0], plan.task.test.x[:, 0]])
    everything = np.sort(np.concatenate([train, held]))
    np.testing.assert_allclose(everything, np.sort(standardised), atol=1e-5)  # every row is in one part
    assert len(held) == 48


def test_a_seed_decides_the_split(table):
    first, again, other = (plan_search(table, "target", seed=seed).task.test.x for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shared_weights_are_trained_for_the_budget(table):
    plan = plan_search(table, "target", budget=500)
    assert plan.budget == Budget(500, "evaluations")
    assert 500 <= plan.task.reward().steps < 500 + 18  # whole epochs
    assert plan_search(table, "target", budget="3s").budget == Budget(3, "s")


def test_class_weights(table):
    weights = plan_search(table, "target", class_weights="balanced").task.training_objective.class_weights
    train = plan_search(table, "target").task.problem.train
    assert weights == pytest.approx([len(train) / 2 / count for count in np.bincount(train.y)])
    assert weights[1] > 2.5 * weights[0]


def test_a_number_is_judged_in_its_own_unit(tmp_path):
    plan = plan_search(write_table(tmp_path / "t.csv", kind="regression"), "target", metric="mae")
    assert plan.task.training_objective.scale == plan.target.scale > 1000
    assert plan.task.metric == "test mae (negated)"
    assert plan.space.graph.nodes["y"]["width"] == 1
    assert "Judged by mae (lower is better)." in plan.says


def test_strategies_with_a_policy_rank_their_finalists(table):
    assert plan_search(table, "target").optimizer.options == {"selection": "rerank"}
    assert plan_search(table, "target", optimizer="tabnas[selection=argmax]").optimizer.options["selection"] == "argmax"
    assert plan_search(table, "target", optimizer="random").optimizer.options == {}


def test_a_limit_that_binds_nobody_is_said(table):
    plan = plan_search(table, "target", widths=(2, 4), max=["params=1e6"])
    assert "Limit: params <= 1,000,000. It does not bind: the largest network, 4-4-4, has 78." in plan.says
    assert "Limit: params <= 70; the largest network, 4-4-4, has 78." in plan_search(
        table, "target", widths=(2, 4), max={"params": 70}
    ).says  # fmt: skip


def test_columns_that_say_nothing_are_said(tmp_path):
    path = write_table(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["always," + lines[0], *("7," + line for line in lines[1:])]) + "\n")
    assert "Column 'always' was left out: it is '7' in every row." in plan_search(path, "target").says


def test_the_plan_is_a_table(tmp_path):
    path = write_table(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(["always,id," + lines[0], *(f"7,u{n}," + line for n, line in enumerate(lines[1:]))]) + "\n"
    )
    plan = plan_search(path, "target", drop=["x"])
    assert plan.columns.to_numpy().tolist() == [
        ["always", "left out", 0, 1, ""],
        ["id", "left out", 0, 120, ""],
        ["x", "left out", 0, 120, ""],
        ["gaps", "numeric", 17, 103, "2: gaps, gaps is missing"],
        ["colour", "categorical", 0, 3, "3: colour = blue, colour = green, colour = red"],
        ["target", "target, 2 classes", 0, 2, ""],
    ]
    assert plan.columns.columns.tolist() == ["column", "kind", "missing", "distinct", "features"]


def test_what_held_out_rows_have_and_training_rows_do_not_is_said(table):
    lines = table.read_text().splitlines()
    assert not any("Of the rows to validate" in says for says in plan_search(table, "target").says)
    parts = split(np.array([line.split(",")[3] for line in lines[1:]]), "classification", split_generator())
    held = int(parts[2][0]) + 1
    x, gaps, _, target = lines[held].split(",")
    lines[held] = f"{x},{gaps},mauve,{target}"
    table.write_text("\n".join(lines) + "\n")
    (said,) = (says for says in plan_search(table, "target").says if "Of the rows to validate" in says)
    assert "'colour': 1 of 48 cells (2.1 %) is of categories that training did not have ('mauve')" in said


def split_generator() -> np.random.Generator:
    return np.random.default_rng(seed_sequence("csv", "split", 0))


def test_a_budget_is_in_a_unit_of_the_strategy(tmp_path):
    path = write_table(tmp_path / "t.csv", rows=600)
    plan = plan_search(path, "target", optimizer="darts", budget="5epochs")
    assert plan.budget == Budget(5, "epochs")
    assert plan.says[-1].startswith("Search: darts, 5 epochs of shared weights; then")
    assert plan_search(path, "target", optimizer="darts").says[-1].startswith("Search: darts, 50 epochs of shared")
    assert "300 steps of" in plan_search(path, "target", budget=300).says[-1]
    assert "2.5 s of" in plan_search(path, "target", budget="2.5s").says[-1]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"max": {"params": 25}, "widths": (2, 4), "depth": 2}, InvalidValue,
         "the limit params <= 25 excludes every network: the smallest, 2-2, has params=26"),
        ({"max": {"parms": 30}}, UnknownMetric, "'parms'. Did you mean 'params'?"),
        ({"target": "tarhet"}, InvalidDataset, "has no column 'tarhet'. Did you mean 'target'?"),
        ({"metric": "acuracy"}, UnknownMetric, "'acuracy' of 'classification'. Did you mean 'accuracy'?"),
        ({"metric": "r2"}, UnknownMetric, "'r2' of 'classification'. Known: accuracy"),
        ({"target": "colour", "metric": "roc-auc"}, InvalidValue, "metric roc-auc is for two classes; 'colour' has 3"),
        ({"target": "x", "class_weights": "balanced"}, InvalidValue, "'x' is a number to predict, it has no classes"),
        ({"class_weights": "balance"}, UnknownName, "'balance' of 'class weights'. Did you mean 'balanced'?"),
        ({"kind": "regression"}, InvalidDataset, "is not a number"),
        ({"kind": "regresion"}, UnknownName, "'regresion' of 'kind'. Did you mean 'regression'?"),
        ({"optimizer": "tabnass"}, UnknownOptimizer, "Did you mean 'tabnas'?"),
        ({"optimizer": "tabnas[samples=0]"}, InvalidValue, "samples=0"),
        ({"space": "mpl"}, UnknownSearchSpace, "Did you mean 'mlp'?"),
        ({"space": "nasbench201"}, InvalidValue, "space 'nasbench201' is not for tables. Allowed: mlp"),
        ({"widths": (0, 4)}, InvalidValue, "widths"),
        ({"depth": 0}, InvalidValue, "depth=0"),
        ({"seed": -1}, InvalidValue, "seed -1"),
        ({"budget": "much"}, InvalidValue, "budget 'much'"),
        ({"budget": "5epochs"}, InvalidValue, "budget 5epochs: 'tabnas' works in evaluations (100) or in seconds"),
        ({"budget": 100, "optimizer": "darts"}, InvalidValue, "budget 100: 'darts' works in epochs (50epochs) or in"),
        ({"drop": "x"}, InvalidValue, "drop='x', types=None: give a list of columns, and a dictionary"),
        ({"types": "x=date"}, InvalidValue, "types='x=date': give a list of columns, and a dictionary"),
        ({"drop": ["colours"]}, InvalidDataset, "has no column 'colours'. Did you mean 'colour'?"),
    ],
)  # fmt: skip
def test_bad_plans(table, options, error, said):
    arguments = {"target": "target", **options}
    with pytest.raises(error) as raised:
        plan_search(table, **arguments)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
