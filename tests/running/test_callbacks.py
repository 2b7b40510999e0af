"""What callbacks are told, and the three that naslab has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

import naslab
from naslab.running import Recorded, Step, read, trace_path
from naslab.running.optuna_export import OptunaStorage
from naslab.tasks import Task
from naslab.testing import toy_tasks, toy_trainings, toy_trials


class Heard(naslab.Callback):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def run_started(self, task: Task, header: Mapping[str, Any]) -> None:
        self.events.append((task.id, header["seed"]))

    def told(self, step: Step) -> None:
        self.events.append(step)

    def run_finished(self, recorded: Recorded) -> None:
        self.events.append(recorded.end)


def plain(steps: list[Step]) -> list[str]:
    """Steps as text, so that NaN equals NaN, whatever mapping holds the metrics."""
    return [repr((step.query, step.evaluation._replace(metrics={}), step.told, step.ask)) for step in steps]


@pytest.mark.parametrize("workers", [1, 3])
def test_all_that_is_recorded_is_told(tmp_path: Path, workers: int) -> None:
    heard, task = Heard(), toy_trials()
    options: dict[str, Any] = {"budget": 20, "simulate_workers": workers, "out": tmp_path}
    naslab.search(task, "random", callbacks=[heard], **options)
    path = trace_path(tmp_path, task.id, "random", 0)
    first, *steps, last = heard.events
    assert first == (task.id, 0)
    assert plain(steps) == plain(read(path).steps)
    assert last == read(path).end
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:13]))  # twelve evaluations are kept
    again = Heard()
    naslab.search(task, "random", callbacks=[again], **options)
    assert plain(again.events[1:-1]) == plain(steps[12:])
    naslab.search(task, "random", callbacks=[again], **options)
    assert len(again.events) == 10  # a finished run tells nothing


def test_comparisons_and_gradient_searches_tell_too(tmp_path: Path) -> None:
    heard = Heard()
    naslab.compare([toy_tasks()["plain"]], ["random"], seeds=2, budget=3, out=tmp_path / "a", callbacks=[heard])
    assert [each for each in heard.events if type(each) is tuple] == [("toy/plain", 0), ("toy/plain", 1)]
    assert len(heard.events) == 2 * (1 + 3 + 1)
    heard = Heard()
    naslab.search(toy_trainings()["plain"], "darts", budget="2epochs", out=tmp_path / "b", callbacks=[heard])
    assert [type(each) for each in heard.events] == [tuple, Step, Step, dict]


def test_progress_says_what_was_found() -> None:
    said: list[tuple[int, int, str]] = []
    naslab.search(toy_tasks()["plain"], "random", budget=4, progress=lambda *each: said.append(each))
    assert [each[:2] for each in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all("; best " in each[2] for each in said)
    said.clear()
    naslab.search(toy_tasks()["plain"], "random", budget="30s", progress=lambda *each: said.append(each))
    assert [each[:2] for each in said] == [(9, 30), (18, 30), (27, 30)]


def test_an_optuna_storage_that_is_written_on_the_way(tmp_path: Path) -> None:
    task, storage = toy_tasks()["plain"], OptunaStorage(tmp_path / "study.db")
    result = naslab.search(task, "random", budget=6, callbacks=[storage])
    storage.close()
    study = optuna.load_study(study_name="toy/plain random", storage=f"sqlite:///{tmp_path}/study.db")
    assert [trial.value for trial in study.trials] == [step.evaluation.score for step in result.trace.steps]


def test_curves_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from naslab.running.tensorboard import TensorBoard

    result = naslab.search(toy_tasks()["broken"], "random", budget=12, seed=2, callbacks=[TensorBoard(tmp_path)])
    read_back = EventAccumulator(str(tmp_path / "runs/toy--broken/random/2"))
    read_back.Reload()
    finite = [(s.ask + 1, s.evaluation.score) for s in result.trace.steps if not s.evaluation.failure]
    assert 0 < len(finite) < 12
    assert [(each.step, pytest.approx(each.value)) for each in read_back.Scalars("score")] == finite
    assert read_back.Scalars("failures")[-1].value == 12 - len(finite)


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naslab.running.tensorboard.find_spec", lambda name: None)
    from naslab.running.tensorboard import TensorBoard

    with pytest.raises(naslab.NaslabError, match="pip install tensorboard"):
        TensorBoard(tmp_path)
