"""The study of multi-fidelity search, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab.running.results import Results
from naslab.studies.multi_fidelity import study
from naslab.studies.reproduce import Study, experiment

SMALL = {
    "TASKS": ("pocket-mlp/segments", "pocket-cell/mnist"),
    "TRAININGS": 6,
    "WORKERS": (1, 4),
    "SEEDS": 4,
    "IN_FULL": ("random",),
    "OVER_RUNGS": ("asha", "hyperband"),
    "SLOW": ("freeze-thaw[candidates=5]",),
    "SLOW_SEEDS": 2,
}


@pytest.mark.slow
def test_the_whole_study_made_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(study, name, value)
    outcome = study.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    ((_, table),) = outcome.tables
    assert len(table) == 2 * (3 + 1) + 2 * 3  # freeze-thaw with one worker alone
    frame = Results(tmp_path / "workers-4" / "pocket-mlp-segments").frame
    row = table[(table["workers"] == 4) & (table["task"] == "pocket-mlp/segments") & (table["optimizer"] == "asha")]
    assert row["regret"].item() == pytest.approx(frame[frame["optimizer"] == "asha"]["regret"].mean())
    assert table[table["optimizer"] == "freeze-thaw[candidates=5]"]["n"].tolist() == [2, 2]
    names = {path.stem for path in (outcome.report.parent / "tables").glob("*.csv")}
    assert names == {"regret", "ranks-1", "ranks-4", "ranks-alike", "area", "workers", "scratch"}
    page = outcome.report.read_text()
    assert "What it is." in page
    traces = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert study.run("A title", "What it is.", tmp_path, workers=1, progress=None).report.read_text() == page
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")} == traces  # nothing ran again


def test_budgets_are_so_many_average_trainings() -> None:
    """Of all rows of the table, as a run with random architectures would pay on average."""
    for name in study.TASKS:
        task = naslab.task(name)
        rewards, rng = task.reward(), np.random.default_rng(0)
        drawn = [rewards.evaluate(task.problem.sample(rng), rng=rng).seconds for _ in range(4000)]
        for workers in study.WORKERS:
            stated = float(study.seconds(name, workers).removesuffix("s"))
            assert stated * workers / study.TRAININGS == pytest.approx(np.mean(drawn), rel=0.03)


def test_it_can_be_reproduced() -> None:
    wanted = experiment("multi-fidelity")
    assert isinstance(wanted, Study)
    assert wanted.study == "naslab.studies.multi_fidelity.study:run"
