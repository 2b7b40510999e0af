"""Monte-Carlo estimates of feasibility against the exact answers, and the gradient that PyTorch sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from toy_spaces import two_inputs

import naslab
from naslab.errors import InvalidValue, UnknownName
from naslab.feasibility import Feasibility, sampled

SPACE = naslab.search_space("mlp", in_features=20, out_features=3, depth=3, widths=(2, 4, 8, 16, 32))
LIMIT = {"params": 400}


def policy(space, seed: int):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(size) for size in space.sizes]


def estimator(samples: int, seed: int = 0, space=SPACE, limits=LIMIT) -> Feasibility:
    return Feasibility(space, limits, "monte-carlo", samples=samples, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_feasible_draws_is_an_unbiased_estimate(seed):
    logits = policy(SPACE, seed)
    exact = np.exp(Feasibility(SPACE, LIMIT).log_probability(logits))
    estimates = estimator(20, seed)
    found = [np.exp(estimates.log_probability(logits)) for _ in range(3000)]
    assert abs(np.mean(found) - exact) < 4 * np.sqrt(exact * (1 - exact) / 20 / 3000)
    assert np.var(found) == pytest.approx(exact * (1 - exact) / 20, rel=0.2)


def test_the_logarithm_is_biased_as_the_second_order_says():
    logits = policy(SPACE, 1)
    exact = np.exp(Feasibility(SPACE, LIMIT).log_probability(logits))
    estimates, samples = estimator(50, 5), 50
    found = np.array([estimates.log_probability(logits) for _ in range(20_000)])
    expected = -(1 - exact) / (2 * samples * exact)
    assert abs(found.mean() - np.log(exact) - expected) < 4 * found.std() / np.sqrt(len(found))
    assert expected < -4 * found.std() / np.sqrt(len(found))  # else the line above could not fail


def test_estimates_converge_to_the_exact_gradient_and_entropy():
    logits, exact = policy(SPACE, 2), Feasibility(SPACE, LIMIT)
    estimates = estimator(200_000)
    for found, expected in zip(estimates.gradient(logits), exact.gradient(logits), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.01)
    assert estimates.entropy(logits) == pytest.approx(exact.entropy(logits), abs=0.03)
    assert estimates.fraction() == pytest.approx(exact.fraction(), abs=0.005)
    assert estimates.top(logits, 3) == exact.top(logits, 3)


def test_draws_follow_the_policy_given_feasibility_and_the_rules():
    space = two_inputs()
    logits = policy(space, 3)
    limits = {"params": sorted(space.cost(a).params for a in space.architectures())[space.size // 2]}
    drawn = estimator(64, space=space, limits=limits).sample(logits, np.random.default_rng(1), 20_000)
    rows = [a for a in space.architectures() if space.cost(a).params <= limits["params"]]
    p = [np.exp(each) / np.exp(each).sum() for each in logits]
    weights = np.array([np.prod([each[option] for each, option in zip(p, a, strict=True)]) for a in rows])
    counts = [(drawn == a).all(axis=1).sum() for a in rows]
    assert sum(counts) == len(drawn)
    frequent = weights / weights.sum() * len(drawn) > 5
    observed = np.array(counts)[frequent]
    expected = (weights / weights.sum())[frequent]
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 1e-3


def test_without_a_feasible_draw_there_is_no_gradient(monkeypatch):
    monkeypatch.setattr(sampled, "TRIES", 10_000)  # a million takes ten seconds
    certain = [np.where(np.arange(5) == 4, 0.0, -800.0)] * 3  # the largest network, always
    estimates = estimator(10)
    assert estimates.log_probability(certain) == -np.inf
    assert all((each == 0).all() for each in estimates.gradient(certain))
    with pytest.raises(InvalidValue, match="none of 10,000 draws"):
        estimates.sample(certain, np.random.default_rng(0))


@pytest.mark.parametrize("backend", ["exact", "enumerate", "monte-carlo"])
def test_pytorch_differentiates_the_probability(backend):
    feasible = Feasibility(SPACE, LIMIT, backend, samples=50_000, rng=np.random.default_rng(4))
    logits = [torch.tensor(each, requires_grad=True) for each in policy(SPACE, 4)]
    value = feasible.log_probability(logits)
    assert value.requires_grad
    (3 * value).backward()
    exact = Feasibility(SPACE, LIMIT)
    arrays = [each.detach().numpy() for each in logits]
    tolerance = 0.02 if backend == "monte-carlo" else 1e-12
    assert value.item() == pytest.approx(exact.log_probability(arrays), abs=tolerance)
    for each, expected in zip(logits, exact.gradient(arrays), strict=True):
        np.testing.assert_allclose(each.grad.numpy(), 3 * expected, atol=3 * tolerance)


def test_gradcheck():
    feasible = Feasibility(SPACE, LIMIT)
    logits = [torch.tensor(each, requires_grad=True) for each in policy(SPACE, 5)]
    assert torch.autograd.gradcheck(lambda *each: feasible.log_probability(each), logits)


def test_single_precision_stays_single():
    logits = [torch.tensor(each, dtype=torch.float32, requires_grad=True) for each in policy(SPACE, 6)]
    value = Feasibility(SPACE, LIMIT).log_probability(logits)
    value.backward()
    assert value.dtype == logits[0].grad.dtype == torch.float32


def test_bad_values_are_refused():
    with pytest.raises(InvalidValue, match="samples=0"):
        estimator(0)
    with pytest.raises(UnknownName, match="monte-carlo"):
        Feasibility(SPACE, LIMIT, "montecarlo")  # type: ignore[arg-type]
