"""Samples until something good is found: counting, choosing settings, comparing, and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from naslab.evaluators import Evaluation
from naslab.optimizers import optimizer_spec
from naslab.studies.policy_search import sample_efficiency_study as study
from naslab.studies.policy_search.landscapes import landscape_space
from naslab.studies.policy_search.sample_efficiency import KINDS, MODE, TARGETS, Run, samples_needed
from naslab.tasks import Problem


@pytest.mark.slow
def test_random_search_needs_a_thousand_samples_for_the_best_thousandth():
    """The number of draws is geometric: its mean is 1,000 and its median 693."""
    found = [samples_needed(Run("additive", "random", seed, 700))["best 0.1 %"] for seed in range(60)]
    share = 1 - 0.999**700
    assert abs(sum(n is not None for n in found) / 60 - share) < 4 * (share * (1 - share) / 60) ** 0.5
    assert MODE not in samples_needed(Run("additive", "random", 0, 5))


@pytest.mark.parametrize("optimizer", ["reinforce[learning_rate=0.2]", "ppo[batch=5,epochs=4,learning_rate=0.1]"])
def test_a_learner_needs_far_fewer_and_harder_targets_later(optimizer):
    for kind in KINDS:
        found = samples_needed(Run(kind, optimizer, 0, 400))
        assert found == samples_needed(Run(kind, optimizer, 0, 400))
        reached = [found[name] or 401 for name in TARGETS]
        assert reached == sorted(reached)
        assert reached[0] < 250
        assert found[MODE] is not None


def test_what_is_not_reached_is_none():
    assert set(samples_needed(Run("pairs", "reinforce", 0, 3)).values()) == {None}


def test_ppo_with_one_epoch_is_reinforce_in_batches():
    """The grid counts it as REINFORCE: the ratio of its one step is one, so nothing is clipped."""
    made = optimizer_spec("ppo[batch=3,epochs=1,learning_rate=0.1,scale=1.0]")
    optimizer = made.build(Problem(landscape_space()), np.random.default_rng(0))
    scores, steps = (1.0, 4.0, -2.0), []
    optimizer.policy.ascend = steps.append
    asked = [optimizer.ask() for _ in scores]
    for architecture, score in zip(asked, scores, strict=True):
        optimizer.tell(architecture, Evaluation(score, 1.0))
    average, weight, expected = 0.0, 0.0, np.zeros((20, 7))
    for architecture, score in zip(asked, scores, strict=True):
        average, weight = 0.9 * average + 0.1 * score, 0.9 * weight + 0.1
        expected += (score - average / weight) * (np.eye(7)[list(architecture)] - 1 / 7) / 3
    (step,) = steps
    np.testing.assert_allclose(step, expected, atol=1e-12)


def invented(samples: dict[str, float], seeds: int = 20) -> pd.DataFrame:
    """Runs that need a given number of samples times a factor of the landscape."""
    work = [Run(kind, name, seed, study.BUDGET) for kind in KINDS for name in samples for seed in range(seeds)]
    found = [dict.fromkeys((*TARGETS, MODE), int(samples[w.optimizer] * (1 + w.seed))) for w in work]
    return study._frame(work, found)


def test_the_setting_with_the_fewest_samples_is_chosen():
    settings = [name for names in study.grid().values() for name in names]
    samples = {name: 100.0 + n for n, name in enumerate(settings)}
    best = {study.REINFORCE: study.grid()[study.REINFORCE][3], study.PPO: study.grid()[study.PPO][-1]}
    chosen = study.choose(invented(samples | dict.fromkeys(best.values(), 10.0), seeds=2))
    assert len(chosen) == len(KINDS) * (len(TARGETS) + 1) * 2
    assert all(name == best[method] for (_, _, method), name in chosen.items())


def test_twice_as_many_samples_are_a_ratio_of_two():
    found = invented({"slow": 60.0, "fast": 30.0, "random": 100.0})
    chosen = {
        (kind, target, method): name
        for kind in KINDS
        for target in (*TARGETS, MODE)
        for method, name in ((study.REINFORCE, "slow"), (study.PPO, "fast"))
    }
    table = study.compared(found, chosen)
    assert table[["ratio", "ratio low", "ratio high"]].to_numpy() == pytest.approx(2.0)
    assert (table["p (Holm)"] < 0.01).all()
    assert table["REINFORCE"].to_numpy() == pytest.approx(60 * 10.5)
    assert (table["REINFORCE's setting"] == "slow").all()


def test_the_page(tmp_path, monkeypatch):
    """The whole study, with few and short runs, in this process."""
    monkeypatch.setattr(study, "BUDGET", 30)
    monkeypatch.setattr(study, "RATES", (0.1, 0.2))
    monkeypatch.setattr(study, "TUNING", range(1000, 1002))
    monkeypatch.setattr(study, "SEEDS", range(4))
    monkeypatch.setattr(study, "in_processes", lambda function, work, *_: [function(each) for each in work])
    outcome = study.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    ((_, table),) = outcome.tables
    assert len(table) == len(KINDS) * (len(TARGETS) + 1)
    assert table["random"].isna().all()  # 30 samples are too few
    page = outcome.report.read_text()
    assert "3,000 samples with REINFORCE, 1,500 with PPO" in page
    assert "random search more than 30" in page
    assert len(list((tmp_path / "report" / "figures").glob("*.svg"))) == len(KINDS) + 4
