"""The expected cost of a relaxed architecture, as a penalty on its logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from naslab.compiler.devices import moved
from naslab.errors import InvalidValue, UnknownName
from naslab.space import SearchSpace

ADDED = ("params", "macs", "activation_bytes")


class ExpectedCost:
    """``E[cost] / largest`` under independent choices, exactly: the expectations of the cost model's tables, added up.

    On a space of independent edges that is the sum over edges of ``softmax(alpha) . FLOPs(op)`` over the largest
    (FLOPs-regularised DARTS; the expected latency of ProxylessNAS and FBNet has the same form).

    Args:
        space: Its cost model is used.
        metric: ``"params"``, ``"macs"`` or ``"activation_bytes"``.
        device: Where the probabilities are.

    Raises:
        UnknownName: Another metric: peak memory is a maximum, not a sum.
    """

    def __init__(self, space: SearchSpace, metric: str, device: str = "cpu") -> None:
        if metric not in ADDED:
            raise UnknownName(metric, ADDED, of="resource")
        factors = space.cost_model.factors[metric]
        largest = float(sum(factor.table.max() for factor in factors))
        if largest <= 0:
            raise InvalidValue(f"every architecture of {space.name!r} has {metric} 0: a penalty on it has no effect")
        tables = [(factor.scope, torch.as_tensor(factor.table / largest, device="cpu")) for factor in factors]
        self._tables = [(scope, moved(table, device)) for scope, table in tables]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """The penalty, 0 to 1; differentiable.

        Args:
            probabilities: One ``(K,)`` per choice.
        """
        total = probabilities[0].new_zeros((), dtype=torch.float64)
        for scope, table in self._tables:
            for choice in reversed(scope):
                table = table @ probabilities[choice].double()
            total = total + table
        return total
