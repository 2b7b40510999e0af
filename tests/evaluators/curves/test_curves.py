"""Evaluators of the beginnings of learning curves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.evaluators.curves.base import CurveEvaluator
from naslab.evaluators.curves.power_laws import FAMILIES, PowerLaws, extrapolated
from naslab.evaluators.curves.sums import LastValue, SoTL, SoTLE
from naslab.evaluators.curves.svr import LcSVR
from naslab.space import Architecture
from naslab.tables import find_table
from naslab.tasks import Task
from naslab.testing import toy_trials

TASK = naslab.task("pocket-mlp/segments")
TABLE = find_table("pocket-mlp-segments")
ARCHITECTURE = (3, 1, 5, 2)
Make = Callable[..., CurveEvaluator]


def made(kind: type[CurveEvaluator], **options: Any) -> CurveEvaluator:
    return kind.for_task(TASK, np.random.default_rng(0), **options)


def judged(evaluator: Evaluator, seed: int = 0) -> Evaluation:
    return evaluator.evaluate(ARCHITECTURE, rng=np.random.default_rng(seed))


def recorded(split: str, epochs: int, seed: int = 0) -> np.ndarray:
    """A recorded training's values, found without the evaluator."""
    row, draw = TABLE.row(ARCHITECTURE), np.random.default_rng(seed).random()
    values = [TABLE.values(f"segments/accuracy/{split}", epoch)[row] for epoch in range(1, epochs + 1)]
    return np.array([each[int(draw * len(each))] for each in values])


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (LastValue, {"epochs": 5}, lambda: recorded("valid", 5)[-1]),
        (LastValue, {}, lambda: recorded("valid", 10)[-1]),  # half of 20
        (SoTL, {"epochs": 5}, lambda: recorded("train", 5).mean()),
        (SoTL, {"epochs": 5, "last": 2}, lambda: recorded("train", 5)[-2:].mean()),
        (SoTL, {"epochs": 5, "split": "valid"}, lambda: recorded("valid", 5).mean()),
        (SoTLE, {"epochs": 7}, lambda: recorded("train", 7)[-1]),
    ],
)
def test_sums_and_last_values(
    kind: type[CurveEvaluator], options: dict[str, Any], expected: Callable[[], float]
) -> None:
    assert judged(made(kind, **options)).score == pytest.approx(expected())


@pytest.mark.parametrize("kind", [LastValue, SoTL, PowerLaws])
def test_what_is_seen_is_charged(kind: type[CurveEvaluator]) -> None:
    reward = TASK.reward().evaluate(ARCHITECTURE, fidelity=6, rng=np.random.default_rng(0))
    assert judged(made(kind, epochs=6)).seconds == pytest.approx(reward.seconds)
    assert reward.seconds > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 21}, "epochs=21 on 'pocket-mlp/segments'. Allowed: 1, 2"),
        ({"split": "test"}, "split 'test'"),
        ({"last": -1}, "last=-1"),
    ],
)
def test_what_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        made(LastValue, **options)


def test_without_curves_it_is_refused() -> None:
    for task, kind, said in (
        (naslab.task("nasbench201/cifar10"), LastValue, "no learning curves"),
        (toy_trials(), SoTL, "no curve on training rows"),
    ):
        with pytest.raises(InvalidValue, match=said):
            kind.for_task(task, np.random.default_rng(0))
    with pytest.raises(InvalidValue, match="fidelity 3"):
        made(LastValue).evaluate(ARCHITECTURE, fidelity=3, rng=np.random.default_rng(0))


class Broken(Evaluator):
    """Half of its curves are not finite; the others rise by what the first option says, to four times that."""

    continues = True

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        raise NotImplementedError

    def proceed(
        self,
        architecture: Architecture,
        *,
        fidelity: Fidelity | None,
        since: Fidelity | None,
        rng: np.random.Generator,
        checkpoint: Path,
    ) -> Evaluation:
        slope = math.nan if architecture[-1] else float(architecture[0] + 2 * architecture[1])
        curve = tuple(
            (epoch, slope * rise) for epoch, rise in ((1, 1.0), (3, 2.5), (9, 4.0)) if epoch <= int(fidelity or 9)
        )
        return Evaluation(curve[-1][1], 1.0, curve=curve)


def broken() -> Task:
    return dataclasses.replace(toy_trials(), reward=Broken)


def test_failures_have_no_score_and_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    assert math.isnan(LastValue.for_task(broken(), rng).evaluate((1, 1, 1), rng=rng).score)
    fitted = LcSVR.for_task(broken(), rng, epochs=3, draws=200)
    assert fitted.learned
    assert all(a[-1] == 0 for a in fitted.learned)
    for architecture in ((2, 1, 0), (0, 1, 0), (2, 0, 0)):
        final = 4.0 * (architecture[0] + 2 * architecture[1])
        assert fitted.evaluate(architecture, rng=rng).score == pytest.approx(final, abs=1.5)


def test_lcsvr_needs_something_to_learn_from() -> None:
    for options, said in (({"labels": 3}, "labels=3"), ({"draws": 0}, "draws=0")):
        with pytest.raises(InvalidValue, match=said):
            made(LcSVR, **options)
    with pytest.raises(InvalidValue, match="labels=8 gave"):  # failures don't count
        LcSVR.for_task(broken(), np.random.default_rng(0), epochs=3, labels=8)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_continues_its_own_curves(name: str) -> None:
    family = FAMILIES[name]
    parameters = np.array(family.start)
    epochs = np.arange(1.0, 16)
    whole = 20 + 60 * family.function(np.arange(1.0, 41), *parameters)
    assert (np.diff(whole) > 0).all()  # it rises
    found = extrapolated(epochs, whole[:15], 40.0)
    assert abs(found - whole[-1]) < 0.25 * abs(whole[14] - whole[-1]) + 0.01 * np.ptp(whole)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0], 3.0), ([3.0, 4.0], 4.0), ([5.0] * 8, 5.0), ([1.0, 9.0, 2.0], 2.0)],
)
def test_without_a_trend_it_is_the_last_value(values: list[float], expected: float) -> None:
    assert extrapolated(np.arange(1.0, len(values) + 1), np.array(values), 20.0) == expected


def test_what_is_extrapolated_is_bounded() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=7)
        found = extrapolated(np.arange(1.0, 8), values, 100.0)
        assert values.min() <= found <= values.max() + np.ptp(values)


def test_they_are_judged_by_name(tmp_path: Path) -> None:
    names = [
        "last-value[epochs=3]",
        "sotl[epochs=3]",
        "sotl-e[epochs=3]",
        "lcsvr[epochs=3,draws=5]",
        "power-laws[epochs=6]",
    ]
    result = naslab.correlate("pocket-mlp/segments", names, architectures=40, out=tmp_path)
    frame = result.summary
    assert set(frame["evaluator"]) == set(names)
    assert frame["Spearman"].min() > 0.4
