"""Gradient searches on PyTorch's meta device, where a step that waits for a number is an error; and in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gradient_toys import image_space

import naslab
from naslab import registry
from naslab.datasets import Rows
from naslab.optimizers import GradientSearch, optimizer_spec
from naslab.optimizers.gradient import curvature, derivations
from naslab.optimizers.gradient.sampled_updates import UPDATES
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.search_spaces.mlp import mlp
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.tasks import Problem

STRATEGIES = [
    name for name in registry.entries("optimizers") if issubclass(optimizer_spec(name).factory, GradientSearch)
]
WAITING = {"gdas": 2, "proxylessnas": 2}
"""How often a step waits for a path drawn from the logits; all others never do."""
ROWS, BATCH = 8, 4
SPACES = {"images": image_space(), "cell": pocket_cell(), "perceptron": mlp(6, 3, depth=2, widths=(2, 4, 8))}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few architectures are ranked after an epoch."""
    monkeypatch.setattr(derivations, "BETWEEN", 2)


def built(space: str, name: str, device: str = "meta", precision: str = "float32", **options: object) -> OneShotSearch:
    """A search with a few rows of its own."""
    given = {"epochs": 2, "batch": BATCH, "warm_up": 0, **options}
    if name == "enas":
        given["controller_steps"] = 2
    written = ",".join(f"{key}={value}" for key, value in given.items())
    (shape, classes), rng = SPACES[space].ends, np.random.default_rng(0)
    rows = [Rows(rng.standard_normal((ROWS, *shape), np.float32), rng.integers(classes, size=ROWS)) for _ in range(2)]
    problem = Problem(SPACES[space], train=rows[0], validation=rows[1], device=device, precision=precision)
    return optimizer_spec(f"{name}[{written}]").build(problem, np.random.default_rng(0))


@pytest.mark.parametrize("space", ["images", "perceptron"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_an_epoch_of_every_strategy_waits_only_for_what_it_draws(reads, space, name):
    search = built(space, name)
    search.steps = steps = 2 if space == "perceptron" else 1  # passes without numbers are slow on images
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
        {"update": "second-order", "unroll": "taken"},
        {"relaxation": "two-path", "weights": "two-path"},
        {"relaxation": "all-paths", "weights": "all-paths"},
        {"augmentation": "crop-flip"},
        {"drop_path": 0.2, "penalty": 0.5, "partial": 2, "edges": True, "affine": True},
        {"statistics": "recalibrated"},
    ],
    ids=str,
)
def test_every_part_runs_there(reads, options):
    search = built("images", "darts", **options)
    search.steps = 1
    assert search.step() is not None


@pytest.mark.parametrize(
    "options", [{"update": update} for update in UPDATES if update != "none"] + [{"weights": "sampled"}], ids=str
)
def test_every_update_runs_there_through_all_of_the_pocket_cell(reads, options):
    search = built("cell", "darts", **options)
    search.steps = 1
    assert search.step() is not None


def test_the_curvature_is_differentiated_there(reads, monkeypatch):
    monkeypatch.setattr(curvature, "eigsh", lambda operator, v0, **_: operator.matvec(v0)[:1])
    search = built("images", "robust-darts")
    assert np.isfinite(search.stopping._measured(search))
    assert reads == [(sum(search.space.sizes),)]


@pytest.mark.parametrize("name", ["darts", "gdas", "enas"])
def test_a_state_goes_back_to_where_it_came_from(reads, name):
    search = built("perceptron", name)
    search.step()
    again = built("perceptron", name)
    again.restore(search.state())
    assert again.step() is not None
    assert {each.device.type for each in again.model.weights} == {"meta"}


def test_the_first_number_that_is_not_finite_is_named_after_the_epoch():
    """A logit that breaks in the second step is named, although the loss breaks after it."""
    search = built("perceptron", "darts", device="cpu")
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


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_step_of_every_strategy_in_bfloat16(name):
    """Losses are rounded, and near those of float32; what is kept and what is scored is float32."""
    exact, rounded = (built("images", name, "cpu", precision) for precision in ("float32", "bfloat16"))
    losses = []
    for search in (exact, rounded):
        search.steps = 1
        losses.append(search.step().metrics["train_loss"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    kept = [*rounded.model.weights, *rounded.model.architecture]
    states = [each for state in rounded.weight_optimizer.state.values() for each in state.values() if each is not None]
    assert {each.dtype for each in (*kept, *states)} == {torch.float32}


@pytest.mark.parametrize("update", ["first-order", "second-order", "second-order-exact"])
def test_every_update_in_bfloat16_is_near_that_in_float32(update):
    """Through the whole pocket cell, in which convolutions of one input are made together."""
    found = []
    for precision in ("float32", "bfloat16"):
        search = built("cell", "darts", "cpu", precision, update=update)
        search.steps = 1
        search.step()
        found.append(torch.cat([p.grad for p in search.model.architecture]))
    assert not torch.equal(*found)
    assert torch.cosine_similarity(*found, dim=0) > 0.9


def test_differences_of_gradients_are_those_of_float32(monkeypatch):
    """The passes at both ends of DARTS' second-order step, between which the rounding of bfloat16 would be noise."""
    search = built("images", "darts-v2", "cpu", "bfloat16")
    seen: list[bool] = []
    search.model.supernet.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    search.update.update(search.learner(), search.train_batches.next(), search.held_batches.next())
    assert seen == [True, True, False, False]
    assert search.model.precision == "bfloat16"
