"""What all parts of a gradient search work on: shared weights, logits, and the losses between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from naslab.compiler.devices import moved, number
from naslab.compiler.supernet import Form, Supernet
from naslab.evaluators.arithmetic import forward
from naslab.optimizers.gradient.relaxations import Decisions
from naslab.space import SearchSpace, scope

INITIAL_SPREAD = 1e-3


class Model:
    """A supernet's weights and a distribution over its architectures, on one device.

    Attributes:
        supernet: The shared weights, in mixed form.
        logits: One ``(K,)`` per choice, normal noise of 0.001 to begin with.
        edge_logits: For each node that several choices lead to, the logits of their edges (PC-DARTS' edge
            normalisation); empty without.
        device: Where all of these are.
        precision: Of the forward passes of :meth:`loss`: ``"float32"`` or ``"bfloat16"``.
    """

    def __init__(
        self,
        supernet: Supernet,
        generator: torch.Generator,
        *,
        edges: bool = False,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        def drawn(size: int) -> nn.Parameter:
            noise = INITIAL_SPREAD * torch.randn(size, generator=generator, device="cpu")
            return nn.Parameter(moved(noise, device))

        self.supernet, self.device, self.precision = supernet, device, precision
        self.logits = [drawn(size) for size in supernet.space.sizes]
        self._groups = arriving(supernet.space) if edges else []
        self.edge_logits = [drawn(len(group)) for group in self._groups]

    @property
    def architecture(self) -> list[nn.Parameter]:
        """All that the architecture's optimiser updates."""
        return [*self.logits, *self.edge_logits]

    @property
    def weights(self) -> list[nn.Parameter]:
        """All that the weights' optimiser updates."""
        return list(self.supernet.parameters())

    def probabilities(self) -> list[Tensor]:
        """The softmaxes of the logits."""
        return [torch.softmax(logits, dim=0) for logits in self.logits]

    def edge_weights(self) -> dict[str, Tensor] | None:
        """Per choice, the weight of its edge among those that lead to the same node."""
        if not self._groups:
            return None
        shares = [torch.softmax(logits, dim=0) for logits in self.edge_logits]
        named = zip(self._groups, shares, strict=True)
        return {name: share[i] for group, share in named for i, name in enumerate(group)}

    def loss(
        self,
        decisions: Sequence[Decisions],
        x: Tensor,
        y: Tensor,
        form: Form,
        edges: Mapping[str, Tensor] | None = None,
        weights: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The sum of the cross-entropies of all that is run, with the supernet's own weights or with others."""
        view = self.supernet.view(form)
        called = view if weights is None else lambda *inputs: functional_call(view, weights, inputs)
        where = {"precision": self.precision, "device": self.device}
        losses = [functional.cross_entropy(forward(called, x, each, edges, **where), y) for each in decisions]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Inside, forward passes are in float32, whatever the precision."""
        own, self.precision = self.precision, "float32"
        try:
            yield
        finally:
            self.precision = own

    def entropy(self) -> float:
        """Of the distribution over architectures, in nats; choices are independent."""
        with torch.no_grad():
            terms = [-(p * p.clamp_min(1e-30).log()).sum() for p in self.probabilities()]
            return number(sum(terms[1:], terms[0]))


@contextmanager
def unmoved_statistics(module: nn.Module) -> Iterator[None]:
    """Running statistics may change inside; afterwards they are restored."""
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


@contextmanager
def nothing_dropped(supernet: Supernet) -> Iterator[None]:
    """Inside, no path is dropped; afterwards paths are dropped as before."""
    if supernet.drop_path is None:
        yield
        return
    training = supernet.drop_path.training
    supernet.drop_path.eval()
    try:
        yield
    finally:
        supernet.drop_path.train(training)


def arriving(space: SearchSpace) -> list[list[str]]:
    """The choices whose edges lead to the same node, for every node that several lead to.

    An edge that several choices decide counts for the first of them, and a choice on several edges (of repeated cells)
    for the first of these.
    """
    groups: dict[object, list[str]] = {}
    seen: set[str] = set()
    for node in space.order:
        for source in space.inputs[node]:
            names = scope(space.graph.edges[source, node].get("op"))
            if names and names[0] not in seen:
                seen.add(names[0])
                groups.setdefault(node, []).append(names[0])
    return [group for group in groups.values() if len(group) > 1]
