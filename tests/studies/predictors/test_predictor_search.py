"""The study of predictor-guided search on a small table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_tasks import ROWS

from naslab.running.comparison import compare
from naslab.studies.predictors import search as predictor_search
from naslab.studies.reproduce import Study, experiment
from naslab.tables import find_table

GUIDED = "predictor-guided[predictor=kernel-ridge,acquisition=mean,initial=4,round=3]"


def test_regret_of_the_reward_is_counted_from_the_best_mean_of_recorded_trainings(
    stored_task: str, tmp_path: Path
) -> None:
    results = compare([stored_task], ["random", "regularized-evolution"], budget=4, seeds=3, out=tmp_path)
    table = find_table(stored_task.partition("/")[0])
    rewards = np.nanmean(table.values("toy/accuracy/valid", 3), axis=1)  # 3 epochs, two seeds each
    frame = predictor_search.reward_regret(results).set_index("optimizer")
    for optimizer in ("random", "regularized-evolution"):
        runs = results.frame[results.frame["optimizer"] == optimizer]
        space = results.tasks[stored_task].problem.space
        wanted = [rewards.max() - rewards[ROWS.index(space.from_string(name))] for name in runs["architecture"]]
        assert frame.loc[optimizer, "regret"] == pytest.approx(np.mean(wanted))
    assert frame.loc["regularized-evolution", "share"] == pytest.approx(1.0)
    ratio = frame.loc["random", "regret"] / frame.loc["regularized-evolution", "regret"]
    assert frame.loc["random", "share"] == pytest.approx(ratio)
    assert frame.loc["random", "share low"] <= ratio <= frame.loc["random", "share high"]


def test_the_whole_study_on_a_small_table(stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TASKS": (stored_task,),
        "TIMED": stored_task,
        "SECONDS": "900s",
        "EVALUATIONS": "6",
        "SEEDS": 2,
        "OPTIMIZERS": ("regularized-evolution", GUIDED),
        "SLOW": ("random", "regularized-evolution"),
        "SLOW_SEEDS": 1,
    }.items():
        monkeypatch.setattr(predictor_search, name, value)
    outcome = predictor_search.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    (slow, few), (timed, seconds), (counted, evaluations) = outcome.tables
    assert "900s" in slow
    assert few["runs"].tolist() == [1, 1]
    assert "900s" in timed
    assert "after 6" in counted
    assert seconds["runs"].tolist() == evaluations["runs"].tolist() == [2, 2]
    page = outcome.report.read_text()
    assert "A title: 6 each" in page
    assert "What it is." in page
    assert (predictor_search.seconds_of(tmp_path / "evaluations")["runs"] == 2).all()
    before = {path: path.read_bytes() for path in tmp_path.glob("*/runs/*/*/*.jsonl")}
    predictor_search.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    assert before
    assert {path: path.read_bytes() for path in before} == before


def test_without_the_imported_table_its_tasks_are_left_out_and_the_page_says_so(
    stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_search, "TASKS", ("not-imported/toy", stored_task))
    monkeypatch.setattr(predictor_search, "TIMED", "not-imported/toy")
    monkeypatch.setattr(predictor_search, "EVALUATIONS", "3")
    monkeypatch.setattr(predictor_search, "SEEDS", 1)
    monkeypatch.setattr(predictor_search, "OPTIMIZERS", ("random", "regularized-evolution"))
    outcome = predictor_search.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    assert len(outcome.tables) == 1
    assert set(outcome.tables[0][1]["task"]) == {stored_task}
    assert "is not stored" in outcome.report.read_text()


def test_tables_of_the_same_trainings_are_compared_apart(
    stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_search, "TASKS", (stored_task, "nasbench201/cifar10"))
    monkeypatch.setattr(predictor_search, "TIMED", "not-imported/toy")
    monkeypatch.setattr(predictor_search, "EVALUATIONS", "3")
    monkeypatch.setattr(predictor_search, "SEEDS", 1)
    monkeypatch.setattr(predictor_search, "OPTIMIZERS", ("random", "regularized-evolution"))
    outcome = predictor_search.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    assert [set(frame["task"]) for _, frame in outcome.tables] == [{"nasbench201/cifar10"}, {stored_task}]


def test_it_can_be_reproduced() -> None:
    wanted = experiment("predictor-search")
    assert isinstance(wanted, Study)
    assert wanted.study == "naslab.studies.predictors.search:run"


def test_every_task_has_its_table(nats_tss: str) -> None:
    for task in predictor_search.TASKS:
        table = find_table(predictor_search._table_name(task))
        assert task.partition("/")[2] in table.tasks
