"""What the checks share: their error, and watching over global states."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from naslab.errors import NaslabError


class ConformanceError(AssertionError):
    """A class breaks the interface; says which check failed and how."""


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ConformanceError(otherwise)


@contextmanager
def context(where: str) -> Iterator[None]:
    try:
        yield
    except ConformanceError as error:
        raise ConformanceError(f"{where}: {error}") from None
    except NaslabError as error:
        raise ConformanceError(f"{where}: {type(error).__name__}: {error}") from error


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    before = copy.deepcopy(_global_states())
    yield
    for name, state in _global_states().items():
        if name in before:
            expect(repr(state) == repr(before[name]), f"it draws from {name}: use the generator it is given")


def _global_states() -> dict[str, Any]:
    states: dict[str, Callable[[], Any]] = {"random": random.getstate, "np.random": np.random.get_state}
    found = {name: state() for name, state in states.items()}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return found
