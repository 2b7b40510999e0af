"""The command in a hostile place: terminals, environments, plug-ins that end the program, evaluations that fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_tasks import contents

import naslab
import naslab.evaluators.table
from naslab.cli import run_command

PLUGIN = """import sys
import naslab
import naslab.evaluators.table

class Mine(naslab.AskTell):
    def __init__(self, problem, rng):
        super().__init__(problem, rng)
        "built"

    def ask(self):
        return self.problem.sample(self.rng)

    def tell(self, architecture, evaluation):
        "told"

    def best(self):
        return super().best()
"""
PLACES = {
    "import": ("import sys\n", "import sys\nsys.exit(0)\n", "raises on import: SystemExit: 0"),
    "construction": ('"built"', "sys.exit(0)", "can't be built: SystemExit: 0"),
    "ask": ("return self.problem", "sys.exit(0)\n        return self.problem", "seed 0: SystemExit: 0"),
    "tell": ('"told"', "raise SystemExit", "seed 0: SystemExit: "),
    "best": ("return super", "sys.exit('all is well')\n        return super", "seed 0: SystemExit: all is well"),
}

WITHOUT_HOME = """
import os, pwd
def unknown(*_): raise KeyError("getpwuid(): uid not found: 54321")
pwd.getpwuid = pwd.getpwnam = unknown
for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
    os.environ.pop(name, None)
from naslab.cli import main
main()
"""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["compare", "search"])
def test_a_plug_in_cannot_end_the_program(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    before, after, said = PLACES[place]
    assert before in PLUGIN
    (tmp_path / "mine.py").write_text(PLUGIN.replace(before, after, 1))
    words = [command, stored_task, f"--optimizer{'s' * (command == 'compare')}", f"{tmp_path}/mine.py:Mine"]
    assert run_command([*words, "--budget", "3", "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1].partition(":")[0]) == ("", "PluginError")
    assert said.strip() in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_plug_in_cannot_end_a_worker(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace(*PLACES["ask"][:2]))
    words = ["compare", stored_task, "--optimizers", f"{tmp_path}/mine.py:Mine", "--seeds", "2", "--workers", "2"]
    assert run_command([*words, "--budget", "3", "--out", str(tmp_path / "out")]) == 2
    assert ": SystemExit: 0" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_scores_that_are_never_finite_have_failed(
    stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    evaluate = naslab.evaluators.table.TableReward.evaluate
    monkeypatch.setattr(
        "naslab.evaluators.table.TableReward.evaluate",
        lambda *a, **o: evaluate(*a, **o)._replace(score=float(value)),
    )
    words = [stored_task, "--budget", "3", "--out"]
    assert run_command(["search", *words, str(tmp_path / "one"), "--optimizer", "random"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "The search failed: no evaluation gave a finite score."
    assert run_command(["compare", *words, str(tmp_path / "all"), "--optimizers", "random", "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert "failed" in out
    assert "feasible" not in out
    results = naslab.Results(tmp_path / "all")
    assert results.frame["status"].tolist() == ["failed", "failed"]
    assert results.summary()[["n", "no feasible", "failed"]].values.tolist() == [[0, 0, 2]]
    assert "Failed: none of its scores" in (tmp_path / "all/report/report.html").read_text()


@pytest.mark.parametrize("seconds", ["inf", "nan", "-1"])
@pytest.mark.parametrize("command", ["search", "correlate"])
def test_no_clock_shows_such_seconds(
    stored_task: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    seconds: str,
) -> None:
    evaluate = naslab.evaluators.table.TableReward.evaluate
    monkeypatch.setattr(
        "naslab.evaluators.table.TableReward.evaluate",
        lambda *a, **o: evaluate(*a, **o)._replace(seconds=float(seconds)),
    )
    option = ["--optimizer", "random", "--budget", "3"] if command == "search" else ["--evaluators", "reward"]
    code = run_command([command, stored_task, *option, "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    last = (said.out if command == "search" else said.err).splitlines()[-1]
    assert code == (1 if command == "search" else 2)
    assert last.startswith("The search failed: " if command == "search" else "PluginError: ")
    assert f"charged {float(seconds)} s for " in last


@pytest.mark.parametrize("number", ["1_0", "\u0663", "0x10"])
@pytest.mark.parametrize(
    "option",
    ["--budget {}", "--budget {}s", "--seeds {}", "--workers {}", "--max params={}",
     "--optimizers regularized-evolution[population={}]", "--optimizers regularized-evolution[population=[{}]]"],
)  # fmt: skip
def test_numbers_on_the_command_line(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, number: str
) -> None:
    words = ["--optimizers", "random"] if "--optimizers" not in option else []
    given = option.format(number).split(" ")
    assert run_command(["compare", stored_task, *words, *given, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert number in err
    assert contents(tmp_path) == {}


def test_a_terminal_without_letters_a_foreign_matplotlibrc_and_no_home(stored_task: str, tmp_path: Path) -> None:
    """Each of them ended a run after its work: in a traceback, and without a report."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\n")
    words = ["compare", stored_task, "--optimizers", "random", "--seeds", "1", "--budget", "5", "--out", "\u00f6\u30c4"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "MPLBACKEND": "no such", "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HOME, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "1/1 runs, 0 s left")
    assert "Report: ??/report/report.html" in done.stdout
    assert (tmp_path / "\u00f6\u30c4/report/report.html").exists()


def test_settings_of_matplotlib_that_are_no_text_are_one_line_after_the_work(stored_task: str, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes("# größer\nfont.size: 30\n".encode("latin-1"))
    words = ["compare", stored_task, "--optimizers", "random", "--seeds", "1", "--budget", "5", "--out", "x"]
    command = [sys.executable, "-c", "from naslab.cli import main; main()", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert done.stderr.splitlines()[-1].startswith(
        "InvalidValue: matplotlib, which draws the figures, can't be loaded:"
    )
    assert "its settings in 'matplotlibrc' are not UTF-8 text. Fix: save them as UTF-8" in done.stderr
    assert list((tmp_path / "x").rglob("*.jsonl"))


def test_no_home_and_no_cache(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NASLAB_CACHE"}
    words = ["list", "tasks"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_HOME, *words], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("InvalidValue: naslab's cache has no place: this user has no home folder. Fix: set")
    assert len(done.stderr.splitlines()) == 1


def test_the_report_is_written_before_anything_is_printed(
    stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unprintable(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("naslab.cli.console.print_wide", unprintable)
    words = ["compare", stored_task, "--optimizers", "random", "--seeds", "1", "--budget", "3", "--out"]
    assert run_command([*words, str(tmp_path / "out")]) == 2
    assert (tmp_path / "out/report/report.html").exists()


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"optimizers": 3}', '{"optimizers": [3], "seeds": 1}', "[" * 100_000,
     '{"optimizers": [], "seeds": 1e999, "budget": "5", "constraint": {}, "tasks": []}'],
)  # fmt: skip
def test_a_description_that_is_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "comparison.json").write_text(text)
    assert run_command(["report", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"OutputError: {tmp_path}/comparison.json is damaged\n"
