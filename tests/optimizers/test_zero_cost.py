"""Strategies that look at untrained networks: what they score, what they ask, what it costs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from toy_tasks import MeasuredReward, ToyReward, toy_space, toy_task

import naslab
from naslab.errors import InvalidSpace, NaslabError
from naslab.evaluators import Evaluation
from naslab.ops import Identity, Linear, Operation, ReLU
from naslab.optimizers import optimizer_spec
from naslab.optimizers.zero_cost import AREA, NASWOT, Scores, ZeroCostEvolution
from naslab.running import trace_path
from naslab.space import Architecture, Choice, SearchSpace
from naslab.tasks import Problem
from naslab.testing import check_optimizer, toy_trainings


@dataclass(frozen=True)
class Watched(Problem):
    """Remembers what was drawn from it."""

    drawn: list[Architecture] = field(default_factory=list)

    def sample(self, rng: np.random.Generator) -> Architecture:
        self.drawn.append(super().sample(rng))
        return self.drawn[-1]


def watched() -> Watched:
    return Watched(toy_space())


def wide() -> Watched:
    """So many ReLUs that no two rows have the same code."""
    return Watched(naslab.search_space("mlp", in_features=5, out_features=3, widths=((24, 32, 40),) * 3))


def params(architecture: Architecture) -> int:
    return toy_space().cost(architecture).params


def tell(optimizer: naslab.AskTell, architecture: Architecture, score: float = 0.0) -> None:
    optimizer.tell(architecture, Evaluation(score, 1.0))


def evolution(problem: Problem, seed: int = 0, **options: Any) -> ZeroCostEvolution:
    given = {"proxy": "params", "population": 4, "sample": 4, "batch": 8, **options}
    return ZeroCostEvolution(problem, np.random.default_rng(seed), **given)


# ---- NASWOT ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_naswot_asks_the_best_scored_of_its_draws_and_has_ended(seed: int) -> None:
    problem = watched()
    optimizer = NASWOT(problem, np.random.default_rng(seed), samples=7, proxy="params")
    winner = optimizer.ask()
    assert len(problem.drawn) == 7
    assert winner == max(problem.drawn, key=params)  # the first drawn of the largest
    assert optimizer.best() is None
    tell(optimizer, winner, math.nan)
    assert optimizer.best() == winner
    assert optimizer.ask() is None
    assert len(problem.drawn) == 7


def test_naswot_is_one_evaluation_and_returns_its_winner_whatever_that_finds() -> None:
    for score in (1.0, math.nan, -math.inf):
        result = naslab.search(toy_task(ToyReward(lambda a: score)), "naswot[proxy=params,samples=500]", budget=20)  # noqa: B023
        assert result.architecture == (3, 2, 2)
        assert len(result.trace.steps) == 1
        assert result.trace.end is not None
        assert result.trace.end["reason"] == "finished"


def test_by_default_it_is_the_papers() -> None:
    described = optimizer_spec("area").describe()["hyperparameters"]
    expected = {"proxy": "naswot", "samples": 20, "population": 10, "sample": 3, "replacement": False, "batch": 128}
    assert expected.items() <= described.items()
    assert (described["proposals"], described["score_seconds"]) == (1, 0.0)
    expected = {"proxy": "synflow", "samples": 3000, "population": 64, "sample": 10, "proposals": 1}
    assert expected.items() <= optimizer_spec("zero-cost-warm-up").describe()["hyperparameters"].items()
    expected = {"proxy": "synflow", "samples": 0, "proposals": 24, "greedy": 0.75}
    assert expected.items() <= optimizer_spec("zero-cost-moves").describe()["hyperparameters"].items()
    assert optimizer_spec("naswot").describe()["hyperparameters"].items() >= {"proxy": "naswot", "batch": 128}.items()


# ---- warm-up and moves -----------------------------------------------------------------------------------------------


def test_the_initial_population_is_the_best_of_the_draws_the_best_first() -> None:
    problem = watched()
    optimizer = evolution(problem, samples=15)
    asked = []
    for _ in range(4):
        asked.append(optimizer.ask())
        tell(optimizer, asked[-1])
    assert len(problem.drawn) == 15
    different = dict.fromkeys(problem.drawn)
    assert asked == sorted(different, key=params, reverse=True)[:4]  # Python's sort keeps the order of equals, too
    parents = set(asked)
    child = optimizer.ask()
    assert any(child in toy_task().problem.neighbors(parent) for parent in parents)
    assert len(problem.drawn) == 15


def test_where_the_draws_are_too_few_different_ones_random_ones_follow() -> None:
    problem = Watched(naslab.search_space("mlp", in_features=2, out_features=2, widths=((1, 2, 3),)))
    optimizer = evolution(problem, samples=50, population=9)
    asked = []
    for _ in range(9):
        asked.append(optimizer.ask())
        tell(optimizer, asked[-1])
    assert asked[:3] == [(2,), (1,), (0,)]
    assert asked[3:] == problem.drawn[50:]


def test_area_chooses_by_naswots_score() -> None:
    problem = wide()
    optimizer = AREA(problem, np.random.default_rng(3), population=3, batch=16)
    asked = []
    for _ in range(3):
        asked.append(optimizer.ask())
        tell(optimizer, asked[-1])
    assert len(problem.drawn) == 20
    scores = Scores(problem, np.random.default_rng(3), "naswot", 16, 0.0)  # the same key: the first that is drawn
    found = sorted((scores[a] for a in set(problem.drawn)), reverse=True)
    assert [scores[a] for a in asked] == found[:3]
    assert math.inf > found[2] > found[-1] > -math.inf


def test_a_child_is_the_best_scored_neighbour_of_its_parent() -> None:
    optimizer = evolution(toy_task().problem, proposals=100, greedy=1.0)
    for member, score in (((2, 1, 1), 5.0), ((0, 0, 0), 1.0), ((1, 0, 0), 2.0), ((0, 1, 0), 3.0)):
        optimizer.ask()
        tell(optimizer, member, score)
    around = toy_task().problem.neighbors((2, 1, 1))
    most = max(map(params, around))
    assert all(params(optimizer.ask()) == most for _ in range(20))


def test_so_often_a_child_is_any_neighbour() -> None:
    optimizer = evolution(toy_task().problem, population=1, sample=1, proposals=100, greedy=0.75)
    optimizer.ask()
    tell(optimizer, (2, 1, 1))
    around = toy_task().problem.neighbors((2, 1, 1))
    best = max(around, key=params)
    assert [params(a) for a in around].count(params(best)) == 1
    share = sum(optimizer.ask() == best for _ in range(4000)) / 4000
    assert share == pytest.approx(0.75 + 0.25 / len(around), abs=0.03)


def test_the_best_of_some_random_neighbours() -> None:
    """Of n neighbours two are drawn: the k-th best is the better one in n - k of n (n - 1) / 2 pairs."""
    from scipy.stats import chisquare

    problem = wide()
    optimizer = evolution(problem, proxy="synflow", population=1, sample=1, proposals=2, greedy=1.0)
    optimizer.ask()
    tell(optimizer, (1, 1, 1))
    scores = Scores(problem, np.random.default_rng(0), "synflow", 8, 0.0)  # the same key
    around = sorted(problem.neighbors((1, 1, 1)), key=scores.__getitem__, reverse=True)
    assert len({scores[a] for a in around}) == len(around) == 6
    counts = Counter(optimizer.ask() for _ in range(6000))
    expected = [6000 * (6 - k) / 15 for k in range(1, 6)]
    assert counts[around[-1]] == 0
    assert chisquare([counts[a] for a in around[:-1]], expected).pvalue > 1e-3


def test_with_neither_it_is_regularized_evolution() -> None:
    plain = "regularized-evolution[population=6,sample=3,replacement=false]"
    spec = optimizer_spec(plain)
    one, two = (np.random.default_rng(0) for _ in range(2))
    reference = spec.build_black_box(toy_task().problem, one)
    optimizer = evolution(toy_task().problem, population=6, sample=3)
    optimizer.rng = two  # making the key of the scores draws from a generator
    for _ in range(40):
        asked = optimizer.ask()
        assert asked == reference.ask()
        assert optimizer.asking_seconds == 0
        tell(optimizer, asked, float(sum(asked)))
        tell(reference, asked, float(sum(asked)))


# ---- what scoring costs ----------------------------------------------------------------------------------------------


def test_scoring_is_free_unless_a_price_is_stated() -> None:
    for price, expected in ((0.0, 0.0), (0.5, 0.5)):
        problem = watched()
        optimizer = evolution(problem, samples=15, score_seconds=price)
        optimizer.ask()
        assert optimizer.asking_seconds == expected * len(set(problem.drawn))
        for _ in range(4):
            tell(optimizer, (0, 0, 0))
            optimizer.ask()
            assert optimizer.asking_seconds == 0


def test_nothing_is_paid_twice() -> None:
    optimizer = evolution(toy_task().problem, population=1, sample=1, proposals=100, greedy=1.0, score_seconds=2.0)
    optimizer.ask()
    tell(optimizer, (1, 1, 1))
    optimizer.ask()
    assert optimizer.asking_seconds == 2.0 * 7
    tell(optimizer, (1, 1, 2))
    optimizer.ask()
    new = set(toy_task().problem.neighbors((1, 1, 2))) - set(toy_task().problem.neighbors((1, 1, 1)))
    assert optimizer.asking_seconds == 2.0 * len(new)
    tell(optimizer, (1, 1, 2))
    optimizer.ask()
    assert optimizer.asking_seconds == 0


def test_the_price_is_on_the_clock_and_counts_against_the_budget() -> None:
    name = "naswot[proxy=params,samples=500,score_seconds=2.0]"  # all 36 are drawn; the winner's training costs 4 s
    result = naslab.search(toy_task(ToyReward()), name, budget="76s")
    assert [step.evaluation.seconds for step in result.trace.steps] == [2.0 * 36 + 4.0]
    result = naslab.search(toy_task(ToyReward()), name, budget="75s")
    assert result.trace.steps == []
    assert result.architecture is None


def test_where_time_is_measured_scoring_is_measured_and_the_price_is_not_added(tmp_path: Path) -> None:
    name = "naswot[proxy=synflow,samples=20,score_seconds=1000.0]"
    result = naslab.search(toy_task(MeasuredReward()), name, budget=1, out=tmp_path)
    assert 0.005 < result.trace.steps[0].evaluation.seconds < 100
    assert b"seconds" not in trace_path(tmp_path, "toy", name, 0).read_bytes().splitlines()[1]


@pytest.mark.slow
def test_a_run_with_a_price_resumes_to_the_same_trace() -> None:
    check_optimizer("zero-cost-warm-up[samples=12,population=6,sample=3,proposals=4,score_seconds=0.25]")


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_a_score_depends_on_the_run_and_the_architecture_alone() -> None:
    problem, architectures = wide(), [(2, 2, 2), (2, 1, 2), (1, 2, 1), (2, 0, 1)]

    def scores(seed: int, order: list[Architecture]) -> dict[Architecture, float]:
        known = Scores(problem, np.random.default_rng(seed), "snip", 16, 0.0)
        return {a: known[a] for a in order}

    first = scores(0, architectures)
    assert scores(0, architectures[::-1]) == first
    assert all(scores(1, architectures)[a] != first[a] for a in architectures)


def test_rows_are_looked_at_where_there_are_any() -> None:
    for problem, inputs in ((toy_trainings()["plain"].problem, "rows"), (toy_task().problem, "gaussian")):
        assert Scores(problem, np.random.default_rng(0), "params", 8, 0.0)._evaluator.inputs == inputs


def chain(first: Any) -> Problem:
    """Input, linear, an activation, linear."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(4,))
    graph.add_node("h", width=Choice("width", (32, 64)))
    graph.add_node("y", width=3)
    graph.add_edge("x", "h", op=Linear())
    graph.add_edge("h", "a", op=first)
    graph.add_edge("a", "y", op=Linear())
    return Problem(SearchSpace(graph, name="chain"))


def test_an_architecture_that_the_proxy_is_not_defined_for_is_the_worst() -> None:
    problem = chain(Choice("activation", (ReLU(), Identity())))
    scores = Scores(problem, np.random.default_rng(0), "nwot", 4, 0.0)
    ranked = scores.best_first(problem.space.architectures())
    names = [choice.name for choice in problem.space.choices]
    assert [a[names.index("activation")] for a in ranked] == [0, 0, 1, 1]
    assert all(scores[a] == -math.inf for a in ranked[2:])
    assert all(math.isfinite(scores[a]) for a in ranked[:2])


def test_a_proxy_that_is_defined_for_none_is_refused_in_one_line() -> None:
    optimizer = NASWOT(chain(Identity()), np.random.default_rng(0), samples=3)
    with pytest.raises(NaslabError, match="the network has none") as caught:
        optimizer.ask()
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Foreign(Operation):
    """An operation that nobody knows how to build."""


def test_a_space_that_can_not_be_built_is_refused_in_one_line() -> None:
    optimizer = NASWOT(chain(Foreign()), np.random.default_rng(0), samples=3)
    with pytest.raises(InvalidSpace) as caught:
        optimizer.ask()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("naswot[proxy=synflw]", "Did you mean 'synflow'"),
        ("naswot[proxy=meco]", "defined for images"),
        ("area[proxy=naswot,batch=1]", "a batch of 1"),
        ("naswot[samples=0]", "samples=0"),
        ("area[samples=9]", "at least the population .10."),
        ("zero-cost-moves[proposals=0]", "proposals=0"),
        ("zero-cost-moves[greedy=1.5]", "greedy=1.5"),
        ("area[score_seconds=-1.0]", "score_seconds=-1.0"),
        ("area[sample=11]", "sample <= population"),
    ],
)
def test_what_can_not_be_scored_is_refused_before_anything_is_written(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NaslabError, match=message) as caught:
        naslab.search(toy_task(), name, budget=3, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
