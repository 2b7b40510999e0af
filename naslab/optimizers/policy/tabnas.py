"""TabNAS: reinforcement learning of feasible architectures by rejection, or without it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Evaluation
from naslab.feasibility import Feasibility, Floats
from naslab.optimizers.policy.policy_search import PolicySearch
from naslab.space import Architecture
from naslab.tasks import Problem

CORRECTIONS = ("exact", "monte-carlo", "none")
SAMPLINGS = ("conditional", "reject")
TRIES = 1_000_000


class TabNAS(PolicySearch):
    """Rejection-based reinforcement learning under hard limits (Yang et al. 2022).

    The policy is a product of independent softmaxes. It can't exclude what exceeds a limit, because that depends on all
    choices together. TabNAS learns only from feasible architectures and maximises ``Q log P(y | y feasible)``; the
    logarithm is ``log P(y) - log P(V)``, where P(V) is the probability of drawing a feasible one. It uses Adam, and a
    zero-debiased baseline of momentum 0.9 that includes the present reward.

    Deviations: by default P(V), its gradient and the draws are exact (:mod:`naslab.feasibility`), so that no step is
    rejected; the paper estimates P(V) from draws and skips infeasible steps (``sampling="reject"``,
    ``correction="monte-carlo"``). A rejected draw is not evaluated and costs nothing here. What is returned is the most
    probable feasible architecture instead of the best of some draws.

    Args:
        problem: The problem.
        rng: Its generator.
        correction: Of the gradient: ``"exact"``, ``"monte-carlo"`` (unbiased estimate of P(V) from ``samples`` draws of
            the present policy; a step for which none is feasible teaches nothing), or ``"none"``: REINFORCE on feasible
            samples.
        sampling: ``"conditional"``: from P(y | y feasible). ``"reject"``: from P(y) until one is feasible.
        samples: N of the Monte-Carlo correction.
        learning_rate: Of Adam.
        momentum: Of the baseline.
        entropy: Weight of the policy's entropy.
        scale: Factor from score to quality.
        selection: See :class:`naslab.optimizers.policy.policy_search.PolicySearch`.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        correction: str = "exact",
        sampling: str = "conditional",
        samples: int = 3072,
        learning_rate: float = 0.05,
        momentum: float = 0.9,
        entropy: float = 0.0,
        scale: float = 0.01,
        selection: str = "most-probable",
    ) -> None:
        super().__init__(
            problem,
            rng,
            learning_rate=learning_rate,
            momentum=momentum,
            entropy=entropy,
            scale=scale,
            selection=selection,
        )
        if correction not in CORRECTIONS:
            raise UnknownName(correction, CORRECTIONS, of="correction")
        if sampling not in SAMPLINGS:
            raise UnknownName(sampling, SAMPLINGS, of="sampling")
        if samples < 1:
            raise InvalidValue(f"samples={samples}. Allowed: 1 or more")
        self.correction, self.sampling, self.samples = correction, sampling, samples

    def ask(self) -> Architecture:
        if self.sampling == "conditional":
            return self.feasible_draw()
        for _ in range(TRIES):
            architecture = self.valid_draw()
            if self.problem.is_feasible(architecture):
                return architecture
        raise InvalidValue(f"none of {TRIES:,} draws was feasible. Fix: sampling=conditional")

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        quality = self.quality(evaluation)
        if quality is not None and (center := self._center()) is not None:
            self.learn(self.policy.one_hot(architecture) - center, self.baseline.advantage(quality))

    def _center(self) -> Floats | None:
        """What is subtracted from a draw's code: the mean code of all that could have been drawn."""
        if self.correction == "none":
            return self.policy.probabilities
        if self.correction == "exact":
            return self.feasible_mean()
        log_share, gradient = self._estimate.with_gradient(self.policy.per_choice)
        return None if log_share == -np.inf else self.policy.probabilities + self.policy.padded(gradient)

    @cached_property
    def _estimate(self) -> Feasibility:
        return self.problem.feasibility("monte-carlo", samples=self.samples, rng=self.rng)
