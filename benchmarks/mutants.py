"""Which errors the tests would not notice: one thing of a file is made wrong, and the tests of that file must fail.

A mutant is a file with one change: a comparison, an arithmetic or boolean operator, a number, a condition, a returned
value or a statement that is left out. It is killed when the tests fail or take too long, and alive when they pass. Not
changed are texts, decorators, annotations, blocks for type checkers and ``zip``'s ``strict``.

There are thousands, so a sample is run: ``--per-file`` of each file, uniform without replacement, from ``--seed``. Each
runs in a process of its own, which imports naslab anew, on the tests that stand beside the file in ``TESTED``, in a
copy of the working tree: nothing here is touched, and a kill leaves nothing wrong behind.

    python benchmarks/mutants.py --per-file 15 --seed 0
    python benchmarks/mutants.py running/loop.py space/cost.py --per-file 1000

Why neither mutmut nor cosmic-ray, and what was found: ``docs/trust.md``.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import difflib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple, NoReturn

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as for the tests, before PyTorch is imported

# Loaded once: a test's process is a copy of this one, which has never seen naslab.
import pandas as pd  # noqa: F401
import pytest
import torch  # noqa: F401
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("naslab", "tests", "benchmarks", "experiments", "pyproject.toml", "setup.cfg")
FEASIBILITY = "feasibility/test_diagram.py feasibility/test_additive.py feasibility/test_sampled.py"
GRADIENTS = (
    "optimizers/gradient/test_gradient_updates.py "
    "optimizers/gradient/test_gradient_search.py::test_logits_find_what_works"
)
TESTED = {
    "running/loop.py": "running/test_loop.py",
    "running/trace.py": "running/test_trace.py",
    "space/search_space.py": "space/test_space.py space/test_validity.py",
    "space/validity.py": "space/test_validity.py space/test_space.py",
    "space/cost.py": "space/test_cost.py space/test_space.py",
    "space/tabulation.py": "space/test_cost.py feasibility/test_additive.py",
    "feasibility/additive.py": "feasibility/test_additive.py",
    "feasibility/diagram.py": FEASIBILITY,
    "feasibility/diagram_building.py": FEASIBILITY,
    "feasibility/differentiable.py": "feasibility/test_feasibility.py feasibility/test_diagram.py",
    "feasibility/enumerated.py": "feasibility/test_feasibility.py feasibility/test_diagram.py",
    "feasibility/feasibility.py": f"feasibility/test_feasibility.py {FEASIBILITY}",
    "feasibility/feasible_set.py": f"feasibility/test_feasibility.py {FEASIBILITY}",
    "feasibility/sampled.py": "feasibility/test_sampled.py",
    "analysis/intervals.py": "analysis/test_analysis_intervals.py analysis/test_analysis_statistics.py",
    "analysis/statistics.py": "analysis/test_analysis_statistics.py",
    "optimizers/gradient/relaxations.py": (
        "optimizers/gradient/test_gradient_relaxations.py "
        "optimizers/gradient/test_gradient_names.py::test_gates_on_all_paths_are_unbiased"
    ),
    "optimizers/gradient/updates.py": GRADIENTS,
    "optimizers/gradient/sampled_updates.py": GRADIENTS,
    "compiler/passes.py": "compiler/test_passes.py",
    "tables/format.py": "tables/test_table_format.py",
}
"""Files of naslab and their tests: those that mirror the file."""
SLOW = (
    "another_hash_seed or search_resumes_from_every_byte or resumes_from_every_byte or full_disk or "
    "without_a_feasible_draw_there_is_no_gradient or as_large_as_darts"
)
"""Tests that are left out: each takes longer than all others of its file."""
PAUSE = 0.05  # seconds between two looks at whether the tests have ended
TIMES, MORE = 3, 10
"""A mutant has this many times the processor time of the unchanged file, and this many seconds more."""

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


class Mutant(NamedTuple):
    """A changed file: what kind of change, in which line, and the whole text."""

    kind: str
    line: int
    text: str


def mutants(text: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    encoded = text.encode()  # positions of nodes count bytes
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for kind, old, new in _changes(ast.parse(text)):
        assert old.end_lineno is not None
        assert old.end_col_offset is not None
        start = starts[old.lineno - 1] + old.col_offset
        end = starts[old.end_lineno - 1] + old.end_col_offset
        written = ast.unparse(ast.fix_missing_locations(new))
        if isinstance(old, ast.expr):
            written = f"({written})"
        changed = encoded[:start] + written.encode() + encoded[end:]
        found.append((start, Mutant(kind, old.lineno, changed.decode())))
    return [mutant for _, mutant in sorted(found, key=lambda pair: pair[0])]


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.expr | ast.stmt, ast.AST]]:
    yield from _of_node(node)
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                # A text's parts have no positions of their own before Python 3.12.
                if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr) and not _is_left_alone(child):
                    yield from _changes(child)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _of_node(node: ast.AST) -> Iterator[tuple[str, ast.expr | ast.stmt, ast.AST]]:
    match node:
        case ast.Compare():
            for i, op in enumerate(node.ops):
                changed = copy.deepcopy(node)
                changed.ops[i] = COMPARED[type(op)]()
                yield "comparison", node, changed
        case ast.BinOp() if type(node.op) in CALCULATED:
            yield "arithmetic", node, ast.BinOp(node.left, CALCULATED[type(node.op)](), node.right)
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "boolean", node, ast.BoolOp(other, node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield "boolean", node, node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield "arithmetic", node, node.operand
        case ast.Constant(value=bool(value)):
            yield "constant", node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", node, ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", node, ast.Constant(2 * value or 1.0)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return", node, ast.Return(ast.Constant(None))
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call()):
            yield "statement", node, ast.Pass()
        case ast.Assign() if not any(isinstance(target, ast.Name | ast.Tuple) for target in node.targets):
            yield "statement", node, ast.Pass()
        case ast.Break() | ast.Continue():
            yield "statement", node, ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield "condition", node.test, ast.UnaryOp(ast.Not(), node.test)


class Runner:
    """A copy of the working tree in which tests are run."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)

    def unchanged(self, file: str) -> int:
        """The time limit for a file's mutants, in seconds of processor time."""
        before = _spent()
        if self.result(file, (self.folder / "naslab" / file).read_text(), limit=600) != "alive":
            sys.exit(f"the tests of {file} fail without any change: {TESTED[file]}")
        return int(TIMES * (_spent() - before)) + MORE

    def result(self, file: str, text: str, limit: int) -> str:
        """``alive``, ``killed`` or ``time`` for a file of this text."""
        target = self.folder / "naslab" / file
        whole = target.read_text()
        try:
            target.write_text(text)
            # Two changes within a second that are as long as each other would share what Python has compiled.
            Path(cache_from_source(str(target))).unlink(missing_ok=True)
            return self._tested(TESTED[file].split(), limit)
        finally:
            target.write_text(whole)
            Path(cache_from_source(str(target))).unlink(missing_ok=True)

    def _tested(self, tests: list[str], limit: int) -> str:
        arguments = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "-k", f"not ({SLOW})"]
        process = os.fork()
        if not process:
            try:
                self._become_tests([*arguments, *(f"tests/{test}" for test in tests)], limit)
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(1)  # nothing of the parent's is cleaned up here
        waited, ended, status = 0.0, 0, 0
        try:
            while not ended and waited < 10 * limit:  # what waits for something takes no processor time
                time.sleep(PAUSE)
                waited += PAUSE
                ended, status = os.waitpid(process, os.WNOHANG)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            if not ended:
                os.waitpid(process, 0)
        if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
            return "time"
        return "killed" if status else "alive"

    def _become_tests(self, arguments: list[str], limit: int) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()  # with what the tests start, so that it can be ended with them
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        os.environ["PYTHONPATH"] = str(self.folder)  # for processes that tests start
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        os._exit(pytest.main(arguments))


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def difference(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[3:]
    return "\n".join(f"    {line}" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", default=list(TESTED), metavar="FILE", help="below naslab/; by default all")
    parser.add_argument("--per-file", type=int, default=15, help="how many mutants of a file are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    asked = parser.parse_args()
    unknown = [file for file in asked.files if file not in TESTED]
    if unknown:
        parser.error(f"no tests are known for {', '.join(unknown)}: add them to TESTED, which has {', '.join(TESTED)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    killed = run = 0
    with tempfile.TemporaryDirectory(prefix="naslab-mutants-") as folder:
        runner = Runner(Path(folder))
        for file in asked.files:
            text = (runner.folder / "naslab" / file).read_text()
            limit = runner.unchanged(file)
            every = mutants(text)
            drawn = random.Random(f"{asked.seed} {file}").sample(every, min(asked.per_file, len(every)))
            results = {mutant: runner.result(file, mutant.text, limit) for mutant in drawn}
            alive = [mutant for mutant in drawn if results[mutant] == "alive"]
            slow = list(results.values()).count("time")
            print(
                f"{file}: {len(every)} mutants, {len(results)} run, {len(results) - len(alive)} killed"
                f"{f' ({slow} by time)' if slow else ''}, {len(alive)} alive",
                flush=True,
            )
            for mutant in sorted(alive, key=lambda mutant: mutant.line):
                print(f"  line {mutant.line}, {mutant.kind}\n{difference(text, mutant.text)}", flush=True)
            run += len(results)
            killed += len(results) - len(alive)
    if run:
        interval = stats.binomtest(killed, run).proportion_ci(method="wilson")
        print(f"{killed} of {run} killed: {killed / run:.1%} [{interval.low:.1%}, {interval.high:.1%}]")


if __name__ == "__main__":
    main()
