"""Strategies that differ from another in their defaults alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from naslab.problem import Problem

Class = TypeVar("Class", bound=type)


def named(**changed: Any) -> Callable[[Class], Class]:
    """A strategy with other defaults: ``@named(update="second-order")`` on an empty subclass.

    They are in its signature, where users, traces and the parser of ``name[key=value]`` look.
    """

    def decorate(strategy: Class) -> Class:
        inherited = inspect.signature(strategy)
        unknown = set(changed) - set(inherited.parameters)
        if unknown:
            raise TypeError(f"{strategy.__name__} has no {', '.join(sorted(unknown))}")
        original = strategy.__init__  # type: ignore[misc]

        def __init__(self: Any, problem: Problem, rng: np.random.Generator, **options: Any) -> None:
            original(self, problem, rng, **{**changed, **options})

        parameters = [
            each.replace(default=changed[name]) if name in changed else each
            for name, each in inherited.parameters.items()
        ]
        strategy.__init__ = __init__  # type: ignore[misc]
        strategy.__signature__ = inherited.replace(parameters=parameters)  # type: ignore[attr-defined]
        return strategy

    return decorate
