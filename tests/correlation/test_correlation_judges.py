"""How evaluators are named, and what they may be made from."""

from __future__ import annotations

import numpy as np
import pytest

import naslab
from naslab.correlation.judges import build, is_stateful, sources
from naslab.errors import InvalidValue, PluginError, UnknownEvaluator, UnknownHyperparameter
from naslab.evaluators.zero_cost.counted import CountedParams
from naslab.evaluators.zero_cost.evaluator import ZeroCost

POCKET = "pocket-mlp/segments"


@pytest.fixture(scope="module")
def task():
    return naslab.task(POCKET)


def made(written, task, metrics=()):
    (source,) = sources([written], task)
    return build(source, task, np.random.default_rng(0), metrics or source.columns.values())


def test_proxies_of_the_same_options_share_one_pass(task):
    found = sources(["synflow", "zero-cost/naswot", "naswot[batch=128]", "reward", "snip"], task)
    assert [(s.label, list(s.columns)) for s in found] == [
        ("zero-cost", ["synflow", "naswot", "snip"]),
        ("zero-cost[batch=128]", ["naswot[batch=128]"]),
        ("reward", ["reward"]),
    ]


def test_all_proxies_are_those_that_are_defined_for_the_rows(task):
    (images,) = sources(["zero-cost/all"], naslab.task("pocket-cell/mnist"))
    (rows,) = sources(["zero-cost", "synflow"], task)
    assert {"meco", "az-expressivity"} == set(images.columns) - set(rows.columns) - {
        "az-progressivity",
        "az-trainability",
    }
    assert {"synflow", "snip", "params"} < set(rows.columns)


def test_a_proxy_is_made_for_the_rows_of_the_task(task):
    evaluator = made("early-loss[steps=3]", task)
    metrics = evaluator.evaluate((3, 3, 3, 3), rng=np.random.default_rng(0)).metrics
    assert metrics["gaussian_inputs"] == 0
    assert -3 * 3 < metrics["early-loss"] < 0
    gaussian = made("depth", naslab.task("nasbench201/cifar10"))
    assert gaussian.inputs == "gaussian"


def test_parameters_alone_are_counted_without_networks(task):
    """They are those of the networks, which other proxies build."""
    cells, rng = [(0, 1, 2, 3), (7, 0, 0, 5)], np.random.default_rng(0)
    counted, built = made("params", task), made("zero-cost", task, ["params", "depth"])
    assert type(counted) is CountedParams
    assert type(made("params[cut=true]", task)) is ZeroCost
    networks = [built.evaluate(cell, rng=rng).metrics["params"] for cell in cells]
    assert [each.metrics["params"] for each in counted.evaluate_many(cells, rng=rng)] == networks
    assert [counted.evaluate(cell, rng=rng).score for cell in cells] == networks


def test_the_reward_is_asked_at_a_fidelity(task):
    table = task.reward()
    rng = np.random.default_rng
    for epochs in (1, 20):
        expected = table.evaluate((1, 2, 3, 4), fidelity=epochs, rng=rng(3)).score
        assert made(f"reward[epochs={epochs}]", task).evaluate((1, 2, 3, 4), rng=rng(3)).score == expected
    with pytest.raises(InvalidValue, match="Allowed: 1, 2, 3"):
        made("reward[epochs=99]", task)


def test_one_shot_weights_are_trained_by_uniform_paths_and_then_only_score(task):
    (source,) = sources(["one-shot[epochs=1]"], task)
    assert is_stateful(source)
    evaluator = made("one-shot[epochs=1]", task)
    assert (evaluator.inner.step, evaluator.inner.steps) == (20, 20)
    wide, narrow = ((7, 7, 7, 7), (0, 0, 0, 0))
    rng = np.random.default_rng(0)
    first = [evaluator.evaluate(a, rng=rng).score for a in (wide, narrow, wide)]
    assert first[0] == first[2]
    assert 0 <= first[1] <= 100
    again = made("one-shot[epochs=1]", task)
    assert again.evaluate(wide, rng=rng).score == first[0]


def test_weights_of_cells_are_trained_although_each_path_leaves_some_out():
    evaluator = made("one-shot[epochs=2]", naslab.task("pocket-cell/mnist"))
    weights = evaluator.inner.supernet.parameters()
    assert all(bool(weight.isfinite().all()) for weight in weights)
    scores = [evaluator.evaluate(a, rng=np.random.default_rng(0)).score for a in ((3,) * 6, (0,) * 6)]
    assert scores[0] != scores[1]


def test_a_short_training_is_one_of_the_recipe(task):
    evaluator = made("training[epochs=2]", task)
    found = evaluator.evaluate((2, 2, 2, 2), rng=np.random.default_rng(1))
    assert "accuracy/epoch2" in found.metrics
    assert "accuracy/epoch3" not in found.metrics
    with pytest.raises(InvalidValue, match="1 to the recipe's 20"):
        made("training[epochs=21]", task)


def test_a_class_or_a_function_of_ones_own_is_named_by_its_module(task):
    found = made("correlation_plugins:Total[factor=2.0]", task).evaluate((1, 2, 3, 4), rng=np.random.default_rng(0))
    assert round(found.score) == 20


def test_the_truth_is_hidden_from_what_is_judged_by_it(task):
    with pytest.raises(PluginError, match="asked for the truth"):
        made("correlation_plugins:peeking", task)


@pytest.mark.parametrize(
    ("written", "error", "message"),
    [
        (["synflw"], UnknownEvaluator, "Did you mean 'synflow'"),
        (["zero-cost/synflw"], Exception, "Did you mean 'synflow'"),
        (["synflow[bach=3]"], UnknownHyperparameter, "Did you mean 'batch'"),
        (["synflow[batch=many]"], InvalidValue, "batch='many' is no int"),
        (["reward", "reward"], InvalidValue, "'reward' is named twice"),
        (["synflow", "naswot", "synflow"], InvalidValue, "'synflow' is named twice"),
        (["synflow[batch=8]", "zero-cost/synflow[batch=8]"], InvalidValue, r"'synflow\[batch=8\]' is named twice"),
        (["zero-cost", "zero-cost/all"], InvalidValue, "'zero-cost/all' is named twice"),
        (["zero-cost/synflow[proxies=snip]"], InvalidValue, "named before the bracket"),
        ([], InvalidValue, "which evaluators"),
        ([""], InvalidValue, "write NAME"),
        (["os:path"], PluginError, "neither an evaluator's class nor a function"),
        (["nowhere:Class"], PluginError, "no module 'nowhere'"),
        (["correlation_plugins:Nothing"], PluginError, "has no 'Nothing'"),
        (["pathlib:Path"], PluginError, "must be derived from naslab.Evaluator"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(written, error, message, task):
    with pytest.raises(error, match=message) as caught:
        sources(written, task)
    assert "\n" not in str(caught.value)


def test_what_breaks_down_is_named(task):
    with pytest.raises(PluginError, match=r"'correlation_plugins:broken' can't be made: RuntimeError: no luck"):
        made("correlation_plugins:broken", task)
    with pytest.raises(PluginError, match=r"lacks the class method for_task"):
        made("correlation_plugins:Nameless", task)
    with pytest.raises(InvalidValue, match="no rows to train on"):
        made("one-shot", naslab.task("nasbench201/cifar10"))
