"""The study of gradient estimators: its truth, what it measures, and its page."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from naslab.studies.policy_search import gradient_estimators as study
from naslab.studies.policy_search.gradient_estimators import Work, measure, toy


@pytest.mark.parametrize("policy", list(study.POLICIES))
def test_the_true_gradient_is_the_slope_of_the_enumerated_expectation(policy):
    of = toy(policy)

    def expectation(logits: np.ndarray) -> float:
        total = 0.0
        for options in itertools.product(range(5), repeat=3):
            code = np.eye(5)[list(options)]
            probability = np.prod([np.exp(row[o]) / np.exp(row).sum() for row, o in zip(logits, options, strict=True)])
            total += probability * -(((of.weights.numpy() @ code.ravel() - of.target.numpy()) ** 2).sum()) / 4
        return total

    gradient, value = of.gradient()
    logits = of.logits.numpy()
    assert value == pytest.approx(expectation(logits))
    for entry in [(0, 0), (1, 3), (2, 4)]:
        up, down = logits.copy(), logits.copy()
        up[entry] += 1e-5
        down[entry] -= 1e-5
        assert float(gradient[entry]) == pytest.approx((expectation(up) - expectation(down)) / 2e-5, abs=1e-7)


def test_both_policies_have_the_same_function():
    one, two = map(toy, study.POLICIES)
    assert torch.equal(one.weights, two.weights)
    assert torch.equal(one.target, two.target)
    assert (one.logits == 0).all()
    assert two.logits.std() > 0.5


def test_bias_and_variance_are_those_of_the_samples(monkeypatch):
    """Normal numbers of known mean and spread in place of an estimator's."""
    gradient = toy("uniform policy").gradient()[0]
    length, rng = float(gradient.norm()), np.random.default_rng(0)
    offset = torch.zeros(3, 5, dtype=torch.float64)
    offset[1, 2] = 0.3 * length

    def sampler(*_):
        return lambda count: gradient + offset + 2 * length * torch.from_numpy(rng.standard_normal((count, 3, 5)))

    monkeypatch.setattr(study, "_sampler", sampler)
    found = measure(Work("uniform policy", study.PLAIN, None, 50_000))
    assert found["bias low"] < 0.3 < found["bias high"]
    assert found["bias high"] - found["bias low"] < 0.06
    assert found["variance low"] < 15 * 4 < found["variance high"]
    offset[1, 2] = 0.0
    assert measure(Work("uniform policy", study.PLAIN, None, 50_000))["bias low"] == 0.0


def test_the_ranking_that_theory_predicts(monkeypatch):
    """Unbiased: REINFORCE and RELAX, which has the least variance of them; the relaxed are biased, and calm if warm."""
    monkeypatch.setattr(study, "TRAINING", 200)
    names = {
        "plain": (study.PLAIN, None),
        "baseline": (study.BASELINE, None),
        "relax": (study.RELAX, None),
        "cold": (study.GUMBEL, 0.1),
        "warm": (study.GUMBEL, 1.7),
        "straight": (study.STRAIGHT, 1.7),
    }
    found = {key: measure(Work("uniform policy", method, t, 20_000)) for key, (method, t) in names.items()}
    assert all(found[key]["bias low"] == 0.0 for key in ("plain", "baseline", "relax"))
    assert found["relax"]["variance high"] < found["baseline"]["variance low"]
    assert found["baseline"]["variance high"] < found["plain"]["variance low"]
    assert min(found["warm"]["bias low"], found["straight"]["bias low"]) > 0.4 > found["cold"]["bias high"]
    assert found["warm"]["variance high"] < 1 < found["cold"]["variance low"]
    assert found["relax"][study.LEARNT] not in (None, study.START)


def test_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SAMPLES", 500)
    monkeypatch.setattr(study, "TRAINING", 3)
    monkeypatch.setattr(study, "TEMPERATURES", (0.5, 1.0))
    monkeypatch.setattr(study, "in_processes", lambda function, work, *_: [function(each) for each in work])
    outcome = study.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    ((_, table),) = outcome.tables
    assert len(table) == 2 * (2 + 2 * 2 + 2 * 3)
    assert (table["variance low"] <= table["variance"]).all()
    assert (table["bias low"] <= table["bias"]).all()
    assert len(list((tmp_path / "report" / "figures").glob("*.svg"))) == 2
    assert "Variance of the unbiased, temperatures learnt: RELAX, network alone" in outcome.report.read_text()
