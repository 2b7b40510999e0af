"""What numbers depend on besides their inputs: versions of software, and the kind of device."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache


def versions(*names: str) -> dict[str, str]:
    """The installed version of each distribution, in this order; ``"python"`` is the interpreter."""
    return {name: _version(name) for name in names}


def device_entry(device: str) -> dict[str, str]:
    """The kind of a device as an entry of a header: none for the CPU, and the number of a card does not matter."""
    kind = device.partition(":")[0]
    return {} if kind == "cpu" else {"device": kind}


@cache
def _version(name: str) -> str:
    return platform.python_version() if name == "python" else importlib.metadata.version(name)
