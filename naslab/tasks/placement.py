"""Where the networks of a task run, and how exactly."""

from __future__ import annotations

from typing import NamedTuple


class Placement(NamedTuple):
    """What :meth:`naslab.tasks.Task.on` is given; None leaves a task as it is.

    Attributes:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for a GPU where there is one.
        precision: Of the forward passes of training steps: ``"float32"`` or ``"bfloat16"``.
        deterministic: Whether PyTorch takes only algorithms that add in a fixed order.
    """

    device: str | None = None
    precision: str | None = None
    deterministic: bool | None = None


AS_IT_IS = Placement()

DEFAULT = Placement("cpu", "float32", False)
"""Where a problem is unless it says so."""
