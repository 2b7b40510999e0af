"""Search under a predictor: what is asked, what is learned from, what it costs, what is refused."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_tasks import ToyReward, toy_space, toy_task

import naslab
from naslab.errors import NaslabError
from naslab.evaluators import Evaluation
from naslab.evaluators.predictors.catalogue import predictor
from naslab.optimizers import optimizer_spec
from naslab.optimizers.predictor_guided import PredictorGuided
from naslab.space import Architecture
from naslab.tasks import Constraint, Problem
from naslab.testing import check_optimizer

RIDGE = "predictor=kernel-ridge,acquisition=mean"


@cache
def perceptrons() -> Problem:
    """8 ** 4 architectures."""
    return Problem(naslab.search_space("mlp", in_features=4, out_features=3, widths=((2, 3, 4, 6, 8, 12, 16, 24),) * 4))


@cache
def cells() -> Problem:
    return Problem(naslab.search_space("nasbench201"))


def peak(architecture: Architecture) -> float:
    return -sum((a - b) ** 2 for a, b in zip(architecture, (6, 1, 5, 3), strict=True)) / 10


def guided(problem: Problem, seed: int = 0, **options: Any) -> PredictorGuided:
    given = {"predictor": "kernel-ridge", "acquisition": "mean", **options}
    return PredictorGuided(problem, np.random.default_rng(seed), **given)


def asked(optimizer: PredictorGuided, count: int, score: Any) -> list[Architecture]:
    found = []
    for _ in range(count):
        architecture = optimizer.ask()
        if architecture is None:
            break
        found.append(architecture)
        optimizer.tell(architecture, Evaluation(float(score(architecture)), 1.0))
    return found


# ---- the interface ---------------------------------------------------------------------------------------------------


def test_it_keeps_to_the_interface() -> None:
    check_optimizer(f"predictor-guided[{RIDGE},initial=4,round=6,candidates=mutation-random,pool=20,parents=4]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "predictor-guided",
        f"predictor-guided[{RIDGE},candidates=all,warm_up=12,proxy=params,score_seconds=0.25]",
        "nasbowl",
        "bananas[predictor=bananas[epochs=2]]",
        "tnasp[predictor=tnasp[epochs=2]]",
    ],
)
def test_named_compositions_keep_to_the_interface(name: str) -> None:
    check_optimizer(name)


def test_the_papers_settings() -> None:
    def settings(name: str) -> list[Any]:
        known = optimizer_spec(name).describe()["hyperparameters"]
        return [known[key] for key in ("predictor", "acquisition", "candidates", "initial", "round", "pool", "parents")]

    thompson, improvement = "independent-thompson", "expected-improvement"
    assert settings("bananas") == ["bananas[target=raw]", thompson, "mutation", 10, 10, 100, 1]
    assert settings("nasbowl") == ["nasbowl[target=raw]", improvement, "mutation", 10, 5, 200, 10]
    assert settings("tnasp") == ["tnasp[target=raw]", "mean", "mutation", 10, 10, 200, 10]
    assert settings("predictor-guided")[0].startswith("path-kernel")


# ---- what is asked ---------------------------------------------------------------------------------------------------


def test_a_round_is_what_the_predictor_finds_best_of_all() -> None:
    problem = perceptrons()
    first = asked(guided(problem, initial=12, round=5, candidates="all"), 17, peak)
    alone = predictor("kernel-ridge", problem.space)
    alone.fit(first[:12], [peak(a) for a in first[:12]], rng=np.random.default_rng(0))
    rest = [a for a in problem.space.architectures() if a not in first[:12]]
    predicted = alone.predict(rest).mean
    assert set(first[12:]) == {rest[i] for i in np.argsort(-predicted)[:5]}
    chosen = [predicted[rest.index(a)] for a in first[12:]]
    assert chosen == sorted(chosen, reverse=True)


def test_it_fits_once_in_a_round_to_all_that_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = guided(perceptrons(), initial=6, round=4)
    fits: list[int] = []
    original = optimizer._predictor.fit
    monkeypatch.setattr(optimizer._predictor, "fit", lambda a, y, **k: (fits.append(len(a)), original(a, y, **k)))
    asked(optimizer, 20, peak)
    assert fits == [6, 10, 14, 18]


@pytest.mark.parametrize("kind", ["mutation", "mutation-random", "random"])
def test_candidates_are_what_they_are_called(kind: str) -> None:
    optimizer = guided(perceptrons(), candidates=kind, pool=40, parents=2)
    told = asked(optimizer, 10, peak)
    best = sorted(told, key=peak, reverse=True)[:10]
    found = optimizer._candidates()
    assert len(found) == len(set(found)) == 40
    assert not set(found) & set(told)

    def near(a: Architecture) -> int:
        return min(sum(x != y for x, y in zip(a, b, strict=True)) for b in best)

    distances = np.array([near(a) for a in found])
    changed = {"mutation": 40, "mutation-random": 20, "random": 0}[kind]
    # A random one is 1 away from one of 10 with probability 10 * 28 / 4096.
    assert sum(distances[:changed] <= 2) >= 0.7 * changed
    assert sum(distances[changed:] <= 1) <= 0.3 * (40 - changed)


def test_mutations_make_one_move_on_average_or_a_few_more() -> None:
    optimizer = guided(perceptrons())
    start = (0, 0, 0, 0)
    changes = [sum(x != 0 for x in optimizer._mutation(start)) for _ in range(2000)]
    # Binomial(4, 1/4), no successes counted as one: 73.8 % make one move, 5.1 % more than two.
    assert np.mean(np.array(changes) <= 1) == pytest.approx(0.738 + 0.211 * 0.25, abs=0.04)
    assert 0 < np.mean(np.array(changes) >= 3) < 0.06


def test_the_best_are_mutated_first_and_others_when_nothing_new_is_left() -> None:
    optimizer = guided(Problem(toy_space()), initial=10, pool=20, parents=1)
    told = asked(optimizer, 10, sum)
    found = optimizer._candidates()
    assert 0 < len(found) <= 20
    assert sum(found[0]) >= sum(max(told, key=sum)) - 6


def test_no_data_flow_is_asked_for_twice() -> None:
    def wide(architecture: Architecture) -> float:
        return sum(o == 3 for o in architecture) + 0.1 * architecture[0]

    found = asked(guided(cells(), candidates="all", initial=20, round=20), 60, wide)
    assert len({cells().space.canonical(a) for a in found}) == 60


def test_it_ends_when_everything_is_known() -> None:
    result = naslab.search(toy_task(), f"predictor-guided[{RIDGE}]", budget=1000)
    assert result.trace.end is not None
    assert result.trace.end["reason"] == "finished"
    assert len(result.trace.steps) == len({step.query.architecture for step in result.trace.steps}) == 36


def test_it_asks_for_feasible_architectures_only() -> None:
    problem = Problem(perceptrons().space, Constraint.parse({"params": 150}))
    for kind in ("mutation", "mutation-random", "all"):
        found = asked(guided(problem, candidates=kind, pool=30), 40, peak)
        assert len(found) == 40
        assert all(problem.is_feasible(a) for a in found)


def test_what_failed_is_not_learned_from_and_not_asked_again() -> None:
    optimizer = guided(perceptrons(), initial=8, round=8)
    scores = itertools.cycle([math.nan, 1.0, math.inf, 2.0, -math.inf])
    found = asked(optimizer, 40, lambda a: next(scores))
    assert len(set(found)) == 40
    assert set(optimizer._scores.values()) == {1.0, 2.0}
    assert len(optimizer._scores) == 16


@pytest.mark.parametrize("score", [math.nan, 3.0])
def test_scores_that_teach_nothing_leave_a_random_search(score: float) -> None:
    found = asked(guided(perceptrons()), 40, lambda a: score)
    assert len(set(found)) == 40


# ---- warm start ------------------------------------------------------------------------------------------------------


def test_the_warm_start_is_the_best_of_a_sample_by_the_proxy() -> None:
    problem = perceptrons()
    optimizer = guided(problem, initial=6, warm_up=80, proxy="params")
    found = asked(optimizer, 6, peak)
    params = [problem.space.cost(a).params for a in found]
    assert params == sorted(params, reverse=True)
    typical = [problem.space.cost(problem.sample(np.random.default_rng(s))).params for s in range(400)]
    assert min(params) > np.quantile(typical, 0.85)


def test_proxies_are_charged_once_at_the_stated_price() -> None:
    name = f"predictor-guided[{RIDGE},initial=3,warm_up=10,proxy=params,score_seconds=0.5]"
    steps = naslab.search(toy_task(ToyReward()), name, budget=6).trace.steps
    seconds = [step.evaluation.seconds - 1.0 - step.query.architecture[0] for step in steps]
    assert 0 < seconds[0] <= 5.0
    assert seconds[0] % 0.5 == 0
    assert seconds[1:] == [0.0] * 5


# ---- what it finds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "[acquisition=ucb]", "[acquisition=independent-thompson]", f"[{RIDGE}]"])
def test_it_finds_more_than_random_search(options: str) -> None:
    problem = perceptrons()
    task = naslab.Task("peak", problem, lambda: ToyReward(peak, noise=0.05), ToyReward(peak))

    def regret(name: str) -> list[float]:
        return [-peak(naslab.search(task, name, budget=40, seed=s).architecture or ()) for s in range(4)]

    ours, random = regret(f"predictor-guided{options}"), regret("random")
    assert np.mean(ours) < 0.35
    assert np.mean(ours) < 0.5 * np.mean(random)


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("predictor=path-kernl", "Did you mean 'path-kernel'"),
        ("predictor=kernel-ridge[targt=raw]", "Did you mean 'target'"),
        ("predictor=synflow-of-mine", "synflow-of-mine"),
        ("predictor=kernel-ridge", "acquisition=expected-improvement of a predictor that has no deviations"),
        ("acquisition=thompson", "Did you mean 'independent-thompson'"),
        ("candidates=mutations", "Did you mean 'mutation'"),
        ("initial=0", "initial=0"),
        ("round=0", "round=0"),
        ("pool=5", "parents <= pool"),
        ("beta=-1.0", "beta=-1.0"),
        ("warm_up=5", "warm_up=5: at least the initial architectures .10."),
        ("warm_up=20,proxy=synflw", "Did you mean 'synflow'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(options: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NaslabError, match=message) as caught:
        naslab.search(toy_task(), f"predictor-guided[{options}]", budget=3, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_all_candidates_of_a_large_space_are_refused() -> None:
    with pytest.raises(NaslabError, match=r"candidates=all of .*Fix: candidates=mutation"):
        guided(Problem(naslab.search_space("darts")), candidates="all")
