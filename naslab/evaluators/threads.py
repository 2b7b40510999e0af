"""How PyTorch computes while something is trained or measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Measured seconds are those of one core: PyTorch, where it is loaded, keeps to one thread."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def tiny_is_zero() -> Iterator[None]:
    """Numbers below 1e-38 count as zero in this thread.

    Weight decay shrinks the weights of dead units to such numbers, and processors take many times as long over them: a
    graph network on 469 cells learned for 58 seconds with them, for 26 without, the same to seven digits.
    """
    import torch

    before = float(torch.full((), 1e-39) * 1) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
