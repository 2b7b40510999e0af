"""Proximal policy optimisation on a factorised policy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.feasibility import Floats
from naslab.optimizers.policy.policy_search import PolicySearch
from naslab.space import Architecture
from naslab.tasks import Problem


class PPO(PolicySearch):
    """Clipped proximal policy optimisation (Schulman et al. 2017, equation 7); one action is a whole architecture.

    Draws are collected in batches; each batch is then used for several gradient steps in which the ratio of new to old
    probability is clipped. Under a limit, and where the space has rules, only feasible architectures (those that keep
    both) are drawn, as in TabNAS. The ratio is then that of P(y | y feasible), so it contains P(V), the probability of
    a feasible draw, of both policies.

    The reward comes once, with the whole architecture: an episode has one step, so there is nothing to discount and the
    value function is a number, the zero-debiased average of the rewards.

    Args:
        problem: The problem.
        rng: Its generator.
        batch: Evaluations between updates.
        epochs: Gradient steps on each batch.
        clip: How far the ratio may go from 1.
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
        batch: int = 20,
        epochs: int = 4,
        clip: float = 0.2,
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
        if batch < 1 or epochs < 1 or not clip > 0:
            raise InvalidValue(
                f"batch={batch}, epochs={epochs}, clip={clip}. Allowed: batch and epochs 1 or more, clip above 0"
            )
        self.batch, self.epochs, self.clip = batch, epochs, clip
        self._collected: list[tuple[Architecture, float]] = []

    def ask(self) -> Architecture:
        return self.feasible_draw()

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        quality = self.quality(evaluation)
        if quality is None:
            return
        self._collected.append((architecture, self.baseline.advantage(quality)))
        if len(self._collected) >= self.batch:
            self._update()
            self._collected = []

    def _update(self) -> None:
        advantages = np.array([advantage for _, advantage in self._collected])
        taken = np.stack([self.policy.taken(a) for a, _ in self._collected])
        old = self._log_probabilities(taken)
        for _ in range(self.epochs):
            new, center = self._log_probabilities(taken), self.feasible_mean()
            codes = np.stack([self.policy.one_hot(a) for a, _ in self._collected])
            ratios = np.exp(new - old)
            # Where the clipped term is the smaller one it is constant: no gradient.
            held = np.where(advantages > 0, ratios > 1 + self.clip, ratios < 1 - self.clip)
            weights = np.where(held, 0.0, ratios * advantages) / len(codes)
            self.learn(np.tensordot(weights, codes - center, axes=1), 1.0)

    def _log_probabilities(self, taken: npt.NDArray[np.bool_]) -> Floats:
        """log P(y | y feasible) of architectures, given which options each takes."""
        with np.errstate(divide="ignore"):
            logs: Floats = np.where(taken, np.log(self.policy.probabilities), 0.0).sum(axis=(1, 2))
        return logs if self.unrestricted else logs - self.feasible.log_probability(self.policy.per_choice)
