"""The library of results: what is kept of runs, building, verifying, damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import toy_tasks

from naslab.analysis import anytime, tables
from naslab.analysis.data import ResultsData
from naslab.baselines import stamps
from naslab.baselines.build import build_library
from naslab.baselines.judged import frames
from naslab.baselines.library import Library
from naslab.baselines.packing import pack, unpack
from naslab.baselines.plan import Plan, load_plan
from naslab.baselines.standings import overall_standings, task_standings
from naslab.baselines.verify import verify_library
from naslab.errors import InvalidLibrary, InvalidValue, OutputError, UnknownOptimizer, UnknownTask
from naslab.files.arrays import load_npz, save_npz
from naslab.running.comparison import compare
from naslab.running.outcomes import outcome_of
from naslab.tables.format import file_sha256
from naslab.tables.header import content_hash

NAMES = ["random", "regularized-evolution", "successive-halving"]


def plan(seeds: int = 8, names: list[str] = NAMES, budget: str = "3000s") -> Plan:
    groups = [{"optimizers": names, "tasks": [toy_tasks.TASK], "seeds": seeds}]
    return Plan.model_validate({"budgets": {"toy*": budget}, "groups": groups})


@pytest.fixture(scope="module")
def library(stored_task: str, tmp_path_factory: pytest.TempPathFactory) -> Library:
    return build_library(plan(), tmp_path_factory.mktemp("built") / "library")


def copied(library: Library, folder: Path) -> Path:
    shutil.copytree(library.folder, folder)
    return folder


def test_incumbents_give_the_tables_of_whole_traces(library: Library, stored_task: str, tmp_path: Path) -> None:
    results = compare([stored_task], NAMES, budget="3000s", seeds=8, out=tmp_path / "runs")
    whole = results.data
    runs, changes = frames(results.tasks[stored_task], library.outcomes(stored_task))
    kept = ResultsData(runs, changes, whole.tasks, NAMES, whole.seeds, landscapes=whole.landscapes)
    for table in (tables.final_quality, tables.significance, tables.improvement, tables.ranks, anytime.area):
        expected = table(whole, np.random.default_rng(0))
        pd.testing.assert_frame_equal(table(kept, np.random.default_rng(0)), expected, check_exact=True)
    assert whole.frame["resume"].notna().any()  # what only some strategies have is kept, too
    pd.testing.assert_frame_equal(runs[list(whole.frame)], whole.frame, check_exact=True, check_dtype=False)


def test_packing_keeps_runs_without_a_result_and_refuses_what_is_no_choice(stored_task: str, tmp_path: Path) -> None:
    results = compare([stored_task], ["random"], budget="1s", seeds=2, out=tmp_path / "runs")
    problem = results.tasks[stored_task].problem
    outcomes = [outcome_of(problem, recorded) for _, recorded in results.runs()]
    assert [each.best for each in outcomes] == [None, None]
    assert unpack(pack(outcomes, 3)) == outcomes
    with pytest.raises(InvalidValue, match="can't be kept"):
        pack([outcomes[0].__class__("complete", (1, 0.5, 2), 1, 1.0, ())], 3)


def test_a_build_goes_on_where_it_was_killed_and_takes_over_what_would_be_the_same(
    library: Library, stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def killed(*progress: Any) -> None:
        if progress[0] == 10:
            raise KeyboardInterrupt

    first = plan(seeds=2, names=["random"])
    other = first.groups[0].model_copy(update={"tasks": ("pocket-mlp/segments",), "seeds": 16})
    both = Plan(budgets={**first.budgets, "pocket-*": "2"}, groups=(*first.groups, other))
    build_library(first, tmp_path / "two")
    with pytest.raises(KeyboardInterrupt):
        build_library(both, tmp_path / "two", progress=killed)
    build_library(both, tmp_path / "two", progress=lambda *progress: calls.append(progress))
    assert [done for done, total, _ in calls if total == 16] == [0, *range(11, 17)]  # ten were kept
    with pytest.raises(KeyboardInterrupt):
        build_library(plan(), tmp_path / "new", progress=killed)
    again = build_library(plan(), tmp_path / "new")
    assert (again.folder / again.shelf(stored_task).file).name == library.shelf(stored_task).file  # the same bytes
    assert not (tmp_path / "new" / "work").exists()
    done: list[Any] = []
    more = build_library(plan(names=[*NAMES, "local-search"]), tmp_path / "new", progress=lambda *p: done.append(p))
    assert {total for _, total, _ in done} == {8}  # one strategy's runs
    monkeypatch.setattr(stamps, "versions", lambda *names: dict.fromkeys(names, "another"))
    build_library(plan(), tmp_path / "new", progress=lambda *p: done.append(p))
    assert done[-1][1] == 8 * len(NAMES)
    assert "local-search" in more.shelf(stored_task).by_name


def test_verifying_finds_a_changed_byte(library: Library, stored_task: str, tmp_path: Path) -> None:
    outcome = verify_library(library, 24)
    assert (outcome.different, outcome.measured, outcome.made_otherwise, outcome.same_machine) == ([], 0, {}, True)

    folder = copied(library, tmp_path / "changed")
    file = folder / library.shelf(stored_task).file
    arrays = load_npz(file)
    arrays["clock"][-1] = np.nextafter(arrays["clock"][-1], np.inf)
    save_npz(file, arrays)
    with pytest.raises(InvalidLibrary, match="its SHA-256 differs"):
        verify_library(Library(folder), 24)
    manifest = json.loads((folder / "library.json").read_text())
    manifest["shelves"][stored_task]["sha256"] = file_sha256(file)
    manifest["sha256"] = content_hash({key: value for key, value in manifest.items() if key != "sha256"})
    (folder / "library.json").write_text(json.dumps(manifest))
    assert verify_library(Library(folder), 24).different == [(stored_task, "successive-halving", 7)]
    with pytest.raises(InvalidValue, match="--verify 25"):
        verify_library(library, 25)


@pytest.mark.parametrize("change", ["cut", "hash", "field", "escape", "absent"])
def test_damage_is_refused(library: Library, stored_task: str, tmp_path: Path, change: str) -> None:
    folder = copied(library, tmp_path / "damaged")
    path = folder / "library.json"
    manifest = json.loads(path.read_text())
    if change == "cut":
        path.write_text(path.read_text()[:-20])
    elif change == "hash":
        manifest["shelves"][stored_task]["budget"] = "1s"
        path.write_text(json.dumps(manifest))
    elif change in ("field", "escape"):
        manifest["shelves"][stored_task]["file"] = "../x.npz" if change == "escape" else 3
        path.write_text(json.dumps(manifest))
    else:
        path.unlink()
    with pytest.raises(InvalidLibrary, match="holds no library" if change == "absent" else "is damaged"):
        Library(folder)


def test_bad_plans_are_refused_before_anything_is_written(stored_task: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownTask):
        Library(build_library(plan(seeds=2, names=["random"]), tmp_path / "a").folder).shelf("toymlp/to")
    for wrong, error in (
        (plan(names=["randm"]), UnknownOptimizer),
        (plan(names=["darts"], budget="5"), InvalidValue),
        (plan().model_copy(update={"budgets": {"other": "5"}}), InvalidValue),
        (plan().model_copy(update={"groups": plan().groups * 2}), InvalidValue),
    ):
        with pytest.raises(error):
            build_library(wrong, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").touch()
    with pytest.raises(OutputError, match="is not empty"):
        build_library(plan(), tmp_path / "c")
    (tmp_path / "d.toml").write_text("[budgets]\na = 3\n")
    with pytest.raises(InvalidValue, match="budgets"):
        load_plan(tmp_path / "d.toml")
    assert load_plan().wanted()


def test_standings_rank_and_tell_apart() -> None:
    rng = np.random.default_rng(0)
    scores = {
        "good": rng.normal(10, 1, 30), "same": rng.normal(10, 1, 60), "bad": rng.normal(5, 1, 30),
        "few": rng.normal(20, 1, 3), "failing": np.array([11.0] * 10 + [-np.inf] * 20),
    }  # fmt: skip
    found = {each.name: each for each in task_standings(scores, -1)}
    assert [found[name].rank for name in ("few", "bad", "failing")] == [1, 4, 5]
    assert found["bad"].alike == ("few",)  # three runs are too few to test, though all are better
    assert found["good"].alike == ("few", "same")
    assert found["few"].rank_low is None
    assert (found["failing"].mean, found["failing"].failed) == (None, 20)
    assert found["bad"].mean == pytest.approx(-scores["bad"].mean())
    overall = overall_standings({"a": scores, "b": {name: each for name, each in scores.items() if name != "few"}})
    assert [each.name for each in overall][2:] == ["bad", "failing"]
    assert overall[2].alike == ()
    assert all(each.tasks == 2 for each in overall)
    assert overall_standings({"a": scores}) == ()


def test_a_stamp_knows_code_from_comments(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text('"""One."""\nimport torch\n\nX = 1\n')
    first = stamps.stamp(f"{file}:Mine")
    assert "torch" in first["versions"]
    stamps._read.cache_clear()
    file.write_text('"""Another."""\nimport torch\n\nX = 1  # the same\n')
    assert stamps.differences(first, stamps.stamp(f"{file}:Mine")) == []
    stamps._read.cache_clear()
    file.write_text("import torch\n\nX = 2\n")
    assert stamps.differences(first, stamps.stamp(f"{file}:Mine")) == ["its code has changed"]
    stamps._read.cache_clear()
    assert "naslab.optimizers.multi_fidelity.rungs" in dict(stamps._modules("naslab.optimizers.multi_fidelity.bohb"))
