"""The evaluator: batches, seconds, metrics, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import naslab
from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.errors import InvalidDataset, InvalidValue, UnknownName
from naslab.evaluators.fitting import torch_generator
from naslab.evaluators.zero_cost.catalogue import PROXIES
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.evaluators.zero_cost.training import Short
from naslab.registry import load
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

pytestmark = pytest.mark.usefixtures("global_randomness")
SPACE, CELL, DISCONNECTED = pocket_cell(channels=4), (3, 2, 4, 1, 3, 2), (3, 0, 0, 0, 0, 3)
MLP = naslab.search_space("mlp", in_features=4, out_features=3, depth=2, widths=(2, 16))
RNG = np.random.default_rng(0)
IMAGES = Rows(RNG.standard_normal((40, 1, 8, 8)).astype(np.float32), RNG.integers(10, size=40))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_it_is_registered() -> None:
    assert load("evaluators", "zero-cost") is ZeroCost


def test_the_score_is_the_first_proxy_s_and_metrics_have_all() -> None:
    found = ZeroCost(SPACE, IMAGES, ["synflow", "snip", "params"], batch=8).evaluate(CELL, rng=rng())
    assert list(found.metrics) == ["synflow", "snip", "params", "gaussian_inputs"]
    assert found.score == found.metrics["synflow"]
    assert found.metrics["params"] == SPACE.cost(CELL).params
    assert found.metrics["gaussian_inputs"] == 0


def test_scores_are_those_of_the_proxy_on_the_compiled_network() -> None:
    evaluator = ZeroCost(SPACE, IMAGES, "snip", batch=8)
    generator = torch_generator(rng(3))
    network = compile_network(SPACE, CELL, generator=generator, cut=False)
    expected = PROXIES["snip"](network, evaluator.x, evaluator.y, generator)
    assert evaluator.evaluate(CELL, rng=rng(3)).score == pytest.approx(expected, rel=1e-5)  # in another memory layout


def test_the_batch_is_drawn_from_the_rows_by_the_seed() -> None:
    evaluator = ZeroCost(SPACE, IMAGES, "snip", batch=8, seed=1)
    assert evaluator.inputs == "rows"
    assert evaluator.y is not None
    places = [int(np.flatnonzero((IMAGES.x == row.numpy()).all(axis=(1, 2, 3)))[0]) for row in evaluator.x]
    assert len(set(places)) == 8
    assert evaluator.y.tolist() == IMAGES.y[places].tolist()
    assert torch.equal(ZeroCost(SPACE, IMAGES, "snip", batch=8, seed=1).x, evaluator.x)
    assert not torch.equal(ZeroCost(SPACE, IMAGES, "snip", batch=8, seed=2).x, evaluator.x)


def test_without_rows_it_says_that_inputs_are_noise() -> None:
    evaluator = ZeroCost(SPACE, proxies="snip", batch=200)
    assert evaluator.inputs == "gaussian"
    assert evaluator.x.shape == (200, 1, 8, 8)
    assert abs(float(evaluator.x.mean())) < 0.05
    assert float(evaluator.x.std()) == pytest.approx(1, abs=0.05)
    assert evaluator.y is not None
    assert set(evaluator.y.tolist()) == set(range(10))
    assert evaluator.evaluate(CELL, rng=rng()).metrics["gaussian_inputs"] == 1


def test_all_proxies_on_images_and_on_vectors() -> None:
    found = ZeroCost(SPACE, IMAGES, batch=8).evaluate(CELL, rng=rng())
    assert len(found.metrics) == len(PROXIES) - 3 + 1
    assert all(math.isfinite(value) for value in found.metrics.values())
    vectors = ZeroCost(MLP, batch=8).evaluate((1, 1), rng=rng())
    assert set(found.metrics) - set(vectors.metrics) == {
        "meco",
        "az-expressivity",
        "az-progressivity",
        "az-trainability",
    }
    assert all(math.isfinite(value) for value in vectors.metrics.values())


def test_equal_generators_give_equal_evaluations() -> None:
    evaluator = ZeroCost(SPACE, IMAGES, ["snip", "zen"], batch=8)
    first, again, other = (evaluator.evaluate(CELL, rng=rng(seed)).metrics for seed in (5, 5, 6))
    assert first == again
    assert first["snip"] != other["snip"]


def test_dead_branches_are_measured_unless_they_are_cut() -> None:
    dead = (3, 3, 0, 0, 1, 0)
    whole, cut = (
        ZeroCost(SPACE, IMAGES, ["params"], batch=8, cut=c).evaluate(dead, rng=rng()).score for c in (False, True)
    )
    assert whole == SPACE.cost(dead).params > cut == SPACE.cost((3, 0, 0, 0, 1, 0)).params


def test_a_disconnected_cell_scores_minus_infinity() -> None:
    assert ZeroCost(SPACE, IMAGES, "naswot", batch=8).evaluate(DISCONNECTED, rng=rng()).score == -math.inf


def test_seconds_are_this_process_s() -> None:
    evaluator = ZeroCost(SPACE, IMAGES, "snip", batch=8)
    started = time.process_time()
    found = evaluator.evaluate(CELL, rng=rng())
    assert evaluator.clock == "measured"
    assert 0 < found.seconds <= time.process_time() - started


def test_short_trainings_are_proxies_as_well() -> None:
    short = Short(IMAGES, IMAGES, Recipe(epochs=2, batch=8, learning_rate=0.05), steps=3)
    found = ZeroCost(SPACE, IMAGES, ["early-loss", "early-accuracy"], batch=8, short=short).evaluate(CELL, rng=rng())
    assert -4 * 3 < found.score < -1
    assert 0 <= found.metrics["early-accuracy"] <= 100


def test_what_is_refused(tmp_path: Path) -> None:
    def refusal(error: type[Exception], *args: object, **options: object) -> str:
        with pytest.raises(error) as caught:
            ZeroCost(SPACE, *args, **{"batch": 8, **options})  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "Did you mean 'naswot'" in refusal(UnknownName, IMAGES, ["naswott"])
    wide = Rows(np.zeros((9, 3, 8, 8), np.float32), np.zeros(9, np.int64))
    assert "rows have shape (3, 8, 8), space 'pocket-cell' takes (1, 8, 8)" in refusal(InvalidDataset, wide)
    many = dataclasses.replace(IMAGES, y=IMAGES.y + 90)
    assert "space 'pocket-cell' tells 0 to 9 apart" in refusal(InvalidDataset, many)
    assert "a batch of 41 is larger than the 40 rows" in refusal(InvalidValue, IMAGES, batch=41)
    assert "a batch of 1. Allowed: from 2" in refusal(InvalidValue, IMAGES, "jacob-cov", batch=1)
    assert "batch=0" in refusal(InvalidValue, IMAGES, "params", batch=0)
    unlabelled = dataclasses.replace(IMAGES, y=None)
    assert "needs labels" in refusal(InvalidValue, unlabelled, "snip")
    numbers = dataclasses.replace(IMAGES, y=IMAGES.y.astype(np.float32))
    assert "a class number" in refusal(InvalidValue, numbers, "snip")
    with pytest.raises(InvalidValue, match="a proxy has none"):
        ZeroCost(SPACE, IMAGES, "params", batch=8).evaluate(CELL, fidelity=3, rng=rng())


@pytest.mark.parametrize("labels", [None, np.zeros(40, np.float32)])
def test_all_leaves_out_what_needs_labels_where_there_are_none(labels: np.ndarray | None) -> None:
    evaluator = ZeroCost(SPACE, dataclasses.replace(IMAGES, y=labels), batch=8)
    names = {proxy.name for proxy in evaluator.proxies}
    assert {"naswot", "jacob-cov", "synflow"} < names
    assert not names & {"snip", "grasp", "zico", "gradsign", "epe-nas"}
