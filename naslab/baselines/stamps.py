"""How runs were made: the code of the strategy, the versions and the machine; and whether it would be the same now."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from naslab.registry import entries
from naslab.running import machine, versions

_CODE = ("naslab.optimizers.", "naslab.evaluators.")
"""Modules under these names belong to a strategy's code, if it imports them."""
_LIBRARIES = {"optuna": "optuna", "scipy": "scipy", "sklearn": "scikit-learn", "torch": "torch"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def stamp(label: str) -> dict[str, Any]:
    """What the numbers of a strategy's runs depend on, besides task, seed and budget, as JSON. Imports no strategy.

    ``code`` is a hash of the modules of naslab's strategies and evaluators that the strategy consists of (comments and
    documentation left out); ``versions`` are those of naslab, Python and the libraries that these import. The rest of
    naslab is known by its version alone: whether its runs are still the same, :mod:`naslab.baselines.verify` tells.

    Args:
        label: The strategy as it is written; it exists.
    """
    name = label.partition("[")[0]
    target = name.rpartition(":")[0] or entries("optimizers")[name].module
    modules = dict(sorted(_modules(target)))
    code = hashlib.sha256("\n".join(source for source, _ in modules.values()).encode()).hexdigest()[:16]
    imported = {each.partition(".")[0] for _, names in modules.values() for each in names}
    needed = [package for name, package in _LIBRARIES.items() if name in imported]
    return {"code": code, "versions": versions("naslab", "python", "numpy", "networkx", *needed), "machine": machine()}


def differences(made: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, why runs made then may differ from runs made now. The machine is not among it."""
    said = ["its code has changed"] if made["code"] != now["code"] else []
    then, here = made["versions"], now["versions"]
    return said + [
        f"{name} was {then.get(name, 'not used')}, here it is {here.get(name, 'not used')}"
        for name in dict.fromkeys((*then, *here))
        if then.get(name) != here.get(name)
    ]


def _modules(name: str) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """The modules of a strategy's code by name: the code, and what each imports."""
    waiting, seen = [name], {name}
    while waiting:
        module = waiting.pop()
        code, imports = _read(module)
        yield module, (code, imports)
        new = [each for each in imports if each.startswith(_CODE) and each not in seen]
        seen.update(new)
        waiting += new


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """The code of a module (or of a file) without comments and documentation, and the modules that it imports."""
    found = None if name.endswith(".py") else find_spec(name)
    tree = ast.parse(Path(name if found is None else str(found.origin)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    imports += [each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    return ast.dump(tree), tuple(dict.fromkeys(imports))
