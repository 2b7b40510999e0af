"""Evaluators on PyTorch's meta device, where waiting for a number in a step is an error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from naslab.compiler import devices
from naslab.datasets import Rows
from naslab.errors import InvalidValue
from naslab.evaluators.batches import Batches
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.predictors import catalogue
from naslab.evaluators.predictors.bonas import normed_where, weighted_norm
from naslab.evaluators.predictors.neural import NeuralPredictor, Validation
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import TrainingObjective
from naslab.evaluators.zero_cost import gen_nas
from naslab.evaluators.zero_cost.catalogue import PROXIES
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.evaluators.zero_cost.training import Short
from naslab.search_spaces.mlp import mlp
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

IMAGES, FLAT = pocket_cell(), mlp(4, 3, depth=2, widths=(2, 4))
CELL, OTHER = (3, 2, 4, 1, 3, 2), (1, 2, 3, 0, 3, 1)
NEURAL = [
    name
    for name in catalogue.PREDICTORS
    if issubclass(catalogue.predictor_spec(name).factory, NeuralPredictor) and name != "tnasp"
]


def rows(space=IMAGES, count=16) -> Rows:
    (shape, classes), rng = space.ends, np.random.default_rng(0)
    return Rows(rng.standard_normal((count, *shape), np.float32), rng.integers(classes, size=count))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("options", "objective", "batch"),
    [
        ({}, TrainingObjective(), 2),
        ({"optimizer": "sgd", "augmentation": "shift"}, TrainingObjective(), 4),
        ({}, TrainingObjective(class_weights=(1.0,) * 10), 4),
        ({}, TrainingObjective(metric="log-loss"), 4),
    ],
    ids=["adamw", "sgd, shifted", "weighted", "log-loss"],
)
def test_a_training_waits_once_an_epoch(reads, options, objective, batch):
    recipe = Recipe(2, batch, 0.01, **options)
    evaluator = TrainingEvaluator(IMAGES, rows(count=8), rows(count=8), recipe, objective, device="meta")
    network = evaluator.train(CELL, rng()).network
    assert {each.device.type for each in network.parameters()} == {"meta"}
    each_epoch = len(reads) / recipe.epochs
    assert each_epoch <= 4  # losses, rows that were right, scores, and the labels where these are no counts
    reads.clear()
    assert len(evaluator.evaluate_many([CELL, OTHER], rng=rng())) == 2
    assert len(reads) / recipe.epochs == each_epoch


def test_rows_go_to_the_device_once(reads):
    evaluator = TrainingEvaluator(FLAT, rows(FLAT), rows(FLAT), Recipe(1, 8, 0.01), device="meta")
    evaluator.evaluate((0, 1), rng=rng())
    first = evaluator._placed
    evaluator.evaluate((1, 1), rng=rng())
    assert evaluator._placed is first
    assert first[0].x.is_meta


@pytest.mark.parametrize("space", [IMAGES, FLAT], ids=lambda space: space.name)
@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy"])
def test_a_step_of_shared_weights_waits_for_its_score_and_loss(reads, space, metric):
    recipe, objective = Recipe(4, 4, 0.01, optimizer="sgd"), TrainingObjective(metric=metric)
    evaluator = OneShot(space, rows(space), rows(space), recipe, objective, device="meta")
    a, b = space.sample(rng()), space.sample(np.random.default_rng(1))
    for architecture in (a, b):
        evaluator.evaluate(architecture, rng=rng())
    assert len(reads) <= 2 * (2 + (metric != "accuracy"))  # labels too, where the score is no count
    reads.clear()
    evaluator.train_uniformly(rng())
    assert not reads
    evaluator.evaluate(a, fidelity="full-validation", rng=rng())
    assert len(reads) <= 2


@pytest.mark.parametrize("name", PROXIES)
def test_the_passes_of_every_proxy(reads, monkeypatch, name):
    monkeypatch.setattr(gen_nas, "ITERATIONS", 2)  # passes without numbers are slow
    short = Short(rows(), rows(), Recipe(1, 8, 0.01), steps=2)
    evaluator = ZeroCost(IMAGES, rows(), [name], batch=4, short=short, device="meta")
    found = evaluator.evaluate(CELL, rng=rng())
    assert name in found.metrics
    assert len(reads) <= 5  # whether it is connected, and what is added up


@pytest.mark.parametrize("name", [*NEURAL, "tnasp[positions=eigenvectors]", "tnasp[positions=none]"])
def test_a_fit_of_every_neural_predictor_waits_for_nothing(reads, name):
    written = name.removesuffix("]") + (",epochs=1]" if "[" in name else "[epochs=1]")
    predictor = catalogue.predictor_spec(written).build(IMAGES, "meta")
    drawn = list(dict.fromkeys(IMAGES.sample(rng) for rng in map(np.random.default_rng, range(8))))
    predictor.fit(drawn, range(len(drawn)), rng=rng())
    assert {each.device.type for each in predictor.model.parameters()} == {"meta"}
    assert len(reads) == 2 * (name == "bonas")  # its embeddings and targets, for a regression on the CPU
    assert len(predictor.predict(drawn).mean) == len(drawn)


def test_self_evolution_waits_once_a_round(reads):
    predictor = catalogue.predictor_spec("tnasp[epochs=1,rounds=3,round_epochs=2]").build(IMAGES, "meta")
    drawn = list(dict.fromkeys(IMAGES.sample(rng) for rng in map(np.random.default_rng, range(12))))
    held = Validation(drawn[8:], range(len(drawn[8:])))
    predictor.fit(drawn[:8], range(8), rng=rng(), validation=held)
    assert len(reads) == 3


@pytest.mark.parametrize("training", [True, False])
def test_a_masked_normalisation_equals_that_of_a_selection(training):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 4, 3, generator=generator).requires_grad_()
    there = torch.rand(5, 4, generator=generator) < 0.7
    found = []
    for function in (normed_where, weighted_norm):
        norm = nn.BatchNorm1d(3).train(training)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.running_mean.copy_(torch.tensor([0.1, 0.2, 0.3]))
        y = function(norm, x, there)
        (gradient,) = torch.autograd.grad((y * torch.linspace(-1, 1, 12).view(4, 3)).sum(), x)
        found.append((y, gradient, norm.running_mean.clone(), norm.running_var.clone(), norm.num_batches_tracked))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_sum_of_what_is_true_is_the_same_everywhere(monkeypatch):
    values, mask = torch.tensor([1.0, torch.nan, 3.0]), torch.tensor([True, False, True])
    assert devices.where_true(values, mask).tolist() == [1.0, 3.0]
    there = devices.where_true(values.to("meta"), mask.to("meta"))
    assert there.shape == (3,)


def test_batches_are_the_same_rows_whatever_the_device(monkeypatch):
    here = Batches(rows(count=10), 4, torch.Generator().manual_seed(1), "crop-flip")
    there = Batches(rows(count=10), 4, torch.Generator().manual_seed(1), "crop-flip", device="meta")
    for _ in range(4):
        (x, y), (far, labels) = here.next(), there.next()
        assert (x.shape, y.shape) == (far.shape, labels.shape)
        assert far.is_meta
        one, other = here.state(), there.state()
        assert [each.tolist() for each in one["waiting"]] == [each.tolist() for each in other["waiting"]]
        assert torch.equal(one["generator"], other["generator"])


@pytest.mark.parametrize("make", [TrainingEvaluator, OneShot], ids=lambda kind: kind.__name__)
def test_a_device_that_is_not_there_is_refused_when_an_evaluator_is_made(make):
    with pytest.raises(InvalidValue, match="is not there: PyTorch sees"):
        make(IMAGES, rows(), rows(), Recipe(1, 4, 0.01), device="cuda:99")
    with pytest.raises(InvalidValue, match="is not there: PyTorch sees"):
        ZeroCost(IMAGES, rows(), device="cuda:99")
