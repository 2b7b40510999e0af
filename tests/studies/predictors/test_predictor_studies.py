"""The studies of learned predictors: what a fit reports, and what is planned."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import RidgeCV

from naslab.analysis.correlation import tau_at_top
from naslab.analysis.statistics import mean_interval
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.catalogue import PREDICTORS
from naslab.evaluators.predictors.targets import transform
from naslab.studies.predictors import accuracy as predictors
from naslab.studies.predictors.fits import HELD, Fit, fit, ground, split, stored_scores, tops

SMALL = "pocket-mlp/segments"


def test_architectures_that_share_a_training_count_once() -> None:
    data = ground("pocket-cell/mnist")
    assert len(data.architectures) == 5425
    assert len({data.space.canonical(a) for a in data.architectures}) == 5425
    assert "test accuracy" in data.label


def test_latency_is_better_where_it_is_lower() -> None:
    data = ground(SMALL, "latency_seconds")
    assert (data.learned < 0).all()


def test_splits_grow_and_never_meet() -> None:
    few, held, rest = split(Fit(SMALL, "ridge", 50, 0), 1000)
    more, same, _ = split(Fit(SMALL, "kernel-ridge", 100, 0), 1000)
    assert (more[:50], held) == (few, same)
    assert len(held) == HELD
    assert sorted([*few, *held, *rest]) == list(range(1000))
    assert split(Fit(SMALL, "ridge", 50, 1), 1000)[0] != few
    with pytest.raises(InvalidValue, match="none is left"):
        split(Fit(SMALL, "ridge", 800, 0), 1000)


def test_a_fit_is_judged_on_architectures_it_did_not_learn_from() -> None:
    work = Fit(SMALL, "ridge", 60, 0)
    found, data = fit(work), ground(SMALL)
    train, _, others = split(work, len(data.architectures))
    codes = np.array([[a == o for i, a in enumerate(row) for o in range(8)] for row in data.architectures], float)
    model = RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(codes[train], transform(data.learned[train], "rank"))
    expected = stats.kendalltau(model.predict(codes[others]), data.judged[others]).statistic
    assert found["others"]["Kendall tau-b"] == pytest.approx(expected, abs=1e-6)
    assert found["all"]["Kendall tau-b"] == pytest.approx(
        stats.kendalltau(model.predict(codes), data.judged).statistic, abs=1e-6
    )
    assert "coverage 80%" not in found["others"]
    assert fit(work)["others"] == found["others"]


def test_labels_that_are_held_can_be_learned_from() -> None:
    plain, more = (fit(Fit(SMALL, "ridge", 30, 0, held))["others"] for held in ("unused", "learn"))
    assert more["Kendall tau-b"] > plain["Kendall tau-b"]


def test_deviations_are_judged_by_coverage() -> None:
    found = fit(Fit(SMALL, "nasbowl", 60, 0))["others"]
    assert 0 < found["coverage 50%"] < found["coverage 80%"] < found["coverage 95%"] <= 1


def test_latency_errors_are_relative() -> None:
    found = fit(Fit(SMALL, "ridge[target=raw]", 100, 0, metric="latency_seconds"))["others"]
    assert 0 < found["median relative error"] < 0.3
    assert 0 < found["within 10 %"] <= 1


def test_a_space_that_is_refused_is_reported() -> None:
    found = fit(Fit(SMALL, "ridge[target=log-error]", 60, 0, metric="latency_seconds"))
    assert list(found) == ["refused"]
    assert "log-error" in found["refused"]


def test_tau_among_the_best_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.permutation(100).astype(float)
    scores = truth + 20 * rng.normal(size=100)
    best = truth >= 80
    assert tau_at_top(scores, truth, (0.2, 1.0), rng) == pytest.approx(
        [stats.kendalltau(scores[best], truth[best]).statistic, stats.kendalltau(scores, truth).statistic]
    )


def test_the_interval_of_few_seeds_is_students() -> None:
    found = mean_interval(np.array([1.0, 2.0, 4.0, np.nan]))
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem([1, 2, 4]))
    assert found == pytest.approx((7 / 3, low, high))
    assert np.isnan(mean_interval(np.array([1.0])).low)


def test_stored_scores_are_those_that_all_files_have(tmp_path) -> None:
    def write(name: str, architectures: list[list[int]], metric: str, values: list[float], end: str = "\n") -> None:
        entry = json.dumps({"architectures": architectures, "scores": {metric: values}, "seconds": [0] * len(values)})
        (tmp_path / f"{name}.jsonl").write_text('{"header": 1}\n' + entry + end)

    write("b", [[0, 1], [1, 1]], "synflow", [3.0, float("-inf")])
    write("a", [[0, 1], [1, 1], [1, 0]], "params", [1.0, 2.0, 5.0])
    write("c", [[0, 1]], "cut-short", [1.0], end="")
    assert stored_scores(str(tmp_path)) == {(0, 1): [1.0, 3.0], (1, 1): [2.0, float("-inf")]}


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"scores": {"x": [1]}}', '{"scores": 3}', "\ud800", '{"x": ' + "[" * 99999]
)
def test_damaged_scores_are_one_line(tmp_path, line) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"{}\n" + line.encode(errors="surrogatepass") + b"\n")
    with pytest.raises(InvalidValue, match=r"x\.jsonl holds no scores: give a folder of naslab correlate$"):
        stored_scores(str(tmp_path))


def test_scores_that_cannot_be_read_are_not_called_damaged(tmp_path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(InvalidValue, match=r"the scores '.*x\.jsonl' can't be read: is a directory\. Fix:"):
        stored_scores(str(tmp_path))


def test_stored_scores_are_features_of_the_architectures_that_have_them(tmp_path) -> None:
    data, rng = ground(SMALL), np.random.default_rng(0)
    rows = rng.permutation(len(data.architectures))[:600].tolist()
    entry = {"architectures": [data.architectures[row] for row in rows], "scores": {"x": data.judged[rows].tolist()}}
    (tmp_path / "x.jsonl").write_text("{}\n" + json.dumps(entry) + "\n")
    assert len(ground(SMALL, scores=str(tmp_path)).architectures) == 600
    without, featured = (
        fit(Fit(SMALL, "kernel-ridge", 60, 0, scores=str(tmp_path), featured=f)) for f in (False, True)
    )
    assert featured["others"]["Kendall tau-b"] > without["others"]["Kendall tau-b"] + 0.02


def test_a_predictor_that_says_the_same_of_all_has_a_tau_of_zero() -> None:
    assert tops(np.zeros(50), np.arange(50.0), np.random.default_rng(0))["Kendall tau-b"] == 0


def test_what_the_noise_of_labels_costs_is_planned_where_there_are_test_labels() -> None:
    plans = [
        predictors.planned(table, ("kernel-ridge",), (78,), (78,), range(2), {})
        for table in ("nats-tss", "nasbench201")
    ]
    assert [[each.metric for each in plan["on test"]] for plan in plans] == [["accuracy/test"] * 2, []]


def test_every_predictor_is_planned_by_every_target_and_loss() -> None:
    assert predictors.variants("kernel-ridge") == {
        "kernel-ridge[target=raw]": ("raw", ""),
        "kernel-ridge": ("rank", ""),
    }
    assert list(predictors.variants("tnasp")) == [
        "tnasp[target=raw]", "tnasp", "tnasp[loss=hinge]", "tnasp[loss=bce]",
    ]  # fmt: skip
    assert predictors.variants("bonas")["bonas[target=raw,loss=hinge]"] == ("raw", "hinge")
    plan = predictors.planned("nasbench201", tuple(PREDICTORS), (78, 469), (78,), range(2), {})
    assert {work.predictor for work in plan["clean"]} == set(PREDICTORS)
    assert {work.held for work in plan["published"]} == {"unused", "select"}
