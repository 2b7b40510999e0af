"""Estimates of the gradient of an expectation over independent categorical choices, and a learnt control variate.

All estimate the gradient of ``E f(b)`` with respect to the logits, where ``b`` are one-hot codes of one option per
choice, drawn from the softmax of each choice's logits. Tensors are ``(choices, options)``; an option that a choice
lacks has the logit :data:`ABSENT`. ``uniform`` is noise from [0, 1) of shape ``(..., choices, options)``: each leading
index is an independent sample, and gives a sample of the gradient. ``function`` takes codes of that shape, relaxed ones
where an estimator says so, and gives ``(...)``, sample by sample.

z is ``log p`` plus Gumbel noise, and b the one-hot code of the largest entry of each choice. Equivalently, ``-z`` are
logarithms of exponential variables with rates p, and b marks the smallest; everything is computed this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

Function: TypeAlias = Callable[[Tensor], Tensor]

ABSENT = -1e9
"""Stands for a logit of minus infinity, whose gradients would be NaN."""


def reinforce(logits: Tensor, uniform: Tensor, function: Function, baseline: float | Tensor = 0.0) -> Tensor:
    """``(f(b) - baseline) grad log p(b)`` (Williams 1992): unbiased for any baseline that does not depend on b."""
    log_p = torch.log_softmax(logits.detach(), dim=-1)
    hard = chosen(perturbed(log_p, uniform))
    with torch.no_grad():
        value = function(hard)
    return _per_sample(value - baseline) * (hard - log_p.exp())


def gumbel_softmax(logits: Tensor, uniform: Tensor, function: Function, temperature: float) -> Tensor:
    """The gradient of f at ``softmax(z / temperature)`` (Jang et al. 2017, Maddison et al. 2017). It is that of
    the expectation over relaxed codes, so biased; f must be defined on them."""
    leaf = _leaf(logits, uniform)
    value = function(_relaxed(leaf, uniform, temperature))
    return torch.autograd.grad(value.sum(), leaf)[0]


def straight_through(logits: Tensor, uniform: Tensor, function: Function, temperature: float) -> Tensor:
    """As :func:`gumbel_softmax`, but f and its gradient are taken at b (Jang et al. 2017, section 2.2): biased."""
    leaf = _leaf(logits, uniform)
    relaxed = _relaxed(leaf, uniform, temperature)
    value = function(chosen(relaxed) + relaxed - relaxed.detach())
    return torch.autograd.grad(value.sum(), leaf)[0]


def relax(
    logits: Tensor, uniform: Tensor, conditional: Tensor, function: Function, control: Callable[[Tensor], Tensor]
) -> Tensor:
    """``[f(b) - c(z~)] grad log p(b) + grad c(z) - grad c(z~)`` (RELAX; Grathwohl et al. 2018, section 3.2).

    z~ is drawn from p(z | b), and both z and z~ are functions of the logits: gradients of c flow through both. Unbiased
    for any c; f is only ever asked for its value at b. The result is differentiable with respect to the parameters of
    the control variate, which are to minimise :func:`variance_loss`.

    Args:
        logits: See the module.
        uniform: The noise of z.
        conditional: The noise of z~, of the same shape and independent of ``uniform``. The released code of REBAR and
            RELAX derives it from ``uniform`` (common random numbers); here that gave a higher variance.
        function: f.
        control: c, from z (not relaxed) to one number per sample.
    """
    leaf = _leaf(logits, uniform)
    log_p = torch.log_softmax(leaf, dim=-1)
    z = perturbed(log_p, uniform)
    hard = chosen(z)
    with torch.no_grad():
        value = function(hard)
    at_z, at_given = control(z), control(perturbed_given(log_p, hard, conditional))
    (through,) = torch.autograd.grad((at_z - at_given).sum(), leaf, create_graph=True)
    return _per_sample(value - at_given) * (hard - log_p.detach().exp()) + through


def variance_loss(gradient: Tensor) -> Tensor:
    """``mean(g^2)`` over samples and entries. g's mean does not depend on the control variate, so this differs from the
    variance by a constant. The square of the mean over samples would be another thing: the variance of a mean."""
    return gradient.square().mean()


def perturbed(log_p: Tensor, uniform: Tensor) -> Tensor:
    """z: logarithms of probabilities plus Gumbel noise."""
    return log_p - _exponential(uniform).log()


def chosen(z: Tensor) -> Tensor:
    """b: the one-hot code of each choice's largest entry; no gradient."""
    return torch.zeros_like(z).scatter_(-1, z.detach().argmax(dim=-1, keepdim=True), 1.0)


def perturbed_given(log_p: Tensor, hard: Tensor, uniform: Tensor) -> Tensor:
    """z~ from p(z | b): the largest entry has a Gumbel distribution, whichever it is; the others are truncated at it.

    ``-log(-log v_b)`` and ``-log(-log v_i / p_i - log v_b)`` (Grathwohl et al. 2018; Maddison et al. 2014).
    """
    logs = _exponential(uniform).log()
    first = (hard * logs).sum(dim=-1, keepdim=True)
    return -torch.where(hard > 0, first, torch.logaddexp(logs - log_p, first))


class ControlVariate(nn.Module):
    """A control variate for RELAX: one layer of tanh units on relaxed codes (Grathwohl et al. 2018, section 3.2).

    ``c(z) = f(softmax(z / t)) + r(softmax(z / t))``, or r alone where f is a black box. The temperature t is learnt
    with r. The output weights start at zero, as the released code's output scale does: at first c is zero, or f.

    Args:
        shape: Choices and options.
        rng: For the initial weights.
        units: Of the hidden layer; ten in the paper's toy problem.
        temperature: Initial value of t; 0.5 in the released code.
        function: f, where it is defined on relaxed codes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        rng: np.random.Generator,
        *,
        units: int = 10,
        temperature: float = 0.5,
        function: Function | None = None,
    ) -> None:
        super().__init__()
        inputs = int(np.prod(shape))
        start = rng.uniform(-1, 1, (units, inputs + 1)) / np.sqrt(inputs)
        self.hidden = nn.Parameter(torch.from_numpy(start[:, :-1].copy()))
        self.bias = nn.Parameter(torch.from_numpy(start[:, -1].copy()))
        self.output = nn.Parameter(torch.zeros(units + 1, dtype=torch.float64))
        self.log_temperature = nn.Parameter(torch.tensor(np.log(temperature)))
        self.function, self.shape = function, tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        codes = torch.softmax(z / self.log_temperature.exp(), dim=-1)
        units = torch.tanh(codes.flatten(-2) @ self.hidden.T + self.bias)
        value = units @ self.output[:-1] + self.output[-1]
        return value if self.function is None else value + self.function(codes)


def _exponential(uniform: Tensor) -> Tensor:
    """Unit exponentials from uniforms, which may be zero."""
    limits = torch.finfo(uniform.dtype)
    return -uniform.clamp(limits.tiny, 1 - limits.eps / 2).log()


def _relaxed(leaf: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    return torch.softmax(perturbed(torch.log_softmax(leaf, dim=-1), uniform) / temperature, dim=-1)


def _leaf(logits: Tensor, uniform: Tensor) -> Tensor:
    """A copy of the logits for each sample, so that one backward pass gives every sample's gradient."""
    return logits.detach().expand(uniform.shape).clone().requires_grad_()


def _per_sample(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value)[..., None, None]
