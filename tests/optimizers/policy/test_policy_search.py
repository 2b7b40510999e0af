"""What all strategies with a factorised policy share."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from toy_tasks import toy_task

from naslab.optimizers.policy.policy import Policy
from naslab.optimizers.policy.ppo import PPO
from naslab.space import Rule
from naslab.tasks import Constraint

LIMIT = Constraint.parse(["params=24"])
RULE = Rule(("width1", "width2"), frozenset({(0, 0), (2, 0), (2, 1), (3, 2)}))


def built(task) -> PPO:
    optimizer = PPO(task.problem, np.random.default_rng(0))
    noise = np.random.default_rng(1).standard_normal(optimizer.policy.logits.shape)
    optimizer.policy = Policy(optimizer.space.sizes, 0.1, start=noise)
    return optimizer


def test_without_a_limit_nothing_has_to_be_asked_of_the_feasible_set():
    """The policy itself gives what the set would: its draws, its mean, P(V) = 1."""
    free = built(toy_task())
    assert free.unrestricted
    asked = built(toy_task())
    asked.__dict__["unrestricted"] = False
    np.testing.assert_allclose(free.feasible_mean(), asked.feasible_mean(), atol=1e-14)
    codes = np.stack([free.policy.one_hot(a) for a in free.space.architectures()])
    for ours, theirs in zip(free._log_probabilities(codes), asked._log_probabilities(codes), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-13)
    drawn = Counter(free.feasible_draw() for _ in range(5000))
    for architecture in free.space.architectures():
        expected = np.exp(free.policy.log_probability(architecture))
        assert abs(drawn[architecture] / 5000 - expected) < 4.5 * np.sqrt(expected / 5000)


@pytest.mark.parametrize("task", [toy_task().constrained(LIMIT), toy_task(rules=[RULE])], ids=["limit", "rules"])
def test_with_a_limit_or_rules_it_is_asked(task):
    optimizer = built(task)
    assert not optimizer.unrestricted
    for _ in range(300):
        architecture = optimizer.feasible_draw()
        assert task.problem.is_feasible(architecture)
        assert task.problem.space.is_valid(architecture)
    assert np.abs(optimizer.feasible_mean() - optimizer.policy.probabilities).max() > 0.05
