"""Runs under limits, judged by every rule, and the studies made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import naslab
from naslab.running import search
from naslab.studies.tabnas import ablation, tradeoff, tuning
from naslab.studies.tabnas.limited import Run, judge, limits
from naslab.studies.tabnas.limited_report import against, mean_regret

TASK = "pocket-mlp/segments"
LIMIT = limits(TASK, "params", [0.15])[0]


def rows(optimizer: str, task: str = TASK, checkpoints=(20, 60), seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(judge(Run(task, "params", LIMIT, optimizer, seed, checkpoints)))


def test_limits_are_kept_by_the_shares_asked_for():
    problem = naslab.task(TASK).problem
    costs = np.array([problem.cost("params", a) for a in problem.space.architectures()])
    for share, limit in zip((0.05, 0.5), limits(TASK, "params", (0.05, 0.5)), strict=True):
        assert (costs <= limit).mean() == pytest.approx(share, abs=0.002)


def test_regret_is_the_distance_from_the_best_within_the_limit():
    task = naslab.task(TASK)
    kept = [a for a in task.problem.space.architectures() if task.problem.cost("params", a) <= LIMIT]
    best = max(task.true_value(a) for a in kept)
    found = rows("random")
    assert found["evaluations"].tolist() == [20, 60]
    assert (found["cost"] <= LIMIT).all()
    values = {round(best - task.true_value(a), 9) for a in kept}
    assert {round(each, 9) for each in found["regret"]} <= values


def test_a_policy_is_judged_by_every_rule_and_a_rule_without_result_falls_back_on_the_smallest_network():
    found = rows("tunas[beta=0.0,learning_rate=0.4]", checkpoints=(100,)).set_index("rule")
    assert set(found.index) == {"best", "most-probable", "sample", "argmax"}
    assert found.loc["argmax", "fallback"]  # nothing keeps it from the largest networks
    smallest = naslab.task(TASK).problem.space.cost((0, 0, 0, 0)).params
    assert found.loc["argmax", "cost"] == smallest
    assert not found.loc["most-probable", "fallback"]
    assert found["infeasible"].iloc[0] > 0.5
    assert rows("tabnas", checkpoints=(40,))["infeasible"].iloc[0] == 0


def test_watching_does_not_change_a_search():
    """The same strategy, seeded alike, returns the same through the ordinary loop."""
    plain = rows("tabnas[selection=best]", checkpoints=(60,)).set_index("rule")
    often = rows("tabnas[selection=best]", checkpoints=(20, 40, 60))
    often = often[often["evaluations"] == 60].set_index("rule")
    assert plain["regret"].equals(often["regret"])


def test_over_shared_weights_every_strategy_is_re_ranked():
    for optimizer in ("tabnas", "random"):
        found = rows(optimizer, f"{TASK}@shared", (40,)).set_index("rule")
        assert found.loc["rerank", "cost"] <= LIMIT
    result = search(f"{TASK}@shared", "tabnas[selection=rerank]", budget=40, max={"params": LIMIT})
    assert len(result.trace.end["finalists"]) == 10


def test_comparisons_with_a_reference():
    rng = np.random.default_rng(0)
    cells = [("t", limit) for limit in range(8)]
    runs = pd.DataFrame(
        [
            {"task": t, "metric": "params", "limit": m, "method": name, "regret": shift + m + rng.normal()}
            for t, m in cells
            for name, shift in (("a", 0.0), ("b", 2.0), ("c", 0.0))
            for _ in range(50)
        ]
    )
    found = against(runs, "a").set_index("method")
    assert found.loc["b", "low"] < 2 < found.loc["b", "high"]
    assert found.loc["c", "low"] < 0 < found.loc["c", "high"]
    assert found.loc["b", "cells won"] == 0
    means = runs.groupby(["method", "limit"])["regret"].mean()
    assert found.loc["b", "p"] == stats.wilcoxon(means["b"], means["a"], method="exact").pvalue == 2 / 2**8
    assert found.loc["b", "p (Holm)"] == 2 * found.loc["b", "p"]
    interval = mean_regret(runs[runs["method"] == "a"])
    assert interval["low"] < 3.5 < interval["high"]


def test_settings_are_chosen_by_method_and_rule():
    lines = [("m", "best", "x", 1.0), ("m", "best", "y", 3.0), ("m", "best", "y", 0.0), ("m", "argmax", "y", 1.0)]
    tried = pd.DataFrame(lines, columns=["method", "rule", "setting", "regret"])
    assert tuning.best_settings(tried) == {"m": {"best": "x", "argmax": "y"}}


@pytest.mark.slow
@pytest.mark.parametrize("study", ["tradeoff", "ablation"])
def test_a_small_study_runs_and_continues(study, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "SEEDS", range(3))
    monkeypatch.setattr(tuning, "TUNING_SEEDS", range(1000, 1002))
    monkeypatch.setattr(tuning, "RATES", (0.1, 0.2))
    monkeypatch.setattr(tuning, "CHECKPOINTS", (20, 40))
    monkeypatch.setattr(tuning, "BETAS", {"soft": (-0.07, -0.5), "absolute": (-0.1, -0.2)})
    monkeypatch.setattr(tradeoff, "SHARED_STEPS", 40)
    monkeypatch.setattr(tradeoff, "SHARED_METHODS", ("TabNAS, exact", "soft", "random"))
    monkeypatch.setattr(ablation, "STEPS", 40)
    module = {"tradeoff": tradeoff, "ablation": ablation}[study]
    outcome = module.run("A study", "Of things.", tmp_path, workers=2, progress=None)
    assert outcome.report.exists()
    (_, frame), *_ = outcome.tables
    assert frame["regret"].between(frame["low"], frame["high"]).all()
    before = (tmp_path / "results.jsonl").read_bytes()
    again = module.run("A study", "Of things.", tmp_path, workers=2, progress=None)
    assert again.tables[0][1].equals(frame)
    assert (tmp_path / "results.jsonl").read_bytes() == before
