"""Scores are kept as they are made, and nothing is scored twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import toy_tasks

from naslab.cli import run_command
from naslab.correlation.judges import sources
from naslab.correlation.populations import draw
from naslab.correlation.scores import BATCH, Scores, score_all, score_path
from naslab.errors import OutputError, PluginError

TOTAL = "correlation_plugins:Total"


def scored(task, written, architectures, path=None, workers=1, seed=0):
    (source,) = sources(written, task)
    scores = Scores(source, task, seed, path)
    score_all(scores, task, seed, architectures, workers)
    return scores


@pytest.fixture
def task(stored_task):
    import naslab

    return naslab.task(stored_task)


@pytest.fixture
def members(task):
    return draw(task, "all", None, False, 0).architectures


def test_a_score_does_not_depend_on_what_else_is_scored(task, members):
    together = scored(task, ["zero-cost/all"], members[-6:])
    alone = scored(task, ["grad-norm"], members[-1:-4:-1])
    for a in members[-3:]:
        assert together.found[a]["grad-norm"] == alone.found[a]["grad-norm"]
    assert scored(task, ["grad-norm"], members[-3:], seed=1).found != alone.found


def test_processes_find_the_same(task, members, tmp_path):
    apart = scored(task, [TOTAL], members, tmp_path / "two", workers=2)
    assert apart.found == scored(task, [TOTAL], members).found
    lines = (tmp_path / "two").read_text().splitlines()
    assert len(lines) == 1 + -(-len(members) // BATCH)


def test_nothing_is_scored_twice(task, members, tmp_path, asked):
    path = tmp_path / "scores"
    scored(task, [TOTAL], members[:12], path)
    again = scored(task, [TOTAL], members, path)
    assert len(asked.read_text().splitlines()) == len(members)
    assert again.column(TOTAL, members) == scored(task, [TOTAL], members).column(TOTAL, members)


def test_another_proxy_adds_itself_to_what_is_there(task, members, tmp_path):
    path = tmp_path / "scores"
    scored(task, ["synflow"], members[:5], path)
    before = path.read_bytes()
    both = scored(task, ["synflow", "naswot"], members[:5], path)
    assert path.read_bytes().startswith(before)
    added = json.loads(path.read_text().splitlines()[-1])
    assert list(added["scores"]) == ["naswot"]
    assert both.found == scored(task, ["synflow", "naswot"], members[:5]).found


def test_a_line_cut_short_is_made_again(task, members, tmp_path):
    path = tmp_path / "scores"
    whole = scored(task, ["naswot"], members, path)
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    assert scored(task, ["naswot"], members, path).found == whole.found
    assert len(path.read_bytes().splitlines()) == len(content.splitlines())
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_scores_of_a_disconnected_network_survive_the_file(task, members, tmp_path):
    path = tmp_path / "scores"
    scored(task, ["naswot[batch=2]"], members, path)
    read = Scores(*sources(["naswot[batch=2]"], task), task, 0, path)
    assert float("-inf") in {value for found in read.found.values() for value in found.values()}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (('"torch": "', '"torch": "0.'), "versions: torch"),
        (('"seed": 0', '"seed": 7'), "seed"),
        (('"inputs": "gaussian"', '"inputs": "rows"'), "inputs"),
    ],
)
def test_scores_of_something_else_are_refused_with_the_difference(task, members, tmp_path, changed, message):
    path = tmp_path / "scores"
    scored(task, ["params"], members[:3], path)
    path.write_text(path.read_text().replace(*changed, 1))
    before = path.read_bytes()
    with pytest.raises(OutputError, match=f"holds other scores: {message}"):
        scored(task, ["params"], members, path)
    assert path.read_bytes() == before


def test_a_damaged_file_is_named(task, members, tmp_path):
    path = tmp_path / "scores"
    scored(task, ["params"], members[:3], path)
    path.write_text(path.read_text() + "no JSON\n")
    with pytest.raises(OutputError, match="is damaged"):
        scored(task, ["params"], members, path)


def test_an_evaluator_of_batches_is_asked_for_batches(task, members):
    found = scored(task, ["correlation_plugins:Many"], members)
    assert set(found.column("correlation_plugins:Many", members[:BATCH])) == {BATCH}


def test_what_breaks_down_in_a_worker_is_named(task, members, monkeypatch):
    with pytest.raises(PluginError, match="'correlation_plugins:broken' can't be made"):
        scored(task, ["correlation_plugins:broken"], members, workers=2)


def test_files_of_different_evaluators_never_meet(task, tmp_path):
    names = ["naswot", "naswot[batch=2]", "naswot[batch=20]", TOTAL, f"{TOTAL}[factor=2.0]"]
    paths = {score_path(tmp_path, *sources([name], task)) for name in names}
    assert len(paths) == len(names)


def test_a_kill_loses_at_most_the_batch_under_way(stored_task, tmp_path, asked, capsys):
    arguments = (
        "correlate", stored_task, "--evaluators", f"{TOTAL}[pause=0.05]", "--architectures", "all",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    process = subprocess.Popen(toy_tasks.command(*arguments), stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 60
    while len(asked.read_text().splitlines()) < BATCH + 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (path,) = (tmp_path / "out" / "scores").iterdir()
    kept = path.read_bytes()
    assert len(kept.splitlines()) == 2
    before = len(asked.read_text().splitlines())
    assert run_command([*arguments]) == 0
    assert len(asked.read_text().splitlines()) - before == len(toy_tasks.ROWS) - BATCH
    assert path.read_bytes().startswith(kept)
    assert Path(capsys.readouterr().out.split("Report: ")[1].strip()).is_file()
