"""What numbers depend on besides their inputs: versions of software."""

from __future__ import annotations

import importlib.metadata
import platform
from functools import cache


def versions(*names: str) -> dict[str, str]:
    """The installed version of each distribution, in this order; ``"python"`` is the interpreter."""
    return {name: _version(name) for name in names}


@cache
def _version(name: str) -> str:
    return platform.python_version() if name == "python" else importlib.metadata.version(name)
