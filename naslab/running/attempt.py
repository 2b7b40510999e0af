"""One evaluation as it is carried out, wherever that is: what comes out is an evaluation, perhaps a failed one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from naslab.errors import (
    FOREIGN,
    InvalidArchitecture,
    InvalidSpace,
    NaslabError,
    PluginError,
    TrainingFailed,
)
from naslab.evaluators import Evaluation, Evaluator, Fidelity, check_charge
from naslab.evaluators.stopwatch import Stopwatch
from naslab.optimizers import Query

LONGEST_REASON = 300
ABOUT_ONE = (TrainingFailed, InvalidSpace, InvalidArchitecture)
"""Errors of naslab's that are about one architecture; any other one would come again with the next."""


@dataclass(frozen=True)
class Manner:
    """How evaluations of a run are carried out.

    Attributes:
        device: Where networks run.
        worth: Seconds on the task's clock per second measured here; None where seconds are not measured.
        record: Whether a failure is a result; else it is raised.
        checkpoints: Where trials keep what they need to go on; None where they begin again (``resume="scratch"``).
    """

    device: str
    worth: float | None
    record: bool
    checkpoints: Path | None = None

    def checkpoint(self, trial: int) -> Path:
        """The file of a trial."""
        assert self.checkpoints is not None
        return self.checkpoints / f"{trial}.checkpoint"


def attempt(
    evaluator: Evaluator, query: Query, since: Fidelity | None, rng: np.random.Generator, manner: Manner
) -> Evaluation:
    """Evaluate once.

    Args:
        evaluator: The run's.
        query: With its trial.
        since: What the trial was evaluated at before; None where it begins.
        rng: In the trial's state.
        manner: How.

    Returns:
        The evaluation, or a failed one, charged what was measured, what the exception states (``error.seconds``), or
        nothing.

    Raises:
        NaslabError: What would come again with every architecture, such as missing rows.
        BaseException: Whatever the evaluator raised, where failures are not recorded.
    """
    watch = None if manner.worth is None else Stopwatch(manner.device)
    architecture, fidelity, trial = query
    try:
        if manner.checkpoints is None:
            found = evaluator.evaluate(architecture, fidelity=fidelity, rng=rng)
        else:
            assert trial is not None
            checkpoint = manner.checkpoint(trial)
            found = evaluator.proceed(architecture, fidelity=fidelity, since=since, rng=rng, checkpoint=checkpoint)
    except ABOUT_ONE as error:
        return _failed(error, watch, manner)
    except NaslabError:
        raise
    except FOREIGN as error:
        return _failed(error, watch, manner)
    try:
        check_charge(found, evaluator, architecture)
    except PluginError as error:
        if not manner.record:
            raise
        return failure("no number", str(error), _measured(watch, manner))
    if watch is None:
        return found
    assert manner.worth is not None
    own = found.seconds if manner.checkpoints is not None else watch.seconds()
    return found._replace(seconds=own * manner.worth)


def failure(kind: str, why: str, seconds: float) -> Evaluation:
    """A failed evaluation."""
    reason = " ".join(f"{kind}: {why}".split())
    return Evaluation(math.nan, seconds, failed=reason[:LONGEST_REASON])


def _failed(error: BaseException, watch: Stopwatch | None, manner: Manner) -> Evaluation:
    if not manner.record:
        raise error
    seconds = _measured(watch, manner)
    if watch is None:
        stated = getattr(error, "seconds", 0.0)
        seconds = float(stated) if isinstance(stated, float | int) and 0 <= stated < math.inf else 0.0
    return failure("error", f"{type(error).__name__}: {error}", seconds)


def _measured(watch: Stopwatch | None, manner: Manner) -> float:
    return 0.0 if watch is None or manner.worth is None else watch.seconds() * manner.worth
