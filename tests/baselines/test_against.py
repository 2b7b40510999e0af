"""New strategies against a library, the leaderboard, citations: from the command line to the report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import toy_tasks

import naslab
from naslab.baselines.against import ALL, compare_against
from naslab.baselines.build import build_library
from naslab.baselines.library import MANIFEST, Library
from naslab.baselines.plan import Plan
from naslab.baselines.verify import verify_library
from naslab.cli import run_command
from naslab.errors import InvalidLibrary, UnknownTask
from naslab.running.comparison import compare
from naslab.tables.header import content_hash
from naslab.tasks.citing import citations

HILL = """
import naslab


class Hill(naslab.AskTell):
    def ask(self):
        best = self.best()
        return self.problem.mutate(best, self.rng) if best else self.problem.sample(self.rng)

    def tell(self, architecture, evaluation):
        pass
"""
SEGMENTS = "pocket-mlp/segments"


@pytest.fixture(scope="module")
def hill(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("plugin") / "mine.py"
    file.write_text(HILL)
    return f"{file}:Hill"


@pytest.fixture(scope="module")
def library(stored_task: str, tmp_path_factory: pytest.TempPathFactory) -> Library:
    groups = [
        {"optimizers": ["random", "local-search"], "tasks": [stored_task, SEGMENTS], "seeds": 6},
        {"optimizers": ["reinforce"], "tasks": [SEGMENTS], "seeds": 6},
        {"optimizers": ["ppo"], "tasks": [stored_task, SEGMENTS], "seeds": 3},
    ]
    plan = Plan.model_validate({"budgets": {stored_task: "12", "pocket-*": "2s"}, "groups": groups})
    return build_library(plan, tmp_path_factory.mktemp("built") / "library")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = run_command(list(words))
    out, err = capsys.readouterr()
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    return err


def test_a_new_strategy_against_a_library(
    library: Library, stored_task: str, hill: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, where = tmp_path / "out", str(library.folder)
    assert run_command(["compare", stored_task, "--optimizers", hill, "--against", where, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{stored_task}: rank " in said
    assert "Fewer than 6 runs, and therefore in the standings alone: ppo (3)" in said
    page = (out / "report" / "report.html").read_text()
    assert "Where the new strategies stand" in page
    assert "Friedman" in page
    shown = pd.read_csv(next((out / "report" / "tables").glob("further-1-*.csv")))
    assert shown["of"].tolist() == [4]

    found = compare_against([hill], tasks=[stored_task], against=where, out=out)  # finds all runs there
    whole = compare([stored_task], [hill, "random", "local-search"], budget="12", seeds=6, out=tmp_path / "whole").data
    assert found.data.optimizers == whole.optimizers
    pd.testing.assert_frame_equal(found.data.frame, whole.frame[list(found.data.frame)], check_dtype=False)
    pd.testing.assert_frame_equal(found.data.anytime, whole.anytime, check_dtype=False)


def test_all_tasks_of_the_library_are_compared_on_by_default(library: Library, hill: str, tmp_path: Path) -> None:
    found = compare_against([hill], against=library.folder, out=tmp_path / "out", seeds=3)
    assert found.others == ["random", "local-search", "ppo"]
    places = found.places().set_index("task")
    assert list(places.index) == [ALL, *library.tasks]
    assert places["n"].tolist() == [6, 3, 3]
    assert places["of"].tolist() == [4, 4, 5]
    assert any("only in the standings of single ones: reinforce" in note for note in found.notes)


def test_other_budgets_limits_and_known_names_are_refused(
    library: Library, stored_task: str, hill: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["compare", stored_task, "--against", str(library.folder), "--out", str(tmp_path / "out")]
    for more, said in (
        (["--optimizers", hill, "--budget", "100"], "the library's runs on toymlp/toy had 12. Fix: leave out --budget"),
        (["--optimizers", hill, "--max", "params=20"], "--max with --against: the library's runs were made without it"),
        (["--optimizers", hill, "--paired"], "--paired with --against"),
        (["--optimizers", f"{hill},random"], "'random' is in the library"),
        (["--optimizers", "randm"], "UnknownOptimizer: 'randm'"),
        (["--optimizers", hill, "--seeds", "0"], "seeds 0"),
    ):
        assert said in refused(capsys, *start, *more)
    assert "UnknownTask: 'toymlp/to'" in refused(capsys, "compare", "toymlp/to", *start[2:], "--optimizers", hill)
    assert "holds no library of results" in refused(
        capsys, *start[:2], "--optimizers", hill, "--against", str(tmp_path), "--out", str(tmp_path / "o")
    )
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_otherwise_is_said(library: Library, stored_task: str, hill: str, tmp_path: Path) -> None:
    def changed(folder: Path, source: dict[str, str], code: str) -> Path:
        shutil.copytree(library.folder, folder)
        manifest = json.loads((folder / MANIFEST).read_text())
        shelf = manifest["shelves"][stored_task]
        shelf["source"] |= source
        shelf["entries"][0]["made"]["code"] = code
        manifest["sha256"] = content_hash({key: value for key, value in manifest.items() if key != "sha256"})
        (folder / MANIFEST).write_text(json.dumps(manifest))
        return folder

    with pytest.raises(InvalidLibrary, match="another version of its table"):
        compare_against(
            [hill], tasks=[stored_task], out=tmp_path / "a", against=changed(tmp_path / "one", {"table": "x"}, "")
        )
    other = changed(tmp_path / "two", {}, "another")
    found = compare_against([hill], tasks=[stored_task], out=tmp_path / "b", against=other, seeds=3)
    said = next(note for note in found.notes if "random" in note)
    assert "might come out otherwise now: random (its code has changed)" in said
    assert "naslab baselines build --fresh --out DIR, and then --against DIR" in said


def test_the_leaderboard_fits_a_terminal_and_is_a_page(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["leaderboard", SEGMENTS], ["leaderboard", "--out", str(tmp_path / "page")]):
        assert run_command([*words, "--against", str(library.folder)]) == 0
        table = capsys.readouterr().out
        assert max(len(line.rstrip()) for line in table.splitlines() if not line.startswith("Page")) <= 80
        assert "local-search" in table
    page = (tmp_path / "page" / "report.html").read_text()
    assert page.count("reinforce") > 1
    assert SEGMENTS in page
    said = refused(capsys, "leaderboard", "pocket-mlp/segmnts", "--against", str(library.folder))
    assert "Did you mean 'pocket-mlp/segments'?" in said


def test_the_library_in_the_package_is_whole_and_its_leaderboard_fits(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = Library()
    assert all(len(shipped.outcomes(task_id)) == len(shelf.entries) for task_id, shelf in shipped.tasks.items())
    assert sum(path.stat().st_size for path in shipped.folder.iterdir()) < 10e6
    for words in (["leaderboard"], *(["leaderboard", task_id] for task_id in shipped.tasks)):
        assert run_command(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(len(line.rstrip()) for line in lines) <= 80
        assert sum("optuna-tpe" in line for line in lines) == 1


@pytest.mark.slow  # tables of 18 tasks are made
def test_runs_of_the_library_in_the_package_come_out_the_same() -> None:
    found = verify_library(Library(), 50)
    if not found.same_machine or found.made_otherwise:
        pytest.skip(f"it was made elsewhere, or otherwise: {found.made_otherwise}")
    assert found.different == []


def test_verifying_from_the_command_line(library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["baselines", "build", "--out", str(library.folder), "--verify", "5"]) == 0
    assert "5 of 5 runs, made again, are the same to the byte." in capsys.readouterr().out
    assert "Give a folder: --out DIR" in refused(capsys, "baselines", "build")


def test_every_citation_is_whole(stored_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    from naslab.tasks.citing import _data

    data = _data()
    used = {key for kind in ("tasks", "spaces") for keys in data[kind].values() for key in keys}
    assert used == set(data["works"])
    for key, text in data["works"].items():
        assert re.match(rf"\s*@\w+{{{re.escape(key)},", text)
        assert text.count("{") == text.count("}")
        assert all(f"{field} " in text for field in ("title", "author", "year"))
    assert {"dong2020nasbench201", "krizhevsky2009cifar"} <= set(citations("nasbench201/cifar10"))
    assert set(citations("pocket-mlp/segments@live")) == {"naslab", "uci1990segmentation"}
    assert citations(toy_tasks.TASK) == {}
    with pytest.raises(UnknownTask):
        citations("nasbench201/cifar11")
    assert run_command(["cite"]) == 0
    assert f"version = {{{naslab.__version__}}}" in capsys.readouterr().out
    cff = (Path(__file__).parents[2] / "CITATION.cff").read_text()
    assert f"version: {naslab.__version__}" in cff
