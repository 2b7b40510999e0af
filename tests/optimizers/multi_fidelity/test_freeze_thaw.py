"""A Gaussian process over curves, and the search that pauses and resumes by it."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.multi_fidelity.curve_process import JITTER, CurveProcess
from naslab.optimizers.multi_fidelity.freeze_thaw import FreezeThaw
from naslab.tasks import Problem

CELL = naslab.search_space("nasbench201")
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(4, 3))
CURVES = [{0.25: -1.0, 0.5: 0.2}, {0.25: 0.3}, {0.25: -0.4, 0.5: 0.1, 1.0: 0.5}, {0.5: 0.9}]
HYPER = np.array([0.2, 0.4, -0.3, -0.8, 0.3, -1.0, -2.0])


def covariance(a: list[tuple[Any, float, Any]], b: list[tuple[Any, float, Any]]) -> np.ndarray:
    """Of scores at (features, time, trial), written down term by term."""
    length, end, common, own, exponent, offset, _ = np.exp(HYPER)
    spread = 2 * FEATURES.var(axis=0).sum()
    found = np.zeros((len(a), len(b)))
    for i, (x, t, trial) in enumerate(a):
        for j, (y, s, other) in enumerate(b):
            r = math.sqrt(5 * float(((x - y) ** 2).sum()) / spread) / length
            decay = (offset / (t + s + offset)) ** exponent
            found[i, j] = end * (1 + r + r * r / 3) * math.exp(-r) + common * decay + own * decay * (trial == other)
    return found


@pytest.mark.parametrize("time", [1.0, 0.75])  # a time of the curves, and another
def test_it_is_the_dense_process(time: float) -> None:
    model = CurveProcess()
    model.hyperparameters = HYPER
    model.fit(FEATURES, CURVES, tune=False)
    seen = [(FEATURES[n], t, n) for n, curve in enumerate(CURVES) for t in curve]
    scores = np.array([score for curve in CURVES for score in curve.values()])
    noise = math.exp(HYPER[-1])
    matrix = covariance(seen, seen) + (noise + JITTER) * np.eye(len(seen))
    new = RNG.normal(size=(2, 3))
    asked = [(FEATURES[n], time, n) for n in range(4)] + [(x, time, -1 - i) for i, x in enumerate(new)]
    cross = covariance(asked, seen)
    mean = cross @ np.linalg.solve(matrix, scores)
    variance = np.diag(covariance(asked, asked) - cross @ np.linalg.solve(matrix, cross.T)) + noise
    old, fresh = model.predict(range(4), np.full(4, time)), model.predict_new(new, np.full(2, time))
    np.testing.assert_allclose([*old.mean, *fresh.mean], mean, atol=1e-4)
    np.testing.assert_allclose([*old.variance, *fresh.variance], variance, atol=1e-4)


def test_tuning_makes_the_curves_more_likely() -> None:
    """Curves of one shape, ends of their own, little noise: it says so, and predicts ends that it has not seen."""
    rng = np.random.default_rng(1)
    features, times = rng.uniform(size=(30, 2)), np.arange(1, 11) / 10
    ends = 2 * np.sin(3 * features[:, 0])
    ends -= ends.mean()
    rows = ends[:, None] - 2 * 0.02**times + 0.01 * rng.normal(size=(30, 10))
    curves = [dict(zip(times[: 10 if n < 15 else 3], row, strict=False)) for n, row in enumerate(rows)]
    prior, tuned = CurveProcess(), CurveProcess()
    for model, tune in ((prior, False), (tuned, True)):
        model.fit(features, curves, tune=tune)
    errors = [np.abs(model.predict(range(15, 30), np.ones(15)).mean - rows[15:, -1]).mean() for model in (prior, tuned)]
    assert errors[1] < 0.1
    assert errors[1] < 0.8 * errors[0]
    found = tuned.predict(range(15, 30), np.ones(15))
    assert np.mean(np.abs(found.mean - rows[15:, -1]) < 2 * np.sqrt(found.variance)) > 0.8
    assert found.variance.mean() < prior.predict(range(15, 30), np.ones(15)).variance.mean()


def problem(fidelities: tuple[Any, ...] = (1, 2, 4, 8)) -> Problem:
    return Problem(CELL, fidelities=fidelities, fidelity=fidelities[-1] if fidelities else None)


def freeze_thaw(seed: int = 0, **options: Any) -> FreezeThaw:
    return FreezeThaw(problem(), np.random.default_rng(seed), **options)


def score(architecture: tuple[int, ...], epoch: int) -> float:
    """Rises to the number of 3x3 convolutions; the others slow it down."""
    return sum(option == 3 for option in architecture) - 3.0 * 0.5**epoch


def run(optimizer: FreezeThaw, evaluations: int, *, curves: bool = True, failing: int = 0) -> list[tuple[int, int]]:
    """Trials and fidelities."""
    asked, begun = [], 0
    for number in range(evaluations):
        query = optimizer.ask()
        if query.trial is None:
            query, begun = query._replace(trial=begun), begun + 1
        assert query.trial is not None
        epochs = int(query.fidelity or 8)
        curve = tuple((e, score(query.architecture, e)) for e in (1, 2, 4, 8) if e <= epochs)
        fails = bool(failing) and number % failing == 0
        value = math.nan if fails else curve[-1][1]
        optimizer.receive(query, Evaluation(value, 1.0, curve=curve if curves and not fails else ()), True)
        asked.append((query.trial, epochs))
    return asked


def test_a_step_is_one_fidelity_and_the_beginning_is_uniform() -> None:
    asked = run(freeze_thaw(startup=8), 40)
    assert asked[:8] == [(trial, 1) for trial in range(8)]
    for trial in dict(asked):
        reached = [epochs for each, epochs in asked if each == trial]
        assert reached == [1, 2, 4, 8][: len(reached)]


@pytest.mark.parametrize("curves", [True, False])
def test_good_trials_go_on(curves: bool) -> None:
    optimizer = freeze_thaw()
    asked = run(optimizer, 120, curves=curves)
    reached = dict(asked)  # the last fidelity of each
    heights = {trial: score(optimizer.trials[trial], 99) for trial in reached}
    finished = [heights[trial] for trial, epochs in reached.items() if epochs == 8]
    left = [heights[trial] for trial, epochs in reached.items() if epochs == 1]
    assert finished
    assert left
    assert np.mean(finished) > np.mean(left) + 1
    assert score(optimizer.best() or CELL.first, 99) >= 5


def test_what_failed_never_goes_on() -> None:
    asked = run(freeze_thaw(), 60, failing=4)
    failed = {trial for number, (trial, _) in enumerate(asked) if number % 4 == 0}
    times = Counter(trial for trial, _ in asked)
    last = {trial: number for number, (trial, _) in enumerate(asked)}
    assert all(last[trial] % 4 == 0 or last[trial] < 4 for trial in failed)
    assert max(times.values()) > 1


@pytest.mark.parametrize(
    ("fidelities", "options", "said"),
    [
        ((), {}, "no fidelities"),
        ((9,), {}, "only 9 epochs"),
        (("half", "full"), {}, "names, which have no order"),
        ((1, 2), {"startup": 0}, "startup=0"),
        ((1, 2), {"candidates": 0}, "candidates=0"),
    ],
)
def test_what_it_refuses(fidelities: tuple[Any, ...], options: dict[str, int], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        FreezeThaw(problem(fidelities), np.random.default_rng(0), **options)
