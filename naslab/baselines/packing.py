"""Outcomes of runs as plain arrays, and back.

Of each run: ``status``, ``evaluations``, ``seconds``, ``best`` (zeros where there is none) and ``changes``, how often
its incumbent changed. Of each change, run after run: ``at`` (evaluations), ``clock``, ``reward`` and ``architecture``.
``further`` is JSON: what only some runs have, by their number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.analysis.data import COMPLETE, FAILED, NO_FEASIBLE
from naslab.errors import InvalidValue
from naslab.files import read_json
from naslab.running.outcomes import Incumbent, Outcome
from naslab.space import Architecture

Arrays = Mapping[str, NDArray[Any]]

STATUSES = (COMPLETE, NO_FEASIBLE, FAILED)
_RUNS = {"status": "u1", "evaluations": "u4", "seconds": "f8", "best": "u1", "changes": "u4"}
_CHANGES = {"at": "u4", "clock": "f8", "reward": "f8", "architecture": "u1"}


def pack(outcomes: Sequence[Outcome], choices: int) -> dict[str, NDArray[Any]]:
    """The outcomes as arrays; :func:`unpack` gives back the very same.

    Args:
        outcomes: Of runs in one space.
        choices: Entries of an architecture.

    Raises:
        InvalidValue: An architecture holds anything but options below 256.
    """
    changes = [each for outcome in outcomes for each in outcome.incumbents]
    nothing = (0,) * choices
    found = [outcome.best or nothing for outcome in outcomes]
    further = {
        str(i): [dict(outcome.carried_out), dict(outcome.metrics)]
        for i, outcome in enumerate(outcomes)
        if outcome.carried_out or outcome.metrics
    }
    columns: dict[str, list[Any]] = {
        "status": [STATUSES.index(outcome.status) for outcome in outcomes],
        "evaluations": [outcome.evaluations for outcome in outcomes],
        "seconds": [outcome.seconds for outcome in outcomes],
        "changes": [len(outcome.incumbents) for outcome in outcomes],
        "at": [each.evaluations for each in changes],
        "clock": [each.seconds for each in changes],
        "reward": [each.reward for each in changes],
    }
    arrays = {name: np.array(values, _TYPES[name]) for name, values in columns.items()}
    arrays["best"] = _options(found, choices)
    arrays["architecture"] = _options([each.architecture for each in changes], choices)
    return {**arrays, "further": np.array(json.dumps(further, sort_keys=True))}


def unpack(arrays: Arrays) -> list[Outcome]:
    """What :func:`pack` was given.

    Raises:
        ValueError, KeyError, IndexError, TypeError: These are no packed outcomes.
    """
    runs, choices = len(arrays["status"]), arrays["best"].shape[1]
    changes = int(arrays["changes"].sum(dtype=np.uint64))
    for kinds, rows in ((_RUNS, runs), (_CHANGES, changes)):
        for name, kind in kinds.items():
            shape = (rows, choices) if name in ("best", "architecture") else (rows,)
            if arrays[name].dtype != np.dtype(kind) or arrays[name].shape != shape:
                raise ValueError(f"{name!r} is {arrays[name].dtype}{arrays[name].shape}, not {kind}{shape}")
    further = read_json(arrays["further"].item())
    columns = (arrays[name].tolist() for name in _CHANGES)
    all_changes = [Incumbent(at, clock, reward, tuple(a)) for at, clock, reward, a in zip(*columns, strict=True)]
    outcomes, first = [], 0
    per_run = (arrays[name].tolist() for name in _RUNS)
    for i, (status, evaluations, seconds, best, count) in enumerate(zip(*per_run, strict=True)):
        own, first = tuple(all_changes[first : first + count]), first + count
        result: Architecture | None = tuple(best) if STATUSES[status] == COMPLETE else None
        carried_out, metrics = further.get(str(i), ({}, {}))
        outcomes.append(Outcome(STATUSES[status], result, evaluations, seconds, own, dict(carried_out), dict(metrics)))
    return outcomes


_TYPES = {**_RUNS, **_CHANGES}


def _options(architectures: Sequence[Architecture], choices: int) -> NDArray[np.uint8]:
    for architecture in architectures:
        if not all(isinstance(option, int) and 0 <= option < 256 for option in architecture):
            raise InvalidValue(
                f"{architecture} can't be kept: a library holds spaces of choices, of up to 256 options each"
            )
    return np.array(architectures, np.uint8).reshape(len(architectures), choices)
