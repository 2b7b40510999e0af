"""The sub-commands on folders of comparisons: growing, merging and exporting them."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest
from toy_tasks import contents, traces

from naslab.cli import run_command

OPTIONS = ["--optimizers", "random,local-search", "--seeds", "2", "--budget", "6"]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time."""
    monkeypatch.setattr(
        "naslab.running.results.Results.report", lambda self, **_: self.folder / "report" / "report.html"
    )


def compare(task: str, out: Path, *changes: str) -> int:
    return run_command(["compare", task, *OPTIONS, *changes, "--out", str(out)])


def test_a_comparison_that_grows(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(stored_task, tmp_path / "grown") == 0
    before = traces(tmp_path / "grown")
    assert compare(stored_task, tmp_path / "grown", "--seeds", "3") == 0
    assert {name: traces(tmp_path / "grown")[name] for name in before} == before
    assert len(traces(tmp_path / "grown")) == 6
    capsys.readouterr()
    assert compare(stored_task, tmp_path / "grown") == 2
    line = capsys.readouterr().err.splitlines()
    assert line == [
        f"OutputError: {tmp_path / 'grown'} holds more than is asked for: 3 seeds instead of 2; ask for at least what "
        "is there, or give another --out"
    ]


def test_a_paired_comparison(stored_task: str, tmp_path: Path) -> None:
    assert compare(stored_task, tmp_path / "out", "--paired") == 0
    assert all(b'"paired":true' in content for content in traces(tmp_path / "out").values())


def test_merging_says_what_is_missing_and_how_to_run_it(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    compare(stored_task, a, "--optimizers", "random")
    compare(stored_task, b, "--optimizers", "local-search", "--seeds", "1")
    capsys.readouterr()
    assert run_command(["merge", str(a), str(b), "--out", str(c)]) == 0
    done, others, report = capsys.readouterr().out.splitlines()
    assert done == f"3 of 4 runs are complete in {c}"
    assert report == f"Report: naslab report {c}"
    assert run_command(shlex.split(others.removeprefix("The others: naslab "))) == 0
    assert len(traces(c)) == 4
    capsys.readouterr()
    assert run_command(["merge", str(a), str(c), "--out", str(tmp_path / "d")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"4 of 4 runs are complete in {tmp_path / 'd'}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["merge", "a", "--out", "c"], "InvalidValue: 1 folder to merge: give two or more"),
        (["merge", "a", "nowhere", "--out", "c"], "OutputError: nowhere holds no comparison"),
        (
            ["merge", "a", "b", "--out", "c"],
            "OutputError: a and b can't be merged: budget is '6' in one and '7' in the",
        ),
        (["merge", "a", "b"], "UsageError: Missing option '--out'. See: naslab merge --help"),
        (["export", "nowhere", "--to", "csv", "--out", "x"], "OutputError: nowhere holds no comparison"),
        (["export", "a", "--to", "optun", "--out", "x"], "UnknownName: 'optun' of '--to'. Did you mean 'optuna'?"),
        (["export", "a", "--to", "csv", "--out", "a/comparison.json"], "OutputError: a/comparison.json exists; give a"),
        (["export", "a", "--to", "csv"], "UsageError: Missing option '--out'. See: naslab export --help"),
    ],
)
def test_bad_folders(
    stored_task: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    compare(stored_task, Path("a"))
    compare(stored_task, Path("b"), "--budget", "7")
    before = contents(tmp_path)
    capsys.readouterr()
    assert run_command(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert len(err.splitlines()) == 1
    assert contents(tmp_path) == before


def test_exporting(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(stored_task, tmp_path / "a")
    capsys.readouterr()
    assert run_command(["export", str(tmp_path / "a"), "--to", "csv", "--out", str(tmp_path / "steps.csv")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'steps.csv'}\n"
    with (tmp_path / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 7)] * 4
