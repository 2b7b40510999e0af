"""How the logits of an architecture learn from validation batches, while the shared weights are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from naslab.optimizers.gradient.model import Model, unmoved_statistics
from naslab.optimizers.gradient.relaxations import Relaxation

Batch: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Learner:
    """What an update needs.

    Attributes:
        model: Weights and logits.
        relaxation: How the architecture is relaxed where it learns.
        optimizer: Of the logits.
        weight_optimizer: Of the weights: stochastic gradient descent with momentum, whose next step is unrolled.
        generator: Of draws.
        penalty: What is added to the logits' loss, whatever the update; None adds nothing.
        clip: The largest norm of the weights' gradient, if the step that is taken is to be unrolled; None unrolls plain
            momentum, unclipped.
    """

    model: Model
    relaxation: Relaxation
    optimizer: torch.optim.Optimizer
    weight_optimizer: torch.optim.Optimizer
    generator: torch.Generator
    penalty: Callable[[], Tensor | None] = lambda: None
    clip: float | None = None

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, through the relaxation, differentiable by logits and weights."""
        decisions = self.relaxation.decide(self.model.probabilities(), self.generator)
        return self.model.loss(decisions, *batch, self.relaxation.form, self.model.edge_weights())

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """One step of the logits, corrected by the relaxation."""
        before = [logits.detach().clone() for logits in self.model.logits]
        for parameter, gradient in zip(self.model.architecture, gradients, strict=True):
            parameter.grad = gradient
        if (penalty := self.penalty()) is not None:
            penalty.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            for logits, new in zip(
                self.model.logits, self.relaxation.corrected(before, list(self.model.logits)), strict=True
            ):
                logits.copy_(new)


class ArchitectureUpdate(ABC):
    """One update of the logits, before or after each step of the weights.

    Attributes:
        differentiates: Whether it needs a relaxation that gradients go through.
    """

    differentiates: ClassVar[bool] = True

    @abstractmethod
    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        """Learn; returns the validation loss, which nobody waits for, or None where there is none."""

    def state(self) -> dict[str, Any]:
        """What the next updates depend on, besides the learner."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of a learner with the same logits."""
        assert not state


class NoUpdate(ArchitectureUpdate):
    """The logits stay: all architectures are equally likely."""

    differentiates = False

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        return None


class FirstOrder(ArchitectureUpdate):
    """Along the gradient of the validation loss with the weights as they are (DARTS, section 2.3, xi = 0)."""

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        loss = learner.loss(validation)
        learner.step(torch.autograd.grad(loss, learner.model.architecture, allow_unused=True))
        return loss.detach()


class SecondOrder(ArchitectureUpdate):
    """Through one unrolled step of the weights, by finite differences (DARTS, equations 7 and 8).

    ``grad_a L_val(w', a) - xi (grad_a L_train(w+, a) - grad_a L_train(w-, a)) / (2 e)`` with ``w' = w - xi (momentum +
    grad_w L_train + decay w)``, ``w+- = w +- e v``, ``v = grad_w' L_val(w', a)`` and ``e = 0.01 / |v|``; xi is the
    weights' learning rate. This w' is plain momentum's, as in the released code, whatever step is taken: DARTS' own;
    not that of the NAS-Bench-201 script, nor of ``darts-v2`` here, which take Nesterov's and clip the gradient. With
    ``unroll=taken`` w' is the step that is taken, and v what it makes of a change of ``grad_w L_train``: ``-1/xi
    dL_val(w') / d grad_w L_train``, clipping included. Draws of a stochastic relaxation are the same in all four
    evaluations. Weights and running statistics are restored afterwards. With ReLU and max pooling a step of this length
    crosses kinks, and the error of the differences can be larger than the second-order part itself
    (``benchmarks/second_order.py`` measures it).
    """

    length = 0.01
    """Length of the step to w+ and w-, as in the paper."""

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        model, weights = learner.model, learner.model.weights
        noise, own = learner.generator.get_state(), [w.detach().clone() for w in weights]

        def gradients(batch: Batch, of: Sequence[nn.Parameter]) -> tuple[Tensor, list[Tensor]]:
            learner.generator.set_state(noise)
            loss = learner.loss(batch)
            return loss.detach(), list(torch.autograd.grad(loss, of, materialize_grads=True))

        with unmoved_statistics(model.supernet):
            descent = [each.requires_grad_(learner.clip is not None) for each in gradients(train, weights)[1]]
            xi, unrolled = unrolled_step(learner.weight_optimizer, weights, descent, learner.clip)
            set_values(weights, unrolled)
            both = [*model.architecture, *weights]
            loss, at_unrolled = gradients(validation, both)
            ascent = at_unrolled[len(model.architecture) :]
            if learner.clip is not None:
                ascent = [-each / xi for each in torch.autograd.grad(unrolled, descent, ascent)]
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in ascent]))
            epsilon = self.length / norm.clamp_min(1e-12)
            ends = []
            for sign in (1, -1):
                set_values(weights, [w + sign * epsilon * g for w, g in zip(own, ascent, strict=True)])
                with model.exact():  # a difference of rounded gradients would be noise
                    ends.append(gradients(train, model.architecture)[1])
        set_values(weights, own)
        mixed = [(up - down) / (2 * epsilon) for up, down in zip(*ends, strict=True)]
        learner.step([g - xi * h for g, h in zip(at_unrolled, mixed, strict=False)])
        return loss


class ExactSecondOrder(ArchitectureUpdate):
    """The same gradient by differentiating twice: for operations whose second derivatives PyTorch knows."""

    def update(self, learner: Learner, train: Batch, validation: Batch) -> Tensor | None:
        model, weights = learner.model, learner.model.weights
        noise = learner.generator.get_state()
        with unmoved_statistics(model.supernet):
            loss = learner.loss(train)
            descent = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
            _, unrolled = unrolled_step(learner.weight_optimizer, weights, descent, learner.clip)
            learner.generator.set_state(noise)
            names = [name for name, _ in model.supernet.named_parameters()]
            decisions = learner.relaxation.decide(model.probabilities(), learner.generator)
            there = dict(zip(names, unrolled, strict=True))
            held = model.loss(decisions, *validation, learner.relaxation.form, model.edge_weights(), there)
            found = torch.autograd.grad(held, model.architecture, allow_unused=True)
        learner.step(found)
        return held.detach()


def unrolled_step(
    optimizer: torch.optim.Optimizer,
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    clip: float | None = None,
) -> tuple[float, list[Tensor]]:
    """The learning rate, and the weights after a step along these gradients: ``w - xi (momentum m + g + decay w)``.

    Args:
        optimizer: Stochastic gradient descent.
        weights: Before the step.
        gradients: Of the loss.
        clip: If given, the step that is taken: gradients clipped at this norm, Nesterov's momentum if it is the
            optimiser's.
    """
    group = optimizer.param_groups[0]
    xi, momentum, decay = float(group["lr"]), float(group.get("momentum", 0.0)), float(group["weight_decay"])
    if clip is not None:
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        share = (clip / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
        gradients = [share * g for g in gradients]
    moved = []
    for weight, gradient in zip(weights, gradients, strict=True):
        buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
        moment = 0.0 if buffer is None else momentum * buffer
        step = moment + gradient + decay * weight
        if clip is not None and group["nesterov"]:
            step = gradient + decay * weight + momentum * step
        moved.append(weight - xi * step)
    return xi, moved


def set_values(weights: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    """Copy values into weights, outside any graph."""
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)
