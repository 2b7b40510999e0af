"""The code of the README and of the pages that say how to use naslab runs as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab import ops
from naslab.cli import run_command
from naslab.correlation.study import Correlations
from naslab.running.results import Results
from naslab.tabular import defaults
from naslab.testing import check_optimizer

ROOT = Path(__file__).parent.parent
NAMES = ("comparing", "growing", "multi-fidelity", "nasbench101", "networks", "objectives", "tables")
NAMES = (*NAMES, "coming-from-naslib", "coming-from-optuna", "coming-from-syne-tune", "index", "limits", "reproducing")
NAMES = (*NAMES, "tabular-networks", "transformer", "your-own-operation", "your-own-optimizer", "your-own-table")
NAMES = (*NAMES, "workers")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CHECKED = [
    ROOT / "docs" / f"{name}.md" for name in ("limits", "nasbench101", "reproducing", "your-own-operation")
]  # whose comments say what is printed
PLUG_IN = "# hill.py"
QUICK = ("random", "local-search")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def plug_in(page):
    return next(block for block in blocks(page, "python") if block.startswith(PLUG_IN))


def fewer(line):
    """The command with fewer runs and architectures, and on one task of a library."""
    line = line.replace("naslab compare --optimizers", "naslab compare nasbench201/cifar10 --optimizers")
    line = line.replace("--architectures 200", "--architectures 50")
    return re.sub(r"--seeds \d+", "--seeds 2", re.sub(r"--budget \d+ ", "--budget 12 ", line))


def shell_lines():
    found = {}
    for page in PAGES:
        lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
        found |= {fewer(line.partition("   #")[0].strip()): None for line in lines if line.startswith("naslab")}
    return list(found)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for page in PAGES:
        for block in blocks(page, "python"):
            if name := re.match(r"# (\w+\.py)\n", block):
                (tmp_path / name[1]).write_text(block)
    rng = np.random.default_rng(0)
    rows = [f"{x:.3f},{y:.3f},{'yes' if x > y else 'no'}\n" for x, y in rng.random((120, 2))]
    for name in ("data.csv", "new.csv"):
        (tmp_path / name).write_text("".join(["width,height,label\n", *rows]))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_examples_run(page, workplace, capsys, monkeypatch):
    monkeypatch.setattr(defaults, "STEPS", 60)  # of networks trained from scratch
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        if not block.startswith(PLUG_IN):
            exec(compile(block.replace("budget=3000", "budget=20"), page.name, "exec"), names)
    printed = capsys.readouterr().out
    for line in re.findall(r"^ *print\(.*\)  # (.*)$", page.read_text(), re.MULTILINE) if page in CHECKED else ():
        assert line.partition(" ...")[0] in printed
    if page.stem in ("README", "comparing"):
        assert (workplace / "anytime.png").stat().st_size > 10_000
        assert "regularized-evolution" in printed


def test_the_ten_line_optimizer_conforms(workplace):
    block = (workplace / "hill.py").read_text()
    code = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 10
    check_optimizer("./hill.py:Hill")
    assert block == plug_in(ROOT / "docs" / "your-own-optimizer.md")


@pytest.mark.parametrize("line", shell_lines())
def test_the_commands_are_understood(line, workplace, monkeypatch, capfd):
    """Every command, with fewer runs: exit code 0, or 2 with the one line that the README announces.

    Here and not in a process of its own, which imports for two seconds; `reproduce` and `predict` have one.
    """
    words = shlex.split(line)
    monkeypatch.setattr(defaults, "STEPS", 60)  # of networks trained from scratch
    if words[1:2] in (["report"], ["status"], ["show"]):
        pytest.skip("needs the comparison before it")
    if words[1:3] == ["table", "join"]:
        pytest.skip("needs a table and a file; tests/tables/test_joining.py")
    if words[1:2] == ["predict"]:
        naslab.search_csv("data.csv", "label", widths=(4, 8), depth=2, budget=2, out=words[2])
    if words[1] == "compare" and "--objectives" not in words:  # which has tables and figures of its own
        monkeypatch.setattr(Results, "report", lambda results, **_: results.folder / "report.html")
    if words[1] == "correlate":
        monkeypatch.setattr(Correlations, "report", lambda results, folder, **_: folder / "report.html")
    if words[1:2] in (["merge"], ["export"]):
        folders = words[2 : min(place for place, word in enumerate(words) if word.startswith("--"))]
        for folder, optimizer in zip(folders, QUICK, strict=False):
            naslab.compare(["nasbench201/cifar10"], [optimizer], seeds=1, budget=5, out=folder)
    if words[1] in ("reproduce", "predict"):
        monkeypatch.setenv("NASLAB_CACHE", str(workplace))  # where nothing was imported
        command = [sys.executable, "-c", "from naslab.cli import main; main()", *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        code, said = done.returncode, done.stderr
    else:
        monkeypatch.syspath_prepend(str(workplace))
        code, said = run_command(words[1:]), capfd.readouterr().err
    if words[1] == "reproduce":
        assert code == 2
        assert "naslab table import" in said
    else:
        assert code == 0, said


def test_the_layout_is_the_tree():
    """The README names every wing and every folder, and nothing else."""
    block = re.search(r"## Layout\n\n```\n(.*?)```", PAGES[0].read_text(), re.DOTALL)[1]
    named = {False: set(), True: set()}
    for line in block.splitlines():
        inner = line.startswith("  ")
        for name in re.findall(r"\S+/(?=\s)|\S+\.(?:md|cfg|toml|txt)|Makefile", line.split("   ")[0] + " "):
            assert (ROOT / ("naslab" if inner else "") / name).exists(), name
            named[inner].add(name)
    wings = {path.name for path in (ROOT / "naslab").iterdir() if (path / "__init__.py").is_file()}
    assert {name for name in named[True] if name.endswith("/")} == {f"{wing}/" for wing in wings}
    folders = {path.parts[0] for path in map(Path, tracked()) if len(path.parts) > 1}
    assert {name for name in named[False] if name.endswith("/")} == {f"{each}/" for each in folders - {".ci"}}


def test_the_table_of_operations_is_true():
    """Every operation once; a width in the mixed form as the operation declares."""
    page = (ROOT / "docs" / "your-own-operation.md").read_text()
    said = {}
    for row in re.findall(r"^\| (`[A-Z].*)$", page, re.MULTILINE):
        names, _, mixed, *_ = row.split(" | ")
        said |= dict.fromkeys(re.findall(r"`(\w+)`", names), mixed)
    every = {name: op for name, op in vars(ops).items() if isinstance(op, type) and issubclass(op, ops.Operation)}
    assert said.keys() == every.keys() - {"Operation"}
    for name, mixed in said.items():
        if mixed in ("yes", "no"):
            assert every[name].masks_width is (mixed == "yes"), name
    assert {name for name, mixed in said.items() if mixed not in ("yes", "no")} == {
        "MultiHeadAttention", "Residual", "Sequence"
    }  # fmt: skip


def tracked():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git here to say which folders belong to the project")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.stem
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
