"""Experiments: every file is sound, a small one runs end to end, the whole one gives the published numbers."""

from __future__ import annotations

import csv
import importlib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy_tasks import contents, run_naslab

from naslab.cli import run_command
from naslab.errors import InvalidValue, NaslabError, UnknownTable
from naslab.optimizers import optimizer_spec
from naslab.studies.base import experiment_folder
from naslab.studies.reproduce import Experiment, Study, experiment, experiments, run_experiment
from naslab.tables.schema import read_schema
from naslab.tasks import Budget

NAME = "nasbench201-search"
FILES = sorted(experiment_folder().glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_experiment_is_sound(path: Path) -> None:
    found = experiment(str(path))
    assert found == experiment(found.name)
    if isinstance(found, Study):
        module, _, function = found.study.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
        return
    assert Budget.parse(found.budget).amount > 0
    with (experiment_folder() / "published" / found.published.file).open() as stream:
        lines = list(csv.DictReader(stream))
    methods = [line[found.published.method] for line in lines]
    for row in found.rows:
        assert methods.count(row.published) == 1
        optimizer_spec(row.optimizer)
    for methods_of in found.published.runs_of:
        assert set(methods_of.methods) <= set(methods)
    for column in found.columns:
        assert {column.published, f"{column.published}_std"} <= set(lines[0])
    assert found.how_to_import.startswith("naslab table import ")


def test_there_are_experiments() -> None:
    assert NAME in [found.name for found in experiments()]
    assert len(experiments()) == len(FILES)


@pytest.mark.parametrize("path", sorted((experiment_folder() / "tables").glob("*.toml")), ids=lambda p: p.stem)
def test_every_schema_is_sound(path: Path) -> None:
    assert read_schema(path)


def test_the_published_numbers_are_the_papers() -> None:
    """Dong & Yang 2020, table 5, typed in a second time."""
    frame = pd.read_csv(experiment_folder() / "published" / "nasbench201_search.csv", index_col="method")
    assert frame.loc["REA", "cifar10_test"] == 93.92
    assert frame.loc["RS", "cifar10_test"] == 93.70
    assert frame.loc["REINFORCE", "cifar10_test"] == 93.85
    assert frame.loc["BOHB", "imagenet16_test_std"] == 1.49


def test_without_the_table_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NASLAB_CACHE", str(tmp_path / "cache"))
    assert run_command(["reproduce", NAME, "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(
        "MissingTable: nasbench201-search needs the table 'nats-tss'. Import it: naslab table import "
    )
    assert "experiments/tables/nasbench201.toml --name nats-tss" in err
    assert "--nats DIR --name nats-tss" in err
    assert f"naslab reproduce {NAME} --table nasbench201" in err
    assert contents(tmp_path) == {}


def test_an_unknown_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownTable, match="Did you mean 'nasbench201'"):
        run_experiment(experiment(NAME), tmp_path / "out", table="nasbench202")
    assert contents(tmp_path) == {}


def small(folder: Path, **changes: str) -> Path:
    """A copy of the experiment with three seeds, and other changes to its lines."""
    shutil.copytree(experiment_folder(), folder)
    path = folder / "nasbench201_search.toml"
    text = path.read_text()
    for before, after in {"seeds = 500": "seeds = 3", **changes}.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds = 500": "seeds = 'many'"}, "seeds"),
        ({"seeds = 500": "seed = 3"}, "seed"),
        ({"seeds = 500": "seeds ="}, "is no TOML"),
        ({'alternative = "nasbench201"': ""}, "alternative"),
        ({'split = "valid"': "split = 3"}, "split"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    shutil.copytree(experiment_folder(), tmp_path / "e")
    path = tmp_path / "e" / "nasbench201_search.toml"
    text = path.read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    with pytest.raises(InvalidValue, match=said) as caught:
        experiment(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({'file = "nasbench201_search.csv"': 'file = "gone.csv"'}, "gone.csv, the published numbers of"),
        ({'published = "cifar10_test"': 'published = "cifar10_tset"'}, "lacks the column 'cifar10_tset'"),
        ({'budget = "12000s"': 'budget = "no"'}, "budget 'no'"),
        ({'optimizer = "random"': 'optimizer = "randon"'}, "Did you mean 'random'"),
        ({'dataset = "cifar10"\n': 'dataset = "cifar11"\n'}, "Did you mean 'nasbench201/cifar10'"),
    ],
)
def test_what_can_not_be_run_is_refused_before_it_runs(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    path = small(tmp_path / "e")
    text = path.read_text()
    for before, after in changes.items():
        text = text.replace(before, after, 1)
    path.write_text(text)
    with pytest.raises(NaslabError, match=said):
        run_experiment(experiment(str(path)), tmp_path / "out", table="nasbench201")
    assert not (tmp_path / "out").exists()


def test_on_the_packaged_table_it_is_labelled(tmp_path: Path) -> None:
    path = small(tmp_path / "e", **{'budget = "12000s"': 'budget = "200000s"'})
    done = run_naslab("reproduce", str(path), "--table", "nasbench201", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "NOT the published protocol" in done.stdout
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert "NOT the published protocol" in page
    assert "not with the published protocol" in page
    assert "BOHB" in page


def by_method(found: Experiment, out: Path) -> pd.DataFrame:
    """The table beside the published numbers, as the report stored it."""
    run_experiment(found, out)
    (path,) = [p for p in (out / "report").rglob("*.csv") if "in standard errors" in p.read_text().splitlines()[0]]
    return pd.read_csv(path).set_index(["method", "column"])


def test_a_small_reproduction_from_end_to_end(nats_tss: str, tmp_path: Path) -> None:
    found = experiment(str(small(tmp_path / "e")))
    assert found.table == nats_tss
    frame = by_method(found, tmp_path / "out")
    published = pd.read_csv(found.folder / "published" / found.published.file)["method"]
    assert set(frame.index) == {(m, c.label) for m in published for c in found.columns}  # ours, or 'not run'
    for method in ("RS", "REA", "REINFORCE", "BOHB"):
        row = frame.loc[(method, "CIFAR-10 test")]
        assert row["runs"] == 3
        assert 92 < row["ours"] < 94.5
        assert row["difference"] == pytest.approx(row["ours"] - row["published"])
        expected = row["difference"] / (row["sd"] ** 2 / 3 + row["published sd"] ** 2 / 500) ** 0.5
        assert row["in standard errors"] == pytest.approx(expected)
    assert (frame.loc["DARTS-V1", "note"] == "not run").all()
    assert frame.loc["DARTS-V1", "ours"].isna().all()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tabnas-toy", {"training_free": 10}, "tabnas-toy has no training-free rows: --training-free means nothing"),
        (NAME, {"data": Path("cifar")}, "--data cifar means nothing to nasbench201-search without --training-free"),
        (NAME, {"data": Path("no-cifar"), "training_free": 10}, "'no-cifar' holds no complete version of CIFAR"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_anything_runs(
    name: str, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(NaslabError, match=said):
        run_experiment(experiment(name), tmp_path / "out", table=NAME.partition("-")[0] * (name == NAME), **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_reproduction(nats_tss: str, tmp_path: Path) -> None:
    frame = by_method(experiment(NAME), tmp_path / "out")
    for method, published, tolerance in (("RS", 93.70, 0.10), ("REA", 93.92, 0.10), ("REINFORCE", 93.85, 0.15)):
        row = frame.loc[(method, "CIFAR-10 test")]
        assert (row["runs"], row["published"]) == (500, published)
        assert abs(row["ours"] - published) <= tolerance


def test_a_study_runs_on_no_table(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="runs on no table: --table nasbench201 means nothing to it"):
        run_experiment(experiment("tabnas-toy"), tmp_path, table="nasbench201")
