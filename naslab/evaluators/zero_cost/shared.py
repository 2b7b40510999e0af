"""What proxies share: one forward pass, one backward pass, and what can be read off them."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import normal_like, number
from naslab.evaluators.zero_cost.calls import Calls
from naslab.evaluators.zero_cost.recorder import Recorder
from naslab.evaluators.zero_cost.values import Change, Initialisation, Values, initialised

CODES, JACOBIAN, GRADIENTS, SALIENCY, CURVATURE = "codes", "jacobian", "gradients", "saliency", "curvature"


@dataclass(frozen=True)
class Forward:
    """A forward pass of the batch in training mode.

    Attributes:
        x: The batch; requires a gradient if one is wanted.
        logits: ``(B, classes)``.
        agreements: Of every ReLU, where wanted: see :func:`agreement`.
        layers: Of every convolution and linear layer that ran: its weight, how many numbers it gave for a row, and its
            output, where the saliency of channels is wanted.
        reached: Of every ReLU, whether the output depends on it; None where the network does not tell.
    """

    x: Tensor
    logits: Tensor
    agreements: list[Tensor]
    layers: list[tuple[Tensor, int, Tensor | None]]
    reached: list[bool] | None


class Pass:
    """What is known about one network on one batch. Each quantity is computed when it is first asked for, once.

    The network is in training mode meanwhile, and afterwards as before. Random numbers are drawn from generators of
    their own, keyed by what they are for: scores do not depend on what else is asked.

    Args:
        network: From ``(B, ...)`` to ``(B, classes)``.
        x: ``(B, ...)``.
        y: ``(B,)`` class numbers, or None.
        generator: One number is drawn.
        wants: The quantities that will be asked for: ``"codes"`` (ReLU codes), ``"jacobian"``, ``"gradients"`` (at the
            cross-entropy), ``"saliency"`` (of channels, with the gradients), ``"curvature"`` (a product with the
            Hessian, with the gradients).
        blocks: Nodes of the search space that cut the network into blocks.
        context: Whatever else a proxy may need, by name.
    """

    def __init__(
        self,
        network: nn.Module,
        x: Tensor,
        y: Tensor | None,
        generator: torch.Generator,
        wants: Collection[str] = (),
        *,
        blocks: Sequence[Any] = (),
        **context: Any,
    ) -> None:
        self.network, self.x, self.y, self.wants = network, x.detach(), y, frozenset(wants)
        self.blocks, self.context = tuple(blocks), context
        self._seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        self.values = Values(network)
        self.channel_saliency: list[tuple[Tensor, Tensor]] = []

    def generator(self, purpose: str) -> torch.Generator:
        """A generator that is always in the same state for the same purpose."""
        return torch.Generator().manual_seed(self._seed ^ zlib.crc32(purpose.encode()))

    def gaussian(self, purpose: str) -> Tensor:
        """Standard normal inputs of the batch's shape."""
        return normal_like(self.x, self.generator(purpose))

    def drawn(self, kind: Initialisation, purpose: str) -> Values:
        """Other initial values."""
        return Values(self.network, initialised(kind, self.generator(purpose)))

    def changed(self, change: Change) -> Values:
        """Other values, computed from the network's own."""
        return Values(self.network, change)

    # ---- the batch, forwards -------------------------------------------------------------------------------------

    @cached_property
    def forward(self) -> Forward:
        """The forward pass that all share; its autograd graph is kept where a gradient is wanted."""
        graph, saliency = bool(self.wants - {CODES}), SALIENCY in self.wants
        recorder = Recorder(
            agreement if CODES in self.wants else None,
            lambda weight, out: (weight, out[0].numel(), out if saliency else None),
        )
        x, calls = self.x.detach().requires_grad_(graph), Calls(self.network, recorder.relus)
        with self.values.installed(), torch.set_grad_enabled(graph), recorder, calls:
            logits = self.network(x)
        return Forward(x, logits, recorder.relus, recorder.layers, calls.reached())

    @cached_property
    def connected(self) -> bool:
        """Whether the logits are finite and depend on the input, as far as the batch shows."""
        if self.wants:
            logits = self.forward.logits.detach()
        else:
            with self.values.installed(), torch.no_grad():
                logits = self.network(self.x[:2])
        told = logits.isfinite().all()
        if len(logits) > 1:
            told = told & (logits != logits[:1]).any()
        return bool(number(told))

    @cached_property
    def reached(self) -> list[bool]:
        """Of every ReLU, in the order of the forward pass: whether a gradient comes back to it."""
        if self.forward.reached is not None:
            return self.forward.reached
        recorder = Recorder(lambda out: out.grad_fn, shared=False)
        with self.values.installed(), torch.enable_grad(), recorder:
            logits = self.network(self.x[:2])
        waiting, found = [logits.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is not None and node not in found:
                found.add(node)
                waiting += [further for further, _ in node.next_functions]
        return [node in found for node in recorder.relus]

    @cached_property
    def layer_sizes(self) -> list[tuple[Tensor, int]]:
        """Of every convolution and linear layer that runs: its weight, and the numbers in its output for one row."""
        if self.wants:
            layers = self.forward.layers
        else:
            recorder = Recorder(layer=lambda weight, out: (weight, out[0].numel(), None))
            with self.values.installed(), torch.no_grad(), recorder:
                self.network(self.x[:1].expand(2, *self.x.shape[1:]))  # two rows: a single one can't be normalised
            layers = recorder.layers
        return [(weight, numbers) for weight, numbers, _ in layers]

    # ---- and backwards -------------------------------------------------------------------------------------------

    @cached_property
    def gradients(self) -> list[Tensor]:
        """Gradients of the mean cross-entropy for each of ``values.weights``; zeros where it does not depend on one.

        In the same backward pass the channels' saliency is computed, where wanted.
        """
        assert self.y is not None
        forward, hooks = self.forward, []
        for weight, _, out in forward.layers:
            if out is not None and out.requires_grad:
                hooks.append(out.register_hook(self._saliency(weight, out)))  # type: ignore[no-untyped-call]
        with self.values.installed(), torch.enable_grad():
            loss = functional.cross_entropy(forward.logits, self.y)
            found = _gradients(loss, self.values.weights, create_graph=CURVATURE in self.wants)
        for hook in hooks:
            hook.remove()
        return found

    def _saliency(self, weight: Tensor, out: Tensor) -> Any:
        def hook(gradient: Tensor) -> None:
            products = (out.detach() * gradient.detach()).flatten(2).sum(dim=2) if out.dim() > 2 else out * gradient
            self.channel_saliency.append((weight, products.detach().square().mean(dim=0) / 2))

        return hook

    @cached_property
    def curvature(self) -> list[Tensor]:
        """The Hessian of the mean cross-entropy times its gradient, one tensor for each of ``values.weights``."""
        gradients = self.gradients
        with self.values.installed(), torch.enable_grad():
            product = sum(((g.detach() * g).sum() for g in gradients), self.x.new_zeros(()))
            return _gradients(product, self.values.weights)

    @cached_property
    def jacobian(self) -> Tensor:
        """``(B, inputs)``: the gradient of the summed logits with respect to each row; batch statistics tie rows."""
        forward = self.forward
        with self.values.installed(), torch.enable_grad():
            (found,) = _gradients(forward.logits.sum(), [forward.x])
        return found.flatten(1)


def agreement(activations: Tensor) -> Tensor:
    """``(B, B)``: in how many entries the codes of two rows (which entries are above zero) agree.

    The number of entries minus the Hamming distance, by one product of matrices.
    """
    codes = activations.detach().sign()  # 0 or 1 after a ReLU; sums are exact below 2**24
    if codes.dim() == 4 and codes.is_contiguous(memory_format=torch.channels_last):
        codes = codes.permute(0, 2, 3, 1)  # the order does not matter, and this one needs no copy
    codes = codes.flatten(1)
    both = codes @ codes.T
    ones = both.diagonal()
    return codes.shape[1] - ones[:, None] - ones[None, :] + 2 * both


def _gradients(value: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """Gradients, zero where there is none; the graph is kept for others."""
    if not inputs or not value.requires_grad:
        return [torch.zeros_like(each) for each in inputs]
    return list(
        torch.autograd.grad(value, inputs, retain_graph=True, create_graph=create_graph, materialize_grads=True)
    )
