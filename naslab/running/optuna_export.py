"""An Optuna storage of a comparison: what Optuna, its dashboard and its importances read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from naslab.running.callbacks import Callback
from naslab.running.results import Results
from naslab.running.trace import Step
from naslab.running.workers import Progress
from naslab.space import Choice, Decision, SearchSpace
from naslab.space.notation import labels
from naslab.tasks import Task

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_START = datetime(1970, 1, 1)


class OptunaStorage(Callback):
    """Writes evaluations into an SQLite file that is an Optuna storage (``RDBStorage``), as they are told.

    A study per task and strategy, ``TASK OPTIMIZER``, holds the evaluations of all its seeds, run by run. A trial's
    parameters are the active decisions by their names: choices as their labels, ranges as numbers. Its value is the
    score, which is maximised; where that is not finite the trial has failed. A limit that is exceeded is a violated
    constraint, by how much in units of the limit. User attributes: ``seed``, ``step``, ``seconds`` (charged),
    ``clock``, ``architecture``, ``feasible``, and where there are any ``fidelity``, ``failed`` and the metrics. Trials
    begin and end on the clock of their run, counted from 1970-01-01.

    Args:
        path: The file; one process at a time writes to it. Optuna takes some 15 ms for a trial.
    """

    def __init__(self, path: str | Path) -> None:
        import optuna
        from sqlalchemy import URL

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # else every study is announced
        url = URL.create("sqlite", database=str(path)).render_as_string()
        self._storage = optuna.storages.RDBStorage(url)

    def run_started(self, task: Task, header: Mapping[str, Any]) -> None:
        import optuna

        name = f"{task.id} {header['optimizer']['name']}"
        self._study = optuna.create_study(
            storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
        )
        self._task, self._seed, self._number, self._clock = task, header["seed"], 0, 0.0
        self._distributions = {each.name: _distribution(each) for each in task.problem.space.decisions_in_order}

    def told(self, step: Step) -> None:
        self._number += 1
        self._clock = step.clock(self._clock)
        where = {"seed": self._seed, "step": self._number, "clock": self._clock}
        self._study.add_trial(_trial(self._task, step, self._distributions, where))

    def close(self) -> None:
        """Release the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def write_studies(results: Results, path: Path, progress: Progress | None = None) -> None:
    """Tell an :class:`OptunaStorage` all evaluations of a comparison.

    Args:
        results: The comparison.
        path: A new file.
        progress: Called after every trial.
    """
    writer = OptunaStorage(path)
    done, total = 0, sum(len(recorded.steps) for _, recorded in results.runs())
    try:
        for (name, optimizer, _), recorded in results.runs():
            writer.run_started(results.tasks[name], recorded.header)
            for step in recorded.steps:
                writer.told(step)
                done += 1
                if progress is not None:
                    progress(done, total, f"{name} {optimizer}")
    finally:
        writer.close()


def _trial(
    one: Task, step: Step, distributions: Mapping[str, BaseDistribution], where: Mapping[str, Any]
) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    (architecture, fidelity, _), evaluation, space = step.query, step.evaluation, one.problem.space
    params = _params(space, architecture)
    attributes = {
        **{name: float(value) for name, value in evaluation.metrics.items() if math.isfinite(value)},
        **where,
        "seconds": evaluation.seconds,
        "architecture": space.to_string(architecture),
        "feasible": step.feasible,
        **({} if fidelity is None else {"fidelity": fidelity}),
        **({"failed": evaluation.failure} if evaluation.failure else {}),
    }
    scored = math.isfinite(evaluation.score)
    trial = create_trial(
        state=TrialState.COMPLETE if scored else TrialState.FAIL,
        values=[evaluation.score] if scored else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs=attributes,
        constraints={
            limit.metric: one.problem.cost(limit.metric, architecture) / limit.maximum - 1
            for limit in one.problem.constraint.limits
        },
    )
    trial.datetime_complete = _START + timedelta(seconds=where["clock"])
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=evaluation.seconds)
    return trial


def _params(space: SearchSpace, architecture: tuple[Any, ...]) -> dict[str, Any]:
    """Its active decisions by name, choices as what they are shown as."""
    decided, active = space.decisions(architecture), space.active(architecture)
    known = {each.name: each for each in space.decisions_in_order}
    return {
        name: _shown(each)[decided[name]] if isinstance(each := known[name], Choice) else decided[name]
        for name in active
    }


def _distribution(decision: Decision) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(decision, Choice):
        return CategoricalDistribution(_shown(decision))
    if decision.integer:
        return IntDistribution(int(decision.low), int(decision.high), log=decision.log)
    return FloatDistribution(decision.low, decision.high, log=decision.log)


def _shown(choice: Choice) -> Sequence[int | float | str]:
    """The options of a choice: numbers as they are, anything else as it is written in strings."""
    options = choice.labels or choice.options
    numbers = all(isinstance(option, int | float) and not isinstance(option, bool) for option in options)
    return options if numbers and len(set(options)) == len(options) else labels(choice)
