"""How PyTorch computes while something is trained or measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch, where it is loaded, computes in one thread, so that seconds are those of one core."""
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

    Weight decay shrinks the weights of dead units to such numbers, and processors compute many times slower with them:
    training a graph network on 469 cells took 58 seconds with them, 26 without; results agree to seven digits.
    """
    import torch

    before = float(torch.full((), 1e-39, device="cpu") * 1) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
