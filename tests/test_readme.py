"""The README's code runs as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab.testing import check_optimizer

README = (Path(__file__).parent.parent / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def shell_lines():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition("   #")[0].strip() for line in lines]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hill.py").write_text(next(block for block in PYTHON if block.startswith("# hill.py")))
    rng = np.random.default_rng(0)
    rows = [f"{x:.3f},{y:.3f},{'yes' if x > y else 'no'}\n" for x, y in rng.random((120, 2))]
    for name in ("data.csv", "new.csv"):
        (tmp_path / name).write_text("".join(["width,height,label\n", *rows]))
    return tmp_path


def test_the_python_example_runs(workplace, capsys):
    blocks = [block for block in PYTHON if not block.startswith("# hill.py")]
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("budget=3000", "budget=20"), "README.md", "exec"), names)
    assert (workplace / "anytime.png").stat().st_size > 10_000
    assert "regularized-evolution" in capsys.readouterr().out


def test_the_ten_line_optimizer_conforms(workplace):
    block = (workplace / "hill.py").read_text()
    code = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 10
    check_optimizer("./hill.py:Hill")


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("naslab")])
def test_the_commands_are_understood(line, workplace, monkeypatch):
    """Every command, with fewer runs: exit code 0, or 2 with the one line that the README announces."""
    words = shlex.split(re.sub(r"--seeds \d+", "--seeds 2", re.sub(r"--budget \d+ ", "--budget 12 ", line)))
    if words[1:2] == ["reproduce"]:
        monkeypatch.setenv("NASLAB_CACHE", str(workplace))  # where nothing was imported
    if words[1:2] == ["report"]:
        pytest.skip("needs the comparison before it")
    if words[1:2] == ["predict"]:
        naslab.search_csv("data.csv", "label", widths=(4, 8), depth=2, budget=20, out=words[2])
    done = subprocess.run(
        [sys.executable, "-c", "from naslab.cli import main; main()", *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    if words[1] == "reproduce":
        assert "naslab table import" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_the_layout_is_the_tree():
    root = Path(__file__).parent.parent
    block = re.search(r"## Layout\n\n```\n(.*?)```", README, re.DOTALL)[1]
    for line in block.splitlines():
        inner = line.startswith("  ")
        for name in re.findall(r"\S+/(?=\s)|\S+\.(?:md|cfg|toml|txt)|Makefile", line.split("   ")[0] + " "):
            assert (root / ("naslab" if inner else "") / name).exists(), name
