"""Strategies that differ from others only in their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from naslab.tasks import Problem

Class = TypeVar("Class", bound=type)


def named(**changed: Any) -> Callable[[Class], Class]:
    """A strategy with other defaults: ``@named(update="second-order")`` on a subclass.

    They are in its signature, where users, traces and the parser of ``name[key=value]`` look. A subclass may add
    hyperparameters of its own: ``def __init__(self, problem, rng, *, own=1, **options)`` has those of its base, too.
    """

    def decorate(strategy: Class) -> Class:
        inherited = _signature(strategy)
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


def _signature(strategy: type) -> inspect.Signature:
    """Its own parameters, with those of its base in place of ``**options``."""
    own = inspect.signature(strategy)
    last = list(own.parameters.values())[-1]
    if last.kind is not inspect.Parameter.VAR_KEYWORD:
        return own
    base = inspect.signature(strategy.__mro__[1]).parameters
    named_here = [each for each in own.parameters.values() if each is not last]
    further = [each for name, each in base.items() if name not in own.parameters]
    return own.replace(parameters=[*named_here, *further])
