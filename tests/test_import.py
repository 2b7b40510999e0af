"""What importing naslab, and its help, cost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "matplotlib", "numpy", "networkx", "scipy", "optuna")
HELP = "from naslab.cli import run_command; run_command(['--help'])"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def seconds(code: str) -> float:
    """CPU seconds of a fresh process, the best of five, so that a busy machine does not decide."""
    taken = []
    for _ in range(5):
        before = os.times()
        run(code)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(taken)


@pytest.mark.parametrize(
    "code",
    [
        "import naslab",
        "import naslab; dir(naslab); naslab.__version__",
        HELP,
        "from naslab.cli import run_command; run_command(['compare', '--help'])",
        "from naslab.cli import run_command; run_command(['--version'])",
    ],
)
def test_loads_nothing_heavy(code: str) -> None:
    assert run(f"{code}\nimport sys; print([m for m in {HEAVY} if m in sys.modules])").splitlines()[-1] == "[]"


@pytest.mark.parametrize("code", ["naslab.task", "naslab.AskTell", "naslab.search_space"])
def test_loads_torch_only_when_needed(code: str) -> None:
    loaded = run(
        f"import naslab, sys; {code}; print([m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_takes_no_time() -> None:
    nothing = seconds("pass")
    assert seconds("import naslab") - nothing < 0.1
    assert seconds(HELP) < 0.5


def test_every_public_name_is_there() -> None:
    code = "import naslab; print(sorted(n for n in naslab.__all__ if getattr(naslab, n, None) is None))"
    assert run(code).strip() == "[]"


def test_unknown_name_is_an_attribute_error() -> None:
    import naslab

    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = naslab.nothing_of_this_name
