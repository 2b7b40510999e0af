"""Ensembles of proxies: by hand, and on the stored scores of NAS-Bench-Suite-Zero."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.ensembles import borda, copeland, log_rank, vote_accuracy

POOL = np.array([[1.0, 2.0, 9.0], [2.0, 1.0, 8.0], [3.0, 3.0, 1.0], [-np.inf, 0.0, 5.0]])
FACT = {  # reference section 0, fact 1: pairwise accuracy, Spearman of the wins, Spearman of Borda's sum
    "cifar10": (0.8205, 0.846, 0.853),
    "cifar100": (0.8388, 0.873, 0.873),
    "ImageNet16-120": (0.8237, 0.836, 0.840),
}


def sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


def majority(a: np.ndarray, b: np.ndarray) -> int:
    return sign(sum(sign(x - y) if x != y else 0 for x, y in zip(a, b, strict=True)))


def test_the_majority_of_three_decides_each_pair():
    by_hand = [sum(majority(a, b) for b in POOL) for a in POOL]
    assert copeland(POOL).tolist() == by_hand == [1, -1, 3, -3]


def test_pairs_of_equal_truth_do_not_count_and_a_draw_is_not_right():
    truth = np.array([4.0, 3.0, 3.0, 1.0])
    pairs = [(i, j) for i, j in itertools.combinations(range(4), 2) if truth[i] != truth[j]]
    right = sum(majority(POOL[i], POOL[j]) == sign(truth[i] - truth[j]) for i, j in pairs)
    found = vote_accuracy(POOL, truth)
    assert (found.share, found.pairs) == (right / len(pairs), len(pairs)) == (4 / 5, 5)
    assert vote_accuracy(POOL[:, :2], truth).share == 3 / 5  # the first two, of two voters, are a draw


def test_a_resample_is_a_pool_in_which_architectures_repeat():
    truth = np.array([4.0, 3.0, 2.0, 1.0])
    rows = [0, 0, 1, 3]
    found = vote_accuracy(POOL, truth, [np.bincount(rows, minlength=4)])
    assert found.resampled.tolist() == [vote_accuracy(POOL[rows], truth[rows]).share]
    assert found.resampled[0] != found.share


def test_borda_is_the_mean_rank_and_log_rank_punishes_one_bad_rank():
    assert borda(POOL).tolist() == [(2 + 3 + 4) / 3, (3 + 2 + 3) / 3, (4 + 4 + 1) / 3, (1 + 1 + 2) / 3]
    assert log_rank(POOL) == pytest.approx(np.log(np.array([2 * 3 * 4, 3 * 2 * 3, 4 * 4, 2]) / 4**3))


def test_blocks_do_not_matter(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(50, 3))
    whole = copeland(scores)
    monkeypatch.setattr("naslab.evaluators.zero_cost.ensembles._ROWS", 7)
    assert copeland(scores).tolist() == whole.tolist()


def test_what_is_no_pool_is_refused():
    with pytest.raises(InvalidValue, match="2 architectures have no score"):
        borda([[1.0, np.nan], [2.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(InvalidValue, match="Needed: \\(architectures, proxies\\)"):
        copeland([1.0, 2.0])
    with pytest.raises(InvalidValue, match="a number for each"):
        vote_accuracy(POOL, [1.0, 2.0])


@pytest.mark.parametrize("dataset", FACT)
def test_published_vote_is_a_pairwise_accuracy_and_no_correlation(shared_data: Path, dataset: str):
    cells = json.loads((shared_data / "nb_suite_zero_nasbench201.json").read_text())[dataset].values()
    names = ("synflow", "jacov", "snip")
    recorded = [cell for cell in cells if all(np.isfinite(cell.get(n, {}).get("score", np.nan)) for n in names)]
    assert len(recorded) >= 724
    scores = np.array([[cell[name]["score"] for name in names] for cell in recorded])
    truth = np.array([cell["val_accuracy"] for cell in recorded])
    accuracy, wins, ranks = FACT[dataset]
    assert vote_accuracy(scores, truth).share == pytest.approx(accuracy, abs=6e-5)
    assert stats.spearmanr(copeland(scores), truth).statistic == pytest.approx(wins, abs=6e-4)
    assert stats.spearmanr(borda(scores), truth).statistic == pytest.approx(ranks, abs=6e-4)
