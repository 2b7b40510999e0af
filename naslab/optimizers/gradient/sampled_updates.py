"""Updates of an architecture's logits from the rewards of drawn paths: REINFORCE and RELAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from naslab.compiler.devices import moved, number, one_hot, together
from naslab.errors import UnknownName
from naslab.optimizers.gradient.model import nothing_dropped, unmoved_statistics
from naslab.optimizers.gradient.relaxations import drawable
from naslab.optimizers.gradient.updates import (
    ArchitectureUpdate,
    Batch,
    ExactSecondOrder,
    FirstOrder,
    Learner,
    NoUpdate,
    SecondOrder,
)
from naslab.optimizers.policy import estimators
from naslab.optimizers.policy.policy import Baseline

MOMENTUM = 0.95
CONTROL_RATE = 0.01


class Reinforce(ArchitectureUpdate):
    """REINFORCE (Williams 1992) on the accuracy of one drawn path on a batch, as in ENAS and TuNAS.

    The baseline is the zero-debiased average of the accuracies, momentum 0.95 (TuNAS), the present one included.
    """

    differentiates = False

    def __init__(self) -> None:
        self.baseline = Baseline(MOMENTUM)

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        model = learner.model
        p = drawable([torch.softmax(logits.detach(), 0) for logits in model.logits])
        drawn = [int(torch.multinomial(each, 1, generator=learner.generator)) for each in p]
        loss, accuracy = _judged(learner, drawn, validation)
        advantage = self.baseline.advantage(accuracy)
        descent: list[Tensor | None] = [
            moved(advantage * (each - one_hot(k, each)), logits.device)
            for each, k, logits in zip(p, drawn, model.logits, strict=True)
        ]
        learner.step([*descent, *(None for _ in model.edge_logits)])
        return loss

    def state(self) -> dict[str, Any]:
        return {"baseline": self.baseline.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.baseline.restore(state["baseline"])


class Relax(ArchitectureUpdate):
    """RELAX (Grathwohl et al. 2018) on REINFORCE's reward; its control variate is a small network on relaxed draws.

    See :mod:`naslab.optimizers.policy.estimators`. f is the advantage, as in
    :class:`naslab.optimizers.policy.relax.Relax`.
    """

    differentiates = False

    def __init__(self) -> None:
        self.baseline = Baseline(MOMENTUM)
        self._control: estimators.ControlVariate | None = None
        self._adam: torch.optim.Optimizer | None = None

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        model, width = learner.model, max(learner.model.supernet.space.sizes)
        logits = torch.stack([_padded(each.double(), width) for each in together(model.logits)])
        control, adam = self._parts(tuple(logits.shape), learner.generator)
        noise, given = (
            torch.rand(logits.shape, generator=learner.generator, dtype=torch.float64, device="cpu") for _ in range(2)
        )
        drawn = estimators.perturbed(torch.log_softmax(logits, 1), noise).argmax(dim=1).tolist()
        loss, accuracy = _judged(learner, drawn, validation)
        told = torch.tensor(self.baseline.advantage(accuracy), device="cpu")
        gradient = estimators.relax(logits, noise, given, lambda _: told, control)
        adam.zero_grad()
        estimators.variance_loss(gradient).backward()  # type: ignore[no-untyped-call]
        adam.step()
        rows = zip(-gradient.detach(), model.logits, strict=True)
        descent = [moved(row[: len(each)].to(each.dtype), each.device) for row, each in rows]
        learner.step([*descent, *(None for _ in model.edge_logits)])
        return loss

    def state(self) -> dict[str, Any]:
        kept: dict[str, Any] = {"baseline": self.baseline.state()}
        if self._control is not None and self._adam is not None:
            shape = [int(each) for each in self._control.shape]
            kept |= {"control": self._control.state_dict(), "adam": self._adam.state_dict(), "shape": shape}
        return kept

    def restore(self, state: dict[str, Any]) -> None:
        self.baseline.restore(state["baseline"])
        if "control" in state:
            control, adam = self._parts(tuple(state["shape"]), torch.Generator())
            control.load_state_dict(state["control"])
            adam.load_state_dict(state["adam"])

    def _parts(
        self, shape: tuple[int, ...], generator: torch.Generator
    ) -> tuple[estimators.ControlVariate, torch.optim.Optimizer]:
        if self._control is None or self._adam is None:
            seed = int(torch.randint(2**31, (1,), generator=generator, device="cpu"))
            self._control = estimators.ControlVariate(shape, np.random.default_rng(seed))
            self._adam = torch.optim.Adam(self._control.parameters(), CONTROL_RATE)
        return self._control, self._adam


def _judged(learner: Learner, path: list[int], batch: Batch) -> tuple[Tensor, float]:
    """Loss and accuracy (0 to 1) of one path, by the batch's statistics; no path is dropped, no statistics change."""
    x, y = batch
    supernet = learner.model.supernet
    with torch.no_grad(), unmoved_statistics(supernet), nothing_dropped(supernet):
        outputs = supernet.view("categorical")(x, path)
        return functional.cross_entropy(outputs, y), number((outputs.argmax(dim=1) == y).double().mean())


def _padded(logits: Tensor, width: int) -> Tensor:
    return functional.pad(logits, (0, width - len(logits)), value=estimators.ABSENT)


UPDATES: dict[str, type[ArchitectureUpdate]] = {
    "none": NoUpdate,
    "first-order": FirstOrder,
    "second-order": SecondOrder,
    "second-order-exact": ExactSecondOrder,
    "reinforce": Reinforce,
    "relax": Relax,
}


def new_update(name: str) -> ArchitectureUpdate:
    """An architecture update by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in UPDATES:
        raise UnknownName(name, UPDATES, of="update")
    return UPDATES[name]()
