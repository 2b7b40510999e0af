"""Reinforcement learning with a reward that weighs quality against the resource: that of TuNAS or MnasNet."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.named import named
from naslab.optimizers.policy.policy_search import PolicySearch, checked_reward
from naslab.optimizers.policy.rewards import REWARDS, Quality
from naslab.space import Architecture
from naslab.tasks import Problem


class TuNAS(PolicySearch):
    """REINFORCE with the absolute reward ``Q + beta |T/T0 - 1|`` (TuNAS; Bender et al. 2020).

    Draws may exceed the limit: they are evaluated, charged and learnt from; the reward keeps the search near the limit.
    Adam with beta1 = 0, a zero-debiased baseline of momentum 0.95 that includes the present reward. Without a limit the
    reward is the quality. A reward that is not finite teaches nothing.

    Deviations: one draw per step (TuNAS averages over accelerators), a constant learning rate (TuNAS' grows tenfold),
    and by default the most probable feasible architecture is returned; ``selection="argmax"`` is TuNAS' own rule.

    Args:
        problem: The problem.
        rng: Its generator.
        reward: ``"absolute"``, ``"soft"``, ``"hard"``, ``"linear"`` or ``"indicator"``; see
            :mod:`naslab.optimizers.policy.rewards`.
        beta: The reward's exponent or weight, at most 0.
        learning_rate: Of Adam.
        momentum: Of the baseline.
        entropy: Weight of the policy's entropy.
        scale: Factor from score to quality.
        selection: See :class:`naslab.optimizers.policy.policy_search.PolicySearch`.
    """

    BETAS: ClassVar[tuple[float, float]] = (0.0, 0.999)

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        reward: str = "absolute",
        beta: float = -0.1,
        learning_rate: float = 0.05,
        momentum: float = 0.95,
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
            betas=self.BETAS,
        )
        if beta > 0 or (reward == "linear" and beta < -1):
            raise InvalidValue(f"beta={beta}. Allowed: at most 0 (a cost lowers the reward); for 'linear' from -1 to 0")
        self.reward, self.beta, self._positive = checked_reward(reward), beta, Quality(scale)

    def ask(self) -> Architecture:
        return self.valid_draw()

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        value = self.value(architecture, evaluation)
        if value is not None:
            self.learn(self.policy.one_hot(architecture) - self.policy.probabilities, self.baseline.advantage(value))

    def value(self, architecture: Architecture, evaluation: Evaluation) -> float | None:
        """The reward of an evaluation: without a limit its quality. None where it teaches nothing."""
        quality = self.quality(evaluation)
        if quality is None or not self.problem.constraint.limits:
            return quality
        return REWARDS[self.reward](self._positive(evaluation.score), self.ratio(architecture), self.beta)


@named(reward="soft", beta=-0.07, momentum=0.9)
class MnasNetReinforce(TuNAS):
    """REINFORCE with MnasNet's reward ``Q (T/T0)^beta`` (Tan et al. 2019, equation 2), soft or hard.

    The reward is MnasNet's, the controller is the factorised policy of the other strategies here, so that rewards
    can be compared; MnasNet itself trains a recurrent controller by PPO. Beta is MnasNet's -0.07 for the soft
    constraint; its hard one has -1.

    Args: as :class:`TuNAS`.
    """

    BETAS = (0.9, 0.999)
