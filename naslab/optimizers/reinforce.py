"""REINFORCE with a factorised policy."""

from __future__ import annotations

import numpy as np

from naslab.choice import Architecture
from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluation
from naslab.optimizers.base import AskTell
from naslab.tasks import Problem

INITIAL_SPREAD = 1e-3


class Reinforce(AskTell):
    """Policy gradient on one independent softmax per choice.

    Williams 1992; the multi-trial baseline of Dong & Yang 2020 (NAS-Bench-201), whose scripts are followed: logits
    start at normal noise of 0.001, Adam, and a baseline that is the zero-debiased exponential average of the rewards,
    the current one included. An architecture that is drawn again is evaluated and charged again; the result is the
    best that was evaluated. A combination that the space forbids is drawn again. A reward that is not finite teaches
    nothing. Under a constraint the reward is unchanged: infeasible draws are charged and teach like others.

    Args:
        problem: The problem.
        rng: Its generator.
        learning_rate: Of Adam (betas 0.9 and 0.999).
        momentum: Of the baseline.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(problem, rng)
        if not (learning_rate > 0 and 0 <= momentum < 1):
            raise InvalidValue(f"learning_rate={learning_rate}, momentum={momentum}: above 0, and within [0, 1)")
        self.learning_rate, self.momentum = learning_rate, momentum
        sizes = np.asarray(self.space.sizes)
        # One row per choice; options that a choice lacks have probability zero.
        self._exists = np.arange(sizes.max()) < sizes[:, None]
        noise = INITIAL_SPREAD * rng.standard_normal(self._exists.shape)
        self._logits = np.where(self._exists, noise, -np.inf)
        self._probabilities = self._softmax()
        self._first = np.zeros_like(noise)
        self._second = np.zeros_like(noise)
        self._rows = np.arange(len(sizes))
        self._steps = 0
        self._average = self._weight = 0.0

    def ask(self) -> Architecture:
        while True:
            cumulative = np.cumsum(self._probabilities, axis=1)
            uniform = self.rng.random(len(cumulative)) * cumulative[:, -1]
            architecture = tuple((cumulative <= uniform[:, None]).sum(axis=1).tolist())
            if not self.space.rules or self.space.is_valid(architecture):
                return architecture

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        if not np.isfinite(evaluation.score):
            return
        self._average = self.momentum * self._average + (1 - self.momentum) * evaluation.score
        self._weight = self.momentum * self._weight + (1 - self.momentum)
        advantage = evaluation.score - self._average / self._weight
        gradient = -self._probabilities  # of the log-likelihood with respect to the logits
        gradient[self._rows, list(architecture)] += 1.0
        self._ascend(advantage * gradient)
        self._probabilities = self._softmax()

    def _ascend(self, gradient: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
        """One step of Adam (Kingma & Ba 2015, algorithm 1)."""
        self._steps += 1
        self._first = 0.9 * self._first + 0.1 * gradient
        self._second = 0.999 * self._second + 0.001 * gradient**2
        first = self._first / (1 - 0.9**self._steps)
        second = self._second / (1 - 0.999**self._steps)
        self._logits = self._logits + self.learning_rate * first / (np.sqrt(second) + 1e-8)

    def _softmax(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        shifted = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
