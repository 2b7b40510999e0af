"""Noise on the probabilities while the weights are trained, so that the weights suit nearby ones, too.

SmoothDARTS (Chen & Hsieh 2020) flattens the loss over the architecture's weights. Here any relaxation can be trained
like that: probabilities are perturbed before they are made discrete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from naslab.compiler.devices import uniform
from naslab.errors import UnknownName

Loss = Callable[[Sequence[Tensor]], Tensor]


class Perturbation(ABC):
    """What happens to probabilities in a training step.

    The radius grows linearly over the search, from 0.03 in its first to 0.3 in its last epoch (the released code
    would reach that one epoch later).

    Args:
        start: Radius at the beginning.
        end: Radius at the end.
    """

    def __init__(self, start: float = 0.03, end: float = 0.3) -> None:
        self.start, self.end, self.radius = start, end, start

    def set_progress(self, progress: float) -> None:
        """The share of the search that is done."""
        self.radius = self.start + (self.end - self.start) * progress

    @abstractmethod
    def perturbed(self, probabilities: Sequence[Tensor], loss: Loss, generator: torch.Generator) -> list[Tensor]:
        """Other probabilities within the radius, without gradient.

        Args:
            probabilities: One ``(K,)`` per choice.
            loss: Of the present batch, as a function of probabilities; it must change nothing that lasts.
            generator: Of the noise.
        """


class NoPerturbation(Perturbation):
    """Nothing is changed."""

    def perturbed(self, probabilities: Sequence[Tensor], loss: Loss, generator: torch.Generator) -> list[Tensor]:
        return [p.detach() for p in probabilities]


class RandomPerturbation(Perturbation):
    """Uniform noise (SDARTS-RS): ``p + U(-radius, radius)``, cut to [0, 1] and divided by its sum.

    If the sum is zero, the largest gets probability one (the released code).
    """

    def perturbed(self, probabilities: Sequence[Tensor], loss: Loss, generator: torch.Generator) -> list[Tensor]:
        return [_projected(p.detach() + self._noise(p, generator)) for p in probabilities]

    def _noise(self, p: Tensor, generator: torch.Generator) -> Tensor:
        return self.radius * (2 * uniform(p.shape, generator, p.device, p.dtype) - 1)


class AdversarialPerturbation(RandomPerturbation):
    """The worst noise that seven steps of projected gradient ascent find (SDARTS-ADV).

    From a random start, steps of 2/7 of the radius along the gradient's sign, projected onto the cube of the radius and
    onto [0, 1] with sum one; kept only if the loss rose (the released code). The network is in training mode, as in the
    step itself (released code: evaluation mode, which differs where statistics are kept or paths dropped).
    """

    STEPS = 7

    def perturbed(self, probabilities: Sequence[Tensor], loss: Loss, generator: torch.Generator) -> list[Tensor]:
        own = [p.detach() for p in probabilities]
        before = loss(own).detach()
        found = [_projected(p + self._noise(p, generator)) for p in own]
        for _ in range(self.STEPS):
            leaves = [p.clone().requires_grad_() for p in found]
            gradients = torch.autograd.grad(loss(leaves), leaves, allow_unused=True)
            found = [self._ascended(*each) for each in zip(found, gradients, own, strict=True)]
        worse = loss(found).detach() > before
        return [torch.where(worse, there, here) for there, here in zip(found, own, strict=True)]

    def _ascended(self, p: Tensor, gradient: Tensor | None, center: Tensor) -> Tensor:
        if gradient is None:
            return p
        moved = p + 2 * self.radius / self.STEPS * gradient.sign() - center
        return _projected(center + moved.clamp(-self.radius, self.radius))


def _projected(p: Tensor) -> Tensor:
    inside = p.clamp(0, 1)
    total = inside.sum()
    largest = torch.arange(len(p), device=p.device) == p.argmax()
    return torch.where(total > 0, inside / total, largest.to(p))


PERTURBATIONS: dict[str, type[Perturbation]] = {
    "none": NoPerturbation,
    "random": RandomPerturbation,
    "adversarial": AdversarialPerturbation,
}


def new_perturbation(name: str) -> Perturbation:
    """A perturbation by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in PERTURBATIONS:
        raise UnknownName(name, PERTURBATIONS, of="perturbation")
    return PERTURBATIONS[name]()
