"""Training from scratch as an evaluator: equal to training by hand, alone or as a population."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import drawn_rows, tensors, train_by_hand
from toy_spaces import graph_of

import naslab
from naslab import SearchSpace, ops
from naslab.compiler.network import compile_network
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.evaluators.training import TrainingEvaluator
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

pytestmark = pytest.mark.usefixtures("global_randomness")
SPACE = naslab.search_space("mlp", in_features=4, out_features=3, depth=2, widths=(2, 5, 16))
TRAIN, VALIDATION = drawn_rows(64, seed=1), drawn_rows(48, seed=2)
RECIPE = Recipe(epochs=4, batch=16, learning_rate=0.1, weight_decay=1e-3)
ARCHITECTURES = [(2, 2), (1, 2), (2, 1), (1, 1)]


def evaluator(recipe: Recipe = RECIPE, space: SearchSpace = SPACE) -> TrainingEvaluator:
    return TrainingEvaluator(space, TRAIN, VALIDATION, recipe)


def generator_of(rng: np.random.Generator) -> torch.Generator:
    """A seed of 63 bits per generator."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def accuracies_of(metrics: Any) -> list[float]:
    return [value for name, value in metrics.items() if name.startswith("accuracy/")]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_evaluating_is_training_by_hand(optimizer: str, architecture: tuple[int, int]) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, learning_rate=0.05)
    found = evaluator(recipe).evaluate(architecture, rng=np.random.default_rng(7))
    rng = np.random.default_rng(7)  # the weights' seed comes first, then that of the batches
    network = compile_network(SPACE, architecture, generator=generator_of(rng))
    _, _, right = train_by_hand(network, TRAIN, recipe, generator_of(rng), VALIDATION)
    expected = [100 * count / 48 for count in right]
    assert accuracies_of(found.metrics) == pytest.approx(expected, abs=100 / 48 + 1e-9)  # float32: one row at most
    assert found.score == found.metrics["accuracy/epoch4"]
    assert list(found.metrics) == [*(f"accuracy/epoch{i}" for i in range(1, 5)), "diverged"]
    assert found.metrics["diverged"] == 0.0
    assert 0 < found.seconds < 60


def test_an_evaluation_depends_on_its_generator_alone() -> None:
    judge = evaluator()
    first, again, other = (judge.evaluate((2, 2), rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.score, first.metrics) == (again.score, again.metrics)
    assert first.metrics != other.metrics


def test_a_fidelity_is_the_beginning_of_the_whole_training() -> None:
    whole = evaluator().evaluate((2, 1), rng=np.random.default_rng(3))
    assert len(set(accuracies_of(whole.metrics))) > 1
    for epochs in (1, 2, 4):
        found = evaluator().evaluate((2, 1), fidelity=epochs, rng=np.random.default_rng(3))
        assert found.score == whole.metrics[f"accuracy/epoch{epochs}"]
        assert accuracies_of(found.metrics) == accuracies_of(whole.metrics)[:epochs]


@pytest.mark.parametrize("fidelity", ["x", "2", 1.5, 0, 5, -1])
@pytest.mark.parametrize("many", [False, True])
def test_other_fidelities_are_refused(fidelity: Any, many: bool) -> None:
    judge, rng = evaluator(), np.random.default_rng(0)
    evaluate: Any = judge.evaluate_many if many else judge.evaluate
    with pytest.raises(InvalidValue, match=r"Allowed: 1 to (4 epochs|the recipe's 4)"):
        evaluate([(0, 0)] if many else (0, 0), fidelity=fidelity, rng=rng)


def test_many_at_once_are_trained_as_each_alone_on_the_same_batches() -> None:
    found = evaluator().evaluate_many(ARCHITECTURES, rng=np.random.default_rng(7))
    rng = np.random.default_rng(7)
    networks = [compile_network(SPACE, a, generator=generator_of(rng)) for a in ARCHITECTURES]
    seed = int(rng.integers(2**63))
    curves = []
    for network, evaluation in zip(networks, found, strict=True):
        _, _, right = train_by_hand(network, TRAIN, RECIPE, torch.Generator().manual_seed(seed), VALIDATION)
        curves.append([100 * count / 48 for count in right])
        assert accuracies_of(evaluation.metrics) == pytest.approx(curves[-1], abs=100 / 48 + 1e-9)
        assert evaluation.score == evaluation.metrics["accuracy/epoch4"]
    for one, other in itertools.combinations(np.array(curves), 2):
        assert np.abs(one - other).max() > 2.5 * 100 / 48  # nobody could be taken for another
    assert len({evaluation.seconds for evaluation in found}) == 1
    assert found[0].seconds > 0


def test_many_at_a_fidelity() -> None:
    whole = evaluator().evaluate_many(ARCHITECTURES, rng=np.random.default_rng(5))
    short = evaluator().evaluate_many(ARCHITECTURES, fidelity=2, rng=np.random.default_rng(5))
    assert [e.score for e in short] == [e.metrics["accuracy/epoch2"] for e in whole]
    assert len({e.score for e in short}) > 1


def test_none_at_once() -> None:
    assert evaluator().evaluate_many([], rng=np.random.default_rng(5)) == []


def test_a_space_without_stacked_form_is_trained_one_by_one() -> None:
    graph = graph_of(
        ("x", "a", ops.Linear()), ("x", "b", ops.Linear()), ("a", "both", ops.ReLU()), ("b", "both", ops.ReLU()),
        ("both", "y", ops.Linear()),
        x={"shape": (4,)}, a={"width": 3}, b={"width": 2}, both={"combine": "concat"}, y={"width": 3},
    )  # fmt: skip
    judge = evaluator(space=SearchSpace(graph, name="concat"))
    assert judge.evaluate((), rng=np.random.default_rng(0)).score > 0
    with pytest.raises(InvalidSpace, match="node 'both' concatenates: train its networks one by one"):
        judge.evaluate_many([(), ()], rng=np.random.default_rng(0))


def test_what_is_no_architecture_is_refused() -> None:
    with pytest.raises(InvalidArchitecture):
        evaluator().evaluate((0, 3), rng=np.random.default_rng(0))


@pytest.mark.parametrize("learning_rate", [1e6, 1e30])
def test_a_training_that_diverges_is_a_score(learning_rate: float) -> None:
    judge = evaluator(dataclasses.replace(RECIPE, learning_rate=learning_rate))
    alone = judge.evaluate((2, 2), rng=np.random.default_rng(1))
    together = judge.evaluate_many([(2, 2), (1, 2)], rng=np.random.default_rng(1))
    for found in (alone, *together):
        assert found.score == 0.0
        assert found.metrics["diverged"] == 1.0
        assert found.seconds > 0


def test_cells_at_a_wild_learning_rate_are_at_chance_at_best() -> None:
    space = pocket_cell(num_classes=3, input_shape=(1, 4, 4), channels=2)
    train, held = drawn_rows(64, (1, 4, 4), seed=1), drawn_rows(300, (1, 4, 4), seed=2)
    recipe = dataclasses.replace(RECIPE, learning_rate=1e6, epochs=2)
    judge = TrainingEvaluator(space, train, held, recipe)
    most = 100 * max(np.bincount(held.y)) / 300
    for found in judge.evaluate_many([(3, 2, 4, 1, 3, 2), (0, 0, 0, 0, 0, 0)], rng=np.random.default_rng(1)):
        assert 0 <= found.score <= most + 15
        assert found.metrics["diverged"] in (0.0, 1.0)
        assert all(math.isfinite(value) for value in found.metrics.values())


def test_a_trained_network_is_the_one_that_was_scored() -> None:
    trained = evaluator().train((2, 1), np.random.default_rng(3))
    x, y = tensors(VALIDATION, torch.float32)
    with torch.inference_mode():
        right = int((trained.network.eval()(x).argmax(1) == y).sum())
    assert trained.curve.scored["validation"].tolist()[-1] == [right]
    assert 100 * right / 48 == evaluator().evaluate((2, 1), rng=np.random.default_rng(3)).score
    assert trained.curve.losses.shape == (4, 1)
    short = evaluator().train((2, 1), np.random.default_rng(3), epochs=2)
    np.testing.assert_array_equal(short.curve.losses, trained.curve.losses[:2])


def test_its_seconds_are_measured() -> None:
    assert TrainingEvaluator.clock == "measured"
