"""How exactly PyTorch computes: the precision of training steps, and algorithms that add in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from naslab.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PRECISIONS = ("float32", "bfloat16")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def checked_precision(name: str, device: str) -> str:
    """The precision of this name: ``"float32"``, or ``"bfloat16"`` where PyTorch has it.

    Args:
        name: Of the precision.
        device: That is there.

    Raises:
        InvalidValue: There is no such precision, or not on this device.
    """
    if name not in PRECISIONS:
        raise InvalidValue(f"precision {UnknownName(str(name), PRECISIONS)} Allowed: {', '.join(PRECISIONS)}")
    if name != "float32":
        import torch

        kind = torch.device(device).type
        if not torch.amp.is_autocast_available(kind):
            raise InvalidValue(f"precision {name!r}: PyTorch has it not on device {device!r}. Fix: precision 'float32'")
    return name


def forward(model: Callable[..., Tensor], *inputs: Any, precision: str, device: torch.device | str) -> Tensor:
    """The forward pass of a training step, its matrix products and convolutions in this precision.

    Parameters, their gradients and what PyTorch's autocast keeps so (normalisations) stay as they are; with
    ``"bfloat16"`` what comes out is made float32 again, for the loss.

    Args:
        model: What is called.
        inputs: What with.
        precision: Of :data:`PRECISIONS`; float32 changes nothing.
        device: Where the pass runs.
    """
    if precision == "float32":
        return model(*inputs)
    import torch

    with torch.autocast(torch.device(device).type, torch.bfloat16):
        return model(*inputs).float()


@contextmanager
def fixed_order(wanted: bool) -> Iterator[None]:
    """Inside, if it is wanted, PyTorch takes deterministic algorithms alone; afterwards what it took before.

    A setting of the whole process. An operation that has no such algorithm on a device raises an error.
    """
    if not wanted:
        yield
        return
    import torch

    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(_WORKSPACE)
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # without it PyTorch refuses matrix products on a GPU
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
