"""The speed of this machine: a fixed training, timed."""

from __future__ import annotations

import types
from collections.abc import Iterator

import pytest
import torch

from naslab.evaluators import calibration
from naslab.evaluators.calibration import calibration_seconds, speed

pytestmark = pytest.mark.usefixtures("global_randomness")


@pytest.fixture
def fresh_speed() -> Iterator[None]:
    speed.cache_clear()
    yield
    speed.cache_clear()


def test_the_median_of_five_without_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0.0]
    for lasts in (100.0, 5.0, 1.0, 4.0, 0.5, 3.0):
        moments += [moments[-1] + lasts, moments[-1] + lasts + 1000.0]  # in between, a network is compiled
    clock, threads = iter(moments), []

    def process_time() -> float:
        threads.append(torch.get_num_threads())
        return next(clock)

    before = torch.get_num_threads()
    monkeypatch.setattr(calibration, "time", types.SimpleNamespace(process_time=process_time))
    torch.set_num_threads(2)
    try:
        assert calibration_seconds() == 3.0
        assert torch.get_num_threads() == 2  # as it was
    finally:
        torch.set_num_threads(before)
    assert threads == [1] * 12


def test_threads_are_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    monkeypatch.setattr(calibration, "fit", broken)
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            calibration_seconds()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_small_training_takes_a_small_time() -> None:
    assert 0.005 < calibration_seconds() < 5


@pytest.mark.usefixtures("fresh_speed")
def test_speed_is_recorded_over_measured_and_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([4.0, 2.0])
    monkeypatch.setattr(calibration, "calibration_seconds", lambda: next(measured))
    assert speed(1.0) == 0.25  # this machine is four times as slow: its seconds are worth a quarter
    assert speed(1.0) == 0.25
    speed.cache_clear()
    assert speed(1.0) == 0.5


@pytest.mark.usefixtures("fresh_speed")
def test_a_table_of_another_machine_has_another_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "calibration_seconds", lambda: 4.0)
    assert (speed(1.0), speed(8.0)) == (0.25, 2.0)
