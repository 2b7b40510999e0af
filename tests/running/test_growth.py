"""Comparisons that grow: more tasks, optimizers and seeds in a folder that is there, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks
from toy_tasks import ToyReward, contents, toy_task, traces

import naslab
from naslab.analysis.tables import improvement, ranks, significance
from naslab.errors import OutputError
from naslab.running import trace_path
from naslab.running.growth import HISTORY

BEGUN = {"optimizers": ["random", "regularized-evolution"], "seeds": 4}
MORE_SEEDS = {**BEGUN, "seeds": 6}
WHOLE = {"optimizers": ["local-search", "random", "regularized-evolution"], "seeds": 6}


@pytest.fixture(scope="module")
def other_task(naslab_cache: Path) -> str:
    toy_tasks.store_table(naslab_cache / "tables" / "othermlp", "othermlp")
    return "othermlp/toy"


def compare(tasks: list[Any], out: Path, **options: Any) -> naslab.Results:
    return naslab.compare(tasks, **{"budget": 15, "out": out, **options})


def report(results: naslab.Results) -> dict[str, bytes | None]:
    results.report()
    return contents(results.folder / "report" / "tables")


def judgement(results: naslab.Results) -> list[str]:
    """What of the report's tables depends on pairing."""
    return [table(results.data, np.random.default_rng(0)).to_csv() for table in (significance, improvement, ranks)]


def spec(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "comparison.json").read_text()))


@pytest.mark.parametrize(("paired", "tables"), [(False, report), (True, judgement)])
def test_what_grew_is_what_all_at_once_gives(
    stored_task: str, other_task: str, tmp_path: Path, paired: bool, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 seeds, then 6, then one strategy and one task more: the same traces and the same tables of the report."""
    blank = {"name": "", "title": "", "caption": "", "svg": "", "width": 1.0, "kinds": []}
    monkeypatch.setattr("naslab.analysis.report._picture", lambda *_: blank)  # figures take ten times as long
    tasks = [other_task, stored_task]  # what is new may come first
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    compare([stored_task], grown, **BEGUN, paired=paired)
    before, modified = traces(grown), {path: path.stat().st_mtime_ns for path in grown.glob("runs/*/*/*")}
    compare([stored_task], grown, **MORE_SEEDS, paired=paired)
    found = compare(tasks, grown, **WHOLE, paired=paired)
    expected = compare(tasks, whole, **WHOLE, paired=paired)
    assert traces(grown) == traces(whole)
    assert len(traces(grown)) == 36
    assert tables(found) == tables(expected)
    assert {name: traces(grown)[name] for name in before} == before
    assert {path: path.stat().st_mtime_ns for path in modified} == modified  # kept, not written again
    held = spec(grown)
    seeds, rest = held.pop(HISTORY)
    assert held == spec(whole)
    assert {key: value for key, value in seeds.items() if key != "when"} == {"seeds": "4-5"}
    assert rest | {"when": 0} == {"when": 0, "tasks": [other_task], "optimizers": ["local-search"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", seeds["when"])
    assert seeds["when"] <= rest["when"]
    before_again = contents(grown)
    compare(tasks, grown, **WHOLE, paired=paired)
    assert contents(grown) == before_again


def test_only_what_is_new_or_missing_is_run(tmp_path: Path) -> None:
    reward = ToyReward(noise=0.1)
    compare([toy_task(reward)], tmp_path, optimizers=["random"], seeds=3)
    unfinished, gone = (trace_path(tmp_path, "toy", "random", seed) for seed in (1, 2))
    unfinished.write_bytes(b"".join(unfinished.read_bytes().splitlines(keepends=True)[:11]))
    gone.unlink()
    reward.asked = []
    compare([toy_task(reward)], tmp_path, optimizers=["random"], seeds=4)
    assert len(reward.asked) == 5 + 15 + 15
    assert len(traces(tmp_path)) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": 3}, "holds more than is asked for: 4 seeds instead of 3; ask for at least what is there"),
        ({"optimizers": ["random"]}, "holds more than is asked for: optimizer 'regularized-evolution'; ask"),
        ({"optimizers": ["random", "local-search"], "seeds": 9}, "optimizer 'regularized-evolution'; ask"),
        ({"tasks": ["othermlp/toy"], "seeds": 2}, "task 'toymlp/toy', 4 seeds instead of 2; ask"),
        ({"seeds": 9, "budget": 16}, 'holds another comparison: budget was "15" there and is "16" now'),
        ({"seeds": 9, "max": {"params": 30}}, "constraint: params was null there and is 30.0 now"),
        ({"seeds": 9, "paired": True}, "paired was null there and is true now"),
    ],
)
def test_less_and_other_things_are_refused(
    stored_task: str, other_task: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    compare([stored_task], tmp_path, **BEGUN)
    before = contents(tmp_path)
    with pytest.raises(OutputError) as caught:
        compare(**{"tasks": [stored_task], "out": tmp_path, **BEGUN, **changes})
    assert said in str(caught.value)
    assert "another --out" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


def test_another_order_changes_the_report_alone(stored_task: str, tmp_path: Path) -> None:
    compare([stored_task], tmp_path, **BEGUN)
    before = traces(tmp_path)
    found = compare([stored_task], tmp_path, **{**BEGUN, "optimizers": BEGUN["optimizers"][::-1]})
    assert traces(tmp_path) == before
    assert list(found.summary()["optimizer"]) == ["regularized-evolution", "random"]
    assert HISTORY not in spec(tmp_path)


def test_a_plug_in_that_changed_meanwhile_does_not_grow(stored_task: str, tmp_path: Path) -> None:
    plugin, out = tmp_path / "mine.py", tmp_path / "out"
    plugin.write_text("from naslab.optimizers.random_search import RandomSearch as Base\nclass Mine(Base): pass\n")
    compare([stored_task], out, optimizers=[f"{plugin}:Mine"], seeds=1)
    plugin.write_text(plugin.read_text() + "# other\n")
    before = contents(out)
    with pytest.raises(OutputError, match=f"optimizers: {plugin}:Mine: file_sha256 was "):
        compare([stored_task], out, optimizers=["random", f"{plugin}:Mine"], seeds=2)
    assert contents(out) == before


@pytest.mark.parametrize(
    "change", [lambda text: text.replace(b'"seed":1', b'"seed":7'), lambda text: text[:-300] + text[-200:]]
)
def test_what_is_there_is_checked_before_anything_is_added(stored_task: str, tmp_path: Path, change: Any) -> None:
    compare([stored_task], tmp_path, **BEGUN)
    path = trace_path(tmp_path, stored_task, "random", 1)
    path.write_bytes(change(path.read_bytes()))
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=re.escape(str(path))):
        compare([stored_task], tmp_path, **MORE_SEEDS)
    assert contents(tmp_path) == before


def test_a_folder_that_grew_is_described_anew_when_its_description_is_lost(stored_task: str, tmp_path: Path) -> None:
    compare([stored_task], tmp_path, **BEGUN)
    compare([stored_task], tmp_path, **MORE_SEEDS)
    held = spec(tmp_path)
    (tmp_path / "comparison.json").unlink()
    compare([stored_task], tmp_path, **MORE_SEEDS)
    assert spec(tmp_path) == {key: value for key, value in held.items() if key != HISTORY}


# ---- pairs -----------------------------------------------------------------------------------------------------------


def test_paired_runs_begin_with_the_same_numbers(stored_task: str, tmp_path: Path) -> None:
    optimizers = ["random", "regularized-evolution[population=10]"]
    together = compare([stored_task], tmp_path / "paired", optimizers=optimizers, seeds=3, paired=True)
    apart = compare([stored_task], tmp_path / "apart", optimizers=optimizers, seeds=3)

    def begun(results: naslab.Results, optimizer: str, seed: int) -> list[Any]:
        recorded = results.recorded(stored_task, optimizer, seed)
        assert recorded is not None
        return [(step.query.architecture, step.evaluation.score) for step in recorded.steps[:10]]

    for seed in range(3):
        assert begun(together, optimizers[0], seed) == begun(together, optimizers[1], seed)
        assert begun(apart, optimizers[0], seed) != begun(apart, optimizers[1], seed)
    assert begun(together, "random", 0) != begun(together, "random", 1)
    headers = [json.loads(each.partition(b"\n")[0]) for each in traces(tmp_path / "paired").values()]
    assert all(header["paired"] is True for header in headers)
    assert all("paired" not in json.loads(each.partition(b"\n")[0]) for each in traces(tmp_path / "apart").values())
    assert together.command.endswith(f"--paired --out {tmp_path / 'paired'}")


def test_a_paired_trace_is_not_taken_for_an_independent_one(stored_task: str, tmp_path: Path) -> None:
    compare([stored_task], tmp_path / "paired", optimizers=["random"], seeds=1, paired=True)
    results = compare([stored_task], tmp_path / "apart", optimizers=["random"], seeds=1)
    path = trace_path(tmp_path / "apart", stored_task, "random", 0)
    path.write_bytes(trace_path(tmp_path / "paired", stored_task, "random", 0).read_bytes())
    with pytest.raises(OutputError, match="paired was true there and is null now"):
        _ = naslab.Results(results.folder).frame
