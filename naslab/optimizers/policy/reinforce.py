"""REINFORCE with a factorised policy."""

from __future__ import annotations

import numpy as np

from naslab.evaluators import Evaluation
from naslab.optimizers.policy.policy_search import PolicySearch
from naslab.space import Architecture
from naslab.tasks import Problem

INITIAL_SPREAD = 1e-3


class Reinforce(PolicySearch):
    """Policy gradient on one independent softmax per choice.

    Williams 1992; the multi-trial baseline of Dong & Yang 2020 (NAS-Bench-201), whose scripts are followed: initial
    logits are normal noise of 0.001, the optimiser is Adam, and the baseline is the zero-debiased exponential average
    of the rewards, the current one included. An architecture that is drawn again is evaluated and charged again; the
    result is the best that was evaluated. A combination that the space forbids is drawn again. A reward that is not
    finite teaches nothing. Under a constraint the reward is unchanged: infeasible draws are charged and learnt from,
    too.

    Args:
        problem: The problem.
        rng: Its generator.
        learning_rate: Of Adam (betas 0.9 and 0.999).
        momentum: Of the baseline.
        entropy: Weight of the policy's entropy.
        scale: Factor from score to quality: the scripts' rewards are percentages.
        selection: See :class:`naslab.optimizers.policy.policy_search.PolicySearch`.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        entropy: float = 0.0,
        scale: float = 1.0,
        selection: str = "best",
    ) -> None:
        sizes = problem.space.sizes
        super().__init__(
            problem,
            rng,
            learning_rate=learning_rate,
            momentum=momentum,
            entropy=entropy,
            scale=scale,
            selection=selection,
            start=INITIAL_SPREAD * rng.standard_normal((len(sizes), max(sizes, default=1))),
        )

    def ask(self) -> Architecture:
        return self.valid_draw()

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        quality = self.quality(evaluation)
        if quality is not None:
            advantage = self.baseline.advantage(quality)
            self.learn(self.policy.one_hot(architecture) - self.policy.probabilities, advantage)
