"""A task's table as a whole: facts, shares, the page, and what has neither."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_spaces
import toy_tasks
from scipy.stats import kendalltau

from naslab.analysis.importance import SHARES, importance
from naslab.cli import run_command
from naslab.evaluators.table import TableTruth
from naslab.studies.importance import TaskStudy, task_study
from naslab.tables import Reading, find_table
from naslab.tables.header import ColumnSpec, StatedChoice, TableSpec, TableTask
from naslab.tables.writing import write_table
from naslab.tasks import Problem, Task


def test_a_stored_task_is_told_as_a_whole(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["importance", stored_task, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    found, truth = task_study(stored_task), toy_tasks.distinctive_truth()
    table = find_table(toy_tasks.TABLE)
    expected = importance(toy_tasks.ROWS, truth, ["width1", "width2", "width3"], (3, 3, 3))
    np.testing.assert_allclose(found.shares[SHARES[0]], expected[SHARES[0]])
    facts = dict(found.facts.to_numpy().tolist())
    best = "-".join(str(1 + option) for option in toy_tasks.ROWS[int(truth.argmax())])
    assert facts["architectures"] == "27"
    assert facts["best known"] == f"{truth.max():.2f} ({best})"
    assert facts["noise"] == "not recorded: means only"
    tau = kendalltau(table.mean("toy/accuracy/valid", table.tasks["toy"].reward.epochs), truth).statistic
    assert facts["Kendall's tau between reward and truth"].startswith(f"{tau:.3f} ")
    seconds = (90 + 9.0 * np.arange(27)) * 3 / 9  # a search pays for three of nine epochs
    assert (
        facts["clock"] == f"{np.median(seconds):.2f} s at the median, {seconds.sum() / 86400:.4f} days for one of each"
    )
    assert "failed" not in facts  # nobody said what guessing gives
    page = (tmp_path / "report.html").read_text()
    for each in (*facts.values(), "width1 x width2", "three and more"):
        assert each.replace("'", "&#39;") in page
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} == {"spread", "pair"}
    assert "width1 x width2" in shown
    assert best in shown


def study(space: Any, values: dict[Any, float]) -> TaskStudy:
    task = Task("toy", Problem(space), lambda: toy_tasks.ToyReward(), TableTruth(values))
    reading = Reading(column="toy/accuracy/test", epochs=None)
    return TaskStudy(task, None, TableTask(reward=reading, truth=reading, space_options={}))  # type: ignore[arg-type]


def test_what_is_not_active_decides_nothing() -> None:
    """Every combination counts, with the score of the architecture that it leads to."""
    space = toy_spaces.stage()
    rng = np.random.default_rng(0)
    values = {architecture: float(rng.normal()) for architecture in space.architectures()}
    found = study(space, values)
    rows, scores = found.known
    assert len(rows) == np.prod(space.sizes) > len(values)
    for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
        assert score == values[space.normal(tuple(row))]
    np.testing.assert_allclose(found.shares[list(SHARES)].sum(), 1)


def write(path: Path, name: str, rows: list[tuple[int, ...]], seeds: int, guess: float | None) -> None:
    column = ColumnSpec(
        dataset="toy", metric="loss", split="valid", role="reward", unit="", direction="min", epochs=(),
        seeds=tuple(map(str, range(seeds))),
    )  # fmt: skip
    reading = Reading(column="toy/loss/valid", epochs=None)
    spec = TableSpec(
        name=name, space=name, options=(2, 3), columns=(column,),
        tasks={"toy": TableTask(reward=reading, truth=reading, space_options={}, guess=guess)}, provenance={},
        choices=(StatedChoice(name="a", options=("x", "y")), StatedChoice(name="b", options=(1, 2, 3))),
    )  # fmt: skip
    values = np.array([[a + 10 * b + seed for seed in range(seeds)] for a, b in rows], float)
    write_table(path / "tables" / name, spec, rows, {"toy/loss/valid": values[:, None, :]})


def test_losses_failures_and_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASLAB_CACHE", str(tmp_path))
    write(tmp_path, "losses", list(product(range(2), range(3))), 3, guess=20.0)
    found = task_study("losses/toy")
    facts = dict(found.facts.to_numpy().tolist())
    assert facts["best known"] == "1.00 (a=x;b=1)"
    assert facts["failed"] == "33.3% (not better than 20.00, which ignores the input)"  # 21 and 22 of 1, 2, 11, ...
    assert facts["noise"] == "1.00 (3 trainings at most)"
    assert facts["Kendall's tau between two trainings"] == "1.000 (mean over 3 pairs)"
    assert facts["reward"] == "validation only: one training of it"
    assert facts["clock"] == "evaluations only"


def test_what_has_no_exact_decomposition_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NASLAB_CACHE", str(tmp_path))
    write(tmp_path, "sample", [(0, 0), (0, 1), (1, 1), (1, 2)], 1, guess=None)
    out = tmp_path / "out"
    for task, said in (
        ("sample/toy", "task 'sample/toy': 4 of 6 combinations of options are known"),
        ("pocket-mlp/segments@live", "is rewarded by no table. Fix: look at 'pocket-mlp/segments'"),
        ("sample/toi", "Did you mean 'sample/toy'?"),
    ):
        assert run_command(["importance", task, "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not out.exists()
