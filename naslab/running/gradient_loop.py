"""The loop that runs a gradient search on a task, records its trace and keeps a checkpoint of every epoch."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naslab.errors import OutputError, PluginError, TrainingFailed
from naslab.evaluators import Evaluation
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.threads import one_thread
from naslab.files import is_passing, reason, unreadable, written_whole
from naslab.optimizers import GradientSearch, Query, Step
from naslab.running.callbacks import Callback
from naslab.running.execution import ALONE, Execution
from naslab.running.loop import second_worth
from naslab.running.session import readings
from naslab.running.trace import Recorded, Trace, differences
from naslab.running.trace import Step as RecordedStep
from naslab.running.workers import Progress
from naslab.tasks import Budget, Task


def run_gradient(
    task: Task,
    search: GradientSearch,
    budget: Budget,
    trace: Trace,
    checkpoint: Path | None,
    progress: Progress | None = None,
    execution: Execution = ALONE,
    callbacks: Sequence[Callback] = (),
) -> Recorded:
    """Train epoch after epoch until the budget is spent or the search has ended.

    An epoch that would end past the budget does not count. The trace holds for each epoch what the search would have
    returned then; what it returns in the end is in its last line. After a kill the epochs since the last checkpoint are
    made again, identically.

    Args:
        task: The task; its reward is not used.
        search: Fresh, built from the task's problem.
        budget: In epochs, or in seconds on the task's clock.
        trace: Open; it may hold the beginning of this run.
        checkpoint: Where the state of the last epoch is kept, with the trace's header; None keeps none.
        progress: Called after every epoch with the epochs made and planned, and what the last one found.
        execution: Says whether weights that diverge end the run as failed, which is recorded, or are raised.
        callbacks: Are told of every new epoch.

    Raises:
        OutputError: The checkpoint belongs to another run.
        TrainingFailed: The weights diverged, where failures are raised; what was recorded stays.
    """
    recorded = trace.recorded
    if recorded.end is not None:
        return recorded
    with one_thread():
        _run(task, search, budget, trace, checkpoint, progress, execution, callbacks)
    for each in callbacks:
        each.run_finished(trace.recorded)
    return trace.recorded


def _run(
    task: Task,
    search: GradientSearch,
    budget: Budget,
    trace: Trace,
    checkpoint: Path | None,
    progress: Progress | None,
    execution: Execution,
    callbacks: Sequence[Callback],
) -> None:
    recorded, epoch = trace.recorded, 0
    known = len(recorded.steps)
    if known and checkpoint is not None and checkpoint.exists():
        epoch = _restored(search, checkpoint, recorded.header, known)
    clock = sum(step.evaluation.seconds for step in recorded.steps)
    epochs = budget.amount if budget.unit == "epochs" else math.inf
    seconds_left = (budget.amount if budget.unit == "s" else math.inf) - clock
    worth = second_worth(task)
    reason = "budget"
    state = search.state() if seconds_left < math.inf else {}
    while epoch < epochs:
        watch = Stopwatch(task.problem.device)
        try:
            step = search.step()
        except TrainingFailed as error:
            if execution.on_failure == "record":
                failed = {"reason": "failed", "failed": f"error: {error}", "best": None, "evaluations": epoch}
                trace.finish(failed | readings(search))
                return
            where = f"; the last good checkpoint, of epoch {epoch}, is {checkpoint}" if epoch and checkpoint else ""
            raise TrainingFailed(f"{error}{where}") from None
        if step is None:
            reason = "finished"
            break
        epoch += 1
        if epoch <= known:
            state = search.state() if seconds_left < math.inf else state
            continue
        spent = watch.seconds()
        if not 0 <= step.watching < math.inf:
            raise PluginError(
                f"{type(search).__name__} watched for {step.watching} s: seconds are finite and at least 0"
            )
        seconds = max(0.0, spent - step.watching) * worth
        if seconds > seconds_left:
            search.restore(state)
            epoch -= 1
            break
        seconds_left -= seconds
        feasible = task.problem.is_feasible(step.architecture)
        found = Evaluation(step.score, seconds, step.metrics)
        parts = (Query(step.architecture, trial=epoch - 1), found, feasible, feasible)
        trace.step(*parts, epoch - 1)
        for each in callbacks:
            each.told(RecordedStep(*parts, ask=epoch - 1))
        if checkpoint is not None or seconds_left < math.inf:
            state = search.state()
        if checkpoint is not None:
            _save(state, checkpoint, recorded.header, epoch)
        if progress is not None:
            progress(epoch, int(min(epochs, max(search.epochs, epoch))), _line(task, step))
    best = search.best() if epoch else None
    end = {"reason": reason, "best": None if best is None else list(best), "evaluations": epoch}
    trace.finish(end | readings(search))


def _line(task: Task, step: Step) -> str:
    """What an epoch found: its numbers, and the architecture that would be returned now."""
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in step.metrics.items())
    return f"{numbers}; now {task.problem.space.to_string(step.architecture)}"


def _save(state: dict[str, Any], path: Path, header: dict[str, Any], epoch: int) -> None:
    import torch

    # PyTorch reports a full disk as an error of its own kind: it writes to memory, and we write the file.
    content = io.BytesIO()
    torch.save({"header": json.dumps(header), "epoch": epoch, "state": state}, content)
    try:
        with written_whole(path) as draft:
            draft.write_bytes(content.getbuffer())
    except OSError as error:
        raise OutputError(f"{path} can't be written: {reason(error)}; every epoch before this one is kept") from None


def _restored(search: GradientSearch, path: Path, header: dict[str, Any], known: int) -> int:
    """Restore a search; returns how many epochs it has made. A checkpoint ahead of the trace is not used: 0."""
    import torch

    try:
        kept = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        found, epoch = json.loads(kept["header"]), int(kept["epoch"])
    except Exception as error:
        if is_passing(error):
            raise OutputError(unreadable(path, error)) from None
        what = type(error).__name__
        raise OutputError(f"{path} is no checkpoint ({what}); move it away, and this run begins again") from None
    if found != json.loads(json.dumps(header)):
        raise OutputError(f"{path} belongs to another run: {differences(found, header)}")
    if epoch > known:
        return 0
    search.restore(kept["state"])
    return epoch
