"""The controller of the reinforcement-learning strategies (one independent softmax per choice), and their baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.feasibility import Floats
from naslab.space import Architecture, Conditions


class Policy:
    """A factorised policy, improved by Adam (Kingma & Ba 2015, algorithm 1) along gradients of its logits.

    Arrays are ``(choices, options)``; options that a choice lacks have logit minus infinity and probability zero.

    Args:
        sizes: Number of options of each choice.
        learning_rate: Of Adam.
        betas: Of Adam.
        start: Initial logits, zero by default: every combination is equally likely.
        conditions: When each choice is active. Choices that are not are drawn, too, but neither count in a probability
            nor learn: an architecture is the normal form of a draw.

    Attributes:
        logits: The present ones.
        probabilities: Their softmaxes.
        steps: Number of improvements so far.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        start: Floats | None = None,
        conditions: Conditions | None = None,
    ) -> None:
        self._conditions = conditions or None
        self.sizes, self.learning_rate, self.betas = tuple(sizes), learning_rate, betas
        exists = np.arange(max(sizes)) < np.asarray(sizes)[:, None]
        self.logits: Floats = np.where(exists, 0.0 if start is None else start, -np.inf)
        self._first, self._second = np.zeros(exists.shape), np.zeros(exists.shape)
        self._rows, self.steps = np.arange(len(sizes)), 0
        self._update()

    @property
    def per_choice(self) -> list[Floats]:
        """The logits, one array per choice: what :class:`naslab.feasibility.Feasibility` takes."""
        return [row[:size] for row, size in zip(self.logits, self.sizes, strict=True)]

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One draw; it ignores the rules of the space."""
        uniform = rng.random(len(self._cumulative)) * self._cumulative[:, -1]
        drawn = tuple((self._cumulative <= uniform[:, None]).sum(axis=1).tolist())
        return self._conditions.normal(drawn) if self._conditions else drawn

    def log_probability(self, architecture: Architecture) -> float:
        """Of one architecture."""
        logs = np.log(self.probabilities[self._rows, list(architecture)])
        return float((logs if self._conditions is None else logs[~self._idle(architecture)]).sum())

    def taken(self, architecture: Architecture) -> npt.NDArray[np.bool_]:
        """The options that are taken; none of a choice that is not active."""
        found = np.zeros(self.logits.shape, np.bool_)
        found[self._rows, list(architecture)] = True
        if self._conditions is not None:
            found[self._idle(architecture)] = False
        return found

    def one_hot(self, architecture: Architecture) -> Floats:
        """Taken options as ones; of a choice that is not active its probabilities, so that it does not learn."""
        code = np.zeros(self.logits.shape)
        code[self._rows, list(architecture)] = 1.0
        if self._conditions is not None:
            idle = self._idle(architecture)
            code[idle] = self.probabilities[idle]
        return code

    def _idle(self, architecture: Architecture) -> npt.NDArray[np.bool_]:
        assert self._conditions is not None
        return ~np.array(self._conditions.active(architecture))

    def padded(self, per_choice: Sequence[Floats]) -> Floats:
        """One array per choice as rows, zero where a choice lacks the option."""
        rows = np.zeros(self.logits.shape)
        for row, values in zip(rows, per_choice, strict=True):
            row[: len(values)] = values
        return rows

    def entropy_gradient(self) -> Floats:
        """Of the sum of the choices' entropies: ``-p_k (log p_k + H)``."""
        with np.errstate(divide="ignore"):
            logs = np.where(self.probabilities > 0, np.log(self.probabilities), 0.0)
        entropies = -(self.probabilities * logs).sum(axis=1, keepdims=True)
        gradient: Floats = -self.probabilities * (logs + entropies)
        return gradient

    def ascend(self, gradient: Floats) -> None:
        """One step of Adam uphill."""
        first, second = self.betas
        self.steps += 1
        self._first = first * self._first + (1 - first) * gradient
        self._second = second * self._second + (1 - second) * gradient**2
        mean = self._first / (1 - first**self.steps)
        square = self._second / (1 - second**self.steps)
        self.logits = self.logits + self.learning_rate * mean / (np.sqrt(square) + 1e-8)
        self._update()

    def _update(self) -> None:
        weights = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        self.probabilities: Floats = weights / weights.sum(axis=1, keepdims=True)
        self._cumulative = np.cumsum(self.probabilities, axis=1)


class Baseline:
    """The exponential average of the rewards, the present one included, without the bias towards zero.

    Args:
        momentum: How much of the past is kept: 0.9 in TabNAS and NATS-Bench, 0.95 in TuNAS.
    """

    def __init__(self, momentum: float) -> None:
        self.momentum = momentum
        self._average = self._weight = 0.0

    def state(self) -> list[float]:
        """All that it remembers."""
        return [self._average, self._weight]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from a state."""
        self._average, self._weight = state

    def advantage(self, reward: float) -> float:
        """Note a reward; returns its excess over the average (zero for the first)."""
        self._average = self.momentum * self._average + (1 - self.momentum) * reward
        self._weight = self.momentum * self._weight + (1 - self.momentum)
        return reward - self._average / self._weight
