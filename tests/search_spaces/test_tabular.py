"""Auto-PyTorch Tabular: its decisions, shapes and networks, the published bugs, its configurations, a search."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compiled import assert_costs_are_those_of_modules, close, seeded
from torch import nn

import naslab
from naslab import Range, SearchSpace, compile_network
from naslab.compiler import compile_supernet
from naslab.datasets.catalogue import load_dataset
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.evaluators.training import TrainingEvaluator
from naslab.search_spaces.tabular import funnel, tabular
from naslab.space import Adam, Architecture, Cosine
from naslab.testing import check_search_space

CATEGORIES = (3, 2, 7)
SPACES: dict[str, dict[str, Any]] = {
    "numbers": {"features": 18, "classes": 7},
    "categories": {"features": 20, "classes": 2, "categories": CATEGORIES},
    "published": {"features": 20, "classes": 3, "categories": CATEGORIES, "networks": "published"},
}
OF_MLP = "network=shapedmlpnet;shapedmlpnet:num_layers={layers};shapedmlpnet:max_units={units}"
OF_RES = (
    "network=shapedresnet;shapedresnet:num_groups={groups};shapedresnet:blocks_per_group={blocks};"
    "shapedresnet:max_units={units};shapedresnet:use_shake_shake={shake}"
)
TRAINED = "batch_size=32;optimizer=adam;adam:learning_rate=0.01;adam:weight_decay=0.001"


def of(space: SearchSpace, *parts: str) -> Architecture:
    """An architecture: what is stated, else nothing where there may be nothing."""
    stated = ";".join((*parts, TRAINED))
    rest = {"preprocessor": "none", "embedding": "none", "batch_loss_computation_technique": "standard"}
    if "truncated_svd" in stated or all(each.name != "embedding" for each in space.choices):
        del rest["embedding"]
    stated = ";".join([stated, *(f"{name}={option}" for name, option in rest.items() if f"{name}=" not in stated)])
    network = "shapedmlpnet" if "network=shapedmlpnet" in stated else "shapedresnet"
    if "use_dropout=" not in stated and "num_layers=1;" not in stated:
        stated += f";{network}:use_dropout=False"
    if network == "shapedresnet" and "use_shake_drop=" not in stated:
        stated += ";shapedresnet:use_shake_drop=False"
    return space.from_string(stated)


def mlp(layers: int, units: int) -> str:
    return OF_MLP.format(layers=layers, units=units)


def resnet(groups: int, blocks: int, units: int, *, shake: bool = False) -> str:
    return OF_RES.format(groups=groups, blocks=blocks, units=units, shake=shake)


def test_the_decisions_are_those_of_the_paper() -> None:
    """The 23 rows of its table, and the perceptron's use of dropout, which its code decides as well."""
    space = tabular()
    assert len(space.decisions_in_order) == 24
    assert space.size == math.inf
    bounds = {each.name: (each.low, each.high, each.log, each.integer) for each in space.ranges}
    rate, decay = (1e-4, 1e-1, True, False), (1e-5, 1e-1, False, False)
    assert bounds == {
        "truncated_svd:target_dim": (10, 256, False, True),
        "shapedmlpnet:max_units": (64, 1024, True, True),
        "shapedmlpnet:max_dropout": (0, 1, False, False),
        "shapedresnet:max_units": (32, 512, True, True),
        "shapedresnet:max_dropout": (0, 1, False, False),
        "shapedresnet:max_shake_drop_probability": (0, 1, False, False),
        "batch_size": (16, 512, True, True),
        "sgd:learning_rate": rate,
        "adam:learning_rate": rate,
        "sgd:weight_decay": decay,
        "adam:weight_decay": decay,
        "sgd:momentum": (0.1, 0.999, False, False),
        "mixup:alpha": (0, 1, False, False),
    }
    assert {each.name: len(each.options) for each in space.choices} == {
        "preprocessor": 2,
        "network": 2,
        "shapedmlpnet:num_layers": 6,
        "shapedmlpnet:use_dropout": 2,
        "shapedresnet:num_groups": 5,
        "shapedresnet:blocks_per_group": 3,
        "shapedresnet:use_dropout": 2,
        "shapedresnet:use_shake_shake": 2,
        "shapedresnet:use_shake_drop": 2,
        "optimizer": 2,
        "batch_loss_computation_technique": 2,
    }
    more = {each.name for each in tabular(20, categories=CATEGORIES).decisions_in_order}
    assert more - {each.name for each in space.decisions_in_order} == {
        "embedding",
        "learned:min_unique_values_for_embedding",
        *(f"learned:dimension_reduction_{i}" for i in range(3)),
    }


@pytest.mark.parametrize("name", SPACES)
def test_it_is_a_space_like_others(name: str) -> None:
    space = tabular(**SPACES[name])
    check_search_space(space, samples=15)
    rng = np.random.default_rng(1)
    assert_costs_are_those_of_modules(space, [space.sample(rng) for _ in range(10 if name == "published" else 20)])


@pytest.mark.parametrize(
    ("arguments", "widths"),
    [
        ((5, 2, 100, 4), (100, 68, 36, 2)),
        ((5, 2, 100, 1), (2,)),
        ((5, 2, 100, 2), (100, 2)),
        ((300, 2, 100, 3), (300, 151, 2)),  # never narrower than the row
        ((5, 200, 100, 4), (100, 100, 100, 200)),  # no step up
        ((0, 0, 1000, 4), (1000, 667, 334, 0)),
    ],
)
def test_funnels(arguments: tuple[int, ...], widths: tuple[int, ...]) -> None:
    assert funnel(*arguments) == widths


@pytest.mark.parametrize(
    ("stated", "widths"),
    [
        ((mlp(1, 100),), [5] * 3),  # a linear model
        ((mlp(4, 100),), [100, 68, 36, 36]),
        ((resnet(2, 2, 64),), [64, 44, 44, 24, 24, 24]),
        ((resnet(1, 1, 40),), [40, 21, 21]),
        (("preprocessor=truncated_svd;truncated_svd:target_dim=200", mlp(3, 100)), [100, 51, 51]),
    ],
)
def test_widths_follow_from_the_units(stated: tuple[str, ...], widths: list[int]) -> None:
    space = tabular(5, 2)
    shapes, _ = space.shapes(of(space, *stated))
    nodes = ["stem", *(f"block{i}" for i in range(1, len(widths)))]
    assert [shapes[node] for node in nodes] == [(width,) for width in widths]
    assert shapes["prepared"] == ((4,) if "svd" in stated[0] else (5,))
    assert shapes["block15"] == (widths[-1],)


def test_embeddings_change_the_row_that_the_funnel_begins_at() -> None:
    space = tabular(300, 2, categories=(3, 200, 7))
    learned = "embedding=learned;learned:min_unique_values_for_embedding=5;"
    learned += ";".join(f"learned:dimension_reduction_{i}={share}" for i, share in enumerate((0.1, 0.5, 0.0)))
    shapes, _ = space.shapes(of(space, learned, mlp(2, 64)))
    assert shapes["prepared"] == shapes["stem"] == (300 - 100 - 6,)


def test_a_perceptron_is_linear_layers_relu_and_falling_dropout() -> None:
    space = tabular(5, 2)
    drop = "shapedmlpnet:use_dropout=True;shapedmlpnet:max_dropout={}"
    network = compile_network(space, of(space, mlp(4, 100), drop.format(0.6)), generator=seeded())
    layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in layers] == [(5, 100), (100, 68), (68, 36), (36, 2)]
    x = torch.randn(3, 5, generator=seeded(1))
    h = x
    for layer in layers[:-1]:
        h = layer(h).relu()
    close(network.eval()(x), layers[-1](h))
    rates = [part.rate for part in network.modules() if hasattr(part, "rate")]
    assert rates == pytest.approx([0.6, 0.667 * 0.6, 0.334 * 0.6])
    little = compile_network(space, of(space, mlp(4, 100), drop.format(0.05)))
    assert [part.rate for part in little.modules() if hasattr(part, "rate")] == [0, 0, 0]


def noise(space: SearchSpace, architecture: Architecture) -> tuple[list[float], list[float], set[bool]]:
    """Rates of dropout, probabilities of shake-drop to keep, and whether noise is exchanged."""
    parts = list(compile_network(space, architecture).modules())
    return (
        [part.rate for part in parts if hasattr(part, "rate")],  # type: ignore[misc]
        [part.kept for part in parts if hasattr(part, "kept")],  # type: ignore[misc]
        {part.inverted for part in parts if hasattr(part, "inverted")},  # type: ignore[misc]
    )


def test_the_three_bugs_are_in_the_published_networks_alone() -> None:
    noisy = (
        resnet(2, 2, 64, shake=True),
        "shapedresnet:use_dropout=True;shapedresnet:max_dropout=0.6",
        "shapedresnet:use_shake_drop=True;shapedresnet:max_shake_drop_probability=0.8",
    )
    told, keys = {}, {}
    for networks in ("corrected", "published"):
        space = tabular(5, 2, networks=networks)
        told[networks] = noise(space, of(space, *noisy))
        rates = (noisy[1].replace("0.6", rate) for rate in ("0.1", "0.6"))
        keys[networks] = len({space.canonical(of(space, noisy[0], rate)) for rate in rates})
    assert keys == {"corrected": 2, "published": 1}  # a rate that is never read
    kept = pytest.approx([1 - 0.8 * share for share in (0.25, 0.5, 0.75, 1.0)])
    assert told["corrected"] == (pytest.approx([0.6] * 4 + [0.0] * 4), kept, {False})  # two branches a block
    assert told["published"] == ([1.0] * 8, kept, {True})
    columns = {}
    for networks in ("corrected", "published"):
        space = tabular(12, 2, categories=(2, 4), networks=networks)
        learned = "embedding=learned;learned:min_unique_values_for_embedding=3;"
        learned += "learned:dimension_reduction_0=0.5;learned:dimension_reduction_1=0.5"
        network = compile_network(space, of(space, learned, mlp(1, 64)))
        columns[networks] = next(part.places for part in network.modules() if hasattr(part, "places"))
    assert columns == {"corrected": [(2, 6)], "published": [(1, 5)]}


def test_everything_dropped_leaves_the_last_bias_and_prediction_is_random() -> None:
    """What the bugs do: trained branches are constants, and the same row is predicted in two ways."""
    space = tabular(5, 2, networks="published")
    drop = "shapedresnet:use_dropout=True;shapedresnet:max_dropout=0.1"
    network = compile_network(space, of(space, resnet(1, 1, 40), drop), generator=seeded())
    x = torch.randn(8, 5, generator=seeded(1))
    network(x).sum().backward()
    branch = network.get_submodule("stem->block1").branch
    assert all(not part.weight.grad.any() for part in branch if isinstance(part, nn.Linear))
    assert branch[-1].bias.grad.any()
    shaken = compile_network(space, of(space, resnet(1, 1, 40, shake=True)), generator=seeded()).eval()
    assert not torch.equal(shaken(x), shaken(x))
    correct = compile_network(tabular(5, 2), of(space, resnet(1, 1, 40, shake=True)), generator=seeded()).eval()
    assert torch.equal(correct(x), correct(x))


def test_the_recipe_follows_the_optimizer() -> None:
    space = tabular(5, 2, epochs=13)
    recipe = space.recipe_of(of(space, mlp(2, 64)))
    assert recipe is not None
    assert (recipe.epochs, recipe.batch, recipe.learning_rate, recipe.weight_decay) == (13, 32, 0.01, 0.001)
    assert (recipe.optimizer, recipe.schedule, recipe.mixup) == (Adam(), Cosine(epochs=50, end=1e-8), 0.0)
    assert isinstance(next(each for each in space.ranges if each.name == "sgd:momentum"), Range)
    mixed = space.from_string(space.to_string(of(space, mlp(2, 64))).replace("standard", "mixup;mixup:alpha=0.25"))
    assert space.recipe_of(mixed).mixup == 0.25  # type: ignore[union-attr]
    assert "sgd:momentum" not in space.active(mixed)


def test_what_gives_the_same_network_has_one_key() -> None:
    space = tabular(200, 2)
    one, same, other = (of(space, mlp(3, units)) for units in (64, 150, 250))
    assert space.canonical(one) == space.canonical(same) != space.canonical(other)
    assert len({space.canonical(of(space, resnet(2, 1, units))) for units in (300, 301)}) == 2


def test_a_picture_shows_what_is_there() -> None:
    space = tabular(20, 2)
    noisy = "shapedresnet:use_dropout=True;shapedresnet:max_dropout=0.6"
    svd = "preprocessor=truncated_svd;truncated_svd:target_dim=12"
    axes = space.draw(of(space, svd, resnet(2, 1, 64, shake=True), noisy))
    words = [text.get_text() for text in axes.texts]
    assert words[::2] == ["SVD", "", "shake\nshake\ndrop\n0.6", "shake\nshake\ndrop\n0", ""]
    assert words[1::2] == ["12", "64", "44", "24", "2"]
    heights = [box.get_height() for box in axes.patches]
    assert heights[1] > heights[2] > heights[3] > heights[4]
    assert "20 columns" in axes.get_title(loc="left")
    assert len(space.draw(of(space, mlp(1, 64))).patches) == 1


@pytest.mark.parametrize("choices", ["mixed", "categorical"])
def test_a_supernet_is_refused_in_one_line(choices: Any) -> None:
    with pytest.raises((InvalidSpace, InvalidValue), match=r"Choice\('optimizer'\): a supernet sees networks alone"):
        compile_supernet(tabular(), choices)


PORTFOLIO: list[dict[str, Any]] = [  # the first three members of Auto-PyTorch's greedy portfolio, without what is fixed
    {
        "CreateDataLoader:batch_size": 60,
        "NetworkSelector:network": "shapedmlpnet",
        "NetworkSelector:shapedmlpnet:max_dropout": 0.023271935735825866,
        "NetworkSelector:shapedmlpnet:max_units": 290,
        "NetworkSelector:shapedmlpnet:num_layers": 6,
        "NetworkSelector:shapedmlpnet:use_dropout": True,
        "OptimizerSelector:adam:learning_rate": 0.00020060142055000713,
        "OptimizerSelector:adam:weight_decay": 0.0018320003468984575,
        "OptimizerSelector:optimizer": "adam",
        "PreprocessorSelector:preprocessor": "none",
        "TrainNode:batch_loss_computation_technique": "mixup",
        "TrainNode:mixup:alpha": 0.8448753109694546,
    },
    {
        "CreateDataLoader:batch_size": 240,
        "NetworkSelector:network": "shapedresnet",
        "NetworkSelector:shapedresnet:blocks_per_group": 2,
        "NetworkSelector:shapedresnet:max_dropout": 0.7662454727603789,
        "NetworkSelector:shapedresnet:max_shake_drop_probability": 0.30409463597128383,
        "NetworkSelector:shapedresnet:max_units": 41,
        "NetworkSelector:shapedresnet:num_groups": 4,
        "NetworkSelector:shapedresnet:use_dropout": True,
        "NetworkSelector:shapedresnet:use_shake_drop": True,
        "NetworkSelector:shapedresnet:use_shake_shake": False,
        "OptimizerSelector:adam:learning_rate": 0.011526647986073339,
        "OptimizerSelector:adam:weight_decay": 0.031290291410446765,
        "OptimizerSelector:optimizer": "adam",
        "PreprocessorSelector:preprocessor": "none",
        "TrainNode:batch_loss_computation_technique": "standard",
    },
    {
        "CreateDataLoader:batch_size": 165,
        "NetworkSelector:network": "shapedresnet",
        "NetworkSelector:shapedresnet:blocks_per_group": 3,
        "NetworkSelector:shapedresnet:max_units": 438,
        "NetworkSelector:shapedresnet:num_groups": 1,
        "NetworkSelector:shapedresnet:use_dropout": False,
        "NetworkSelector:shapedresnet:use_shake_drop": False,
        "NetworkSelector:shapedresnet:use_shake_shake": False,
        "OptimizerSelector:optimizer": "sgd",
        "OptimizerSelector:sgd:learning_rate": 0.07331878780908542,
        "OptimizerSelector:sgd:momentum": 0.44665514022476815,
        "OptimizerSelector:sgd:weight_decay": 0.006911333726469374,
        "PreprocessorSelector:preprocessor": "none",
        "TrainNode:batch_loss_computation_technique": "standard",
    },
]
FIXED = {
    "LearningrateSchedulerSelector:cosine_annealing:T_max": 50,
    "LossModuleSelector:loss_module": "cross_entropy_weighted",
}


def test_configurations_come_back() -> None:
    space = tabular(18, 7)
    for member in PORTFOLIO:
        architecture = space.from_configuration(member | FIXED)
        written = space.configuration(architecture)
        assert written.items() >= (member | FIXED).items()
        decisions = {each.name for each in space.decisions_in_order}
        assert not decisions & {key.partition(":")[2] for key in set(written) - set(member)}
        assert space.from_configuration(written) == architecture
        assert architecture == space.from_string(space.to_string(architecture))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"NetworkSelector:shapedmlpnet:activation": "tanh"}, "activation='tanh'. Allowed: 'relu'"),
        ({"NetworkSelector:shapedmlpnet:max_unit": 3}, "Did you mean 'NetworkSelector:shapedmlpnet:max_units'"),
        ({"NetworkSelector:shapedmlpnet:max_units": 3}, "whole numbers 64 to 1024, not '3'"),
        ({"OptimizerSelector:optimizer": "sgd"}, "lacks range 'sgd:learning_rate'"),
    ],
)
def test_what_is_no_configuration_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        tabular().from_configuration(PORTFOLIO[0] | change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 1}, "features=1. Allowed: whole numbers of at least 2"),
        ({"classes": 0}, "classes=0. Allowed: whole numbers of at least 1"),
        ({"features": 5, "categories": (3, 4)}, "features=5: the one-hot columns .* alone are 7"),
        ({"categories": (3, 0)}, "a category=0"),
        ({"networks": "fixed"}, "networks='fixed'. Allowed: corrected, published"),
        ({"epochs": 0}, "epochs=0. Allowed: whole numbers of at least 1"),
    ],
)
def test_what_is_no_space_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        tabular(**arguments)


def test_a_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    """With all that draws or is fitted: decomposition, dropout, shaking, mixup."""
    rows, space = load_dataset("segments"), tabular(18, 7, epochs=3)
    assert space.recipe is not None
    noisy = "shapedresnet:use_dropout=True;shapedresnet:max_dropout=0.4"
    shaken = "shapedresnet:use_shake_drop=True;shapedresnet:max_shake_drop_probability=0.5"
    mixed = "batch_loss_computation_technique=mixup;mixup:alpha=0.3"
    svd = "preprocessor=truncated_svd;truncated_svd:target_dim=12"
    architecture = of(space, svd, resnet(2, 1, 40, shake=True), noisy, shaken, mixed)
    evaluator = TrainingEvaluator(space, rows.train, rows.validation, space.recipe)
    whole = evaluator.evaluate(architecture, rng=np.random.default_rng(0))
    path = tmp_path / "trial"
    for since, epochs in ((None, 1), (1, 3)):
        told = evaluator.proceed(
            architecture, fidelity=epochs, since=since, rng=np.random.default_rng(0), checkpoint=path
        )
    assert told.score == whole.score
    assert [score for _, score in told.curve] == [whole.metrics[f"accuracy/epoch{i}"] for i in (1, 2, 3)]


def test_a_search_trains_on_a_real_table() -> None:
    """Image segments: 18 columns, 7 classes. The best of a few is far above chance, and the same at every run."""
    rows = load_dataset("segments")
    space = tabular(18, rows.classes, epochs=3)
    assert space.recipe is not None
    recipe = space.recipe
    task = naslab.Task(
        "segments/tabular",
        naslab.Problem(space, train=rows.train, validation=rows.validation),
        reward=lambda: TrainingEvaluator(space, rows.train, rows.validation, recipe),
        truth=TrainingEvaluator(space, rows.train, rows.test, recipe),
        metric="test accuracy",
        unit="%",
    )
    found, again = (
        naslab.search(task, "regularized-evolution[population=4,sample=2]", budget=4, seed=1) for _ in range(2)
    )
    assert found.truth is not None
    assert found.truth > 60
    assert (found.architecture, found.truth) == (again.architecture, again.truth)
