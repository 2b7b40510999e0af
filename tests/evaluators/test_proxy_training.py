"""Proxy tasks: fewer rows, smaller images, narrower networks."""

from __future__ import annotations

import numpy as np
import pytest

import naslab
from naslab.compiler import compile_network
from naslab.evaluators.proxy_training import narrowed, resized


@pytest.mark.parametrize(
    ("task", "fidelities"),
    [
        ("pocket-cell/mnist@rows", (64, 128, 256, 512)),
        ("pocket-cell/mnist@resolution", (4, 6, 8)),
        ("pocket-cell/mnist@width", (25, 50, 100)),
        ("pocket-mlp/segments@width", (25, 50, 100)),
    ],
)
def test_the_largest_is_the_task_itself(task: str, fidelities: tuple[int, ...]) -> None:
    proxy, live = naslab.task(task), naslab.task(task.partition("@")[0] + "@live")
    assert proxy.problem.fidelities == fidelities
    architecture = proxy.problem.space.sample(np.random.default_rng(3))
    small, whole = (
        proxy.reward().evaluate(architecture, fidelity=each, rng=np.random.default_rng(1))
        for each in (fidelities[0], fidelities[-1])
    )
    assert whole.score == live.reward().evaluate(architecture, rng=np.random.default_rng(1)).score
    assert 0 <= small.score <= 100
    assert small.score != whole.score


def test_a_search_is_judged_by_the_task_itself() -> None:
    result = naslab.search("pocket-mlp/segments@width", "random", budget=1)
    assert result.truth == naslab.task("pocket-mlp/segments@live").true_value(result.architecture)


def test_smaller_versions_have_the_same_architectures() -> None:
    space = naslab.task("pocket-cell/mnist").problem.space
    for small, share in ((resized(space, 4), 1.0), (narrowed(space, 50), 0.5)):
        assert small.sizes == space.sizes
        for architecture in (space.sample(np.random.default_rng(seed)) for seed in range(5)):
            networks = [compile_network(each, architecture) for each in (space, small)]
            params = [sum(p.numel() for p in network.parameters()) for network in networks]
            assert params[1] == params[0] if share == 1 else params[1] < params[0]
            assert params[1] == small.cost(architecture).params
    assert small.graph.nodes["stem"]["width"] == 4
    assert small.graph.nodes["logits"]["width"] == space.graph.nodes["logits"]["width"]


@pytest.mark.parametrize(
    ("task", "said"),
    [("pocket-mlp/segments@resolution", "its rows are no square images"), ("nasbench201/cifar10@rows", "has no rows")],
)
def test_what_has_no_proxy_task(task: str, said: str) -> None:
    with pytest.raises(naslab.NaslabError, match=said):
        naslab.task(task)
