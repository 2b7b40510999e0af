"""The pages of the studies of learned predictors, with results that nobody computed; and one that is computed."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from naslab.studies.predictors import accuracy as predictors
from naslab.studies.predictors import fits as prediction
from naslab.studies.predictors import latency as latency_prediction
from naslab.studies.predictors.fits import Fit

SMALL = "pocket-mlp/segments"


def made_up(work: list[Fit]) -> list[dict[str, object]]:
    """Results that nobody computed: better with more labels, one predictor refused."""
    names = ("Spearman", "precision at 1%", "precision at 5%", "precision at 10%", "regret")
    results: list[dict[str, object]] = []
    for each in work:
        rng = np.random.default_rng([each.labels, each.seed, len(each.predictor)])
        tau = 0.9 - 3 / np.sqrt(each.labels) + 0.02 * rng.normal()
        taus = {"Kendall tau-b": tau, **{f"tau in top {share:.0%}": tau / 2 for share in prediction.TOP}}
        shares = {f"coverage {q:.0%}": q - 0.05 for q in prediction.COVERED} | {"deviation": 0.3, "error": 0.4}
        errors = {"median relative error": 0.1, "within 10 %": 0.5}
        others = taus | dict.fromkeys(names, tau) | shares | errors
        refused = each.predictor.startswith("renas") and "mlp" in each.task
        results.append({"refused": "cells"} if refused else {"fit": 1.0, "query": 2.0, "all": taus, "others": others})
    return results


@pytest.mark.parametrize("study", [pytest.param(predictors, marks=pytest.mark.slow), latency_prediction])
def test_the_page_has_every_section(study, tmp_path, monkeypatch) -> None:
    left = tmp_path / "zero-cost-nasbench201" / "cifar10" / "scores"
    left.mkdir(parents=True)
    (left / "synflow.jsonl").touch()
    monkeypatch.setattr(study, "in_processes", lambda function, work, *rest: made_up(work))
    monkeypatch.setattr(predictors, "table_names", tuple)  # another test may have imported the published table
    monkeypatch.setattr(predictors, "ELSEWHERE", ())
    monkeypatch.setattr(predictors, "POCKET", (SMALL,))
    less = {"sizes": (78, 469)} if study is predictors else {"tasks": (SMALL,)}
    outcome = study.run("Title", "What it is.", tmp_path / "it", workers=1, progress=None, seeds=range(2), **less)
    page = outcome.report.read_text()
    assert not re.search(r"<td[^>]*>\s*nan", page)
    if study is predictors:
        for heading in ("Beside the published numbers", "Like for like", "Self-evolution and its", "Calibration"):
            assert heading in page
        assert "With zero-cost scores as features" in page
        assert "The same code on pocket-mlp/segments" in page
        assert "NOT the published protocol" in page
        frame = pd.read_csv(outcome.report.parent / "tables" / "self-evolution.csv")
        gains = frame.set_index(["predictor", "labels", "200 labels"])["gain"]
        assert np.isnan(gains["tnasp", 78, "plain"])
        assert np.isfinite(gains["tnasp", 78, "self-evolution"])
        leads = frame.set_index(["predictor", "labels", "200 labels"])["lead"]
        assert np.isnan(leads["tnasp", 78, "self-evolution"])
        assert np.isfinite(leads["tnasp", 78, "they are learned from"])
        uses = pd.read_csv(outcome.report.parent / "tables" / "ours-in-the-protocol.csv")
        uses = uses.set_index("predictor")["200 validation labels"]
        assert uses["tnasp[target=raw,most_steps=0,rounds=5]"] == "give errors"
        assert uses["tnasp[target=raw,most_steps=0]"] == uses["tnasp[target=raw]"] == "unused"


@pytest.mark.slow
def test_the_study_runs_from_end_to_end(tmp_path) -> None:
    outcome = predictors.run(
        "Title", "What it is.", tmp_path / "it", workers=1, progress=None, sizes=(78,), few=(78,), seeds=range(2),
        names=("ridge", "kernel-ridge"),
    )  # fmt: skip
    table = pd.read_csv(outcome.report.parent / "tables" / "like-for-like.csv").set_index(["predictor", "target"])["78"]
    assert table["kernel-ridge", "rank"] > table["kernel-ridge", "raw"] + 0.1
