"""Merging: the folders of two machines become the folder that one machine would have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_tasks
from toy_tasks import MeasuredReward, contents, toy_task, traces

import naslab
from naslab.errors import NaslabError, OutputError
from naslab.running import trace_path
from naslab.running.merging import merge

BOTH = ["random", "local-search"]


def compare(task: Any, out: Path, optimizers: list[Any] = BOTH, **options: Any) -> naslab.Results:
    return naslab.compare([task], optimizers, **{"budget": 15, "seeds": 3, "out": out, **options})


def spec(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "comparison.json").read_text()))


def cut(path: Path, lines: int) -> None:
    """As a kill leaves it."""
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:lines]) + whole[lines][:5])


def test_two_machines_make_what_one_would(stored_task: str, tmp_path: Path) -> None:
    """By strategies and by seeds, one run begun on both; what nobody ran is run by the comparison's command."""
    a, b, whole = tmp_path / "a", tmp_path / "b", tmp_path / "whole"
    compare(stored_task, a, ["random"])
    compare(stored_task, b, seeds=2)
    compare(stored_task, whole)
    cut(trace_path(a, stored_task, "random", 0), 5)
    cut(trace_path(b, stored_task, "random", 0), 9)
    before = contents(a), contents(b)
    merged = merge([a, b], tmp_path / "c")
    assert (contents(a), contents(b)) == before
    assert list(merged.frame["status"]) == ["missing", "complete", "complete", "complete", "complete", "missing"]
    begun = trace_path(tmp_path / "c", stored_task, "random", 0).read_bytes()
    assert begun.count(b"\n") == 9
    assert begun.endswith(b"\n")
    times = [path.joinpath("times.jsonl").read_text().splitlines() for path in (a, b, tmp_path / "c")]
    assert times[2] == times[0] + times[1]
    held = spec(tmp_path / "c")
    (entry,) = held.pop("history")
    assert held == spec(whole)
    assert entry["merged"] == [
        {"folder": str(a), "tasks": [stored_task], "optimizers": ["random"], "seeds": "0-2"},
        {"folder": str(b), "tasks": [stored_task], "optimizers": BOTH, "seeds": "0-1"},
    ]
    compare(stored_task, tmp_path / "c")
    assert traces(tmp_path / "c") == traces(whole)


def test_the_same_merge_again_changes_nothing_and_finishes_what_a_kill_left(stored_task: str, tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    compare(stored_task, a, ["random"])
    compare(stored_task, b, ["local-search"])
    merge([a, b], c)
    before = contents(c)
    merge([a, b], c)
    assert contents(c) == before
    trace_path(c, stored_task, "random", 2).unlink()
    merge([a, b], c)
    assert contents(c) == before
    # A copy that went on shares its beginning with the original, in its history and in its times, too.
    compare(stored_task, c, seeds=4)
    again = merge([c, b], tmp_path / "d")
    assert traces(again.folder) == traces(c)
    assert (again.folder / "times.jsonl").read_bytes() == (c / "times.jsonl").read_bytes()
    assert [list(entry) for entry in again.spec["history"]] == [
        ["when", "merged"],
        ["when", "seeds"],
        ["when", "merged"],
    ]


def test_measured_seconds_and_truths_come_along(tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    task = toy_task(MeasuredReward())
    first, second = compare(task, a, ["random"], seeds=2), compare(task, b, ["local-search"], seeds=2)
    header = {"task": "toy"}
    for folder, judged in ((a, [[[0, 0, 0], 1.0], [[1, 0, 0], 2.0]]), (b, [[[1, 0, 0], 2.0], [[2, 0, 0], 3.5]])):
        (folder / "truths").mkdir()
        lines = "".join(json.dumps(each) + "\n" for each in (header, *judged))
        (folder / "truths" / "toy.jsonl").write_text(lines + "[[9,")
    merge([a, b], c)
    seconds = naslab.Results(c, {"toy": task}).frame.set_index("optimizer")["seconds"]
    assert list(seconds["random"]) == list(first.frame["seconds"])
    assert list(seconds["local-search"]) == list(second.frame["seconds"])
    assert len(list(c.glob("runs/*/*/*.seconds"))) == 4
    kept = [json.loads(line) for line in (c / "truths" / "toy.jsonl").read_text().splitlines()]
    assert kept == [header, [[0, 0, 0], 1.0], [[1, 0, 0], 2.0], [[2, 0, 0], 3.5]]


def judged(value: float, software: str = "1") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "truths").mkdir()
        (folder / "truths" / "toy.jsonl").write_text(f'{{"torch": "{software}"}}\n[[0, 0, 1], {value}]\n')

    return write


def other_run(folder: Path) -> None:
    path = next(folder.glob("runs/*/random/0.jsonl"))
    cut(path, 6)
    path.write_bytes(path.read_bytes().replace(b'"score":6', b'"score":7'))


def nothing(folder: Path) -> None: ...


@pytest.mark.parametrize(
    ("options", "change_a", "change_b", "said"),
    [
        ({"budget": 16}, nothing, nothing, "can't be merged: budget is '15' in one and '16' in the other"),
        ({"max": {"params": 30}}, nothing, nothing, "constraint: params is None in one and 30.0 in the other"),
        ({"paired": True}, nothing, nothing, "paired is None in one and True in the other"),
        ({}, nothing, other_run, "are the same run, and differ; move one of them away"),
        ({}, judged(1.0), judged(2.0), "judge [0, 0, 1] differently; move one of them away"),
        ({}, judged(1.0), judged(1.0, "2"), "hold truths of different software"),
        ({}, nothing, lambda folder: (folder / "comparison.json").unlink(), "holds no comparison"),
    ],
)  # fmt: skip
def test_folders_that_disagree_are_refused(
    stored_task: str, tmp_path: Path, options: dict[str, Any], change_a: Any, change_b: Any, said: str
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    compare(stored_task, a, ["random"], seeds=1)
    compare(stored_task, b, ["random"], seeds=1, **options)
    change_a(a)
    change_b(b)
    with pytest.raises(OutputError) as caught:
        merge([a, b], tmp_path / "c")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c").exists()


def test_tables_and_plug_ins_that_differ_are_refused(naslab_cache: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("from naslab.optimizers.random_search import RandomSearch as Base\nclass Mine(Base): pass\n")
    for folder, shift in (("a", 0.0), ("b", 1.0), ("c", 1.0)):
        toy_tasks.store_table(naslab_cache / "tables" / "shifting", "shifting", shift=shift)
        if folder == "c":
            plugin.write_text(plugin.read_text() + "# other\n")
        compare("shifting/toy", tmp_path / folder, [f"{plugin}:Mine"], seeds=1)
    for pair, said in ("ab", "data of shifting/toy: table_sha256 is "), ("bc", f"{plugin}:Mine: file_sha256 is "):
        with pytest.raises(OutputError) as caught:
            merge([tmp_path / name for name in pair], tmp_path / "new")
        assert said in str(caught.value)


def test_bad_places(stored_task: str, tmp_path: Path) -> None:
    a, b, other = tmp_path / "a", tmp_path / "b", tmp_path / "other"
    compare(stored_task, a, ["random"], seeds=1)
    compare(stored_task, b, ["local-search"], seeds=1)
    compare(stored_task, other, ["random"], seeds=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    before = contents(tmp_path)
    for folders, out, said in (
        ([a], "c", "1 folder to merge: give two or more"),
        ([a, a], "c", "the same folder twice"),
        ([a, b], "b", "the same folder twice"),
        ([a, tmp_path / "none"], "c", "holds no comparison"),
        ([a, b], "other", "other holds another comparison; give a new folder as --out"),
        ([a, b], "mine", "is not empty"),
    ):
        with pytest.raises(NaslabError) as caught:
            merge(folders, tmp_path / out)
        assert said in str(caught.value)
        assert contents(tmp_path) == before


def test_versions_of_both_are_in_the_report(stored_task: str, tmp_path: Path) -> None:
    for name, version in (("a", "2.4.6"), ("b", "2.5.0")):
        out = tmp_path / name
        compare(stored_task, out, [{"a": "random", "b": "local-search"}[name]], seeds=1)
        path = next(out.glob("runs/*/*/0.jsonl"))
        cut(path, 5)
        first, _, rest = path.read_bytes().partition(b"\n")
        header = json.loads(first)
        header["versions"]["numpy"] = version
        path.write_bytes(json.dumps(header, separators=(",", ":")).encode() + b"\n" + rest)
    found = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c").environment
    assert found["numpy"] in ("2.4.6 and 2.5.0", "2.5.0 and 2.4.6")
    assert " and " not in found["python"]
