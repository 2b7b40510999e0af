"""Training steps in bfloat16, and algorithms that add in a fixed order."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from naslab.datasets import Rows
from naslab.errors import InvalidValue
from naslab.evaluators.arithmetic import checked_precision, fixed_order, forward
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.training import TrainingEvaluator
from naslab.search_spaces.mlp import mlp
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe, SearchSpace

IMAGES, FLAT = pocket_cell(), mlp(8, 10, depth=2, widths=(16, 32))
CELLS = [(3, 2, 4, 1, 3, 2), (1, 2, 3, 0, 3, 1)]


def rows(seed: int, space: SearchSpace = IMAGES, count: int = 64) -> Rows:
    """A pattern for each of ten classes, and noise."""
    (shape, classes), patterns, rng = space.ends, np.random.default_rng(0), np.random.default_rng(seed)
    each = patterns.standard_normal((classes, *shape), np.float32)
    y = rng.integers(classes, size=count)
    return Rows(each[y] + 0.5 * rng.standard_normal((count, *shape), np.float32), y)


def trainer(precision: str, space: SearchSpace = IMAGES, epochs: int = 2) -> TrainingEvaluator:
    recipe = Recipe(epochs, 16, 0.02)
    return TrainingEvaluator(space, rows(1, space), rows(2, space), recipe, precision=precision)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("space", "architecture", "epochs", "learned"),
    [(IMAGES, CELLS[0], 2, 0.0), (FLAT, (1, 1), 30, 0.8)],
    ids=["images", "features"],
)
def test_a_training_in_bfloat16_is_near_one_in_float32_and_not_equal(space, architecture, epochs, learned):
    found = [trainer(name, space, epochs).train(architecture, rng()) for name in ("float32", "bfloat16")]
    exact, rounded = (each.curve for each in found)
    assert (exact.losses != rounded.losses).all()
    assert np.abs(exact.losses - rounded.losses).max() < 0.05
    right = [curve.scored["validation"][-1, 0] / 64 for curve in (exact, rounded)]
    assert right[0] >= learned
    assert abs(right[0] - right[1]) <= 0.1
    kept = found[1].network.state_dict().values()
    assert {each.dtype for each in kept if each.is_floating_point()} == {torch.float32}


def test_a_population_is_trained_in_bfloat16_too():
    exact, rounded = (trainer(name).evaluate_many(CELLS, fidelity=2, rng=rng()) for name in ("float32", "bfloat16"))
    for one, other in zip(exact, rounded, strict=True):
        assert abs(one.score - other.score) <= 20
        assert not other.metrics["diverged"]


def test_shared_weights_are_trained_in_bfloat16_and_scored_in_float32(monkeypatch):
    recipe = Recipe(4, 16, 0.02, optimizer="sgd")
    losses, made = {}, {}
    for precision in ("float32", "bfloat16"):
        made[precision] = OneShot(IMAGES, rows(1), rows(2), recipe, precision=precision)
        losses[precision] = [made[precision].evaluate(cell, rng=rng()).metrics["loss"] for cell in CELLS]
    assert losses["float32"] != losses["bfloat16"]
    assert losses["float32"] == pytest.approx(losses["bfloat16"], abs=0.05)
    supernet = made["bfloat16"].supernet
    assert {each.dtype for each in supernet.parameters()} == {torch.float32}
    monkeypatch.setattr(made["bfloat16"], "precision", "float32")  # of training alone: a score does not depend on it
    same = made["bfloat16"].evaluate(CELLS[0], fidelity="full-validation", rng=rng()).score
    monkeypatch.undo()
    assert made["bfloat16"].evaluate(CELLS[0], fidelity="full-validation", rng=rng()).score == same


def test_float32_is_a_plain_call_and_bfloat16_rounds_what_goes_into_a_product():
    seen: list[bool] = []
    weight = torch.tensor([[1 + 2**-9]])

    def model(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return x @ weight

    x = torch.ones(1, 1)
    given = [forward(model, x, precision=name, device="cpu") for name in ("float32", "bfloat16")]
    assert seen == [False, True]
    assert [(each.item(), each.dtype) for each in given] == [(1 + 2**-9, torch.float32), (1.0, torch.float32)]
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("name", "device", "said"),
    [
        ("bfloat", "cpu", "precision 'bfloat'. Did you mean 'bfloat16'? Allowed: float32, bfloat16"),
        ("half", "cpu", "precision 'half'. Known: bfloat16, float32. Allowed: float32, bfloat16"),
        ("bfloat16", "meta", "precision 'bfloat16': PyTorch has it not on device 'meta'. Fix: precision 'float32'"),
    ],
)
def test_a_precision_that_is_not_there_is_refused(name, device, said):
    for make in (
        lambda: checked_precision(name, device),
        lambda: TrainingEvaluator(IMAGES, rows(1), rows(2), Recipe(1, 4, 0.1), device=device, precision=name),
        lambda: OneShot(IMAGES, rows(1), rows(2), Recipe(1, 4, 0.1), device=device, precision=name),
    ):
        with pytest.raises(InvalidValue) as caught:
            make()
        assert str(caught.value) == said


@pytest.mark.parametrize("before", [(False, False), (True, True)], ids=str)
def test_a_fixed_order_is_set_and_restored(monkeypatch, before):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)

    def state() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    try:
        with fixed_order(wanted=False):
            assert state() == before
        with fixed_order(wanted=True):
            assert state() == (True, False)
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert state() == before
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_workspace_of_ones_own_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with fixed_order(wanted=True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
