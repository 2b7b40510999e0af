"""Dropping whole paths of a supernet while it is trained, so that weights do not co-adapt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslab.compiler.devices import uniform
from naslab.errors import InvalidValue


class DropPath(nn.Module):
    """Sets an option's output to zero at random and scales kept outputs, so that the expectation stays the same.

    Two published forms, :meth:`operations` and :meth:`scheduled`. The rate rises linearly with :attr:`progress`,
    which the training loop sets; in evaluation mode nothing is dropped, and identities are never dropped by the
    scheduled form.

    Attributes:
        progress: Share of training that is done, 0 to 1.
    """

    def __init__(
        self,
        rate: float,
        generator: torch.Generator,
        *,
        per_example: bool,
        by_depth: bool,
        by_paths: bool,
        identity: bool,
    ) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise InvalidValue(f"drop path rate {rate}: at least 0 and below 1")
        self.rate, self.generator = rate, generator
        self.per_example, self.by_depth, self.by_paths, self.identity = per_example, by_depth, by_paths, identity
        self.progress = 1.0

    @classmethod
    def operations(cls, rate: float, generator: torch.Generator) -> DropPath:
        """Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search", section 3: every option
        of every edge is dropped for the whole batch with probability ``rate ** (1 / k)``, where k options lead to its
        node, so that in the end (at full progress) all of them are dropped with probability ``rate``. Deviation: kept
        outputs are scaled so that the expectation stays the same.
        """
        return cls(rate, generator, per_example=False, by_depth=False, by_paths=True, identity=True)

    @classmethod
    def scheduled(cls, rate: float, generator: torch.Generator) -> DropPath:
        """ScheduledDropPath of Zoph et al. 2018 (NASNet), appendix A.7: per example, with a probability that grows
        with the depth in the network and with progress.
        """
        return cls(rate, generator, per_example=True, by_depth=True, by_paths=False, identity=False)

    def probability(self, depth: float, paths: int) -> float:
        """The probability that an option is dropped now: ``rate``, or ``rate ** (1 / paths)``, times the progress and,
        in the scheduled form, the depth.

        Args:
            depth: Where its node stands in the order of the network's nodes: 0 is the input, 1 the output.
            paths: The number of options other than zero that lead to its node, those of edges without a choice (which
                are never dropped) among them.
        """
        rate = self.rate ** (1 / paths) if self.by_paths and self.rate else self.rate
        return rate * self.progress * (depth if self.by_depth else 1.0)

    def forward(self, x: Tensor, depth: float, paths: int, is_identity: bool) -> Tensor:
        p = self.probability(depth, paths)
        if not self.training or p == 0 or (is_identity and not self.identity):
            return x
        shape = (x.shape[0], *[1] * (x.dim() - 1)) if self.per_example else (1,)
        kept = uniform(shape, self.generator, x.device) >= p
        return x * (kept.to(x) / (1 - p))
