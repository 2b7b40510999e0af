"""``naslab search --csv`` and ``naslab predict``: what they print, and bad input in one line with exit code 2."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from own_tables import write_table

import naslab
from naslab.cli import run_command

QUICK = ["--widths", "2,4", "--depth", "1", "--budget", "40", "--max", "params=99"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


def words_of(table: Path, out: Path, *more: str, target: str = "target") -> list[str]:
    return ["search", "--csv", str(table), "--target", target, "--optimizer", "tabnas", "--out", str(out), *more]


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    assert run_command(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


def test_from_a_table_to_predictions(table, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(words_of(table, out, *QUICK, "--metric", "roc-auc", "--class-weights", "balanced")) == 0
    printed = capsys.readouterr()
    for said in (
        "120 rows of 2 numeric columns", "Judged by roc-auc", "It does not bind: the largest network",
        "Scores: roc-auc, % (higher is better)", "best constant width", "boosted trees", f"{out}/report/report.html",
    ):  # fmt: skip
        assert said in printed.out
    done, total = printed.err.splitlines()[-1].partition(" ")[0].split("/")
    assert done == total
    assert run_command(["predict", str(out), str(table), "--out", str(tmp_path / "said.csv")]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("roc-auc on 120 rows: ")
    assert printed.err.endswith(" %\n")
    with (tmp_path / "said.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    for row in rows:
        probabilities = [float(row["probability of no"]), float(row["probability of yes"])]
        assert sum(probabilities) == pytest.approx(1)
        assert row["prediction"] == ("yes" if probabilities[1] > probabilities[0] else "no")


def test_the_plan_is_shown_before_training(table, tmp_path, capsys):
    words = words_of(table, tmp_path / "out", *QUICK, "--drop", "x", "--types", "gaps=numeric", "--coerce")
    assert run_command(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Columns of {table.name}")
    for said in ("categorical", "left out", "3: colour = blue, colour = green, colour = red", "target, 2 classes",
                 "Column 'x' was left out, as you asked."):  # fmt: skip
        assert said in printed[: printed.index("Networks of")]


def test_what_training_did_not_have_is_said_once(classified, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("x,gaps,colour\n1,2,mauve\n1,2,red\n")
    assert run_command(["predict", str(classified.folder), str(tmp_path / "new.csv")]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert printed.err == (
        "Note: Column 'colour': 1 of 2 cells (50 %) is of categories that training did not have ('mauve'); all "
        "features of the column are 0 for them.\n"
    )


def test_nothing_is_written_for_rows_that_are_wrong(classified, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("x,gaps,colour,target\n1,2,red,perhaps\n")
    words = ["predict", str(classified.folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / "said.csv")]
    assert "'perhaps' is no class of the target" in refused(capsys, words)
    assert not (tmp_path / "said.csv").exists()


def test_predictions_on_the_screen(classified, table, capsys):
    assert run_command(["predict", str(classified.folder), str(table)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "prediction,probability of no,probability of yes"
    assert len(lines) == 121


def test_nothing_that_exists_is_overwritten(classified, table, tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("precious")
    words = ["predict", str(classified.folder), str(table), "--out", str(tmp_path / "mine.csv")]
    assert "mine.csv exists; give a new file as --out" in refused(capsys, words)
    assert (tmp_path / "mine.csv").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,label\n1,a\n2,b\n3,a\n", "InvalidDataset: FILE has 3 rows with a value of the target 'label'"),
        ("x,label\n" + "1.5,a\n2,a\n" * 15, "InvalidDataset: FILE: the target 'label' is 'a' in every row"),
        ("x,label\n" + "1.5,a\n2,b\n" * 15 + "inf,a\n", "line 32: 'inf' in column 'x' is infinite"),
        ("x,lable\n" + "1.5,a\n2,b\n" * 15, "has no column 'label'. Did you mean 'lable'?"),
        ("x,label\n" + "1.5,1.25\n2,0.5\n3,2.5\n" * 15 + "4,much\n", "'much' in the target 'label' is not a number"),
        ("x,label\n" + "1.5,a\n1.5,b\n" * 15, "has no column to predict 'label' from. Column 'x' was left out"),
        ("PK\x03\x04 and so on", "InvalidDataset: FILE is no CSV file but an Excel workbook or a zip archive"),
        ("one column\n1\n2\n", "InvalidDataset: FILE is no CSV file"),
        ("", "InvalidDataset: FILE is empty"),
        (None, "InvalidDataset: FILE does not exist"),
    ],
)  # fmt: skip
def test_bad_tables(tmp_path, capsys, text, said):
    path = tmp_path / "data.csv"
    if text is not None:
        path.write_text(text)
    complaint = refused(capsys, words_of(path, tmp_path / "out", target="label"))
    assert said in complaint.replace(str(path), "FILE")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--max", "params=9"], "the limit params <= 9 excludes every network: the smallest, 4-4-4, has params=78"),
        (["--widths", "8,x"], "widths '8,x': give whole numbers such as 8,16,32"),
        (["--kind", "regresion"], "UnknownName: 'regresion' of 'kind'. Did you mean 'regression'?"),
        (["--metric", "auc"], "UnknownMetric: 'auc' of 'classification'. Did you mean 'roc-auc'?"),
        (["--space", "mpl"], "UnknownSearchSpace: 'mpl'. Did you mean 'mlp'?"),
        (["--drop", "colours"], "has no column 'colours'. Did you mean 'colour'?"),
        (["--types", "colour"], "InvalidValue: types 'colour': give COLUMN=TYPE such as postcode=categorical"),
        (["--types", "x=numbers"], "UnknownName: 'numbers' of 'type of column x'. Did you mean 'numeric'?"),
        (["--budget", "5epochs"], "InvalidValue: budget 5epochs: 'tabnas' works in evaluations"),
        (["--seed", "x"], "UsageError: Invalid value for '--seed'"),
        (["pocket-mlp/mnist"], "give either a TASK"),
    ],
)
def test_bad_options(table, tmp_path, capsys, more, said):
    assert said in refused(capsys, words_of(table, tmp_path / "out", *more))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either a TASK"),
        (["--csv", "t.csv"], "which column of t.csv is to be predicted? Give --target NAME"),
        (["pocket-mlp/mnist", "--class-weights", "none"], "--class-weights is for a table, --csv; not for a TASK"),
        (["pocket-mlp/mnist", "--drop", "x"], "--drop is for a table, --csv; not for a TASK"),
        (["pocket-mlp/mnist", "--coerce"], "--coerce is for a table, --csv; not for a TASK"),
    ],
)
def test_a_task_or_a_table(tmp_path, capsys, words, said):
    assert said in refused(capsys, ["search", *words, "--optimizer", "random", "--out", str(tmp_path / "out")])


def test_predicting_needs_a_search(tmp_path, table, capsys):
    assert f"InvalidValue: {tmp_path} holds no model" in refused(capsys, ["predict", str(tmp_path), str(table)])


def test_the_public_names():
    assert naslab.load_model.__module__ == "naslab.tabular.model"
    assert naslab.search_csv.__module__ == "naslab.tabular.search"
