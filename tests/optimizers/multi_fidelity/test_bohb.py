"""BOHB, and BOHB as NAS-Bench-201's scripts ran it, step by step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import toy_spaces
from statsmodels.nonparametric.kernel_density import KDEMultivariate

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers import AskTell, Query
from naslab.optimizers.multi_fidelity.bohb import BOHB
from naslab.optimizers.multi_fidelity.bohb_nb201 import BOHBNB201
from naslab.optimizers.multi_fidelity.code_density import CodeDensity
from naslab.space import Architecture, SearchSpace
from naslab.tasks import Constraint, Problem

CELL = naslab.search_space("nasbench201")


def bohb(space: SearchSpace = CELL, seed: int = 0, **options: Any) -> BOHB:
    return BOHB(Problem(space, fidelities=(1, 3, 9), fidelity=9), np.random.default_rng(seed), **options)


def height(architecture: Architecture) -> float:
    return float(sum(option == 3 for option in architecture))


def run(optimizer: AskTell, evaluations: int, failing: int = 0) -> list[Query]:
    """One worker; every ``failing``-th evaluation fails."""
    asked, trials = [], 0
    for number in range(evaluations):
        query = optimizer.ask()
        query = query if isinstance(query, Query) else Query(query)
        if query.trial is None:
            query, trials = query._replace(trial=trials), trials + 1
        score = math.nan if failing and number % failing == 0 else height(query.architecture)
        optimizer.receive(query, Evaluation(score, 1.0), True)
        asked.append(query)
    return asked


def test_it_goes_through_hpbandsters_brackets() -> None:
    asked = run(bohb(), 2 * 20)
    assert [query.fidelity for query in asked] == 2 * ([1] * 9 + [3] * 3 + [9] + [3] * 3 + [9] + [9] * 3)


def test_no_architecture_has_two_trials() -> None:
    asked = run(bohb(), 400)
    begun = {query.trial: query.architecture for query in asked}
    assert len(set(begun.values())) == len(begun)


def test_a_prior_takes_the_place_of_uniform_draws() -> None:
    """Of six options each is the prior's with probability 0.9 + 0.1 / 5; a sure prior is begun once."""
    centre = CELL.to_string((3,) * 6)
    drawn = [bohb(seed=seed, prior=centre, confidence=0.9).newcomer(0) for seed in range(60)]
    assert np.mean([height(a) for a in drawn]) == pytest.approx(6 * 0.92, abs=0.3)
    sure = bohb(prior=centre, confidence=1.0)
    assert height(sure.newcomer(0)) == 6
    assert height(sure.newcomer(0)) < 6
    with pytest.raises(InvalidValue, match="confidence=2"):
        bohb(prior=centre, confidence=2.0)


def test_a_space_that_is_used_up_is_begun_again() -> None:
    asked = run(bohb(toy_spaces.depth()), 60)
    assert len({query.architecture for query in asked}) == 3


@pytest.mark.parametrize(("failing", "best"), [(0, 6), (3, 5)])
def test_new_trials_stay_better_than_random_ones(failing: int, best: int) -> None:
    """A uniform cell has 1.2 convolutions of 3x3 on average. The good being alike does not end in repeats."""
    optimizer = bohb(random_fraction=0.0)
    asked = run(optimizer, 300, failing)
    begun = list({query.trial: height(query.architecture) for query in asked}.values())
    assert np.mean(begun[:10]) < 2
    assert all(np.mean(begun[i : i + 40]) > 3.5 for i in (100, 140, 180))
    assert height(optimizer.best() or CELL.first) >= best


def test_the_model_is_of_the_highest_rung_with_enough_results() -> None:
    """d + 3 = 9 results at one rung: before, draws are uniform; after, from what is best there, whatever is below."""
    optimizer, rng = bohb(random_fraction=0.0, samples=200), np.random.default_rng(5)
    low = [CELL.sample(rng) for _ in range(40)]
    optimizer._results[0] = [(height(a), a) for a in low]
    first = optimizer.newcomer(0)
    assert height(first) >= 3
    high = [(option,) * 6 for option in (0, 1, 2, 4) for _ in range(2)]
    optimizer._results[1], optimizer._model = [(float(-a[0]), a) for a in high], None
    assert height(optimizer.newcomer(0)) >= 3  # eight are too few
    optimizer._results[1].append((0.0, (0,) * 6))
    optimizer._model = None
    drawn = [optimizer.newcomer(0) for _ in range(5)]
    assert max(map(height, drawn)) <= 2
    assert sum(a.count(0) for a in drawn) >= 12


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"samples": 0}, "samples=0"),
        ({"good": 1.0}, "good=1.0"),
        ({"random_fraction": 1.5}, "random_fraction=1.5"),
        ({"widening": 0.0}, "widening=0.0"),
        ({"eta": 1}, "eta=1"),
        ({"lowest": 9, "highest": 1}, "lowest=9 is not below highest=1"),
        ({"brackets": "hyperbrand"}, "hyperbrand"),
    ],
)
def test_what_it_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue, match=said) as caught:
        bohb(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fidelities", [(), (9,), ("half", "full")])
def test_it_needs_two_rungs(fidelities: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidValue):
        BOHB(Problem(CELL, fidelities=fidelities), np.random.default_rng(0))


def nb201(seed: int = 0, **options: Any) -> BOHBNB201:
    return BOHBNB201(Problem(CELL), np.random.default_rng(seed), **options)


def test_the_script_promotes_by_label_and_evaluates_again() -> None:
    """Brackets 9/3/1, 3/1 and 3: the best three of nine run again in the order in which they ran, then the best."""
    asked = [query.architecture for query in run(nb201(), 20)]
    first, second, third = asked[:9], asked[9:12], asked[12:13]
    assert all(query in first for query in second)
    assert [first.index(a) for a in second] == sorted(first.index(a) for a in second)
    assert sorted(map(height, second)) == sorted(map(height, first))[-3:]
    assert height(third[0]) == max(map(height, second))
    assert asked[16] == max(asked[13:16], key=height)
    assert len(set(asked[17:20])) > 1


def test_the_script_returns_the_best_of_the_largest_label() -> None:
    optimizer = nb201()
    found = []
    for number in range(13):
        (query,) = run(optimizer, 1) if number else [Query(optimizer.ask())]
        if number == 0:  # the best of all, but at the lowest label, and it fails to be promoted: nothing is returned
            optimizer.receive(query, Evaluation(-5.0, 1.0), True)
        found.append(optimizer.best())
    assert found[:12] == [None] * 12
    assert found[12] is not None


def test_the_scripts_model_begins_with_fourteen_results_at_one_label() -> None:
    optimizer = nb201()
    when = []
    for number in range(60):
        run(optimizer, 1)
        when += [(number + 1, label) for label in optimizer._models if label not in [each for _, each in when]]
    # Label 0: nine per round of 20, so the fourteenth is the fifth of the second; label 1: six per round, and so on.
    assert when[0] == (25, 0)
    assert all(len(optimizer._results[label]) >= 14 for label in optimizer._models)


@pytest.mark.parametrize("seed", range(4))
def test_the_scripts_density_is_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 5, (7 + 3 * seed, 6)).astype(float)
    reference = KDEMultivariate(rows, "u" * 6, bw="normal_reference", rng=rng)
    reference.bw = np.clip(reference.bw, 0.3, None)
    density = CodeDensity(rows, 0.3)
    np.testing.assert_allclose(density.bandwidths, reference.bw)
    asked = [*rows[:5].astype(int), *rng.integers(0, 5, (40, 6))]
    for each in asked:
        np.testing.assert_allclose(density(tuple(map(int, each))), reference.pdf(each), rtol=1e-9, atol=1e-18)


def test_the_scripts_density_is_no_density() -> None:
    """The published bugs, kept: negative values, and infinite ones for options that the rows do not have."""
    density = CodeDensity(np.array([[0.0, 0.0], [4.0, 4.0]]), 0.3)
    width = 1.06 * 2 * 2 ** (-1 / 6)
    assert density.bandwidths == pytest.approx([width, width])
    assert density((0, 4)) == pytest.approx((1 - width) * width)
    assert density((0, 4)) < 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CodeDensity(np.array([[1.0], [1.0]]), 0.3)((0,)) == math.inf


def test_the_script_knows_choices_alone() -> None:
    with pytest.raises(InvalidValue, match="Fix: bohb"):
        BOHBNB201(Problem(toy_spaces.trained()), np.random.default_rng(0))
    with pytest.raises(InvalidValue, match="min_bandwidth=0"):
        nb201(min_bandwidth=0.0)


def test_limits_are_kept() -> None:
    problem = Problem(CELL, Constraint.parse({"params": 500_000}), fidelities=(1, 3, 9), fidelity=9)
    for kind in (BOHB, BOHBNB201):
        asked = run(kind(problem, np.random.default_rng(1)), 120)
        assert all(problem.is_feasible(query.architecture) for query in asked)
