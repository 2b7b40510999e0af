"""The command line: what it prints, and that bad input ends with one line, exit code 2 and nothing written."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import toy_tasks
from toy_tasks import contents, run_naslab

import naslab
from naslab.cli import run_command

COMPARE = {"--optimizers": "random", "--seeds": "2", "--budget": "5"}
SEARCH = {"--optimizer": "random", "--budget": "5"}


def arguments(command: str, tasks: list[str], options: dict[str, str], changes: dict[str, str | None]) -> list[str]:
    merged = {**options, **changes}
    return [command, *tasks, *(word for key, value in merged.items() if value is not None for word in (key, value))]


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run a command line that must be refused; returns its one line."""
    code = run_command(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--optimizers": "regularised-evolution"},
         "UnknownOptimizer: 'regularised-evolution'. Did you mean 'regularized-evolution'? See: naslab list opt"),
        ({"--optimizers": "random,,reinforce"}, "InvalidValue: an optimizer's name is empty"),
        ({"--optimizers": "random,random"}, "InvalidValue: a task or an optimizer is named twice"),
        ({"--objectives": "score,latncy_seconds"}, "UnknownMetric: 'latncy_seconds'. Did you mean 'latency_seconds'?"),
        ({"--objectives": "params,score"}, "InvalidValue: objectives 'params,score': the first is 'score'"),
        ({"--optimizers": "random[x"}, "InvalidValue: optimizer 'random[x'"),
        ({"--optimizers": "regularized-evolution[popluation=5]"},
         "UnknownHyperparameter: 'popluation' of 'regularized-evolution'. Did you mean 'population'?"),
        ({"--optimizers": "regularized-evolution[population=big]"}, "population='big' is no int (the default is 10)"),
        ({"--optimizers": "regularized-evolution[population=0]"}, "InvalidValue: population=0"),
        ({"--optimizers": "random,./none.py:Mine"}, "PluginError: plug-in file 'none.py' does not exist"),
        ({"--budget": "0"}, "InvalidValue: budget '0': give evaluations (such as 100) or seconds (such as 12000s)"),
        ({"--budget": "0s"}, "InvalidValue: budget '0s'"),
        ({"--budget": "-5s"}, "InvalidValue: budget '-5s'"),
        ({"--budget": "abc"}, "InvalidValue: budget 'abc'"),
        ({"--budget": "1.5"}, "InvalidValue: budget '1.5'"),
        ({"--optimizers": None}, "UsageError: Missing option '--optimizers'. See: naslab compare --help"),
        ({"--out": None}, "UsageError: Missing option '--out'"),
        ({"--optimizers": None}, "UsageError: Missing option '--optimizers'"),
        ({"--seeds": "0"}, "InvalidValue: seeds 0: give a whole number of at least 1"),
        ({"--seeds": "-1"}, "InvalidValue: seeds -1"),
        ({"--seeds": "two"}, "UsageError: Invalid value for '--seeds'"),
        ({"--workers": "0"}, "InvalidValue: workers 0: give a whole number of at least 1"),
        ({"--workers": "1.5"}, "UsageError: Invalid value for '--workers'"),
        ({"--max": "parms=100"}, "UnknownMetric: 'parms'. Did you mean 'params'?"),
        ({"--max": "latency=100"}, "UnknownMetric: 'latency'. Did you mean 'latency_seconds'?"),
        ({"--max": "params"}, "InvalidValue: limit params="),
        ({"--max": "params=many"}, "InvalidValue: limit params=many"),
        ({"--max": "params=-3"}, "InvalidValue: limit params=-3"),
        ({"--max": "params=1"}, "no architecture of 'mlp' has params <= 1; the smallest there is: params=11"),
        ({"--maximum": "params=1"}, "UsageError: No such option: --maximum"),
        ({"--sedes": "3"}, "UsageError: No such option: --sedes (Possible options: --retries, --seeds)"),
    ],
)  # fmt: skip
def test_bad_comparisons(
    stored_task: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str | None],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = arguments("compare", [stored_task], {**COMPARE, "--out": "out/deep"}, changes)
    assert said in refused(capsys, words)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (["nasbench201/cifar11"], "UnknownTask: 'nasbench201/cifar11'. Did you mean 'nasbench201/cifar10'?"),
        (["nasbench/cifar10"], "UnknownTask: 'nasbench/cifar10'. Did you mean 'nasbench201/cifar10'? See: naslab list"),
        (["toymlp/toy", "toymlp/to"], "UnknownTask: 'toymlp/to'. Did you mean 'toymlp/toy'?"),
        (["toymlp/toy", "toymlp/toy"], "named twice"),
        ([], "InvalidValue: which tasks? Give at least one"),
    ],
)
@pytest.mark.usefixtures("stored_task")
def test_bad_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str], tasks: list[str], said: str) -> None:
    assert said in refused(capsys, arguments("compare", tasks, COMPARE, {"--out": str(tmp_path / "out")}))
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--optimizer": "locl-search"}, "UnknownOptimizer: 'locl-search'. Did you mean 'local-search'?"),
        ({"--optimizer": "regularized-evolution[sample=0]"}, "sample=0"),
        ({"--budget": "-5s"}, "InvalidValue: budget '-5s'"),
        ({"--seed": "-1"}, "InvalidValue: seed -1"),
        ({"--seed": "x"}, "UsageError: Invalid value for '--seed'"),
        ({"--max": "flops=3"}, "UnknownMetric: 'flops'"),
        ({"--max": "params=1"}, "smallest there is: params=11"),
        ({"--objectives": "score,params:low"}, "InvalidValue: direction 'low' of 'params'. Allowed: 'max' or 'min'"),
        ({"--objectives": "score,,params"}, "UnknownMetric: ''. Known: activation_bytes, latency_seconds, macs"),
    ],
)
def test_bad_searches(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str | None], said: str
) -> None:
    words = arguments("search", [stored_task], {**SEARCH, "--out": str(tmp_path / "out")}, changes)
    assert said in refused(capsys, words)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "tasks", "x"], "naslab list tasks x: options are shown of spaces, operations, optimizers"),
        (["list", "optimizers", "gdsa"], "UnknownOptimizer: 'gdsa'. Did you mean 'gdas'? See: naslab list optimizers"),
        (["list", "evaluators", "synflo"], "UnknownEvaluator: 'synflo'. Did you mean 'synflow'?"),
        (["list", "foo"], "UnknownName: 'foo'. Known: evaluators, experiments, operations, optimizers, spaces, tasks."),
        (["list", "optimisers"], "UnknownName: 'optimisers'. Did you mean 'optimizers'?"),
        (["compar"], "UsageError: No such command 'compar'. Did you mean 'compare'?"),
        (["--no-such"], "UsageError: No such option: --no-such"),
        (["reproduce", "nasbench201-serach"], "UnknownExperiment: 'nasbench201-serach'. Did you mean 'nasbench201-sea"),
        (["reproduce", "missing.toml"], "InvalidValue: 'missing.toml' can't be read"),
        (["report", "nowhere"], "OutputError: nowhere holds no comparison"),
        (["table", "imprt"], "UsageError: No such command 'imprt'"),
        (["table", "import", "--name", "x"], "InvalidValue: give either a FILE with --schema SCHEMA.toml (a first"),
        (["table", "import", "a.csv", "--name", "x"], "InvalidValue: give either"),
        (["table", "import", "--nats", "a", "--schema", "s", "--name", "x"], "InvalidValue: give either"),
        (["table", "import", "a.csv", "--schema", "s.toml", "--name", "x"], "s.toml"),
        (["table", "import", "--nats", "nowhere", "--name", "x"], "nowhere"),
        (["table", "import", "a", "--nats", "b", "--name", "x"], "InvalidValue: give either"),
        (["table", "import", "a", "--format", "nasbench11", "--name", "x"], "Did you mean 'nasbench101'?"),
        (["table", "import", "a", "--format", "hw-nas-bench", "--name", "x"], "See: naslab table join TABLE FILE"),
        (["table", "import", "a", "--format", "nats", "--schema", "s", "--name", "x"], "InvalidValue: give either"),
        *((["table", "import", "absent", "--format", form, "--name", "x"], "InvalidTable: 'absent' can't be read: no")
          for form in ("nasbench101", "nasbench1shot1-1", "transnas-micro", "nasbench-macro")),
        (["table", "join", "nasbench201", "a.csv"], "InvalidValue: give either --schema SCHEMA.toml, or --format"),
        (["table", "join", "nasbench21", "a.csv", "--schema", "s"], "UnknownTable: 'nasbench21'. Did you mean"),
        (["table", "join", "nasbench201", "absent", "--format", "hw-nas-bench"], "'absent' can't be read"),
    ],
)  # fmt: skip
def test_bad_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, words)
    assert contents(tmp_path) == {}


def test_the_smallest_is_named_for_every_limit(stored_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = arguments("search", [stored_task], SEARCH, {"--out": "never", "--max": "params=12"})
    said = refused(capsys, [*words, "--max", "latency_seconds=0.0001"])
    assert "latency_seconds <= 0.0001, params <= 12; the smallest there is: latency_seconds=0.001, params=11" in said


@pytest.mark.parametrize("command", ["compare", "search"])
@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_unwritable_out(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, out: str
) -> None:
    (tmp_path / "file").write_text("mine")
    options = COMPARE if command == "compare" else SEARCH
    said = refused(capsys, arguments(command, [stored_task], options, {"--out": str(tmp_path / out)}))
    assert said.startswith(f"OutputError: {tmp_path / out}")
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_foreign_folder(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    said = refused(capsys, arguments("compare", [stored_task], COMPARE, {"--out": str(tmp_path)}))
    assert f"OutputError: {tmp_path} is not empty (thesis.tex) and holds no comparison" in said
    assert contents(tmp_path) == {"thesis.tex": b"precious"}


def test_the_trace_of_another_search(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = arguments("search", [stored_task], SEARCH, {"--out": str(tmp_path)})
    assert run_command(words) == 0
    capsys.readouterr()
    before = contents(tmp_path)
    said = refused(capsys, arguments("search", [stored_task], SEARCH, {"--out": str(tmp_path), "--budget": "6"}))
    assert 'belongs to another run: budget was "5" there and is "6" now' in said
    assert contents(tmp_path) == before


def test_an_error_of_the_file_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "/some/report.html")

    monkeypatch.setattr("naslab.running.results.Results.__init__", full)
    assert refused(capsys, ["report", "x"]) == "OutputError: /some/report.html: no space left on device\n"


# ---- plug-ins --------------------------------------------------------------------------------------------------------

PLUGIN = """import naslab

class Mine(naslab.AskTell):
    def ask(self):
        return self.problem.sample(self.rng)

    def tell(self, architecture, evaluation):
        pass
"""
SAMPLE = "return self.problem.sample(self.rng)"


@pytest.mark.parametrize(
    ("text", "said", "shown", "written"),
    [
        (PLUGIN + "undefined_name\n", "raises on import: NameError", ["undefined_name"], False),
        (PLUGIN + "def broken(:\n", "raises on import: SyntaxError", ["def broken(:"], False),
        (PLUGIN.replace("def tell", "def told"), "lacks tell()", [], False),
        (PLUGIN.replace("Mine", "Main"), "has no class 'Mine'. Did you mean 'Main'?", [], False),
        (PLUGIN.replace("(naslab.AskTell)", ""), "is no optimizer", [], False),
        (PLUGIN.replace(SAMPLE, "return (9,) * 3"), "returned (9, 9, 9), which is no architecture of 'mlp'", [], True),
        (PLUGIN.replace(SAMPLE, "return None.nothing"), "failed on toymlp/toy, seed 0: AttributeError",
         ["in ask", "None.nothing"], True),
        (PLUGIN.replace(SAMPLE, "return naslab.search_space('nope')"), "UnknownSearchSpace: 'nope'", [], True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["compare", "search"])
def test_bad_plug_ins(
    stored_task: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    text: str,
    said: str,
    shown: list[str],
    written: bool,
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    key = "--optimizers" if command == "compare" else "--optimizer"
    options = COMPARE if command == "compare" else SEARCH
    out = tmp_path / "out"
    code = run_command(arguments(command, [stored_task], options, {key: f"{file}:Mine", "--out": str(out)}))
    err = capsys.readouterr().err
    assert code == 2
    assert said in err.splitlines()[-1]
    for piece in shown:
        assert piece in err
    details = err.splitlines()[:-1]
    assert bool(details) == bool(shown)
    assert all(str(file) in line for line in details if line.lstrip().startswith("File "))
    assert str(Path(naslab.__file__).parent) not in err
    assert out.exists() == written


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_plug_in_that_breaks_in_a_process_of_its_own(stored_task: str, tmp_path: Path, workers: str) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace(SAMPLE, "return 1 / 0"))
    words = arguments("compare", [stored_task], COMPARE, {"--optimizers": "./mine.py:Mine", "--workers": workers})
    done = run_naslab(*words, "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0] == f'  File "{tmp_path}/mine.py", line 5, in ask'
    assert lines[1].strip() == "return 1 / 0"
    assert lines[-1].startswith("PluginError: './mine.py:Mine' failed on toymlp/toy, seed ")
    assert lines[-1].endswith(": ZeroDivisionError: division by zero")
    assert "Traceback" not in done.stderr
    assert str(Path(naslab.__file__).parent) not in done.stderr


# ---- what works ------------------------------------------------------------------------------------------------------


def test_a_comparison(stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    words = arguments(
        "compare", [stored_task], COMPARE, {"--optimizers": "random,./mine.py:Mine", "--max": "params=30"}
    )
    done = run_naslab(*words, "--max", "latency_seconds=0.002", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "4/4 runs, 0 s left"
    assert done.stdout.splitlines()[-1] == "Report: out/report/report.html"
    assert (tmp_path / "out" / "report" / "report.html").stat().st_size > 10_000
    assert "./mine.py:Mine" in done.stdout
    assert len(toy_tasks.traces(tmp_path / "out")) == 4
    assert "latency_seconds=0.002" in naslab.Results(tmp_path / "out").command


def test_a_search(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = arguments(
        "search", [stored_task], SEARCH, {"--out": str(tmp_path), "--optimizer": "reinforce", "--seed": "3"}
    )
    result = naslab.search(stored_task, "reinforce", budget=5, seed=3)
    for _ in range(2):  # the second time from what is there
        assert run_command(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines == [
            f"5 evaluations, trace: {tmp_path}/runs/toymlp--toy/reinforce/3.jsonl",
            f"found:  {result.name}",
            f"reward: {result.score:.6g}",
            f"truth:  {result.truth:.6g} % test accuracy",
        ]


@pytest.mark.parametrize(
    ("words", "said", "options"),
    [
        (["optimizers", "regularized-evolution"], "Real et al.", "  population=10"),
        (["optimizers", "gdas"], "GDAS (Dong & Yang 2019)", "  weights=hard-gumbel"),
        (["spaces", "mlp"], "Raises:", "  depth=3"),
        (["operations", "mbconv"], "Inverted bottleneck", "  activation=relu"),
        (["evaluators", "path-kernel"], "naslab", "  trees=true"),
        (["evaluators", "zero-cost/naswot"], "Mellor", "  batch=64"),
        (["evaluators", "early-loss"], "loss", "  steps=none"),
        (["evaluators", "reward"], "fidelity", "  epochs=none"),
    ],
)
def test_what_one_of_them_is(words: list[str], said: str, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", *words]) == 0
    shown = capsys.readouterr().out
    assert said in shown
    assert options in shown.splitlines()
    assert ("  steps=none" in shown) == (words[1] == "early-loss")


def test_single_proxies_are_listed_among_the_evaluators(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "evaluators"]) == 0
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:] if line.strip()]
    assert {"naswot", "reward", "path-kernel", "one-shot"} <= set(names)


@pytest.mark.parametrize("command", ["compare", "search"])
def test_a_limit_that_does_not_bind_is_pointed_out(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    usual = SEARCH if command == "search" else COMPARE
    largest = max(naslab.task(stored_task).problem.space.cost(a).params for a in product(range(3), repeat=3))
    for limit, said in ((largest, True), (largest - 1, False)):
        changes = {"--max": f"params={limit}", "--out": str(tmp_path / str(limit))}
        assert run_command(arguments(command, [stored_task], usual, changes)) == 0
        note = f"Note: params <= {limit} does not bind on {stored_task}: the most there is, is {largest}."
        assert (note in capsys.readouterr().out) == said


def test_a_precision_for_a_search_that_reads_a_table_is_pointed_out_once(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for how in (["--precision", "bfloat16", "--deterministic"], []):
        words = ["search", stored_task, "--optimizer", "random", "--budget", "2", *how]
        assert run_command([*words, "--out", str(tmp_path / str(len(how)))]) == 0
        said = "Note: --precision bfloat16 --deterministic has no effect on random: a table is read, and no network"
        assert capsys.readouterr().out.count(said) == bool(how)
    assert contents(tmp_path / "3" / "runs") == contents(tmp_path / "0" / "runs")


def test_a_device_for_a_search_that_reads_a_table_is_pointed_out_once(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in ("meta", "cpu", "auto"):
        changes = {"--device": device, "--out": str(tmp_path / device)}
        assert run_command(arguments("search", [stored_task], SEARCH, changes)) == 0
        said = f"Note: --device {device} has no effect on random: a table is read, and no network runs."
        assert capsys.readouterr().out.count(said) == (device == "meta")
    assert contents(tmp_path / "meta" / "runs") == contents(tmp_path / "cpu" / "runs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "TASK", "--optimizer", "random", "--device", "cuda:99"], "GPUs here. There is: cpu"),
        (["compare", "TASK", "--optimizers", "random", "--device", "gpu:0"], "device 'gpu:0'. "),
        (["correlate", "TASK", "--evaluators", "params", "--device", "cuda:99"], "GPUs here. There is: cpu"),
        (["search", "--csv", "x.csv", "--target", "y", "--optimizer", "random", "--device", "cuda"], "on the CPU"),
        (["search", "TASK", "--optimizer", "random", "--precision", "float16"], "Did you mean 'bfloat16'? Allowed: "),
        (["correlate", "TASK", "--evaluators", "params", "--precision", "half"], "precision 'half'. Known: "),
        (
            ["search", "--csv", "x.csv", "--target", "y", "--optimizer", "random", "--deterministic"],
            "--deterministic is for a TASK",
        ),
        (["reproduce", "gradient-estimators", "--device", "cuda"], "means nothing to gradient-estimators"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_devices_that_are_refused(
    stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    given = [stored_task if word == "TASK" else word for word in words]
    assert said in refused(capsys, [*given, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_search_that_finds_nothing(stored_task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace(SAMPLE, "return (2, 2, 2)"))
    changes = {"--optimizer": f"{tmp_path}/mine.py:Mine", "--max": "params=20", "--out": str(tmp_path / "out")}
    assert run_command(arguments("search", [stored_task], SEARCH, changes)) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["No feasible architecture was found."]


@pytest.mark.parametrize("kind", ["", "spaces", "optimizers", "evaluators", "tasks", "experiments"])
def test_lists(stored_task: str, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    expected = {"spaces": "mlp", "optimizers": "random", "evaluators": "table", "tasks": stored_task,
                "experiments": "nasbench201-search"}  # fmt: skip
    assert run_command(["list", *filter(None, [kind])]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    if kind == "tasks":  # a table of its own, with what each offers
        assert rows[0][:2] == ["name", "size"]
        assert any(row[0] == stored_task for row in rows[1:])
        return
    assert rows[0][:2] == ["kind", "name"]
    for group, name in expected.items():
        assert any(row[:2] == [group, name] for row in rows[1:]) == (kind in ("", group))


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"naslab {naslab.__version__}\n"
    for words in (["--help"], ["compare", "--help"], ["table", "--help"]):
        assert run_command(words) == 0
        assert "Usage: naslab" in capsys.readouterr().out


def test_a_reader_that_leaves(stored_task: str) -> None:
    """As in ``naslab list | head -1``."""
    running = subprocess.Popen(toy_tasks.command("list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == ""
    running.stderr.close()
    assert running.wait() == 1
