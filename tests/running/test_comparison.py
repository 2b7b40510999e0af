"""Comparisons: their seeds, their folder, their arguments, their results. Processes: test_processes.py."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks
from toy_tasks import ToyReward, contents, run_naslab, toy_task, traces

import naslab
from naslab.analysis import tradeoff
from naslab.errors import InvalidValue, NaslabError, OutputError
from naslab.running import trace_path

QUICK = ["random", "regularized-evolution", "local-search", "reinforce"]


def compare(task: str, out: Path, optimizers: list[Any] = QUICK, **changes: Any) -> naslab.Results:
    return naslab.compare([task], optimizers, **{"budget": 25, "seeds": 3, "out": out, **changes})


# ---- seeds -----------------------------------------------------------------------------------------------------------


def test_adding_anything_changes_nobody_elses_traces(stored_task: str, tmp_path: Path) -> None:
    alone, joined = tmp_path / "alone", tmp_path / "joined"
    compare(stored_task, alone, ["regularized-evolution"], seeds=2)
    more = ["optuna-tpe", "random", "regularized-evolution", "regularized-evolution[population=5]"]
    naslab.compare(["nasbench201/cifar10", stored_task], more, budget=25, seeds=4, out=joined)
    expected = traces(alone)
    assert len(expected) == 2
    assert len(traces(joined)) == 2 * 4 * 4
    assert expected == {name: traces(joined)[name] for name in expected}


def test_a_search_is_a_run_of_the_comparison(stored_task: str, tmp_path: Path) -> None:
    compare(stored_task, tmp_path / "all", ["reinforce"])
    naslab.search(stored_task, "reinforce", budget=25, seed=2, out=tmp_path / "one")
    (name,) = traces(tmp_path / "one")
    assert traces(tmp_path / "one")[name] == traces(tmp_path / "all")[name]


def test_a_trace_holds_what_is_needed_to_repeat_it_and_no_truth(stored_task: str, tmp_path: Path) -> None:
    compare(stored_task, tmp_path, ["regularized-evolution[population=5]"], seeds=1, max=["params=30"])
    (content,) = traces(tmp_path).values()
    header = json.loads(content.splitlines()[0])
    assert header["task"] == stored_task
    assert header["seed"] == 0
    assert header["budget"] == "25"
    assert header["constraint"] == {"params": 30.0}
    assert header["optimizer"] == {
        "name": "regularized-evolution[population=5]",
        "hyperparameters": {"population": 5, "sample": 3, "replacement": True},
    }
    assert len(header["source"]["table_sha256"]) == 64
    assert {"python", "numpy", "networkx", "optuna"} <= set(header["versions"])
    assert not any(repr(x).encode() in content for x in toy_tasks.distinctive_truth().tolist())


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_the_same_call_again_changes_nothing(stored_task: str, tmp_path: Path) -> None:
    first = compare(stored_task, tmp_path)
    before = contents(tmp_path)
    again = compare(stored_task, tmp_path)
    assert contents(tmp_path) == before
    assert again.frame.equals(first.frame)
    assert len(again.frame) == 12


def test_only_what_is_missing_is_run(tmp_path: Path) -> None:
    reward = ToyReward(noise=0.1)
    naslab.compare([toy_task(reward)], ["random", "reinforce"], budget=10, seeds=3, out=tmp_path)
    assert len(reward.asked) == 60
    before, reward.asked = traces(tmp_path), []
    (tmp_path / "runs/toy/random/1.jsonl").unlink()
    unfinished = tmp_path / "runs/toy/reinforce/2.jsonl"
    unfinished.write_bytes(unfinished.read_bytes()[:-200])
    lines = unfinished.read_bytes().count(b"\n") - 1
    seen: list[tuple[int, int, str]] = []
    naslab.compare(
        [toy_task(reward)],
        ["random", "reinforce"],
        budget=10,
        seeds=3,
        out=tmp_path,
        progress=lambda *p: seen.append(p),
    )
    assert traces(tmp_path) == before
    assert len(reward.asked) == 10 + 10 - lines
    assert [done for done, _, _ in seen] == [4, 5, 6]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": 26}, 'budget was "25" there and is "26" now'),
        ({"budget": "25s"}, 'budget was "25" there and is "25s" now'),
        ({"max": {"params": 30}}, "constraint: params was null there and is 30.0 now"),
        ({"paired": True}, "paired was null there and is true now"),
        ({"paired": True, "seeds": 9}, "paired was null there and is true now"),
    ],
)
def test_another_comparison_is_refused_and_kept(
    stored_task: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    compare(stored_task, tmp_path, ["random", "reinforce"])
    (tmp_path / ".lock").unlink()  # as in a copy: not even this comes back
    before = contents(tmp_path)
    with pytest.raises(OutputError) as caught:
        compare(**{"task": stored_task, "out": tmp_path, "optimizers": ["random", "reinforce"], **changes})
    assert "holds another comparison: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


def test_data_that_changed_meanwhile_are_not_mixed_in(naslab_cache: Path, tmp_path: Path) -> None:
    toy_tasks.store_table(naslab_cache / "tables" / "changing", "changing")
    compare(naslab.task("changing/toy"), tmp_path, ["random"])  # type: ignore[arg-type]
    toy_tasks.store_table(naslab_cache / "tables" / "changing", "changing", shift=1.0)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="sources: changing/toy: table_sha256 was"):
        compare(naslab.task("changing/toy"), tmp_path, ["random"])  # type: ignore[arg-type]
    assert contents(tmp_path) == before


def test_a_plug_in_that_changed_meanwhile_is_not_mixed_in(stored_task: str, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("from naslab.optimizers.random_search import RandomSearch as Base\nclass Mine(Base): pass\n")
    compare(stored_task, tmp_path / "out", [f"{plugin}:Mine"])
    plugin.write_text(plugin.read_text() + "# other\n")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=f"optimizers: {plugin}:Mine: file_sha256 was "):
        compare(stored_task, tmp_path / "out", [f"{plugin}:Mine"])
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "precious"},
        {"runs/toymlp--toy/random/0.jsonl": "precious"},
        {".hidden": ""},
        {"comparison.json": "not json"},
        {"comparison.json": "[1]"},
        {"comparison.json": "\xff"},
        {"comparison.json": "{}"},
    ],
)
def test_a_foreign_folder_is_left_alone(stored_task: str, tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="latin-1")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"is not empty|damaged|holds another"):
        compare(stored_task, tmp_path)
    assert contents(tmp_path) == before


def test_a_draft_left_by_a_kill_is_no_obstacle(stored_task: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".comparison.json.123").write_text("{")
    assert len(compare(stored_task, tmp_path, ["random"]).frame) == 3


def test_an_unwritable_place(stored_task: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "file" / "far" / "below"):
        with pytest.raises(OutputError, match=r"can't be written: (not a directory|file exists)"):
            compare(stored_task, out)
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("room", [100, 3000, 6000])
def test_a_file_system_that_takes_no_more(stored_task: str, tmp_path: Path, room: int) -> None:
    """The limit on a file's size makes real writes end short, as a full disk does."""
    arguments = ["compare", stored_task, "--optimizers", "random,optuna-tpe", "--seeds", "1", "--budget", "120"]
    done = run_naslab(
        *arguments, "--out", str(tmp_path / "out"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("OutputError: ")
    assert str(tmp_path / "out") in done.stderr
    assert "file too large" in done.stderr or "no space left on device" in done.stderr
    compare(stored_task, tmp_path / "out", ["random", "optuna-tpe"], seeds=1, budget=120)
    compare(stored_task, tmp_path / "undisturbed", ["random", "optuna-tpe"], seeds=1, budget=120)
    assert traces(tmp_path / "out") == traces(tmp_path / "undisturbed")


def test_no_room_for_the_times(stored_task: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").parent.mkdir(exist_ok=True)
    compare(stored_task, tmp_path, ["random"], seeds=1)
    (tmp_path / "times.jsonl").unlink()
    (tmp_path / "times.jsonl").mkdir()  # can't be appended to, even by root
    next(tmp_path.glob("runs/*/*/0.jsonl")).unlink()
    with pytest.raises(OutputError, match="can't be written: is a directory"):
        compare(stored_task, tmp_path, ["random"], seeds=1)
    assert len(traces(tmp_path)) == 1


# ---- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": 0}, "seeds 0: give a whole number of at least 1"),
        ({"seeds": -2}, "seeds -2"),
        ({"workers": 0}, "workers 0: give a whole number of at least 1"),
        ({"budget": 0}, "budget '0'"),
        ({"budget": "-5s"}, "budget '-5s'"),
        ({"optimizers": []}, "nothing to compare"),
        ({"optimizers": ["random", "random"]}, "named twice"),
        ({"optimizers": ["randon"]}, "Did you mean 'random'"),
        ({"optimizers": ["optuna-nsgaii[cost=flops]"]}, "params"),
        ({"max": {"flops": 3}}, "'flops'"),
        ({"max": {"params": 1}}, "smallest there is: params="),
    ],
)
def test_bad_arguments_leave_nothing_behind(
    stored_task: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NaslabError, match=said.replace("(", r"\(")):
        compare(stored_task, **{"out": tmp_path / "new", **changes})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": -1}, "seed -1"),
        ({"budget": "abc"}, "budget 'abc'"),
        ({"optimizer": "regularized-evolution[population=0]"}, "population=0"),
        ({"optimizer": "optuna-nsgaii[cost=flops]"}, "flops"),
        ({"max": {"params": 1}}, "smallest there is"),
    ],
)
def test_bad_arguments_of_a_search_leave_nothing_behind(
    stored_task: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(NaslabError, match=said):
        naslab.search(
            **{"task": stored_task, "optimizer": "random", "budget": 5, "out": tmp_path / "new", **changes}  # type: ignore[arg-type]
        )
    assert not (tmp_path / "new").exists()


def test_no_task_and_twice_the_same(stored_task: str, tmp_path: Path) -> None:
    for tasks in ([], [stored_task, stored_task]):
        with pytest.raises(InvalidValue, match=r"nothing to compare|named twice"):
            naslab.compare(tasks, ["random"], budget=5, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


# ---- results ---------------------------------------------------------------------------------------------------------


def test_results_are_joined_with_the_truth(stored_task: str, tmp_path: Path) -> None:
    frame = compare(stored_task, tmp_path, budget="2000s", max={"params": 30}).frame
    truth = dict(zip(toy_tasks.ROWS, toy_tasks.distinctive_truth().tolist(), strict=True))
    one = naslab.task(stored_task)
    feasible = [a for a in toy_tasks.ROWS if one.problem.space.cost(a).params <= 30]
    assert len(frame) == 12
    for row in frame.itertuples():
        found = one.problem.space.from_string(row.architecture)
        assert found in feasible
        assert row.truth == truth[found]
        assert row.regret == pytest.approx(max(truth[a] for a in feasible) - truth[found])
        assert row.params == one.problem.space.cost(found).params
        assert row.seconds <= 2000
        assert row.status == "complete"


def test_results_hold_the_front_of_all_that_each_run_evaluated(stored_task: str, tmp_path: Path) -> None:
    results = compare(stored_task, tmp_path, ["random"], max={"params": 30})
    one = naslab.task(stored_task)
    cost, truth = one.problem.space.cost, dict(zip(toy_tasks.ROWS, toy_tasks.distinctive_truth().tolist(), strict=True))
    archives = results.data.archives
    assert archives is not None
    for seed in range(3):
        recorded = results.recorded(stored_task, "random", seed)
        assert recorded is not None
        seen = {step.query.architecture for step in recorded.steps}
        points = {(cost(a).params, truth[a]) for a in seen if cost(a).params <= 30}
        front = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}
        own = archives[(archives["seed"] == seed) & (archives["cost"] == "params")]
        assert set(zip(own["value"], own["truth"], strict=True)) == front
    known = results.data.landscapes[stored_task, "params"]
    feasible = [a for a in toy_tasks.ROWS if cost(a).params <= 30]
    assert known.reference == (np.median([truth[a] for a in feasible]), max(cost(a).params for a in feasible))
    assert known.ideal == (max(truth[a] for a in feasible), min(cost(a).params for a in feasible))
    assert results.data.tasks[stored_task].cells == one.problem.space.name
    volumes = tradeoff.summary(results.data, "params")
    assert (volumes["hypervolume"] <= volumes["exact front"] + 1e-12).all()


def test_missing_runs_are_named(stored_task: str, tmp_path: Path) -> None:
    compare(stored_task, tmp_path, ["random"])
    path = tmp_path / "runs" / "toymlp--toy" / "random"
    (path / "0.jsonl").unlink()
    (path / "1.jsonl").write_bytes((path / "1.jsonl").read_bytes()[:-30])
    assert naslab.Results(tmp_path).frame["status"].tolist() == ["missing", "missing", "complete"]


@pytest.mark.parametrize("content", [None, "{", "\xff"])
def test_results_of_no_comparison(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "comparison.json").write_text(content, encoding="latin-1")
    with pytest.raises(OutputError, match=r"holds no comparison|damaged"):
        naslab.Results(tmp_path)


# ---- what others did to the folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, b"", b"{", b"[]"])
def test_a_lost_description_is_written_again(stored_task: str, tmp_path: Path, left: bytes | None) -> None:
    compare(stored_task, tmp_path, ["random"], seeds=2)
    before = contents(tmp_path)
    spec = tmp_path / "comparison.json"
    whole = spec.read_bytes()
    spec.unlink()
    if left is not None:
        spec.write_bytes(left)
    compare(stored_task, tmp_path, ["random"], seeds=2)
    assert spec.read_bytes() == whole
    assert contents(tmp_path) == before


@pytest.mark.parametrize("changes", [{"budget": 26}, {"seeds": 1}, {"optimizers": ["local-search"]}])
def test_but_not_by_another_command(stored_task: str, tmp_path: Path, changes: dict[str, Any]) -> None:
    compare(stored_task, tmp_path, ["random"], seeds=2)
    (tmp_path / "comparison.json").unlink()
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="is not empty"):
        compare(stored_task, tmp_path, **{"optimizers": ["random"], "seeds": 2, **changes})
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (("random", 0), ("local-search", 0), "optimizer: name was"),
        (("random", 0), ("random", 1), "seed was 0 there and is 1 now"),
    ],
)
def test_a_trace_of_another_run_in_its_place_is_noticed(
    stored_task: str, tmp_path: Path, source: tuple[str, int], target: tuple[str, int], said: str
) -> None:
    results = compare(stored_task, tmp_path, ["random", "local-search"], seeds=2)
    one, other = (trace_path(tmp_path, stored_task, *which) for which in (source, target))
    other.write_bytes(one.read_bytes())
    with pytest.raises(OutputError, match=f"belongs to another run: {said}"):
        _ = naslab.Results(results.folder).frame
