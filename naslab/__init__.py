"""naslab: compare neural architecture search strategies fairly.

The public names are loaded when first used (PEP 562), so that ``import naslab`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from naslab.compiler import compile_network, compile_supernet
    from naslab.correlation.study import Correlations, correlate
    from naslab.errors import NaslabError
    from naslab.evaluators import Evaluation, Evaluator
    from naslab.optimizers import AskTell, Optimizer, Query, Wait
    from naslab.registry import operation, search_space
    from naslab.running import Callback, search
    from naslab.running.comparison import compare
    from naslab.running.progress_bar import progress
    from naslab.running.results import Results
    from naslab.space import SGD, Adam, AdamW, Architecture, Choice, Cosine, Range, Recipe, Rule, SearchSpace
    from naslab.tabular.model import Model, load_model
    from naslab.tabular.search import OwnResult, search_csv
    from naslab.tasks import Budget, Constraint, Objective, Problem, Task, task

_HOMES = {
    "naslab.running.comparison": ("compare",),
    "naslab.running.progress_bar": ("progress",),
    "naslab.compiler": ("compile_network", "compile_supernet"),
    "naslab.errors": ("NaslabError",),
    "naslab.evaluators": ("Evaluation", "Evaluator"),
    "naslab.optimizers": ("AskTell", "Optimizer", "Query", "Wait"),
    "naslab.tabular.model": ("Model", "load_model"),
    "naslab.tabular.search": ("OwnResult", "search_csv"),
    "naslab.correlation.study": ("Correlations", "correlate"),
    "naslab.registry": ("operation", "search_space"),
    "naslab.running.results": ("Results",),
    "naslab.running": ("Callback", "search"),
    "naslab.space": (
        "SGD",
        "Adam",
        "AdamW",
        "Architecture",
        "Choice",
        "Cosine",
        "Range",
        "Recipe",
        "Rule",
        "SearchSpace",
    ),
    "naslab.tasks": ("Budget", "Constraint", "Objective", "Problem", "Task", "task"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Architecture",
    "AskTell",
    "Budget",
    "Callback",
    "Choice",
    "Constraint",
    "Correlations",
    "Cosine",
    "Evaluation",
    "Evaluator",
    "Model",
    "NaslabError",
    "Objective",
    "Optimizer",
    "OwnResult",
    "Problem",
    "Query",
    "Range",
    "Recipe",
    "Results",
    "Rule",
    "SearchSpace",
    "Task",
    "Wait",
    "compare",
    "compile_network",
    "compile_supernet",
    "correlate",
    "load_model",
    "operation",
    "progress",
    "search",
    "search_csv",
    "search_space",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'naslab' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
