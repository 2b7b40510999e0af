"""How optimizers are named, and plug-ins that are not what they should be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toy_tasks import toy_task

import naslab
from naslab.errors import InvalidValue, NaslabError, PluginError, UnknownHyperparameter, UnknownName, UnknownOptimizer
from naslab.optimizers import optimizer_spec
from naslab.optimizers.random_search import RandomSearch
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.registry import parse_list

GOOD = """
import naslab
class Mine(naslab.AskTell):
    def __init__(self, problem, rng, *, scale=1.0, name="x", deep=False):
        super().__init__(problem, rng)
        self.options = (scale, name, deep)
    def ask(self):
        return self.problem.sample(self.rng)
    def tell(self, architecture, evaluation):
        pass
"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        ("a[x=1,y=2],b", ["a[x=1,y=2]", "b"]),
        ("a[x=(1,2)],./f.py:C[z=1]", ["a[x=(1,2)]", "./f.py:C[z=1]"]),
        ("a,,b", ["a", "", "b"]),
        ("", [""]),
    ],
)
def test_lists(text: str, parts: list[str]) -> None:
    assert parse_list(text) == parts


@pytest.mark.parametrize(
    ("name", "factory", "options"),
    [
        ("random", RandomSearch, {}),
        ("regularized-evolution[population=20]", RegularizedEvolution, {"population": 20}),
        ("regularized-evolution[ sample = 2 , replacement=false]", RegularizedEvolution,
         {"sample": 2, "replacement": False}),
        ("regularized-evolution[replacement=True]", RegularizedEvolution, {"replacement": True}),
        ("naslab.optimizers.random_search:RandomSearch", RandomSearch, {}),
        (RandomSearch, RandomSearch, {}),
    ],
)  # fmt: skip
def test_names(name: str | type[naslab.AskTell], factory: type, options: dict[str, object]) -> None:
    spec = optimizer_spec(name)
    assert (spec.factory, spec.options) == (factory, options)
    assert spec.label == (name if isinstance(name, str) else "naslab.optimizers.random_search:RandomSearch")


def test_the_header_states_every_hyperparameter_and_the_file(tmp_path: Path) -> None:
    described = optimizer_spec("regularized-evolution[sample=2]").describe()
    assert described["hyperparameters"] == {"population": 10, "sample": 2, "replacement": True}
    assert "file_sha256" not in described
    (tmp_path / "mine.py").write_text(GOOD)
    described = optimizer_spec(f"{tmp_path}/mine.py:Mine[scale=2]").describe()
    assert described["hyperparameters"] == {"scale": 2, "name": "x", "deep": False}
    assert len(described["file_sha256"]) == 64


def test_files_of_one_name_are_different_modules(tmp_path: Path) -> None:
    specs = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(GOOD)
        specs.append(optimizer_spec(f"{tmp_path}/{folder}/mine.py:Mine"))
    assert specs[0].factory is not specs[1].factory
    assert specs[0].factory is optimizer_spec(specs[0].label).factory


def test_a_relative_file_and_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / "mine.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("./pack/mine.py:Mine", "pack/mine.py:Mine", "pack.mine:Mine"):
        result = naslab.search(toy_task(), f"{name}[scale=0.5,name=y,deep=true]", budget=4)
        assert len(result.trace.steps) == 4
        assert result.trace.header["optimizer"]["hyperparameters"] == {"scale": 0.5, "name": "y", "deep": True}


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("regularised-evolution", UnknownOptimizer, "Did you mean 'regularized-evolution'"),
        ("", InvalidValue, "name is empty"),
        ("./mine.py", InvalidValue, "which class of the file"),
        ("[a=1]", InvalidValue, "write NAME"),
        ("random[", InvalidValue, "write NAME"),
        ("random[a=1", InvalidValue, "write NAME"),
        ("random[]", InvalidValue, "key=value"),
        ("regularized-evolution[5]", InvalidValue, "key=value, not '5'"),
        ("regularized-evolution[popluation=5]", UnknownHyperparameter, "Did you mean 'population'"),
        ("random[population=5]", UnknownHyperparameter, "'population' of 'random'. None is defined."),
        ("regularized-evolution[problem=5]", UnknownHyperparameter, "'problem' of"),
        ("regularized-evolution[population=ten]", InvalidValue, "population='ten' is no int (the default is 10)"),
        ("regularized-evolution[population=2.5]", InvalidValue, "population=2.5 is no int"),
        ("regularized-evolution[population=true]", InvalidValue, "population=True is no int"),
        ("regularized-evolution[population=none]", InvalidValue, "population=None is no int"),
        ("regularized-evolution[replacement=1]", InvalidValue, "replacement=1 is no bool"),
        ("regularized-evolution[population=5,population=6]", InvalidValue, "population is given twice"),
        ("reinforce[learning_rate=fast]", InvalidValue, "learning_rate='fast' is no float"),
        ("naslab.optimizers.random_search:RandomSerch", PluginError, "Did you mean 'RandomSearch'"),
        ("naslab.optimizers:", PluginError, "naslab.optimizers has no class"),
        ("no_such_package.module:Class", PluginError, "module 'no_such_package.module' can't be found; for a file"),
        ("naslab.no_such:Class", PluginError, "can't be found"),
        (":Class", PluginError, "can't be imported"),
        (".relative:Class", PluginError, "can't be imported"),
        ("naslab.optimizers.base:Query", PluginError, "is no optimizer"),
        ("naslab.optimizers.base:AskTell", PluginError, "lacks ask(), tell()"),
        ("naslab.optimizers.base:Optimizer", PluginError, "lacks best()"),
        ("naslab.optimizers.base:__doc__", PluginError, "is no optimizer"),
        ("missing.py:Mine", PluginError, "plug-in file 'missing.py' does not exist"),
    ],
)
def test_bad_names(name: str, error: type[NaslabError], said: str) -> None:
    with pytest.raises(error) as caught:
        optimizer_spec(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said", "shown"),
    [
        ("1 / 0\n", "raises on import: ZeroDivisionError: division by zero", "1 / 0"),
        ("import no_such_thing_anywhere\n", "raises on import: ModuleNotFoundError", "import no_such_thing"),
        ("def f(:\n", "raises on import: SyntaxError", "def f(:"),
        ("raise SystemExit(0)\n", "raises on import: SystemExit: 0", "raise SystemExit"),
        ("def deep():\n    raise KeyError('two\\nlines')\ndeep()\n", "raises on import: KeyError", "in deep"),
        ("class Other: pass\n", "has no class 'Mine'", ""),
        ("Mine = 3\n", "is no optimizer", ""),
        ("class Mine: pass\n", "is no optimizer: it must be a class derived from naslab.AskTell", ""),
        (GOOD.replace("def tell", "def tel"), "lacks tell()", ""),
        (GOOD.replace("def ask", "def aks"), "lacks ask()", ""),
    ],
)
def test_a_file_that_is_no_plug_in(tmp_path: Path, text: str, said: str, shown: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    loaded = set(sys.modules)
    with pytest.raises(PluginError) as caught:
        optimizer_spec(f"{path}:Mine")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    details = caught.value.details
    assert shown in details
    assert bool(shown) == bool(details)
    assert "naslab/" not in details.replace(str(tmp_path), "")
    assert "importlib" not in details
    if shown:  # mended, it can be loaded by the same process
        assert not {m for m in set(sys.modules) - loaded if m.startswith("naslab_plugin")}
        path.write_text(GOOD)
        assert optimizer_spec(f"{path}:Mine").label.endswith("mine.py:Mine")


@pytest.mark.parametrize("where", ["__init__", "mine"])
def test_a_package_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    package = f"broken_{where.strip('_')}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "mine.py").touch()
    (tmp_path / package / f"{where}.py").write_text("def f():\n    raise RuntimeError('mine')\nf()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="can't be imported: RuntimeError: mine") as caught:
        optimizer_spec(f"{package}.mine:Mine")
    assert "raise RuntimeError('mine')" in caught.value.details
    assert "naslab/" not in caught.value.details.replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ("self.options = (scale, name, deep)", "raise OSError('no')", "can't be built: OSError: no"),
        ("return self.problem.sample(self.rng)", "return self.no_such", "failed on toy, seed 0: AttributeError"),
        ("super().__init__(problem, rng)", "self.problem, self.rng = problem, rng", "seed 0: AttributeError"),
        ("        pass", "        raise IndexError('told')", "failed on toy, seed 0: IndexError: told"),
        ("return self.problem.sample(self.rng)", "return [0, 0, 0]", "Mine.ask() returned [0, 0, 0], which is no arch"),
    ],
)  # fmt: skip
def test_a_plug_in_that_breaks(tmp_path: Path, replaced: str, by: str, said: str) -> None:
    path = tmp_path / "mine.py"
    assert GOOD.count(replaced) == 1
    path.write_text(GOOD.replace(replaced, by))
    with pytest.raises(PluginError) as caught:
        naslab.search(toy_task(), f"{path}:Mine", budget=3)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    lines = [line for line in caught.value.details.splitlines() if line.lstrip().startswith("File ")]
    assert all(str(path) in line for line in lines)
    if by.startswith(("raise", "return self.no", "        raise")):
        assert by.strip() in caught.value.details


def test_a_text_may_look_like_something_else():
    assert optimizer_spec("tabnas[correction=none,samples=5]").options == {"correction": "none", "samples": 5}
    assert optimizer_spec("tabnas[correction='none']").options == {"correction": "none"}
    with pytest.raises(UnknownName, match="'7'"):
        optimizer_spec("tabnas[correction=7]").build(naslab.task("pocket-mlp/segments").problem, None)
