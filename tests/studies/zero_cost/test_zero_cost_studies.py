"""The studies of zero-cost proxies, small, from end to end."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import naslab
from naslab.correlation.study import Correlations
from naslab.studies.reproduce import experiment, run_experiment
from naslab.studies.zero_cost import nasbench201 as on_cells
from naslab.studies.zero_cost import pocket as on_pocket
from naslab.studies.zero_cost.shared import pairwise_vote, with_ensembles

VOTED = ("params", "flops", "grad-norm", "snip", "grasp", "fisher", "synflow", "jacob-cov")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("naslab.analysis.correlation.RESAMPLES", 8)
    monkeypatch.setattr("naslab.studies.zero_cost.shared.RESAMPLES", 40)


def judged(n=30):
    rng = np.random.default_rng(2)
    truth = rng.normal(size=n)
    names = ("synflow", "jacob-cov", "snip", "az-expressivity", "az-progressivity", "az-trainability", "az-complexity")
    scores = pd.DataFrame({name: truth + rng.normal(size=n) for name in names})
    scores.loc[0, "snip"] = -np.inf
    return Correlations("task", "accuracy", "%", f"{n} of many", scores, truth, np.arange(n, dtype=float))


def test_ensembles_stand_beside_their_parts():
    found = with_ensembles(judged())
    added = found.evaluators[7:]
    assert added[-1].startswith("AZ-NAS")
    ranks = judged().scores[["synflow", "jacob-cov", "snip"]].rank().sum(axis=1)
    assert stats.spearmanr(found.scores[added[1]], ranks).statistic == pytest.approx(1)
    assert with_ensembles(dataclasses.replace(judged(), scores=judged().scores[["snip"]])).evaluators == ["snip"]


def test_the_vote_has_an_interval_around_it():
    found = pairwise_vote(judged(), np.random.default_rng(0))
    truth, scores = judged().truth, judged().scores[["synflow", "jacob-cov", "snip"]].to_numpy()
    pairs = list(itertools.combinations(range(30), 2))
    right = sum((np.sign(scores[i] - scores[j]).sum() > 0) == (truth[i] > truth[j]) for i, j in pairs)
    assert found["value"] == pytest.approx(right / len(pairs))
    assert found["low"] < found["value"] < found["high"]


def test_published_tables_are_read_for_our_names():
    first, second = (table.read() for table in on_cells.TABLES)
    assert first["imagenet16-120"]["vote"] == 0.82
    assert first["cifar10"]["jacob-cov"] == 0.73
    assert second == {
        "cifar100": {
            "fisher": 0.6104, "grad-norm": 0.6779, "grasp": 0.6319, "jacob-cov": 0.7194, "snip": 0.6789,
            "synflow": 0.7938, "flops": 0.7142, "params": 0.7346,
        }
    }  # fmt: skip


def test_counts_of_all_cells_have_their_known_correlation():
    # With test accuracies they are the published .753 and .728 (AZ-NAS); these are validation accuracies.
    assert on_cells.whole_space("cifar10", "params") == pytest.approx(0.712, abs=0.005)
    assert on_cells.whole_space("cifar100", "params") == pytest.approx(0.726, abs=0.005)


@pytest.mark.slow
def test_cells_stand_beside_the_published_numbers(tmp_path, monkeypatch, nats_tss):
    monkeypatch.setattr(on_cells, "SCORED", VOTED)
    monkeypatch.setattr(on_cells, "DATASETS", ("cifar10", "cifar100", "imagenet16-120"))
    study = experiment("zero-cost-nasbench201")
    outcome = on_cells.run(study.title, study.description, tmp_path, workers=1, progress=None, architectures=4)
    ((_, frame),) = outcome.tables
    assert len(frame) == 3 * 7 + 8
    text = outcome.report.read_text()
    for word in ("beside-published.csv", "pairwise accuracy", "Gaussian noise", "4 drawn from 15,625", nats_tss):
        assert word in text or (outcome.report.parent / "tables" / word).is_file(), word
    table = pd.read_csv(outcome.report.parent / "tables" / "beside-published.csv")
    row = table[(table["dataset"] == "cifar100") & (table["proxy"] == "params") & table["published"].eq(0.7346)].iloc[0]
    assert row["note"] == "needs no images"
    assert (row["inside"] == "yes") == (row["ours low"] <= 0.7346 <= row["ours high"])
    task = naslab.task("nats-tss/cifar100")
    scores = pd.read_csv(tmp_path / "report" / "tables" / "average-ranks.csv")
    assert sorted(scores["proxy"]) == sorted(VOTED)
    assert task.metric == "test accuracy"


@pytest.mark.slow
def test_pocket_tasks_are_judged_at_equal_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(on_pocket, "TASKS", {"pocket-mlp/segments": "all"})
    monkeypatch.setattr(on_pocket, "TIMED", 2)
    study = experiment("zero-cost-pocket")
    outcome = on_pocket.run(
        study.title, study.description, tmp_path, workers=1, progress=None, architectures=8, epochs=1
    )
    assert outcome.report.is_file()
    frame = pd.read_csv(tmp_path / "report" / "tables" / "early-pocket-mlp-segments.csv")
    affordable = frame[frame["its seconds"] <= frame["seconds"]]
    assert (frame.drop(affordable.index)["early loss"] == "early-loss[steps=1]").all()
    assert np.allclose(frame["gain"], frame["Spearman"] - frame["its Spearman"], atol=1e-9, equal_nan=True)
    kept = (tmp_path / "pocket-mlp-segments" / "seconds.json").read_bytes()
    again = on_pocket.seconds_alone(
        "pocket-mlp/segments", ["naswot"], tmp_path / "pocket-mlp-segments" / "seconds.json"
    )
    assert again["naswot"] > 0
    assert (tmp_path / "pocket-mlp-segments" / "seconds.json").read_bytes() == kept


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"naswot": "slow"}', b"\xff", b"[" * 99999])
def test_damaged_seconds_are_one_line(tmp_path, content):
    (tmp_path / "seconds.json").write_bytes(content)
    with pytest.raises(naslab.errors.OutputError, match=r"seconds\.json is damaged; move it away to measure"):
        on_pocket.seconds_alone("pocket-mlp/segments", ["naswot"], tmp_path / "seconds.json")


def test_studies_are_listed_and_take_no_table(tmp_path):
    with pytest.raises(naslab.NaslabError, match="runs on no table"):
        run_experiment(experiment("zero-cost-pocket"), tmp_path, table="nasbench201")
