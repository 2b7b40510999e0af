"""From probabilities to what a supernet runs: which mixture, or which path, stands for a distribution over options.

Probabilities are one tensor ``(K,)`` per choice. A relaxation turns them into decisions of
:mod:`naslab.compiler.decisions`, through which gradients flow back to the probabilities where the method says so. How
probabilities follow from the logits, and whether they are perturbed on the way, is decided elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.decisions import Decision, Sparse
from naslab.compiler.devices import array, indices, moved, one_hot, together
from naslab.compiler.supernet import Form
from naslab.errors import TrainingFailed, UnknownName
from naslab.space import SearchSpace

Decisions = list[Decision]


class Relaxation(ABC):
    """How a supernet is run.

    Attributes:
        form: Of the supernet that it is written for.
        weighs: Whether its decisions are weights, most of which may be zero.
        differentiable: Whether gradients reach the probabilities.
        space: Whose choices are decided; None where only the probabilities are known. Single paths that are not drawn
            from probabilities keep its rules.
    """

    form: Form = "mixed"
    weighs: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    space: SearchSpace | None = None
    progress = 0.0

    def use_tensors(self) -> None:
        """Decide by whole weight vectors, for spaces with widths: a width needs an index or all weights."""
        if self.weighs:
            self.form = "mixed"

    def set_progress(self, progress: float) -> None:
        """The share of the search that is done, for what is annealed."""
        self.progress = progress

    @abstractmethod
    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        """What is run in one step: usually one set of decisions; the losses of several are added up."""

    def corrected(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
        """The logits after an update, corrected; mostly unchanged."""
        return list(after)


class Softmax(Relaxation):
    """The mixture itself: continuous relaxation (DARTS; Liu et al. 2019, equation 2)."""

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        return [list(probabilities)]


class Plain(Relaxation):
    """All options are added up with weight one, and nothing is learnt about them (Bender et al. 2018)."""

    differentiable = False

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        return [[torch.ones_like(p).detach() for p in probabilities]]


class GumbelSoftmax(Relaxation):
    """A relaxed draw ``softmax((log p + g) / temperature)`` (SNAS; Xie et al. 2019, equation 6).

    The temperature falls exponentially from ``start`` to ``end`` over the search.
    """

    def __init__(self, start: float = 1.0, end: float = 0.03) -> None:
        self.start, self.end, self.temperature = start, end, start

    def set_progress(self, progress: float) -> None:
        self.temperature = self.start * (self.end / self.start) ** progress

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        return [[relaxed_draw(p, self.temperature, generator) for p in probabilities]]


class HardGumbel(Relaxation):
    """One option runs, drawn by Gumbel noise; its gradient is that of the relaxed draw (GDAS; Dong & Yang 2019).

    ``h = one_hot(argmax h~) - sg(h~) + h~`` with ``h~ = softmax((log p + g) / temperature)`` (equations 3 to 7). Only
    the option drawn is computed; the others' h, whose value is zero, are added as numbers, so that their logits get a
    gradient as in the released code. The temperature falls linearly.
    """

    form: Form = "categorical"
    weighs = True

    def __init__(self, start: float = 10.0, end: float = 0.1) -> None:
        self.start, self.end, self.temperature = start, end, start

    def set_progress(self, progress: float) -> None:
        self.temperature = self.start + (self.end - self.start) * progress

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        decisions: Decisions = []
        draws = [relaxed_draw(p, self.temperature, generator) for p in probabilities]
        options = array(torch.stack([relaxed.argmax() for relaxed in draws])).tolist()
        for p, relaxed, drawn in zip(probabilities, draws, options, strict=True):
            if self.form == "categorical" and not p.requires_grad:
                decisions.append(drawn)  # only weights learn: the same path, without the terms that are zero
                continue
            gradient = relaxed - relaxed.detach()  # added last: otherwise rounding makes h only almost one
            hard = one_hot(drawn, p) + gradient
            decisions.append(hard if self.form == "mixed" else Sparse(hard, (drawn,), "scalar", hard=True))
        return [decisions]


class AllPaths(Relaxation):
    """One option is drawn and runs, gated (ProxylessNAS; Cai et al. 2019, section 3.2.1; released code: "full_v2").

    The gradient of a gate needs the outputs of all options: ``dL/da_i = sum_j dL/dg_j p_j (1[i = j] - p_i)``. Where the
    option drawn is no connection (``Zero``) the choice learns nothing in this step (the released code); a penalty is
    paid all the same (there: it isn't).
    """

    form: Form = "categorical"
    weighs = True

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        decisions: Decisions = []
        zeros = zero_options(self.space) if self.space is not None else [frozenset[int]()] * len(probabilities)
        for p, known, zero in zip(probabilities, drawable(probabilities), zeros, strict=True):
            among = self.drawn_among(known, generator)
            places = indices(among, p.device)
            shares = p[places] / p[places].sum()
            drawn = _multinomial(known[list(among)] / known[list(among)].sum(), generator)
            if among[drawn] in zero and self.form == "categorical":
                decisions.append(among[drawn])
                continue
            gates = _gates(shares.detach() if among[drawn] in zero else shares, drawn)
            gates = torch.zeros_like(p).scatter(0, places, gates)
            decisions.append(gates if self.form == "mixed" else Sparse(gates, among, "drop"))
        return [decisions]

    def drawn_among(self, p: Tensor, generator: torch.Generator) -> tuple[int, ...]:
        """The options whose gates are opened or shut: all. `p` is on the CPU."""
        return tuple(range(len(p)))


class TwoPath(AllPaths):
    """The same with two options in the place of all (Cai et al. 2019, appendix; "two" of the released code).

    Two options are drawn without replacement by p; between them one is drawn by their shares. p is then the shares of
    the two. After an update the two logits are shifted so that the probability of both together is what it was (the
    released code). A penalty changes only the two that were drawn.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[int, ...]] = []

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        self._pairs = []
        return super().decide(probabilities, generator)

    def drawn_among(self, p: Tensor, generator: torch.Generator) -> tuple[int, ...]:
        self._pairs.append(tuple(torch.multinomial(p, min(2, len(p)), generator=generator).tolist()))
        return self._pairs[-1]

    def corrected(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
        if not self._pairs:
            return list(after)  # the logits learnt in another way: from rewards of drawn paths
        found = []
        for old, new, pair in zip(before, after, self._pairs, strict=True):
            both = indices(pair, old.device)
            shifted = old.clone()  # logits that were not drawn only feel Adam's momentum: they stay as they were
            shifted[both] = new[both] + old[both].logsumexp(0) - new[both].logsumexp(0)
            found.append(shifted)
        return found


class Uniform(Relaxation):
    """One path, every option equally likely (RSPS, Li & Talwalkar 2019; SPOS, Guo et al. 2020).

    Where a space has rules, its architectures are drawn: only one in 18 million paths of DARTS' space is one.
    """

    form = "categorical"
    differentiable = False

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        if self.space is not None and self.space.rules:
            seed = int(torch.randint(2**31, (1,), generator=generator, device="cpu"))
            return [list(self.space.sample(np.random.default_rng(seed)))]
        return [[int(torch.randint(len(p), (1,), generator=generator, device="cpu")) for p in probabilities]]


class Fair(Relaxation):
    """Every option runs once in every step: as many paths as a choice has options, each choice in a random order
    (FairNAS; Chu et al. 2021, strict fairness). Where choices differ in their number of options, the shorter ones
    begin again. It keeps no rules of a space: every option has its turn."""

    form = "categorical"
    differentiable = False

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        orders = [torch.randperm(len(p), generator=generator, device="cpu").tolist() for p in probabilities]
        return [[order[i % len(order)] for order in orders] for i in range(max(map(len, orders)))]


class Sampled(Relaxation):
    """One path drawn from the probabilities, which learn only from its reward (REINFORCE), if at all."""

    form = "categorical"
    differentiable = False

    def decide(self, probabilities: Sequence[Tensor], generator: torch.Generator) -> list[Decisions]:
        return [[_multinomial(p, generator) for p in drawable(probabilities)]]


def relaxed_draw(p: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """``softmax((log p + g) / temperature)``, g standard Gumbel noise."""
    log_p = p.clamp_min(torch.finfo(p.dtype).tiny).log()
    uniform = torch.rand(p.shape, generator=generator, dtype=torch.float64, device="cpu")
    gumbel = -(-uniform.clamp_min(1e-300).log()).log().to(p.dtype)
    return torch.softmax((log_p + moved(gumbel, p.device)) / temperature, dim=0)


def drawable(probabilities: Sequence[Tensor]) -> list[Tensor]:
    """Probabilities on the CPU, to draw from: which path runs next, the processor must know.

    Raises:
        TrainingFailed: One is not finite.
    """
    found = together(probabilities)
    for p in found:
        if not bool(p.isfinite().all()):
            raise TrainingFailed(f"probabilities {p.tolist()} can't be drawn from; fix: a lower learning_rate")
    return found


def _multinomial(p: Tensor, generator: torch.Generator) -> int:
    return int(torch.multinomial(p, 1, generator=generator))


class _Gates(torch.autograd.Function):
    """One-hot gates whose gradient goes to the shares as if they had been the mixture's weights."""

    @staticmethod
    def forward(ctx: object, shares: Tensor, drawn: int) -> Tensor:
        return one_hot(drawn, shares)

    @staticmethod
    def backward(ctx: object, *outer: Tensor) -> tuple[Tensor, None]:
        return outer[0], None


def zero_options(space: SearchSpace) -> list[frozenset[int]]:
    """Of every choice, the options that are no connection."""
    return [
        frozenset(k for k, option in enumerate(choice.options) if getattr(option, "is_zero", False))
        for choice in space.choices
    ]


def _gates(shares: Tensor, drawn: int) -> Tensor:
    gates: Tensor = _Gates.apply(shares, drawn)  # type: ignore[no-untyped-call]
    return gates


RELAXATIONS: dict[str, type[Relaxation]] = {
    "softmax": Softmax,
    "gumbel-softmax": GumbelSoftmax,
    "hard-gumbel": HardGumbel,
    "all-paths": AllPaths,
    "two-path": TwoPath,
    "uniform": Uniform,
    "fair": Fair,
    "sampled": Sampled,
    "plain": Plain,
}


def new_relaxation(name: str) -> Relaxation:
    """A relaxation by name.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in RELAXATIONS:
        raise UnknownName(name, RELAXATIONS, of="relaxation")
    return RELAXATIONS[name]()
