"""Every evaluation of a comparison: as a frame, and as files of other programs."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from toy_spaces import IMAGE, graph_of
from toy_tasks import ToyReward, contents, toy_task

import naslab
from naslab.errors import NaslabError
from naslab.evaluators import Evaluation
from naslab.ops import Conv, Identity
from naslab.running import trace_path
from naslab.running.exports import export
from naslab.running.steps import COLUMNS
from naslab.space import SGD, Choice, Range, Recipe, SearchSpace
from naslab.tasks import Problem, Task


class Measuring(ToyReward):
    """Reports metrics, one of them not always and one under a name that is taken; sometimes no score."""

    def evaluate(self, architecture: Any, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        found = super().evaluate(architecture, fidelity=fidelity, rng=rng)
        metrics = {"loss": 1.5 * architecture[1], "seconds": 7.0} | ({"odd": 1.0} if architecture[0] == 1 else {})
        return found._replace(metrics=metrics, score=math.nan if architecture[2] == 2 else found.score)


@pytest.fixture
def results(tmp_path: Path) -> naslab.Results:
    return naslab.compare(
        [toy_task(Measuring())],
        ["random", "optuna-tpe"],
        budget=12,
        seeds=2,
        out=tmp_path / "runs",
        max=["params=30"],
    )


def test_one_row_per_evaluation(results: naslab.Results) -> None:
    unfinished = trace_path(results.folder, "toy", "random", 1)
    unfinished.write_bytes(b"".join(unfinished.read_bytes().splitlines(keepends=True)[:8]))
    frame = results.steps()
    assert list(frame.columns) == [*COLUMNS, "loss", "metric seconds", "odd"]
    space = results.tasks["toy"].problem.space
    for run, rows in frame.groupby(["task", "optimizer", "seed"], sort=False):
        recorded = results.recorded(*run)  # type: ignore[misc]
        assert recorded is not None
        assert list(rows["step"]) == list(range(1, len(recorded.steps) + 1))
        assert list(rows["trial"]) == [step - 1 for step in rows["step"]]
        clock = 0.0
        for row, step in zip(rows.to_dict("records"), recorded.steps, strict=True):
            architecture = step.query.architecture
            clock += step.evaluation.seconds
            assert space.from_string(row["architecture"]) == architecture
            assert row["fidelity"] is None
            assert row["score"] == step.evaluation.score or math.isnan(row["score"]) == (architecture[2] == 2)
            assert (row["seconds"], row["clock"]) == (1.0 + architecture[0], clock)
            assert (row["feasible"], row["incumbent"]) == (step.feasible, step.incumbent)
            assert (row["loss"], row["metric seconds"]) == (1.5 * architecture[1], 7.0)
            assert math.isnan(row["odd"]) == (architecture[0] != 1)
    assert len(frame) == 7 + 3 * 12
    assert not frame["feasible"].all()


def test_csv_and_parquet_hold_the_frame(
    results: naslab.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = results.steps()
    path = export(results, "csv", tmp_path / "new" / "steps.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(frame)
    for row, (_, known) in zip(rows, frame.iterrows(), strict=True):
        assert row["architecture"].lstrip("'") == known["architecture"]
        assert float(row["score"] or "nan") == known["score"] or math.isnan(known["score"])
        assert row["incumbent"] == str(known["incumbent"])
    written: list[pd.DataFrame] = []
    monkeypatch.setattr("naslab.running.exports.find_spec", lambda name: name == "pyarrow" or None)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda self, path, **_: (written.append(self), path.touch()))
    assert export(results, "parquet", tmp_path / "steps.parquet").exists()
    assert written[0].drop(columns="fidelity").equals(frame.drop(columns="fidelity"))


def test_parquet_reads_back(results: naslab.Results, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra naslab[parquet] is not installed")
    found = pd.read_parquet(export(results, "parquet", tmp_path / "steps.parquet"))
    expected = results.steps()
    assert list(found.columns) == list(expected.columns)
    for name in found:
        read, known = (each[name].astype(object).where(each[name].notna(), None).tolist() for each in (found, expected))
        assert read == known, name


def test_optuna_reads_it(results: naslab.Results, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    path = export(results, "optuna", tmp_path / "my study.db", lambda *args: seen.append(args))
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        summaries = optuna.get_all_study_summaries(storage)
        assert [each.study_name for each in summaries] == ["toy random", "toy optuna-tpe"]
        frame = results.steps()
        space = results.tasks["toy"].problem.space
        for optimizer in ("random", "optuna-tpe"):
            study = optuna.load_study(study_name=f"toy {optimizer}", storage=storage)
            rows = frame[frame["optimizer"] == optimizer]
            assert len(study.trials) == len(rows) == 24
            for trial, row in zip(study.trials, rows.to_dict("records"), strict=True):
                architecture = space.from_string(row["architecture"])
                widths = [choice.options[option] for choice, option in zip(space.choices, architecture, strict=True)]
                assert trial.params == dict(zip((choice.name for choice in space.choices), widths, strict=True))
                if math.isnan(row["score"]):
                    assert trial.state == optuna.trial.TrialState.FAIL
                else:
                    assert (trial.state, trial.value) == (optuna.trial.TrialState.COMPLETE, row["score"])
                held = ("seed", "step", "seconds", "clock", "architecture", "feasible", "loss")
                assert {name: trial.user_attrs[name] for name in held} == {name: row[name] for name in held}
                assert trial.duration is not None
                assert trial.duration.total_seconds() == row["seconds"]
                assert trial.datetime_complete is not None
                assert trial.datetime_complete.second == row["clock"] % 60
            feasible = rows[rows["feasible"] & rows["score"].notna()]
            assert study.best_trial.value == feasible["score"].max()  # limits are Optuna's constraints
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert [done for done, _, _ in seen] == list(range(1, 49))
    assert {total for _, total, _ in seen} == {48}


def test_active_decisions_are_parameters(tmp_path: Path) -> None:
    """Operations by their names, ranges as numbers, and a momentum where there is one."""
    graph = graph_of(("x", "y", Choice("op", (Identity(), Conv()))), x=IMAGE)
    optimizer = Choice("optimizer", ("adamw", SGD(momentum=Range("momentum", 0.1, 0.9))))
    rate = Range("rate", 1e-4, 1e-1, log=True)
    recipe = Recipe(3, Range("batch", 8, 64, log=True, integer=True), rate, optimizer)
    space = SearchSpace(graph, name="joint", recipe=recipe)
    reward = ToyReward(lambda architecture: float(architecture[0]))
    task = Task("joint", Problem(space), lambda: reward, reward)
    path = export(
        naslab.compare([task], ["random"], budget=20, seeds=1, out=tmp_path / "runs"), "optuna", tmp_path / "o"
    )
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        trials = optuna.load_study(study_name="joint random", storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()
    for trial, architecture in zip(trials, reward.asked, strict=False):
        decided = space.decisions(architecture)
        assert trial.params.keys() == set(space.active(architecture))
        assert ("momentum" in trial.params) == (trial.params["optimizer"] == "sgd")
        assert {name: trial.params[name] for name in ("batch", "rate")} == {n: decided[n] for n in ("batch", "rate")}
        assert trial.params["op"] == ("identity", "conv")[decided["op"]]
    assert {trial.params["optimizer"] for trial in trials} == {"adamw", "sgd"}


@pytest.mark.parametrize(
    ("to", "out", "said"),
    [
        ("optuna", "there.db", "there.db exists; give a new file as --out"),
        ("parquets", "new", "'parquets' of '--to'. Did you mean 'parquet'?"),
        ("csv", "there.db/new.csv", "can't be written: "),
    ],
)
def test_bad_arguments(results: naslab.Results, tmp_path: Path, to: str, out: str, said: str) -> None:
    (tmp_path / "there.db").write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(NaslabError) as caught:
        export(results, to, tmp_path / out)
    assert said in str(caught.value)
    assert contents(tmp_path) == before


def test_parquet_without_pyarrow(results: naslab.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naslab.running.exports.find_spec", lambda name: None)
    with pytest.raises(NaslabError, match=r"parquet needs 'pyarrow'.*Fix: pip install naslab\[parquet\]"):
        export(results, "parquet", tmp_path / "steps.parquet")
    assert not (tmp_path / "steps.parquet").exists()


def test_nothing_to_export(results: naslab.Results, tmp_path: Path) -> None:
    for path in results.folder.glob("runs/*/*/*.jsonl"):
        path.unlink()
    with pytest.raises(NaslabError, match="holds no evaluation yet"):
        export(results, "csv", tmp_path / "steps.csv")
