"""Objectives: metrics as scikit-learn computes them, losses by hand, and the evaluators under them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import drawn_rows, seeded
from sklearn import metrics
from torch.nn import functional

import naslab
from naslab.compiler.network import compile_network
from naslab.compiler.population import stack_networks
from naslab.datasets import Rows
from naslab.errors import InvalidValue, UnknownMetric
from naslab.evaluators.fitting import fit, losses_of
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import ACCURACY, METRICS, TrainingObjective
from naslab.space import Recipe

RNG = np.random.default_rng(0)
LOGITS, LABELS = 2 * RNG.standard_normal((200, 3)).astype(np.float32), RNG.integers(3, size=200)
NUMBERS = RNG.standard_normal(200).astype(np.float32)
PREDICTED = (NUMBERS + 0.5 * RNG.standard_normal(200)).astype(np.float32)[:, None]
SPACE = naslab.search_space("mlp", in_features=4, out_features=3, depth=2, widths=(2, 5, 16))
LINE = naslab.search_space("mlp", in_features=4, out_features=1, depth=2, widths=(2, 5, 16))
RECIPE = Recipe(epochs=4, batch=16, learning_rate=0.05)
SQUARES = TrainingObjective("regression", "r2")


def sloped(count: int, seed: int) -> Rows:
    """A number that depends on the features in a straight line, nearly."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 4)).astype(np.float32)
    return Rows(x, (x @ np.array([0.5, -0.5, 0.5, 0.0]) + 0.1 * rng.standard_normal(count)).astype(np.float32))


def softmax(logits: Any) -> Any:
    return torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()


def test_metrics_of_a_classification():
    predicted = LOGITS.argmax(1)
    expected = {
        "accuracy": 100 * metrics.accuracy_score(LABELS, predicted),
        "balanced-accuracy": 100 * metrics.balanced_accuracy_score(LABELS, predicted),
        "log-loss": -metrics.log_loss(LABELS, softmax(LOGITS)),
    }
    for metric, value in expected.items():
        assert TrainingObjective(metric=metric).score(LOGITS, LABELS) == pytest.approx(value)


def test_area_under_the_curve_counts_ties_as_one_half():
    y, logits = LABELS % 2, np.round(LOGITS[:, :2])
    expected = metrics.roc_auc_score(y, logits[:, 1] - logits[:, 0])
    assert len(np.unique(logits[:, 1] - logits[:, 0])) < 30
    assert TrainingObjective(metric="roc-auc").score(logits, y) == pytest.approx(100 * expected)
    assert math.isnan(TrainingObjective(metric="roc-auc").score(logits, np.ones_like(y)))


def test_metrics_of_a_regression_are_in_the_targets_own_unit():
    y, predicted = 7.0 * NUMBERS + 3, 7.0 * PREDICTED[:, 0] + 3
    expected = {
        "r2": 100 * metrics.r2_score(y, predicted),
        "rmse": -metrics.root_mean_squared_error(y, predicted),
        "mae": -metrics.mean_absolute_error(y, predicted),
    }
    for metric, value in expected.items():
        objective = TrainingObjective("regression", metric, scale=7.0)
        assert objective.score(PREDICTED, NUMBERS) == pytest.approx(value, rel=1e-5)
        assert objective.sign == (1 if metric == "r2" else -1)
        assert objective.unit == ("%" if metric == "r2" else "")
    assert math.isnan(SQUARES.score(PREDICTED, np.ones(200)))


def test_log_probabilities_are_logits():
    log_loss = TrainingObjective(metric="log-loss")
    assert log_loss.score(np.log(softmax(LOGITS)), LABELS) == pytest.approx(log_loss.score(LOGITS, LABELS))


def test_what_is_not_finite_is_wrong_or_not_scored():
    logits = LOGITS.copy()
    logits[0], logits[1, 2], logits[2, 0] = math.nan, math.inf, -math.inf
    right = int((LOGITS[3:].argmax(1) == LABELS[3:]).sum()) + int(LOGITS[2, 1:].argmax() + 1 == LABELS[2])
    assert ACCURACY.score(logits, LABELS) == pytest.approx(100 * right / 200)
    for metric in METRICS["classification"][1:]:
        assert math.isnan(TrainingObjective(metric=metric).score(logits, LABELS))
    assert math.isnan(SQUARES.score(PREDICTED * math.nan, NUMBERS))


def test_losses_of_members():
    outputs, y = torch.from_numpy(LOGITS).view(100, 2, 3), torch.from_numpy(LABELS[:100])
    weights = (0.5, 1.0, 3.0)
    weighted = losses_of(TrainingObjective(class_weights=weights))(outputs, y)
    for member in range(2):
        each = functional.cross_entropy(outputs[:, member], y, reduction="none")
        assert weighted[member].item() == pytest.approx((each * torch.tensor(weights)[y]).mean().item())
        assert losses_of(ACCURACY)(outputs, y)[member].item() == pytest.approx(each.mean().item())
    numbers = torch.from_numpy(NUMBERS[:100])
    squared = losses_of(SQUARES)(outputs[..., :1], numbers)
    expected = [functional.mse_loss(outputs[:, member, 0], numbers).item() for member in range(2)]
    assert squared.tolist() == pytest.approx(expected)


def test_a_population_learns_a_regression_as_each_alone():
    architectures = [(1, 1), (2, 1)]
    train, held = sloped(64, 1), sloped(48, 2)

    def nets() -> list[Any]:
        return [compile_network(LINE, a, generator=seeded(i)).double() for i, a in enumerate(architectures)]

    together = fit(stack_networks(LINE, architectures, nets()), train, RECIPE, seeded(5), {"held": held}, None, SQUARES)
    alone = [fit(net, train, RECIPE, seeded(5), {"held": held}, None, SQUARES) for net in nets()]
    np.testing.assert_allclose(together.losses, np.hstack([one.losses for one in alone]), rtol=1e-9)
    np.testing.assert_allclose(together.scored["held"], np.hstack([a.scored["held"] for a in alone]), rtol=1e-6)
    assert (together.train == 0).all()
    assert together.train.dtype == np.int64
    assert (together.losses[-1] < 0.8 * together.losses[0]).all()


def test_weights_change_what_is_learnt():
    train, held = drawn_rows(300, seed=1), drawn_rows(300, seed=2)
    rare = np.flatnonzero((train.y != 2) | (np.arange(300) % 8 == 0))
    train = Rows(train.x[rare], train.y[rare])
    recipe = dataclasses.replace(RECIPE, epochs=20)

    def found_of_rare(objective: TrainingObjective) -> int:
        judge = TrainingEvaluator(SPACE, train, held, recipe, objective)
        network = judge.train((2, 2), np.random.default_rng(0)).network.eval()
        with torch.inference_mode():
            return int((network(torch.from_numpy(held.x)).argmax(1).numpy() == 2).sum())

    assert found_of_rare(TrainingObjective(class_weights=(1.0, 1.0, 20.0))) > found_of_rare(ACCURACY) + 20


@pytest.mark.parametrize(
    ("objective", "space"),
    [(TrainingObjective(metric="balanced-accuracy"), SPACE), (TrainingObjective(metric="log-loss"), SPACE),
     (SQUARES, LINE), (TrainingObjective("regression", "mae", scale=3.0), LINE)],
)  # fmt: skip
def test_training_is_scored_by_the_objective(objective, space):
    rows = sloped if space is LINE else lambda count, seed: drawn_rows(count, seed=seed)
    train, held = rows(64, 1), rows(48, 2)
    judge = TrainingEvaluator(space, train, held, RECIPE, objective)
    found = judge.evaluate((1, 2), rng=np.random.default_rng(3))
    network = judge.train((1, 2), np.random.default_rng(3)).network.eval()
    with torch.inference_mode():
        outputs = network(torch.from_numpy(held.x)).numpy()
    assert found.score == pytest.approx(objective.score(outputs, held.y), rel=1e-5)
    assert list(found.metrics) == [*(f"{objective.metric}/epoch{i}" for i in range(1, 5)), "diverged"]


@pytest.mark.parametrize("objective", [ACCURACY, TrainingObjective(metric="log-loss")])
def test_the_best_epoch(objective):
    """Training that overfits is worth its best epoch, and the network is the one of that epoch."""
    train, held = drawn_rows(32, seed=1), drawn_rows(200, seed=2)
    recipe = Recipe(epochs=40, batch=8, learning_rate=0.05, optimizer="adamw")
    last, best = (TrainingEvaluator(SPACE, train, held, recipe, objective, best_epoch=which) for which in (False, True))
    curve = [v for k, v in last.evaluate((2, 2), rng=np.random.default_rng(0)).metrics.items() if "/epoch" in k]
    assert max(curve) > curve[-1] + 0.01
    assert best.evaluate((2, 2), rng=np.random.default_rng(0)).score == max(curve)
    network = best.train((2, 2), np.random.default_rng(0)).network.eval()
    stopped = TrainingEvaluator(SPACE, train, held, recipe, objective)
    same = stopped.train((2, 2), np.random.default_rng(0), epochs=1 + int(np.argmax(curve))).network
    for ours, theirs in zip(network.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_training_that_diverges_keeps_what_is_left():
    recipe = dataclasses.replace(RECIPE, learning_rate=1e20)
    judge = TrainingEvaluator(LINE, sloped(64, 1), sloped(48, 2), recipe, SQUARES, best_epoch=True)
    assert math.isnan(judge.evaluate((2, 2), rng=np.random.default_rng(0)).score)
    assert not all(p.isfinite().all() for p in judge.train((2, 2), np.random.default_rng(0)).network.parameters())


@pytest.mark.parametrize("metric", METRICS["regression"])
def test_shared_weights_learn_a_regression(metric):
    objective = TrainingObjective("regression", metric, scale=2.0)
    recipe = dataclasses.replace(RECIPE, epochs=100)
    judge, rng = OneShot(LINE, sloped(64, 1), sloped(200, 2), recipe, objective), np.random.default_rng(0)
    first = judge.evaluate((2, 2), rng=rng)
    for _ in range(judge.steps - 1):
        last = judge.evaluate(LINE.sample(rng), rng=rng)
    assert last.metrics["loss"] < 0.3 * first.metrics["loss"]
    full = judge.evaluate((2, 2), fidelity="full-validation", rng=rng).score
    with torch.inference_mode():
        outputs = judge.supernet.extract((2, 2)).eval()(torch.from_numpy(sloped(200, 2).x)).numpy()
    assert full == pytest.approx(objective.score(outputs, sloped(200, 2).y), rel=1e-5)
    assert full > first.score


FLOW = TrainingObjective("dense", "end-point-error", scale=0.5)


@pytest.mark.parametrize("positions", [(5,), (4, 6)])
def test_the_end_point_error_is_the_mean_distance_over_all_positions(positions):
    """Loss and metric of one network and of two, targets of two numbers at each position of sequences and images."""
    rng = np.random.default_rng(0)
    y, one, two = (rng.standard_normal((3, 2, *positions)).astype(np.float32) for _ in range(3))
    each = [
        np.mean([math.hypot(*pair) for pair in np.moveaxis(given - y, 1, -1).reshape(-1, 2)]) for given in (one, two)
    ]
    assert FLOW.score(one, y) == pytest.approx(-0.5 * each[0], rel=1e-6)
    outputs = torch.from_numpy(np.stack([one, two], 1)).requires_grad_()
    losses = losses_of(FLOW)(outputs, torch.from_numpy(y))
    assert losses.tolist() == pytest.approx(each, rel=1e-6)
    losses.sum().backward()
    assert outputs.grad.isfinite().all()
    assert math.isnan(FLOW.score(np.full_like(y, np.nan), y))


def test_dense_targets_of_another_shape_are_refused():
    y = np.zeros((3, 1, 4, 4), np.float32)
    for shape in ((3, 2, 4, 4), (3, 1, 4, 1), (3, 4, 4)):
        with pytest.raises(InvalidValue, match=r"outputs of shape .*, targets of shape \(3, 1, 4, 4\)"):
            FLOW.score(np.zeros(shape, np.float32), y)
    with pytest.raises(InvalidValue, match="targets of shape"):
        losses_of(FLOW)(torch.zeros(3, 1, 2, 4, 4), torch.from_numpy(y))
    images = Rows(np.zeros((16, 2, 4, 4), np.float32), np.zeros((16, 1, 4, 4), np.float32))
    recipe = dataclasses.replace(RECIPE, augmentation="shift")
    with pytest.raises(InvalidValue, match="but not their targets"):
        fit(torch.nn.Conv2d(2, 1, 1), images, recipe, seeded(0), objective=FLOW)


def test_a_training_lowers_the_end_point_error_of_dense_targets():
    """A 1x1 convolution to the mean of two channels, which it can represent; scored after every epoch."""
    x = np.random.default_rng(0).standard_normal((64, 2, 4, 4)).astype(np.float32)
    rows = Rows(x, x.mean(axis=1, keepdims=True))
    recipe = dataclasses.replace(RECIPE, epochs=12)
    model = torch.nn.Conv2d(2, 1, 1)
    found = fit(model, rows, recipe, seeded(0), {"rows": rows}, objective=FLOW)
    scores = found.scored["rows"][:, 0]
    assert scores[-1] > 0.2 * scores[0]
    with torch.inference_mode():
        assert scores[-1] == pytest.approx(FLOW.score(model(torch.from_numpy(x)).numpy(), rows.y), rel=1e-6)


def test_shared_weights_use_class_weights():
    rows, weights = drawn_rows(64, seed=1), (0.2, 1.0, 5.0)
    judge = OneShot(SPACE, rows, rows, RECIPE, TrainingObjective(metric="log-loss", class_weights=weights))
    judge.evaluate((1, 1), rng=np.random.default_rng(0))
    drawn = judge._state.train_batches._waiting[0]
    x, y = torch.from_numpy(rows.x)[drawn], torch.from_numpy(rows.y)[drawn]
    judge.step = judge.steps  # past the warm-up, so that the architecture is the one asked for
    each = functional.cross_entropy(judge.supernet.extract((2, 1))(x), y, reduction="none")
    found = judge.evaluate((2, 1), rng=np.random.default_rng(0))
    assert found.metrics["loss"] == pytest.approx((each * torch.tensor(weights)[y]).mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"metric": "acuracy"}, UnknownMetric, "'acuracy' of 'classification'. Did you mean 'accuracy'?"),
        ({"kind": "regression", "metric": "accuracy"}, UnknownMetric, "Known: mae, r2, rmse"),
        ({"kind": "ranking"}, InvalidValue, "Allowed: classification, regression, dense"),
        ({"class_weights": (1.0, 0.0)}, InvalidValue, "must be above 0"),
        ({"kind": "regression", "metric": "r2", "class_weights": (1.0,)}, InvalidValue, "it has no classes"),
    ],
)
def test_bad_objectives(arguments, error, said):
    with pytest.raises(error) as raised:
        TrainingObjective(**arguments)
    assert said in str(raised.value)
