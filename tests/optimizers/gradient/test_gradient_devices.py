"""Gradient searches on PyTorch's meta device, where a step that waits for a number is an error."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import naslab
from naslab import registry
from naslab.datasets import Rows
from naslab.optimizers import GradientSearch, optimizer_spec
from naslab.optimizers.gradient import curvature, derivations
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.tasks import Problem

STRATEGIES = [
    name for name in registry.entries("optimizers") if issubclass(optimizer_spec(name).factory, GradientSearch)
]
WAITING = {"gdas": 2, "proxylessnas": 2}
"""How often a step waits for a path drawn from the logits; all others never do."""
ROWS, BATCH = 8, 4


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few architectures are ranked after an epoch."""
    monkeypatch.setattr(derivations, "BETWEEN", 2)


def on_meta(task: str) -> Problem:
    """The problem of a task with a few rows of its own, on the meta device."""
    space = naslab.task(task).problem.space
    (shape, classes), rng = space.ends, np.random.default_rng(0)
    rows = [Rows(rng.standard_normal((ROWS, *shape), np.float32), rng.integers(classes, size=ROWS)) for _ in range(2)]
    return Problem(space, train=rows[0], validation=rows[1], device="meta")


def built(task: str, name: str, **options: object) -> OneShotSearch:
    given = {"epochs": 2, "batch": BATCH, "warm_up": 0, **options}
    if name == "enas":
        given["controller_steps"] = 2
    written = ",".join(f"{key}={value}" for key, value in given.items())
    return optimizer_spec(f"{name}[{written}]").build(on_meta(task), np.random.default_rng(0))


@pytest.mark.parametrize("task", ["pocket-cell/mnist", "pocket-mlp/segments"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_an_epoch_of_every_strategy_waits_only_for_what_it_draws(reads, task, name):
    search = built(task, name)
    search.steps = steps = 2 if task.startswith("pocket-mlp") else 1  # passes without numbers are slow on images
    counted: list[int] = []
    checked = search._checked

    def at_the_end(*given):
        counted.append(len(reads))
        return checked(*given)

    search._checked = at_the_end
    assert {each.device.type for each in (*search.model.weights, *search.model.architecture)} == {"meta"}
    step = search.step()
    assert counted == [steps * WAITING.get(name, 0)]
    assert search.space.is_valid(step.architecture)
    # What is judged is waited for once: an architecture that is ranked, the draws of a step of ENAS' controller.
    assert len(reads) - counted[0] <= 10


@pytest.mark.parametrize(
    "options",
    [
        {"update": "second-order-exact"},
        {"update": "second-order", "unroll": "taken"},
        {"update": "reinforce", "weights": "sampled"},
        {"update": "relax"},
        {"relaxation": "two-path", "weights": "two-path"},
        {"relaxation": "all-paths", "weights": "all-paths"},
        {"augmentation": "crop-flip"},
        {"drop_path": 0.2, "penalty": 0.5, "partial": 2, "edges": True, "affine": True},
        {"statistics": "recalibrated"},
    ],
    ids=str,
)
def test_every_part_runs_there(reads, options):
    search = built("pocket-cell/mnist", "darts", **options)
    search.steps = 1
    assert search.step() is not None


def test_the_curvature_is_differentiated_there(reads, monkeypatch):
    monkeypatch.setattr(curvature, "eigsh", lambda operator, v0, **_: operator.matvec(v0)[:1])
    search = built("pocket-cell/mnist", "robust-darts")
    assert np.isfinite(search.stopping._measured(search))
    assert reads == [(sum(search.space.sizes),)]


@pytest.mark.parametrize("name", ["darts", "gdas", "enas"])
def test_a_state_goes_back_to_where_it_came_from(reads, name):
    search = built("pocket-mlp/segments", name)
    search.step()
    again = built("pocket-mlp/segments", name)
    again.restore(search.state())
    assert again.step() is not None
    assert {each.device.type for each in again.model.weights} == {"meta"}


def test_the_first_number_that_is_not_finite_is_named_after_the_epoch():
    """A logit that breaks in the second step is named, although the loss breaks after it."""
    search = optimizer_spec("darts[epochs=2,batch=4]").build(
        dataclasses.replace(on_meta("pocket-mlp/segments"), device="cpu"), np.random.default_rng(0)
    )
    update, steps = search.update.update, []

    def breaking(*given):
        steps.append(1)
        if len(steps) == 2:
            with torch.no_grad():
                search.model.logits[0][0] = torch.nan
        return update(*given)

    search.update.update = breaking
    with pytest.raises(naslab.errors.TrainingFailed, match="the training loss is nan in epoch 1"):
        search.step()
    assert len(steps) == ROWS // BATCH
