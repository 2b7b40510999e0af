"""Every command shows an example that it takes, and shells complete names."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest
import typer
import typer.main

from naslab.cli import run_command
from naslab.cli.commands import app
from naslab.cli.examples import EXAMPLES

EVERY = [(name, line) for name, lines in EXAMPLES.items() for line in lines.replace("\\\n", "").split("\n")]


@pytest.mark.parametrize(("name", "line"), EVERY, ids=[line for _, line in EVERY])
def test_examples_are_taken(name: str, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    assert words[: 1 + len(name.split())] == ["naslab", *name.split()]
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]  # type: ignore[attr-defined]
    command.make_context(name, words[1 + len(name.split()) :])  # options and their values, without running it


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_shows_them_within_eighty_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {f"    {line}" for line in EXAMPLES[name].splitlines()} <= set(lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("naslab comp", "compare"),
        ("naslab compare --opti", "--optimizers"),
        ("naslab compare nasbench201/cifar10", "nasbench201/cifar100"),
        ("naslab compare --optimizers random,regul", "random,regularized-evolution"),
        ("naslab reproduce sample", "sample-efficiency"),
    ],
)
def test_shells_complete(words: str, expected: str) -> None:
    last = str(len(words.split()) - 1)
    asked = {"_NASLAB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": last}
    command = [sys.executable, "-c", "from naslab.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked}, check=True)
    assert expected in done.stdout.splitlines()
    assert done.stderr == ""
