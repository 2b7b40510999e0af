"""REINFORCE: probabilities, gradient, baseline."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from toy_tasks import toy_task

import naslab
from naslab.evaluators import Evaluation
from naslab.optimizers.policy.policy import Policy
from naslab.optimizers.policy.reinforce import Reinforce

SIZES = (4, 3, 3)


class Recording(Policy):
    """Keeps the gradients that its Adam would follow."""

    def ascend(self, gradient: np.ndarray) -> None:  # type: ignore[type-arg]
        self.gradients = [*getattr(self, "gradients", []), gradient]
        super().ascend(gradient)

    def start_at(self, logits: np.ndarray) -> None:  # type: ignore[type-arg]
        self.logits = np.where(np.isfinite(self.logits), logits, -np.inf)
        self._update()


def reinforce(**options: float) -> Reinforce:
    optimizer = Reinforce(toy_task().problem, np.random.default_rng(0), **options)
    optimizer.policy.__class__ = Recording
    return optimizer


def log_probability(logits: np.ndarray, architecture: tuple[int, ...]) -> float:  # type: ignore[type-arg]
    """By its definition, for a product of softmaxes."""
    total = 0.0
    for row, option, size in zip(logits, architecture, SIZES, strict=True):
        total += float(row[option]) - math.log(sum(math.exp(x) for x in row[:size]))
    return total


def test_probabilities_sum_to_one_and_options_that_do_not_exist_have_none() -> None:
    optimizer = reinforce()
    for step in range(50):
        architecture = optimizer.ask()
        assert optimizer.space.is_valid(architecture)
        optimizer.tell(architecture, Evaluation(float(step % 7), 1.0))
        probabilities = optimizer.policy.probabilities
        assert probabilities.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
        for row, size in zip(probabilities, SIZES, strict=True):
            assert (row[:size] > 0).all()
            assert (row[size:] == 0).all()


def test_draws_follow_the_probabilities() -> None:
    optimizer = reinforce()
    optimizer.policy.start_at(np.arange(12).reshape(3, 4) % 5 * 0.5)  # type: ignore[attr-defined]
    draws = Counter(optimizer.ask() for _ in range(20_000))
    for architecture in optimizer.space.architectures():
        expected = math.exp(log_probability(optimizer.policy.logits, architecture))
        assert draws[architecture] / 20_000 == pytest.approx(expected, abs=0.012)


def test_the_gradient_is_that_of_the_log_probability() -> None:
    optimizer = reinforce()
    rng = np.random.default_rng(1)
    optimizer.policy.start_at(rng.normal(size=(3, 4)))  # type: ignore[attr-defined]
    optimizer.tell((0, 0, 0), Evaluation(0.0, 1.0))  # now the baseline is not the score itself
    optimizer.policy.start_at(rng.normal(size=(3, 4)))  # type: ignore[attr-defined]
    logits, architecture, score = optimizer.policy.logits.copy(), (3, 1, 2), 5.0
    optimizer.tell(architecture, Evaluation(score, 1.0))
    average = (0.9 * 0.1 * 0.0 + 0.1 * score) / (0.9 * 0.1 + 0.1)
    epsilon = 1e-6
    for row, size in enumerate(SIZES):
        for option in range(4):
            got = optimizer.policy.gradients[-1][row, option]  # type: ignore[attr-defined]
            if option >= size:
                assert got == 0
                continue
            up, down = logits.copy(), logits.copy()
            up[row, option] += epsilon
            down[row, option] -= epsilon
            slope = (log_probability(up, architecture) - log_probability(down, architecture)) / (2 * epsilon)
            assert got == pytest.approx((score - average) * slope, abs=1e-6)


@pytest.mark.parametrize("score", [-3.0, 0.0, 91.7])
def test_the_first_advantage_is_zero(score: float) -> None:
    """The baseline is zero-debiased: after one reward it is that reward, not a tenth of it."""
    optimizer = reinforce()
    before = optimizer.policy.probabilities.copy()
    optimizer.tell((0, 1, 2), Evaluation(score, 1.0))
    assert np.abs(optimizer.policy.gradients[0]).max() < 1e-12  # type: ignore[attr-defined]
    assert optimizer.policy.probabilities == pytest.approx(before, abs=1e-5)


def test_the_baseline_is_the_debiased_average() -> None:
    optimizer = reinforce()
    rewards = [3.0, 5.0, -1.0, 8.0]
    for n, reward in enumerate(rewards, start=1):
        probability = optimizer.policy.probabilities[0, 0]
        optimizer.tell((0, 0, 0), Evaluation(reward, 1.0))
        weights = [0.1 * 0.9 ** (n - 1 - i) for i in range(n)]
        baseline = sum(w * r for w, r in zip(weights, rewards, strict=False)) / (1 - 0.9**n)
        expected = (reward - baseline) * (1 - probability)
        assert optimizer.policy.gradients[-1][0, 0] == pytest.approx(expected, abs=1e-12)  # type: ignore[attr-defined]


def test_adam() -> None:
    """Two steps by hand (Kingma & Ba 2015): the second moves each logit by about the learning rate."""
    optimizer = reinforce(learning_rate=0.05)
    start = optimizer.policy.logits.copy()
    exists = np.isfinite(start)
    optimizer.tell((0, 0, 0), Evaluation(1.0, 1.0))
    optimizer.tell((1, 1, 1), Evaluation(3.0, 1.0))
    one, two = optimizer.policy.gradients  # type: ignore[attr-defined]
    first = (0.9 * 0.1 * one + 0.1 * two) / (1 - 0.9**2)
    second = (0.999 * 0.001 * one**2 + 0.001 * two**2) / (1 - 0.999**2)
    step_one = 0.05 * one / (np.abs(one) + 1e-8)
    expected = start + step_one + 0.05 * first / (np.sqrt(second) + 1e-8)
    assert optimizer.policy.logits[exists] == pytest.approx(expected[exists], abs=1e-12)


def test_a_reward_that_is_not_finite_teaches_nothing() -> None:
    optimizer = reinforce()
    optimizer.tell((0, 0, 0), Evaluation(1.0, 1.0))
    before = optimizer.policy.probabilities.copy()
    for bad in (math.nan, math.inf, -math.inf):
        optimizer.tell((1, 1, 1), Evaluation(bad, 1.0))
    assert (optimizer.policy.probabilities == before).all()
    assert len(optimizer.policy.gradients) == 1  # type: ignore[attr-defined]


def test_it_learns() -> None:
    result = naslab.search(toy_task(), "reinforce[learning_rate=0.1]", budget=400)
    scores = [step.evaluation.score for step in result.trace.steps]
    assert np.mean(scores[-50:]) > np.mean(scores[:50]) + 1
