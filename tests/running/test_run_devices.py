"""Runs on a device: what their files say, what is ignored, and what seconds are."""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_tasks import toy_task

import naslab
from naslab.datasets import Rows
from naslab.errors import InvalidValue, OutputError
from naslab.evaluators import Evaluation, stopwatch
from naslab.evaluators.stopwatch import WALL, Stopwatch
from naslab.optimizers import AskTell
from naslab.running import do_in_processes, trace_path, workers
from naslab.running.loop import second_worth
from naslab.space import Architecture, Recipe
from naslab.tasks import Task
from naslab.tasks.rewards import live, shared

DARTS = "darts[epochs=2,batch=4]"


def trained_task() -> Task:
    """Perceptrons, and rows to train them on."""
    plain = toy_task()
    rng = np.random.default_rng(0)
    rows = [Rows(rng.standard_normal((8, 2), np.float32), rng.integers(2, size=8)) for _ in range(2)]
    problem = dataclasses.replace(plain.problem, train=rows[0], validation=rows[1])
    return dataclasses.replace(plain, problem=problem, recipe=Recipe(1, 4, 0.01), calibration=2.0)


def header(folder: Path, optimizer: str, task: str = "toy") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(trace_path(folder, task, optimizer, 0).read_text().splitlines()[0])
    return found


@pytest.mark.parametrize("on", ["argument", "task"])
def test_a_gradient_search_says_where_it_was(reads, tmp_path, on):
    task = trained_task()
    if on == "task":
        naslab.search(task.on("meta"), DARTS, budget="1epochs", out=tmp_path)
    else:
        naslab.search(task, DARTS, budget="1epochs", out=tmp_path, device="meta")
    found = header(tmp_path, DARTS)
    assert (found["device"], found["clock"]) == ("meta", WALL)


def test_what_the_cpu_did_says_nothing_and_is_continued_there_alone(reads, tmp_path):
    naslab.search(trained_task(), DARTS, budget="1epochs", out=tmp_path, device="cpu")
    assert not {"device", "clock"} & header(tmp_path, DARTS).keys()
    with pytest.raises(OutputError, match="device"):
        naslab.search(trained_task(), DARTS, budget="1epochs", out=tmp_path, device="meta")


def test_a_search_of_a_table_is_the_same_run_wherever_it_was_to_be(tmp_path):
    for device, folder in (("cpu", "here"), ("meta", "there")):
        naslab.search(toy_task(), "random", budget=5, out=tmp_path / folder, device=device)
    here, there = (trace_path(tmp_path / folder, "toy", "random", 0).read_bytes() for folder in ("here", "there"))
    assert here == there


def test_a_comparison_is_of_one_device(reads, tmp_path):
    names, options = ["random", DARTS], {"budget": "0.5s", "seeds": 1}
    naslab.compare([trained_task()], names, out=tmp_path, device="meta", **options)
    assert json.loads((tmp_path / "comparison.json").read_text())["device"] == "meta"
    assert header(tmp_path, DARTS)["device"] == "meta"
    assert "device" not in header(tmp_path, "random")  # it reads a table
    with pytest.raises(OutputError):
        naslab.compare([trained_task()], names, out=tmp_path, **options)


@pytest.mark.parametrize("kind", [live, shared])
def test_a_reward_that_trains_is_where_its_task_is(reads, tmp_path, kind):
    task = kind(trained_task())
    assert task.trains
    assert not trained_task().trains
    moved = task.on("meta")
    assert (moved.reward().device, moved.problem.device) == ("meta", "meta")
    assert (task.reward().device, moved.on("cpu").reward().device) == ("cpu", "cpu")
    naslab.search(task, "random", budget=2, out=tmp_path, device="meta")
    found = header(tmp_path, "random", task.id)
    assert (found["device"], found["clock"]) == ("meta", WALL)


def test_a_strategy_that_looks_at_networks_looks_at_them_there(reads, tmp_path):
    naslab.search(trained_task(), "naswot[samples=2,batch=4]", budget=1, out=tmp_path, device="meta")
    found = header(tmp_path, "naswot[samples=2,batch=4]")
    assert found["device"] == "meta"
    assert "clock" not in found  # its reward is a table's, whose seconds are recorded


def test_a_correlation_is_of_one_device(reads, tmp_path):
    found = naslab.correlate(trained_task(), "naswot[batch=4],one-shot[epochs=1]", 6, out=tmp_path, device="meta")
    assert "--device meta" in found.command
    assert "Networks ran on 'meta': seconds are wall seconds of the device, not CPU seconds." in found.notes
    assert json.loads((tmp_path / "correlation.json").read_text())["device"] == "meta"
    for scores in (tmp_path / "scores").iterdir():
        assert json.loads(scores.read_text().splitlines()[0])["device"] == "meta"
    with pytest.raises(OutputError):
        naslab.correlate(trained_task(), "naswot[batch=4],one-shot[epochs=1]", 6, out=tmp_path)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    for run in (
        lambda: naslab.search(toy_task(), "random", budget=1, out=tmp_path / "out", device="cuda:99"),
        lambda: naslab.compare([toy_task()], ["random"], budget=1, out=tmp_path / "out", device="cuda:99"),
        lambda: naslab.task("nasbench201/cifar10", device="cuda:99"),
    ):
        with pytest.raises(
            InvalidValue, match=r"device 'cuda:99' is not there: PyTorch sees .* GPUs here\. There is: cpu"
        ):
            run()
    assert not (tmp_path / "out").exists()


# ---- seconds ---------------------------------------------------------------------------------------------------------


class Event:
    """A CUDA event whose queue is a clock of ours."""

    queue = 0.0

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: str) -> None:
        self.stream, self.at = stream, Event.queue

    def synchronize(self) -> None:
        self.reached = True

    def elapsed_time(self, other: Event) -> float:
        assert other.reached  # milliseconds are not known before
        return 1000 * (other.at - self.at)


def test_seconds_of_a_gpu_are_those_between_two_events(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    watch = Stopwatch("cuda:1")
    Event.queue += 1.5
    assert watch.seconds() == 1.5
    assert watch._started.stream == "the stream of cuda:1"


def test_seconds_of_a_cpu_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(stopwatch.time, "process_time", iter([2.0, 5.0]).__next__)
    monkeypatch.setattr(stopwatch.time, "perf_counter", iter([1.0, 8.0]).__next__)
    assert Stopwatch("cpu").seconds() == 3.0
    assert Stopwatch("meta").seconds() == 7.0


def test_seconds_of_another_device_are_not_converted_to_those_of_the_tables_machine(monkeypatch):
    monkeypatch.setattr("naslab.evaluators.calibration.speed", lambda recorded: recorded / 4)
    assert second_worth(trained_task()) == 0.5
    assert second_worth(trained_task().on("meta")) == 1.0


# ---- several GPUs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "count", "found"),
    [(None, 0, []), (None, 2, ["0", "1"]), ("3,1", 2, ["3", "1"]), ("", 0, []), ("5,-1,2", 1, ["5"])],
)
def test_the_gpus_that_are_seen(monkeypatch, named, count, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert workers.visible_cards() == found


def seen(_: int) -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


@pytest.mark.parametrize(("device", "expected"), [("cuda", {"4", "7"}), ("cuda:1", {"all"}), ("cpu", {"all"})])
def test_each_process_sees_one_gpu_in_turn(monkeypatch, device, expected):
    monkeypatch.setattr(workers, "visible_cards", lambda: ["4", "7"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found: list[str] = []
    started: list[Any] = []

    class Pool:
        """Starts its three workers one after the other, in this process."""

        def __init__(self, count: int, context: Any, initializer: Any, arguments: tuple[Any, ...]) -> None:
            started.extend((initializer, arguments) for _ in range(count))

        def submit(self, function: Any, *given: Any) -> Any:
            from concurrent.futures import Future

            initializer, arguments = started.pop(0)
            initializer(*arguments)
            future: Future[Any] = Future()
            future.set_result(function(*given))
            return future

        def shutdown(self, **_: Any) -> None:
            pass

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)  # this process goes on hearing Ctrl-C
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "all")
    do_in_processes(seen, {i: (i,) for i in range(3)}, 3, lambda _, result: found.append(result), device=device)
    assert set(found) == expected
    assert len(found) == 3


# ---- precision and order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "entries"),
    [
        ({"precision": "bfloat16"}, {"precision": "bfloat16"}),
        ({"deterministic": True}, {"deterministic": True}),
        ({"precision": "float32", "deterministic": False, "device": "cpu"}, {}),
    ],
    ids=str,
)
def test_a_run_says_how_exactly_it_computed_and_is_continued_only_so(tmp_path, how, entries):
    naslab.search(trained_task(), DARTS, budget="1epochs", out=tmp_path / "argument", **how)
    naslab.search(trained_task().on(**how), DARTS, budget="1epochs", out=tmp_path / "task")
    for on in ("argument", "task"):
        found = header(tmp_path / on, DARTS)
        assert {
            name: found[name] for name in ("device", "precision", "deterministic", "clock") if name in found
        } == entries
    if entries:
        with pytest.raises(OutputError, match=next(iter(entries))):
            naslab.search(trained_task(), DARTS, budget="1epochs", out=tmp_path / "argument")


def test_on_a_cpu_a_fixed_order_changes_no_number(tmp_path):
    found = [naslab.search(trained_task(), DARTS, budget="2epochs", deterministic=each).trace for each in (False, True)]
    plain, ordered = ([(s.query, s.evaluation.score, s.evaluation.metrics) for s in each.steps] for each in found)
    assert plain == ordered


class Watching(AskTell):
    """Asks for another architecture where PyTorch takes deterministic algorithms."""

    runs_networks = True

    def ask(self) -> Architecture:
        return (1, 1, 1) if torch.are_deterministic_algorithms_enabled() else (0, 0, 0)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass


def test_the_order_is_fixed_wherever_runs_are_made_and_for_them_alone(stored_task, tmp_path):
    with ThreadPoolExecutor(1) as others:  # they are sent what processes would be sent
        naslab.compare([stored_task], [Watching], budget=1, seeds=2, out=tmp_path, deterministic=True, executor=others)
    ends = [json.loads(path.read_text().splitlines()[-1])["end"] for path in tmp_path.glob("runs/*/*/*.jsonl")]
    assert [each["best"] for each in ends] == [[1, 1, 1]] * 2
    for deterministic, found in ((True, (1, 1, 1)), (None, (0, 0, 0))):
        assert naslab.search(stored_task, Watching, budget=1, deterministic=deterministic).architecture == found
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_comparison_is_of_one_precision_and_one_order(tmp_path):
    names, options = ["random", DARTS], {"budget": "0.2s", "seeds": 1, "out": tmp_path}
    naslab.compare([trained_task()], names, precision="bfloat16", deterministic=True, **options)
    described = json.loads((tmp_path / "comparison.json").read_text())
    assert (described["precision"], described["deterministic"]) == ("bfloat16", True)
    assert header(tmp_path, DARTS)["precision"] == "bfloat16"
    assert not {"precision", "deterministic"} & header(tmp_path, "random").keys()  # it reads a table
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(OutputError):
        naslab.compare([trained_task()], names, **options)


@pytest.mark.parametrize("kind", [live, shared])
def test_a_reward_trains_in_the_precision_of_its_task(kind):
    task = kind(trained_task())
    assert task.on(precision="bfloat16").reward().precision == "bfloat16"
    assert task.on(precision="bfloat16").on("cpu").reward().precision == "bfloat16"  # what is not given stays
    assert task.reward().precision == "float32"


def test_a_correlation_is_of_one_precision(tmp_path):
    found = naslab.correlate(
        trained_task(), "training[epochs=1]", 6, out=tmp_path, precision="bfloat16", deterministic=True
    )
    assert "--precision bfloat16 --deterministic --out" in found.command
    assert "Networks that were trained were trained in bfloat16." in found.notes
    (scores,) = (tmp_path / "scores").iterdir()
    for text in ((tmp_path / "correlation.json").read_text(), scores.read_text().splitlines()[0]):
        described = json.loads(text)
        assert (described["precision"], described["deterministic"]) == ("bfloat16", True)
    with pytest.raises(OutputError):
        naslab.correlate(trained_task(), "training[epochs=1]", 6, out=tmp_path)


def test_a_precision_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    for run in (
        lambda: naslab.search(toy_task(), "random", budget=1, out=tmp_path / "out", precision="bf16"),
        lambda: naslab.compare([toy_task()], ["random"], budget=1, out=tmp_path / "out", precision="bf16"),
        lambda: naslab.correlate(toy_task(), "params", 6, out=tmp_path / "out", precision="bf16"),
    ):
        with pytest.raises(InvalidValue, match=r"precision 'bf16'\. .*Allowed: float32, bfloat16"):
            run()
    assert not (tmp_path / "out").exists()
