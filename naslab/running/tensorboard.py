"""Runs in TensorBoard, while they go on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from naslab.errors import MissingPackage
from naslab.running.callbacks import Callback
from naslab.running.trace import Recorded, Step, trace_path
from naslab.tasks import Task

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoard(Callback):
    """Writes curves for TensorBoard: ``score``, ``best``, ``clock``, failures and every metric, over evaluations.

    Each run has a folder of its own, called as its trace is. Of a run that is resumed, what is new is added.

    Args:
        folder: For ``tensorboard --logdir``.

    Raises:
        MissingPackage: The package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        if find_spec("tensorboard") is None:
            raise MissingPackage(
                "TensorBoard needs 'tensorboard', which is not installed. Fix: pip install tensorboard"
            )
        self.folder = Path(folder)
        self._writer: SummaryWriter | None = None

    def run_started(self, task: Task, header: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        run = trace_path(self.folder, task.id, header["optimizer"]["name"], header["seed"]).with_suffix("")
        self._writer = SummaryWriter(str(run))
        self._best, self._clock, self._failed = float("nan"), 0.0, 0

    def told(self, step: Step) -> None:
        assert self._writer is not None
        evaluation, number = step.evaluation, step.ask + 1
        self._clock = step.clock(self._clock)
        self._best = evaluation.score if step.incumbent else self._best
        self._failed += bool(evaluation.failure)
        curves = {"best": self._best, "clock": self._clock, "failures": self._failed, **evaluation.metrics}
        if not evaluation.failure:
            curves["score"] = evaluation.score
        for name, value in curves.items():
            self._writer.add_scalar(name, value, number)

    def run_finished(self, recorded: Recorded) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
