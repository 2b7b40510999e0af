"""Priors over good architectures, and strategies that begin there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import toy_spaces
from scipy import stats

import naslab
from naslab import testing
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers import optimizer_spec
from naslab.optimizers import prior as priors
from naslab.optimizers.prior import Prior
from naslab.tasks import Constraint, Problem

CELL = naslab.search_space("nasbench201")
GOOD = (3, 3, 3, 3, 1, 3)


def drawn(problem: Problem, centre: str, confidence: float, n: int = 2000) -> list[tuple]:
    prior, rng = Prior(problem, centre, confidence), np.random.default_rng(0)
    return [prior.sample(rng) for _ in range(n)]


@pytest.mark.parametrize(("confidence", "share"), [(0.0, 0.2), (0.5, 0.6), (0.75, 0.8), (1.0, 1.0)])
def test_a_choice_takes_the_option_of_the_centre_or_a_uniform_one(confidence, share) -> None:
    found = np.array(drawn(Problem(CELL), CELL.to_string(GOOD), confidence))
    assert (found == GOOD).mean() == pytest.approx(share, abs=0.02)
    others = np.bincount(found[found[:, 0] != GOOD[0]][:, 0], minlength=5)
    assert others.max() <= 1.5 * (others.sum() / 4)


def test_without_a_centre_draws_are_uniform() -> None:
    rng = np.random.default_rng(0)
    assert drawn(Problem(CELL), "", 0.9, 5) == [CELL.sample(rng) for _ in range(5)]


@pytest.mark.parametrize("confidence", [0.25, 0.9])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_range_is_a_cut_normal_on_its_scale(confidence, optimizer) -> None:
    """That of the learning rate always; that of the momentum where the centre has one, else uniform."""
    space = testing.toy_tasks()["joint"].problem.space
    text = "op=identity;kernel=1;last=conv;batch=16;optimizer=adamw;learning_rate=0.03"
    centre = space.from_string(text.replace("adamw", "sgd") + ";momentum=0.3" if optimizer == "sgd" else text)
    found = drawn(Problem(space), space.to_string(centre), confidence)
    for name in ("learning_rate", "momentum"):
        position = [each.name for each in space.decisions_in_order].index(name)
        decision, width = space.decisions_in_order[position], 1 - confidence
        units = [decision.to_unit(a[position]) for a in found if space.conditions.active(a)[position]]
        at = decision.to_unit(centre[position])
        believed = optimizer == "sgd" or name == "learning_rate"
        expected = stats.truncnorm(-at / width, (1 - at) / width, at, width) if believed else stats.uniform()
        assert len(units) > 50
        assert stats.kstest(units, expected.cdf).pvalue > 0.001


def test_limits_are_kept_where_the_centre_breaks_them(monkeypatch) -> None:
    space = toy_spaces.widths()
    largest = max(space.architectures(), key=lambda a: space.cost(a).params)
    least = min(space.cost(a).params for a in space.architectures())
    problem = Problem(space, Constraint.parse({"params": (space.cost(largest).params + least) / 2}))
    for tries in (1000, 1):
        monkeypatch.setattr(priors, "TRIES", tries)
        assert all(problem.is_feasible(a) for a in drawn(problem, space.to_string(largest), 0.5, 100))


@pytest.mark.parametrize(("name", "begins"), [("prior-random", 50), ("prior-evolution[population=5]", 5)])
def test_strategies_begin_with_the_prior(name, begins) -> None:
    spec = optimizer_spec(f"{name.rstrip(']')}{',' if '[' in name else '['}prior={CELL.to_string(GOOD)},confidence=1]")
    optimizer = spec.build_black_box(Problem(CELL), np.random.default_rng(0))
    found = []
    for _ in range(50):
        found.append(optimizer.ask())
        optimizer.tell(found[-1], Evaluation(0.0, 1.0))
    assert found[:begins] == [GOOD] * begins
    assert all(a != GOOD for a in found[begins : begins + 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"confidence": 1.5}, InvalidValue, r"confidence=1\.5: from 0"),
        ({"confidence": math.nan}, InvalidValue, "confidence=nan"),
        ({"prior": "|conv~0|"}, InvalidArchitecture, "Did you mean .nor_conv_3x3"),
    ],
)
@pytest.mark.parametrize("strategy", [priors.PriorRandomSearch, priors.PriorEvolution])
def test_bad_priors_are_refused_in_one_line(strategy, options, error, message) -> None:
    with pytest.raises(error, match=message) as refused:
        strategy(Problem(CELL), np.random.default_rng(0), **options)
    assert "\n" not in str(refused.value)
