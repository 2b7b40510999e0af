"""`naslab status` and `naslab show`: how far a folder is, and what a trace holds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from toy_tasks import contents, traces

import naslab
from naslab.cli import run_command
from naslab.running import Trace, read, trace_path
from naslab.running.status import status


@pytest.fixture
def half_done(stored_task: str, tmp_path: Path) -> Path:
    """Three runs of two optimizers: of the second's, one is cut short and one is not begun."""
    folder = tmp_path / "out"
    naslab.compare([stored_task], ["random", "local-search"], budget=6, seeds=3, out=folder)
    path = trace_path(folder, stored_task, "local-search", 1)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    trace_path(folder, stored_task, "local-search", 2).unlink()
    return folder


def test_status(half_done: Path, stored_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(half_done)
    found = status(half_done)
    assert found.runs.set_index("optimizer").loc["random"].to_dict() == {
        "task": stored_task, "done": 3, "failed": 0, "running": 0, "stopped": 0, "to do": 0,
    }  # fmt: skip
    assert found.runs.set_index("optimizer").loc["local-search"].to_dict() == {
        "task": stored_task, "done": 1, "failed": 0, "running": 0, "stopped": 1, "to do": 1,
    }  # fmt: skip
    times = [json.loads(line) for line in (half_done / "times.jsonl").read_text().splitlines()]
    own = [each["wall_seconds"] for each in times if each["optimizer"] == "local-search"]
    assert found.seconds_left == pytest.approx(2 * sum(own) / 3)
    assert run_command(["status", str(half_done)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == "4 of 6 runs are done; nothing is running"
    assert contents(half_done) == before
    assert run_command(shlex.split(said[-1].removeprefix("To go on: naslab "))) == 0
    assert status(half_done).count("done") == len(traces(half_done)) == 6
    assert status(half_done).seconds_left == 0


def test_a_run_under_way_is_seen_and_not_disturbed(
    half_done: Path, stored_task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trace_path(half_done, stored_task, "local-search", 1)
    with Trace(read(path).header, path):
        assert status(half_done).count("running") == 1
        assert run_command(["status", str(half_done)]) == 0
        assert "4 of 6 runs are done; 1 running; about 1 s left" in capsys.readouterr().out
    assert status(half_done).count("running") == 0


def test_nothing_is_said_of_the_time_that_unknown_optimizers_take(half_done: Path) -> None:
    times = half_done / "times.jsonl"
    lines = [line for line in times.read_text().splitlines() if "local-search" not in line]
    times.write_text("\n".join([*lines, '{"task": "cut sh']))
    assert status(half_done).seconds_left is None


def test_status_of_failed_runs_and_of_single_searches(stored_task: str, tmp_path: Path) -> None:
    naslab.search(stored_task, "random", budget=3, out=tmp_path)
    found = status(tmp_path)
    assert (found.count("done"), found.count("failed"), found.command) == (1, 0, "")
    assert found.runs["task"].tolist() == [stored_task]
    path = trace_path(tmp_path, stored_task, "random", 0)
    path.write_text(path.read_text().replace('"reason":"budget"', '"reason":"failed"'))
    assert status(tmp_path).count("failed") == 1


def test_status_of_a_study_is_that_of_its_comparisons(half_done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(half_done.parent).runs["comparison"].unique().tolist() == [half_done.name]
    assert run_command(["status", str(half_done.parent)]) == 0
    said = capsys.readouterr().out
    assert [line.split() for line in said.splitlines()[2:3]] == [[half_done.name, "4", "1", "1"]]
    assert said.endswith("4 of 6 runs are done; nothing is running\n")


def test_show(half_done: Path, stored_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = trace_path(half_done, stored_task, "random", 0)
    recorded, space = read(path), naslab.task(stored_task).problem.space
    assert run_command(["show", str(path)]) == 0
    improved = capsys.readouterr().out
    assert run_command(["show", str(path), "--all"]) == 0
    every = capsys.readouterr().out
    for step in recorded.steps:
        written = space.to_string(step.query.architecture)
        assert written in every
        assert not step.incumbent or written in improved
    assert len(every.splitlines()) - len(improved.splitlines()) == sum(not step.incumbent for step in recorded.steps)
    assert recorded.end is not None
    assert f"It ended (budget); it returned {space.to_string(tuple(recorded.end['best']))}." in improved
    assert run_command(["show", str(trace_path(half_done, stored_task, "local-search", 1))]) == 0
    assert "The run has not ended" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("status", "holds no runs; give the --out of naslab compare or naslab search"),
        ("show", "is no file; give a trace: OUT/runs/TASK/OPTIMIZER/SEED.jsonl"),
    ],
)
def test_what_is_no_run(command: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([command, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"OutputError: {tmp_path} {fault}\n"
