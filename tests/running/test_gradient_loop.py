"""Gradient searches, killed at any moment: the trace comes out the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.optimizers import optimizer_spec
from naslab.running import default_budget

# One process loads everything; every attempt is a fork of it, killed after the time given (never, if negative).
KILLED = """
import json, os, signal, sys, time
import naslab, naslab.running.runs, naslab.optimizers.gradient.strategies
optimizer, budget, out, moments = json.loads(sys.argv[1])
naslab.task("pocket-mlp/segments")
for moment in moments:
    child = os.fork()
    if not child:
        naslab.search("pocket-mlp/segments", optimizer, budget=budget, out=out)
        os._exit(0)
    if moment >= 0:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.jsonl")}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["darts", "robust-darts[stopping=adaptive-l2]"])
def test_a_killed_search_ends_like_one_that_was_left_alone(optimizer: str, tmp_path: Path) -> None:
    name = optimizer.rstrip("]") + ("," if "[" in optimizer else "[") + "epochs=5,batch=160,architecture_rate=0.05]"
    whole = naslab.search("pocket-mlp/segments", name, budget="5epochs", out=tmp_path / "whole")
    moments = np.random.default_rng(0).uniform(0.05, 4.0, 2).tolist()
    arguments = json.dumps([name, "5epochs", str(tmp_path / "killed"), [*moments, -1]])
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, str(script), arguments], capture_output=True, text=True, timeout=300)
    codes = done.stdout.split()
    assert codes[-1] == "0", done.stderr
    assert "9" in codes  # some were under way
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(whole.trace.steps) == 5


def test_every_epoch_is_reported_with_what_it_found() -> None:
    told: list[tuple[Any, ...]] = []
    naslab.search("pocket-mlp/segments", "darts[epochs=3]", budget="3epochs", progress=lambda *what: told.append(what))
    assert [(done, total) for done, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    for _, _, said in told:
        assert all(word in said for word in ("train loss", "validation loss", "entropy", "; now "))


def test_the_default_budget_is_all_that_a_search_plans() -> None:
    assert default_budget(optimizer_spec("gdas")) == "250epochs"
    assert default_budget(optimizer_spec("darts[epochs=7]")) == "7epochs"
    assert default_budget(optimizer_spec("robust-darts[stopping=adaptive-l2,epochs=7]")) == "14epochs"  # it may go back
    assert default_budget(optimizer_spec("random")) == "100"
