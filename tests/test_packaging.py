"""What an installation holds, outside of the repository."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import naslab

ROOT = Path(__file__).parent.parent
OUTSIDE = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")}


def shipped(folder, patterns):
    return {str(path.relative_to(ROOT)) for pattern in patterns for path in (ROOT / folder).glob(pattern)}


def test_the_citation_is_of_this_version():
    assert f"\nversion: {naslab.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.slow
def test_a_new_environment_does_what_the_first_page_says(tmp_path):
    """`make dist`: a wheel made of the source archive, installed where nothing of the repository is."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("no git here to say which files belong to the project")
    for name in tracked.stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    make = ["make", "--old-file=.venv/.ready", f"PYTHON={sys.executable}", "dist"]
    done = subprocess.run(make, cwd=tmp_path, env=OUTSIDE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for said in ("nasbench201 ", "report.html", "tabnas-toy ", "IQM low"):  # a line of each of its commands
        assert said in done.stdout, said
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert shipped("naslab", ["**/*.py", "**/*.j2", "**/*.npz", "py.typed"]) <= held
    experiments = shipped("experiments", ["*.toml", "tables/*.toml", "published/*.csv"])
    assert {f"{wheel.stem.removesuffix('-py3-none-any')}.data/data/share/naslab/{name}" for name in experiments} <= held
    assert not {name for name in held if name.startswith(("tests", "docs", "benchmarks"))}


@pytest.mark.slow
def test_an_editable_installation_is_typed(tmp_path):
    """mypy sees the types of what this environment has installed, where the repository is not."""
    (tmp_path / "mine.py").write_text('import naslab\n\nreveal_type(naslab.task("x"))\nnaslab.compare(3)\n')
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", "mine.py"]
    said = subprocess.run(mypy, cwd=tmp_path, env=OUTSIDE, capture_output=True, text=True, check=False).stdout
    assert 'Revealed type is "naslab.tasks.base.Task"' in said, said
    assert "mine.py:4: error" in said  # arguments are checked
    assert "import-" not in said
