"""TabNAS and PPO: gradients, draws, selection rules."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from toy_tasks import ToyReward, height, toy_task

import naslab
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Evaluation
from naslab.optimizers.policy.policy import Policy
from naslab.optimizers.policy.ppo import PPO
from naslab.optimizers.policy.relax import Relax
from naslab.optimizers.policy.tabnas import TabNAS
from naslab.optimizers.policy.tunas import TuNAS
from naslab.space import Rule
from naslab.tasks import Constraint

LIMIT = Constraint.parse(["params=24"])
TASK = toy_task(ToyReward()).constrained(LIMIT)
FEASIBLE = [a for a in TASK.problem.space.architectures() if TASK.problem.is_feasible(a)]


def built(kind, seed: int = 0, **options):
    return kind(TASK.problem, np.random.default_rng(seed), **options)


def with_logits(optimizer, seed: int = 1, scale: float = 1.0):
    """The same optimizer with a policy that is not uniform."""
    noise = scale * np.random.default_rng(seed).standard_normal(optimizer.policy.logits.shape)
    optimizer.policy = Policy(optimizer.space.sizes, optimizer.policy.learning_rate, start=noise)
    optimizer.policy.steps = 1
    return optimizer


def conditional_log_probability(logits: np.ndarray, architecture) -> float:
    """log P(y | y feasible), written out."""

    def log_probability(a):
        return sum(
            logits[i, o] - math.log(sum(math.exp(x) for x in logits[i] if x > -math.inf)) for i, o in enumerate(a)
        )

    return log_probability(architecture) - math.log(sum(math.exp(log_probability(a)) for a in FEASIBLE))


def slope(function, logits: np.ndarray, row: int, option: int, epsilon: float = 1e-6) -> float:
    up, down = logits.copy(), logits.copy()
    up[row, option] += epsilon
    down[row, option] -= epsilon
    return (function(up) - function(down)) / (2 * epsilon)


def test_some_are_feasible_and_some_are_not():
    assert 3 < len(FEASIBLE) < TASK.problem.space.size - 3


def test_the_exact_gradient_is_that_of_the_conditional_log_probability():
    optimizer = with_logits(built(TabNAS))
    logits = optimizer.policy.logits
    for architecture in FEASIBLE[:4]:
        gradient = optimizer.policy.one_hot(architecture) - optimizer._center()
        for row, size in enumerate(optimizer.space.sizes):
            for option in range(size):
                by_hand = slope(lambda x, a=architecture: conditional_log_probability(x, a), logits, row, option)
                assert gradient[row, option] == pytest.approx(by_hand, abs=1e-6)


def test_the_monte_carlo_correction_depends_on_the_policy_and_converges():
    """Public code detaches the estimate of P(V): then its gradient is lost, and the correction is none."""
    exact = with_logits(built(TabNAS))._center()
    plain = with_logits(built(TabNAS, correction="none"))._center()
    estimate = with_logits(built(TabNAS, correction="monte-carlo", samples=40_000))._center()
    assert np.abs(estimate - exact).max() < 0.02 < np.abs(plain - exact).max()


def test_no_feasible_sample_teaches_nothing():
    optimizer = with_logits(built(TabNAS, correction="monte-carlo", samples=1, learning_rate=1e-12), scale=0.0)
    share = np.exp(optimizer.feasible.log_probability(optimizer.policy.per_choice))
    tells = 400
    for _ in range(tells):
        optimizer.tell(FEASIBLE[0], Evaluation(50.0, 1.0))
    assert 0.1 < share < 0.9
    assert abs(optimizer.policy.steps - tells * share) < 4 * np.sqrt(tells * share * (1 - share))


@pytest.mark.parametrize("sampling", ["conditional", "reject"])
def test_draws_are_from_the_feasible_part_of_the_policy(sampling):
    optimizer = with_logits(built(TabNAS, sampling=sampling))
    drawn = Counter(optimizer.ask() for _ in range(20_000))
    assert set(drawn) <= set(FEASIBLE)
    for architecture in FEASIBLE:
        expected = math.exp(conditional_log_probability(optimizer.policy.logits, architecture))
        assert drawn[architecture] / 20_000 == pytest.approx(expected, abs=0.015)


def test_ppo_follows_the_gradient_of_its_clipped_objective():
    """The first step of an update, where all ratios are one, and one where some are clipped, by finite differences."""
    for steps in (1, 3):
        optimizer = with_logits(built(PPO, batch=6, epochs=steps, learning_rate=0.3))
        old = optimizer.policy.logits.copy()
        followed = []
        ascend = optimizer.policy.ascend
        optimizer.policy.ascend = lambda g, f=followed, o=optimizer, a=ascend: (
            f.append((o.policy.logits.copy(), g)),
            a(g),
        )
        rewards = [90.0, 20.0, 70.0, 10.0, 95.0, 60.0]
        for architecture, reward in zip(FEASIBLE[:6], rewards, strict=True):
            optimizer.tell(architecture, Evaluation(reward, 1.0))
        baseline = [0.1 * 0.9**i for i in range(6)]
        advantages = []
        for n in range(1, 7):
            weights = baseline[:n][::-1]
            advantages.append(rewards[n - 1] / 100 - np.dot(weights, rewards[:n]) / 100 / sum(weights))

        def objective(logits, advantages=advantages, old=old):
            total = 0.0
            for architecture, advantage in zip(FEASIBLE[:6], advantages, strict=True):
                new = conditional_log_probability(logits, architecture)
                ratio = math.exp(new - conditional_log_probability(old, architecture))
                total += min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
            return total / 6

        logits, gradient = followed[-1]
        assert len(followed) == steps
        for row, size in enumerate(optimizer.space.sizes):
            for option in range(size):
                assert gradient[row, option] == pytest.approx(slope(objective, logits, row, option), abs=1e-6)


def test_selection_rules():
    optimizer = with_logits(built(TabNAS), scale=3.0)
    logits = optimizer.policy.logits
    best = max(FEASIBLE, key=lambda a: conditional_log_probability(logits, a))
    assert optimizer.best() == best
    optimizer.selection = "sample"
    assert optimizer.best() in FEASIBLE
    optimizer.selection = "argmax"
    each = tuple(int(row.argmax()) for row in logits)
    assert optimizer.best() == (each if each in FEASIBLE else None)
    optimizer.policy = Policy(optimizer.space.sizes, 0.1, start=np.arange(4.0))
    optimizer.policy.steps = 1
    assert optimizer.best() is None  # the largest network is infeasible
    optimizer.selection = "best"
    assert optimizer.best() is None  # nothing was evaluated


@pytest.mark.parametrize("name", ["tabnas", "ppo", "tabnas[sampling=reject,correction=monte-carlo,samples=50]"])
def test_only_feasible_architectures_are_evaluated(name):
    result = naslab.search(TASK, name, budget=100)
    assert all(step.feasible for step in result.trace.steps)
    assert result.architecture in FEASIBLE


def test_finds_the_best_feasible_network():
    best = max(map(height, FEASIBLE))
    for name in ("tabnas[learning_rate=0.1]", "ppo[learning_rate=0.1]"):
        for seed in range(3):
            assert naslab.search(TASK, name, budget=500, seed=seed).truth == best


def test_soft_rewards_see_the_resource():
    """The reward of an infeasible draw is lower than its score says: the advantage turns negative."""
    optimizer = built(TuNAS, beta=-1.0)
    large = tuple(size - 1 for size in optimizer.space.sizes)
    assert optimizer.ratio(large) > 1
    optimizer.tell(FEASIBLE[0], Evaluation(50.0, 1.0))
    before = optimizer.policy.log_probability(large)
    optimizer.tell(large, Evaluation(50.0, 1.0))
    assert optimizer.policy.log_probability(large) < before


@pytest.mark.parametrize("reward", ["soft", "hard", "indicator", "absolute", "linear"])
def test_errors_are_rewards_too(reward):
    """Scores below zero: a product with the resource turned its sign, and every draw ended beyond the limit."""
    negative = toy_task(ToyReward(lambda a: height(a) - 50)).constrained(LIMIT)
    beta = 0.0 if reward == "indicator" else -0.5
    name = f"mnasnet-reinforce[reward={reward},beta={beta},learning_rate=0.1]"
    steps = naslab.search(negative, name, budget=600).trace.steps
    assert np.mean([step.feasible for step in steps[-100:]]) > 0.5


def test_a_policy_that_prefers_what_rules_forbid_still_draws():
    rule = Rule(("width1", "width2"), frozenset({(0, 0)}))
    for kind in (TuNAS, Relax):
        optimizer = kind(toy_task(ToyReward(), rules=[rule]).problem, np.random.default_rng(0))
        start = np.zeros_like(optimizer.policy.logits)
        start[:2, 0] = -40.0
        optimizer.policy = Policy(optimizer.space.sizes, 0.1, start=start)
        if kind is TuNAS:
            assert optimizer.ask()[:2] == (0, 0)
        else:
            with pytest.raises(InvalidValue, match="none of 20,000 draws keeps the rules"):
                optimizer.ask()


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        (TabNAS, {"correction": "exakt"}, UnknownName, "'exakt' of 'correction'. Did you mean 'exact'"),
        (TabNAS, {"sampling": "rejection"}, UnknownName, "Did you mean 'reject'"),
        (TabNAS, {"selection": "probable"}, UnknownName, "Did you mean 'most-probable'"),
        (TabNAS, {"samples": 0}, InvalidValue, "samples=0"),
        (TabNAS, {"learning_rate": 0.0}, InvalidValue, "learning_rate=0.0"),
        (TuNAS, {"beta": 0.1}, InvalidValue, "beta=0.1. Allowed: at most 0"),
        (TuNAS, {"reward": "sotf"}, UnknownName, "'sotf' of 'reward'. Did you mean 'soft'"),
        (PPO, {"batch": 0}, InvalidValue, "batch=0"),
    ],
)
def test_bad_hyperparameters(kind, options, error, message):
    with pytest.raises(error) as caught:
        built(kind, **options)
    assert message in str(caught.value)
