"""RELAX as a search strategy: REINFORCE with a learnt control variate."""

from __future__ import annotations

import numpy as np
import torch

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.feasibility import Floats
from naslab.optimizers.policy import estimators
from naslab.optimizers.policy.policy import Baseline
from naslab.optimizers.policy.tunas import TuNAS
from naslab.space import Architecture
from naslab.tasks import Problem

TRIES = 20_000


class Relax(TuNAS):
    """Black-box RELAX (Grathwohl et al. 2018, sections 3.1 and 3.2) on one independent softmax per choice.

    The control variate is a small network on relaxed draws; it is trained along with the policy, its temperature
    included, by Adam, to minimise the squared gradient. What is evaluated is the draw b, never a relaxed
    architecture. Rewards under a limit, the form of the baseline and what is returned are those of
    :class:`naslab.optimizers.policy.tunas.TuNAS`; the baseline's momentum is .9 where TuNAS has .95, and beta1 of Adam
    .9 where it has 0. A reward that is not finite teaches nothing. A step takes about 1.5 ms, fifty times what
    REINFORCE takes (two backward passes).

    Deviations: f(b) is the advantage over the zero-debiased average of rewards, so that the network need not learn
    their level. It is divided by the root mean square of the earlier advantages, so that one ``control_rate`` fits
    rewards of any scale. The average includes the present reward, as everywhere here: that is a constant factor. Where
    the space has rules, z has the noise of the valid draw, and the gradient is that of the policy without rules.
    Choices that are not active keep their noise: the estimate stays unbiased, as the reward does not depend on them.

    Args:
        problem: The problem.
        rng: Its generator; also of the noise and the initial weights.
        reward: Under a limit; see :mod:`naslab.optimizers.policy.rewards`.
        beta: The reward's exponent or weight, at most 0.
        learning_rate: Of Adam, for the policy.
        control_rate: Of Adam, for the control variate.
        momentum: Of the baseline.
        entropy: Weight of the policy's entropy.
        scale: Factor from score to quality.
        selection: See :class:`naslab.optimizers.policy.policy_search.PolicySearch`.
    """

    BETAS = (0.9, 0.999)

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        reward: str = "absolute",
        beta: float = -0.1,
        learning_rate: float = 0.05,
        control_rate: float = 0.01,
        momentum: float = 0.9,
        entropy: float = 0.0,
        scale: float = 0.01,
        selection: str = "most-probable",
    ) -> None:
        super().__init__(
            problem,
            rng,
            reward=reward,
            beta=beta,
            learning_rate=learning_rate,
            momentum=momentum,
            entropy=entropy,
            scale=scale,
            selection=selection,
        )
        if not control_rate > 0:
            raise InvalidValue(f"control_rate={control_rate}. Allowed: above 0")
        self.control = estimators.ControlVariate(self.policy.logits.shape, rng)
        self._adam = torch.optim.Adam(self.control.parameters(), control_rate)
        self._squares = Baseline(momentum)
        self._unit = 1.0
        self._noise: Floats = np.empty(0)

    def ask(self) -> Architecture:
        log_p = torch.log_softmax(self._logits(), dim=-1)
        for _ in range(TRIES):
            self._noise = self.rng.random(self.policy.logits.shape)
            z = estimators.perturbed(log_p, torch.from_numpy(self._noise))
            architecture = self.space.normal(tuple(z.argmax(dim=-1).tolist()))
            if not self.space.rules or self.space.is_valid(architecture):
                return architecture
        raise InvalidValue(f"none of {TRIES:,} draws keeps the rules of {self.space.name!r}. Fix: reinforce, or tabnas")

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        value = self.value(architecture, evaluation)
        if value is None:
            return
        advantage = self.baseline.advantage(value)
        noise, conditional = map(torch.from_numpy, (self._noise, self.rng.random(self._noise.shape)))
        told = torch.tensor(advantage / self._unit)
        gradient = estimators.relax(self._logits(), noise, conditional, lambda _: told, self.control)
        self._adam.zero_grad()
        estimators.variance_loss(gradient).backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self.learn(gradient.detach().numpy(), 1.0)
        square = advantage**2
        self._unit = float(np.sqrt(square - self._squares.advantage(square))) or 1.0

    def _logits(self) -> torch.Tensor:
        return torch.from_numpy(np.where(np.isfinite(self.policy.logits), self.policy.logits, estimators.ABSENT))
