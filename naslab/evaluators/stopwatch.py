"""What is charged for computing: seconds of one processor core, or of the device that computes."""

from __future__ import annotations

import time
from typing import Any

WALL = "wall seconds of the device"
"""What is measured where networks run on anything but the CPU; there, it is CPU seconds."""


class Stopwatch:
    """Runs from the moment it is made.

    On a CPU it counts CPU seconds of this process. On a GPU, which computes while the processor goes on, it counts the
    seconds between two events in the GPU's queue, and waits for the second when it is read: read it once an evaluation
    or an epoch. Another process on the same GPU makes them longer. On any other device it counts wall seconds.

    Args:
        device: Where what is measured computes.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._kind = device.partition(":")[0]
        self._device = device
        self._started: Any = self._event() if self._kind == "cuda" else self._now()

    def seconds(self) -> float:
        """Seconds since it was made."""
        if self._kind != "cuda":
            return float(self._now() - self._started)
        ended = self._event()
        ended.synchronize()
        return float(self._started.elapsed_time(ended)) / 1000  # of milliseconds

    def _now(self) -> float:
        return time.process_time() if self._kind == "cpu" else time.perf_counter()

    def _event(self) -> Any:
        import torch

        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event
