"""Wings that run networks say of every tensor where it is, and draw on the CPU alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "naslab"
WINGS = ("compiler", "evaluators", "optimizers/gradient")
CROSSING = PACKAGE / "compiler" / "devices.py"
"""The one file in which tensors go from one device to another."""
SOURCES = sorted({path for wing in WINGS for path in (PACKAGE / wing).rglob("*.py")} - {CROSSING})

CREATE = {"arange", "as_tensor", "empty", "eye", "full", "linspace", "normal", "ones", "tensor", "zeros"}
CREATE |= {"rand", "randint", "randn", "randperm"}
DRAW_LIKE = {"rand_like", "randn_like", "randint_like"}
DRAW_INTO = {"bernoulli_", "exponential_", "normal_", "random_", "uniform_"}
READ = {"item", "cpu", "cuda"}
INITIAL = {
    "compiler/primitives.py": "a module gets its first values on the CPU, and is moved",
    "evaluators/predictors/bananas.py": "likewise",
    "evaluators/predictors/bonas.py": "likewise",
    "evaluators/predictors/graph_networks.py": "likewise",
    "evaluators/predictors/layers.py": "likewise; masks of dropout are drawn on the CPU, and moved",
    "optimizers/gradient/enas.py": "its controller is always on the CPU",
}


def broken(source: str, *, initial: bool = False) -> Iterator[str]:
    """What is against the rules, in the order of the lines."""
    for node in sorted(ast.walk(ast.parse(source)), key=lambda node: getattr(node, "lineno", 0)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name, owner = node.func.attr, ast.unparse(node.func.value)
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        line = f"line {node.lineno}: {ast.unparse(node)}"
        if owner == "torch" and name in CREATE and "device" not in given:
            yield f"{line}: on which device?"
        if owner == "torch" and name in CREATE and "generator" in given and given.get("device") != "'cpu'":
            yield f"{line}: a generator of the CPU draws on the CPU; devices.moved() takes it elsewhere"
        if name in DRAW_LIKE or (name in DRAW_INTO and not initial):
            yield f"{line}: draws where the tensor is; devices.normal_like() draws on the CPU"
        if name in READ and not node.args and not node.keywords:
            yield f"{line}: numbers come back through naslab.compiler.devices alone"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_tensor_says_where_it_is(path):
    name = path.relative_to(PACKAGE).as_posix()
    assert list(broken(path.read_text(), initial=name in INITIAL)) == []


def test_the_files_that_may_draw_into_tensors_are_there_and_do():
    for name in INITIAL:
        source = (PACKAGE / name).read_text()
        assert list(broken(source)), f"{name} draws nothing: take it off the list"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("torch.zeros(3)", ["on which device"]),
        ("torch.zeros(3, device=x.device)", []),
        ("torch.zeros_like(x) + x.new_ones(3)", []),
        ("torch.from_numpy(rows)", []),
        ("torch.randn(3, generator=g)", ["on which device", "draws on the CPU"]),
        ("torch.randn(3, generator=g, device=x.device)", ["draws on the CPU"]),
        ("torch.randn(3, generator=g, device='cpu')", []),
        ("torch.empty_like(x).normal_(generator=g)", ["draws where the tensor is"]),
        ("torch.rand_like(x)", ["draws where the tensor is"]),
        ("loss.item()", ["come back through"]),
        ("x.cpu().numpy()", ["come back through"]),
    ],
)
def test_what_is_found(source, found):
    said = list(broken(source))
    assert len(said) == len(found)
    assert all(part in line for part, line in zip(found, said, strict=True))


@pytest.mark.slow
def test_the_benchmark_runs_without_a_gpu_and_says_so_where_it_needs_one():
    words = [sys.executable, str(PACKAGE.parent / "benchmarks" / "gpu.py")]
    tiny = ["--device", "cpu", "--size", "tiny", "--repetitions", "1"]
    done = subprocess.run([*words, *tiny], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n| ") == 8  # a heading and seven lines
    refused = subprocess.run([*words, "--device", "cuda:99"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Nothing was measured: device 'cuda:99' is not there: PyTorch sees ")
