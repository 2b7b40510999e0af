"""RELAX as a strategy: draws, gradients, rewards, the control variate's training."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from toy_tasks import ToyReward, height, toy_task

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.policy import estimators
from naslab.optimizers.policy.policy import Policy
from naslab.optimizers.policy.relax import Relax
from naslab.optimizers.policy.tunas import TuNAS
from naslab.tasks import Constraint


class Recording(Policy):
    """Keeps the gradients that its Adam would follow."""

    def ascend(self, gradient):
        self.gradients = [*getattr(self, "gradients", []), gradient]
        super().ascend(gradient)


def built(seed: int = 0, task=None, **options) -> Relax:
    optimizer = Relax((task or toy_task()).problem, np.random.default_rng(seed), **options)
    optimizer.policy.__class__ = Recording
    return optimizer


def test_draws_follow_the_policy():
    optimizer = built()
    noise = np.random.default_rng(1).standard_normal((3, 4))
    optimizer.policy = Policy(optimizer.space.sizes, 0.1, start=noise)
    drawn = Counter(optimizer.ask() for _ in range(20_000))
    for architecture in optimizer.space.architectures():
        expected = math.exp(optimizer.policy.log_probability(architecture))
        assert abs(drawn[architecture] / 20_000 - expected) < 4.5 * math.sqrt(expected / 20_000)


@pytest.mark.slow
def test_the_mean_gradient_is_the_policy_gradient():
    """At a policy that hardly moves and with a control variate that trains all the while, against enumeration."""
    optimizer = built(learning_rate=1e-9, scale=1.0, momentum=0.999)
    for _ in range(4000):
        asked = optimizer.ask()
        optimizer.tell(asked, Evaluation(height(asked), 1.0))
    # In units of the root mean square of the advantages; the baseline holds the present reward, a thousandth of it.
    gradients = np.stack(optimizer.policy.gradients[500:])
    p, every = optimizer.policy.probabilities, list(optimizer.space.architectures())
    truth = sum((height(a) * (optimizer.policy.one_hot(a) - p) for a in every), np.zeros_like(p)) / len(every)
    spread = np.std([height(a) for a in every])
    exists = p > 0
    errors = (gradients.mean(axis=0) - truth / spread)[exists] / (gradients.std(axis=0)[exists] / len(gradients) ** 0.5)
    assert np.abs(errors).max() < 4.5
    assert np.abs((truth / spread)[exists] / (gradients.std(axis=0)[exists] / len(gradients) ** 0.5)).max() > 10


def test_the_control_variate_and_its_temperature_are_trained():
    optimizer = built()
    before = {name: value.clone() for name, value in optimizer.control.state_dict().items()}
    for _ in range(5):
        asked = optimizer.ask()
        optimizer.tell(asked, Evaluation(height(asked), 1.0))
    for name, value in optimizer.control.state_dict().items():
        assert (value != before[name]).any(), name


def test_it_follows_the_gradient_of_the_estimator():
    """The second tell: advantage over the debiased average, noise of the ask, the conditional noise drawn after it."""
    one, two = built(seed=3, scale=1.0), built(seed=3, scale=1.0)
    first = one.ask()
    assert two.ask() == first
    for optimizer in (one, two):
        optimizer.tell(first, Evaluation(5.0, 1.0))
    asked = one.ask()
    assert two.ask() == asked
    u, logits = torch.from_numpy(two._noise), two._logits()
    v = torch.from_numpy(two.rng.random(two._noise.shape))
    advantage = 8.0 - (0.9 * 5.0 + 8.0) / 1.9
    expected = estimators.relax(logits, u, v, lambda _: torch.tensor(advantage), two.control).detach().numpy()
    one.tell(asked, Evaluation(8.0, 1.0))
    np.testing.assert_allclose(one.policy.gradients[-1], expected, atol=1e-12)


@pytest.mark.parametrize("reward", ["absolute", "soft", "hard", "linear", "indicator"])
def test_rewards_under_a_limit_are_those_of_tunas(reward):
    task = toy_task(ToyReward()).constrained(Constraint.parse(["params=24"]))
    ours = built(task=task, reward=reward, beta=-0.5)
    theirs = TuNAS(task.problem, np.random.default_rng(0), reward=reward, beta=-0.5)
    for architecture in task.problem.space.architectures():
        evaluation = Evaluation(70.0, 1.0)
        assert ours.value(architecture, evaluation) == theirs.value(architecture, evaluation)
    assert len({ours.value(a, Evaluation(70.0, 1.0)) for a in task.problem.space.architectures()}) > 1


def test_a_reward_that_is_not_finite_teaches_nothing():
    optimizer = built()
    for score in (50.0, 60.0):
        optimizer.tell(optimizer.ask(), Evaluation(score, 1.0))
    before = {name: value.clone() for name, value in optimizer.control.state_dict().items()}
    for bad in (math.nan, math.inf, -math.inf):
        optimizer.tell(optimizer.ask(), Evaluation(bad, 1.0))
    assert len(optimizer.policy.gradients) == 2
    assert all((value == before[name]).all() for name, value in optimizer.control.state_dict().items())


def test_it_learns():
    result = naslab.search(toy_task(), "relax[learning_rate=0.1]", budget=300)
    scores = [step.evaluation.score for step in result.trace.steps]
    assert np.mean(scores[-50:]) > np.mean(scores[:50]) + 1


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan])
def test_a_control_rate_out_of_range(rate):
    with pytest.raises(InvalidValue, match="control_rate"):
        built(control_rate=rate)
