"""Training from scratch: the validation rows choose the epoch, the test rows only judge."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from own_tables import write_table

from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.evaluators.fitting import fit, torch_generator
from naslab.tabular.plan import plan_search
from naslab.tabular.training import Trainings


@pytest.fixture
def scratch(tmp_path):
    return plan_search(write_table(tmp_path / "t.csv"), "target", widths=(2, 8), depth=2, metric="log-loss").scratch


def outputs(network, rows) -> np.ndarray:
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(rows.x)).numpy()


def test_the_epoch_is_the_best_on_the_validation_rows(scratch):
    problem, held = scratch.problem, scratch.problem.validation
    found = scratch.train((1, 1), np.random.default_rng(0))
    rng = np.random.default_rng(0)
    network = compile_network(problem.space, (1, 1), generator=torch_generator(rng))
    curve = fit(
        network, problem.train, scratch.recipe, torch_generator(rng), {"v": held}, None, scratch.objective
    ).scored["v"][:, 0]
    assert found.validation == pytest.approx(curve.max(), rel=1e-6)
    assert scratch.objective.score(outputs(found.network, held), held.y) == pytest.approx(curve.max(), rel=1e-6)


def test_the_truth_is_the_score_on_the_test_rows(scratch):
    network = scratch.train((1, 1), np.random.default_rng(0)).network
    expected = scratch.objective.score(outputs(network, scratch.test), scratch.test.y)
    assert scratch.evaluate((1, 1), rng=np.random.default_rng(0)).score == pytest.approx(expected, rel=1e-6)


def test_the_test_rows_change_no_network(scratch):
    other = dataclasses.replace(scratch, test=Rows(scratch.test.x[:3] + 9, 1 - scratch.test.y[:3]))
    ours, theirs = (one.train((1, 1), np.random.default_rng(0)).network for one in (scratch, other))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_architecture_is_trained_once_by_its_own_seed(scratch):
    told: list[str] = []
    first, second = Trainings(scratch, 0, told.append), Trainings(scratch, 0, told.append)
    a, b = first[(0, 1)], first[(1, 0)]
    assert first[(0, 1)] is a
    assert told == ["2-8", "8-2"]
    assert second[(1, 0)].validation == b.validation  # whoever was trained before it
    assert Trainings(scratch, 1, told.append)[(1, 0)].validation != b.validation
