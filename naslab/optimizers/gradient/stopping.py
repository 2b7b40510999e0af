"""When a search by gradients ends before its last epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch

from naslab.compiler.devices import moved
from naslab.errors import UnknownName
from naslab.optimizers.gradient.base import SharedWeightsSearch
from naslab.optimizers.gradient.curvature import Curvature, curvature_of

WINDOW, BACK, RISE, EARLIEST = 5, 4, 1.3, 10
AGO = BACK + WINDOW // 2  # measurements between the last one and the middle of the earlier window
STRONGER, STRONGEST = 10.0, 0.03


class Stopping(ABC):
    """Looks at a search after every epoch."""

    @abstractmethod
    def after_epoch(self, search: SharedWeightsSearch) -> dict[str, float]:
        """May end the search (``search.ended``) or return to an earlier epoch; returns metrics to record."""

    def state(self) -> dict[str, Any]:
        """What the next epochs depend on."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        assert not state


class Epochs(Stopping):
    """The search ends with its last epoch."""

    def after_epoch(self, search: SharedWeightsSearch) -> dict[str, float]:
        return {}


class Eigenvalue(Stopping):
    """Early stopping of RobustDARTS (Zela et al. 2020, section 4.3 and its released code).

    Every second epoch the dominant eigenvalue of the Hessian is measured on a random validation batch. A mean over five
    measurements stands for the epoch of the middle one. If it is more than 1.3 times the mean of four measurements
    earlier, the search ends with the logits of that earlier epoch, twelve epochs back. That must be epoch 10 or later,
    so this can only happen from epoch 22 on.
    """

    EVERY = 2

    def __init__(self) -> None:
        self.values: list[float] = []
        self.kept: list[dict[str, Any]] = []
        self._curvature: Curvature | None = None

    def after_epoch(self, search: SharedWeightsSearch) -> dict[str, float]:
        if search.epoch % self.EVERY:
            return {}
        self.values.append(self._measured(search))
        self.kept = [*self.kept, self.keep(search)][-1 - AGO :]
        found = {"eigenvalue": self.values[-1]}
        if len(self.kept) > AGO and search.epoch - self.EVERY * AGO >= EARLIEST and len(self.values) >= WINDOW + BACK:
            now, before = (
                float(np.mean(part)) for part in (self.values[-WINDOW:], self.values[-WINDOW - BACK : -BACK])
            )
            if now > RISE * before > 0:
                self.risen(search)
        return found

    def keep(self, search: SharedWeightsSearch) -> dict[str, Any]:
        """What is needed to return here."""
        return {"architecture": [each.detach().clone() for each in search.model.architecture]}

    def risen(self, search: SharedWeightsSearch) -> None:
        """What is done when the eigenvalue has risen."""
        with torch.no_grad():
            for parameter, value in zip(search.model.architecture, self.kept[0]["architecture"], strict=True):
                parameter.copy_(value)
        search.ended = True

    def state(self) -> dict[str, Any]:
        return {"values": list(self.values), "kept": list(self.kept)}

    def restore(self, state: dict[str, Any]) -> None:
        self.values, self.kept = list(state["values"]), list(state["kept"])

    def _measured(self, search: SharedWeightsSearch) -> float:
        model = search.model
        if self._curvature is None:
            self._curvature = curvature_of(search)
        held = search.held_batches
        drawn = torch.randperm(len(held.y), generator=search.noise, device="cpu")[: held.size]
        drawn = moved(drawn, held.x.device)
        start = torch.randn(sum(map(len, model.logits)), generator=search.noise, device="cpu")
        return self._curvature.eigenvalue(model, (held.x[drawn], held.y[drawn]), start)


class AdaptiveL2(Eigenvalue):
    """The same warning, answered by more regularisation (DARTS-ADA; Zela et al. 2020, section 5.2 and released code).

    The search returns to that earlier epoch, weights included, and goes on from there with ten times the weight decay,
    as long as that is not more than 0.03; after that it runs to its end. These are the settings of the released runs
    (``scripts/DARTS-ADA_search.sh``); the defaults of their parser are 3 and 0.0243. Epochs made again count towards
    the budget. Without weight decay nothing is done.

    Deviation: what was measured in the epochs given up is forgotten; the released code keeps it, and may see the same
    rise twice.
    """

    def keep(self, search: SharedWeightsSearch) -> dict[str, Any]:
        return search.learnt()

    def risen(self, search: SharedWeightsSearch) -> None:
        stronger = STRONGER * search.weight_decay
        if not search.weight_decay < stronger <= STRONGEST * (1 + 1e-9):
            return
        search.set_learnt(self.kept[0])
        search.weight_decay = stronger
        self.values, self.kept = self.values[:-AGO], self.kept[:1]


STOPPINGS: dict[str, type[Stopping]] = {"epochs": Epochs, "eigenvalue": Eigenvalue, "adaptive-l2": AdaptiveL2}


def new_stopping(name: str) -> Stopping:
    """A stopping rule by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in STOPPINGS:
        raise UnknownName(name, STOPPINGS, of="stopping rule")
    return STOPPINGS[name]()
