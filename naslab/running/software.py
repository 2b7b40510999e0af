"""What numbers depend on besides their inputs: versions of software, the kind of device, and how it computes."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from naslab.tasks.placement import DEFAULT
from naslab.tasks.problem import Problem


def versions(*names: str) -> dict[str, str]:
    """The installed version of each distribution, in this order; ``"python"`` is the interpreter."""
    return {name: _version(name) for name in names}


def placement_entries(problem: Problem) -> dict[str, Any]:
    """Where networks run, and how exactly, as entries of a header: only what is not the default.

    The number of a card does not matter.
    """
    kind = problem.device.partition(":")[0]
    found = problem.placement._replace(device=kind)._asdict()
    return {name: value for name, value in found.items() if value != getattr(DEFAULT, name)}


@cache
def machine(device: str = "cpu") -> str:
    """The machine on which seconds are measured; a run is resumed only where its seconds mean the same."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():  # Linux, where platform.processor() is often empty
        lines = cpuinfo.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    found = f"{name}, {os.cpu_count()} cores"
    if not device.startswith("cuda"):
        return found
    import torch

    return f"{found}, {torch.cuda.get_device_name(device)}"


@cache
def _version(name: str) -> str:
    return platform.python_version() if name == "python" else importlib.metadata.version(name)
