"""Names to things: entry points of naslab's own and of strangers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toy_tasks
from toy_tasks import run_naslab

import naslab
from naslab import ops, registry
from naslab.errors import (
    InvalidSpace,
    InvalidValue,
    NaslabError,
    PluginError,
    UnknownEvaluator,
    UnknownHyperparameter,
    UnknownOperation,
    UnknownOptimizer,
    UnknownSearchSpace,
    UnknownTask,
)

MODULE = """
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import naslab
import naslab.ops

Path(__file__).with_name("imported").touch()

class Sweep(naslab.AskTell):
    def __init__(self, problem, rng, *, first=0):
        super().__init__(problem, rng)
        self.coming = iter(list(problem.space.architectures())[first:])
    def ask(self):
        return next(self.coming, None)
    def tell(self, architecture, evaluation):
        pass

class Flat(naslab.Evaluator):
    def evaluate(self, architecture, *, fidelity=None, rng):
        return naslab.Evaluation(float(sum(architecture)), 1.0)

@dataclass(frozen=True)
class Halve(naslab.ops.Operation):
    by: int = 2

def strip(length=2):
    return naslab.search_space("mlp", in_features=2, out_features=2, widths=((1, 2, 3),) * length)

def task(name):
    return naslab.Task(name, naslab.Problem(strip(int(name.partition("/")[2]))), Flat, Flat())
"""
SETUP = """
[metadata]
name = third-party
version = 1.2
description = Summary of the distribution.
[options]
py_modules = third_party
[options.entry_points]
naslab.optimizers =
    sweep = third_party:Sweep [One after the other, in order.]
    plain = third_party:Sweep
    gone = third_party:Gone
naslab.search_spaces =
    strip = third_party:strip [A strip.]
naslab.operations =
    halve = third_party:Halve [Half of it.]
naslab.evaluators =
    flat = third_party:Flat [The sum of the options.]
naslab.tasks =
    strip/2 = third_party:task [Two widths.]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which a tiny distribution of somebody else's was installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "third_party.py").write_text(MODULE)
    (source / "setup.cfg").write_text(SETUP)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def third_party(installed: Path) -> dict[str, Any]:
    """Options that let :func:`run_naslab` find it; nothing has imported it yet."""
    (installed / "imported").unlink(missing_ok=True)
    return {"env": {"PYTHONPATH": str(installed)}}


def imported(installed: Path) -> bool:
    return (installed / "imported").exists()


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (
            "optimizers",
            [
                ("sweep", "One after the other, in order."),
                ("plain", "Summary of the distribution."),
                ("gone", "Summary of the distribution."),
            ],
        ),
        ("spaces", [("strip", "A strip.")]),
        ("operations", [("halve", "Half of it.")]),
        ("evaluators", [("flat", "The sum of the options.")]),
        ("tasks", [("strip/2", "Two widths.")]),
    ],
)
def test_listing_imports_no_plug_in(
    installed: Path, third_party: dict[str, Any], kind: str, rows: list[tuple[str, str]]
) -> None:
    done = run_naslab("list", kind, **third_party)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    for name, description in rows:
        words = [*description.split(), "third-party", "1.2"]
        # Tasks have columns of what each offers between name and description.
        assert any(line[-len(words) :] == words and name in line[:2] for line in lines)
    assert not imported(installed)


def test_listing_everything(installed: Path, third_party: dict[str, Any]) -> None:
    done = run_naslab("list", **third_party)
    assert done.returncode == 0
    for word in ("sweep", "strip/2", "random", "nasbench201", "table", "nasbench201/cifar100", "nasbench201-search"):
        assert any(word in line.split() for line in done.stdout.splitlines()), word
    assert not imported(installed)


def test_operations_of_others_are_made_by_name(installed: Path) -> None:
    code = "import naslab; print(naslab.operation('halve[by=4]'), naslab.operation('halve'))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "Halve(by=4) Halve(by=2)\n", done.stderr


@pytest.mark.parametrize(
    ("written", "attributes", "expected"),
    [
        ("conv", {}, ops.Conv()),
        ("conv[kernel=5,order=conv-bn]", {}, ops.Conv(kernel=5, order="conv-bn")),
        ("mbconv[squeeze_excitation=true]", {"expansion": 3}, ops.MBConv(squeeze_excitation=True, expansion=3)),
        ("mbconv[squeeze_excitation=mobilenetv3]", {}, ops.MBConv(squeeze_excitation="mobilenetv3")),
        ("conv", {"kernel": naslab.Choice("k", (1, 3))}, ops.Conv(kernel=naslab.Choice("k", (1, 3)))),
    ],
)
def test_an_operation_by_name(written: str, attributes: dict[str, Any], expected: ops.Operation) -> None:
    assert naslab.operation(written, **attributes) == expected


def test_every_operation_has_a_name() -> None:
    every = {op for op in vars(ops).values() if isinstance(op, type) and issubclass(op, ops.Operation)}
    assert {entry.load() for entry in registry.entries("operations").values()} == every - {ops.Operation}


@pytest.mark.parametrize(
    ("written", "error", "said"),
    [
        ("convv", UnknownOperation, "'convv'. Did you mean 'conv'? See: naslab list operations"),
        ("conv[kernl=3]", UnknownHyperparameter, "'kernl' of 'conv'. Did you mean 'kernel'?"),
        ("conv[kernel]", InvalidValue, "hyperparameters are written key=value"),
        ("upsample[mode=cubic]", InvalidSpace, "mode 'cubic'. Known: bilinear, nearest."),
        ("sequence", PluginError, "operation 'sequence': TypeError"),
    ],
)
def test_what_is_no_operation_is_refused(written: str, error: type[NaslabError], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        naslab.operation(written)


def test_a_plug_in_is_found_by_name(installed: Path, third_party: dict[str, Any], tmp_path: Path) -> None:
    done = run_naslab(
        "search", "strip/2", "--optimizer", "sweep[first=3]", "--budget", "5", "--out", str(tmp_path), **third_party
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)  # the last line of the progress
    assert imported(installed)
    assert "found:  2-3" in done.stdout
    assert [p.relative_to(tmp_path) for p in tmp_path.rglob("*.jsonl")] == [
        Path("runs/strip--2/sweep[first=3]/0.jsonl")
    ]


def test_a_plug_in_runs_in_workers(third_party: dict[str, Any], tmp_path: Path) -> None:
    done = run_naslab(
        "compare", "strip/2", "--optimizers", "sweep,random", "--budget", "5", "--seeds", "2", "--workers", "2",
        "--out", str(tmp_path), **third_party,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(toy_tasks.traces(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sweap", "UnknownOptimizer: 'sweap'. Did you mean 'sweep'? See: naslab list optimizers"),
        ("gone", "PluginError: 'gone' of third-party 1.2 can't be loaded: AttributeError: "),
        ("sweep[frist=3]", "UnknownHyperparameter: 'frist' of 'sweep'. Did you mean 'first'?"),
        ("sweep[first=x]", "InvalidValue: 'sweep[first=x]': first='x' is no int (the default is 0)"),
    ],
)
def test_a_plug_in_that_is_not_there(third_party: dict[str, Any], tmp_path: Path, name: str, said: str) -> None:
    done = run_naslab(
        "search", "strip/2", "--optimizer", name, "--budget", "5", "--out", str(tmp_path / "out"), **third_party
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_name_that_two_register_is_refused(tmp_path: Path) -> None:
    for distribution in ("impostor", "other"):
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        name = "random" if distribution == "impostor" else "fresh"
        (info / "entry_points.txt").write_text(f"[naslab.optimizers]\n{name} = nowhere:Nothing\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    for arguments in (["list", "optimizers"], ["list"], ["search", "nasbench201/cifar10", "--optimizer", "random",
                      "--budget", "3", "--out", str(tmp_path / "out")]):  # fmt: skip
        done = run_naslab(*arguments, env=environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        for word in ("PluginError", "impostor 1.0", f"naslab {naslab.__version__}", "'random'", "uninstall one"):
            assert word in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_builtin_names() -> None:
    assert set(registry.entries("search_spaces")) >= {"nasbench201", "mlp"}
    assert set(registry.entries("tasks")) >= {f"nasbench201/{d}" for d in ("cifar10", "cifar100", "imagenet16-120")}
    for kind in registry.UNKNOWN:
        for name, entry in registry.entries(kind).items():
            assert entry.name == name
            assert len(entry.description) > 10
            assert "[" not in entry.description
            assert entry.load() is not None


@pytest.mark.parametrize(
    ("kind", "name", "error", "said"),
    [
        ("search_spaces", "nasbench202", UnknownSearchSpace, "Did you mean 'nasbench201'? See: naslab list spaces"),
        ("optimizers", "regularised-evolution", UnknownOptimizer,
         "'regularised-evolution'. Did you mean 'regularized-evolution'? See: naslab list optimizers"),
        ("optimizers", "xyzzy", UnknownOptimizer, "Known: "),
        ("evaluators", "tabel", UnknownEvaluator, "Did you mean 'table'? See: naslab list evaluators"),
        ("tasks", "nasbench201/cifar1", UnknownTask, "Did you mean 'nasbench201/cifar10'? See: naslab list tasks"),
    ],
)  # fmt: skip
def test_unknown_names(kind: str, name: str, error: type[NaslabError], said: str) -> None:
    with pytest.raises(error) as caught:
        registry.load(kind, name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("nasbench202", {}, UnknownSearchSpace, "Did you mean 'nasbench201'"),
        ("mlp", {"widht": (1, 2)}, UnknownHyperparameter, "'widht' of 'mlp'. Did you mean 'widths'?"),
        ("nasbench201", {"classes": 3}, UnknownHyperparameter, "'classes' of 'nasbench201'"),
    ],
)
def test_unknown_spaces_and_options(name: str, options: dict[str, Any], error: type[NaslabError], said: str) -> None:
    with pytest.raises(error) as caught:
        naslab.search_space(name, **options)
    assert said in str(caught.value)
