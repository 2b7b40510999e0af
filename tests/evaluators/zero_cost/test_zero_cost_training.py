"""Short trainings: the beginning of the long one; and a regression to signals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plain_networks import CLASSES, known, score, seeded, together

import naslab
from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.errors import InvalidValue
from naslab.evaluators.fitting import fit
from naslab.evaluators.zero_cost import gen_nas
from naslab.evaluators.zero_cost.blocks import cut_nodes
from naslab.evaluators.zero_cost.training import Short
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

pytestmark = pytest.mark.usefixtures("global_randomness")
SPACE = naslab.search_space("mlp", in_features=3, out_features=CLASSES, depth=2, widths=(4, 30))
RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.2)


def rows(count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 3)).astype(np.float32)
    return Rows(x, (x[:, 0] > 0).astype(np.int64) + 2 * (x[:, 1] > 0))


TRAIN, HELD = rows(43, 0), rows(30, 1)


def scored(name: str, short: Short, architecture: tuple[int, ...] = (1, 1)) -> float:
    network = compile_network(SPACE, architecture, generator=seeded())
    found = known(network, torch.zeros(2, 3), None, name, short=short)
    return together(found, name)[name]


@pytest.mark.parametrize(("epochs", "steps"), [(1, None), (1, 5), (2, 10)])
def test_early_loss_is_the_sum_of_the_training_s_first_losses(epochs: int, steps: int | None) -> None:
    network = compile_network(SPACE, (1, 1), generator=seeded())
    generator = known(network, torch.zeros(2, 3), None, "early-loss").generator("early-loss")
    done = fit(network, TRAIN, RECIPE, generator, epochs=epochs)
    expected = -5 * float(done.losses.sum())
    assert scored("early-loss", Short(TRAIN, HELD, RECIPE, steps=steps)) == pytest.approx(expected, rel=1e-6)


def test_one_step_is_the_loss_before_training() -> None:
    assert scored("early-loss", Short(TRAIN, HELD, RECIPE, steps=1)) == pytest.approx(-math.log(CLASSES), abs=0.3)


def test_early_accuracy_is_that_of_the_training_s_first_epochs() -> None:
    network = compile_network(SPACE, (1, 1), generator=seeded())
    generator = known(network, torch.zeros(2, 3), None, "early-accuracy").generator("early-accuracy")
    done = fit(network, TRAIN, RECIPE, generator, {"held": HELD}, epochs=2)
    expected = 100 * done.scored["held"][-1, 0] / 30
    assert expected > 40
    assert scored("early-accuracy", Short(TRAIN, HELD, RECIPE, epochs=2)) == pytest.approx(expected)


def test_a_wider_network_learns_faster() -> None:
    short = Short(TRAIN, HELD, RECIPE, steps=15)
    assert scored("early-loss", short, (1, 1)) > scored("early-loss", short, (0, 0))


def test_what_a_short_training_may_be() -> None:
    for options, allowed in (({"steps": 16}, 15), ({"epochs": 4}, 3), ({"steps": 0}, 15)):
        with pytest.raises(InvalidValue, match=f"Allowed: 1 to the recipe's {allowed}"):
            Short(TRAIN, HELD, RECIPE, **{"steps": 5, **options})
    with pytest.raises(InvalidValue, match=r"'early-loss' trains: .* Fix: give short=Short"):
        score("early-loss", compile_network(SPACE, (1, 1)), torch.zeros(2, 3))


def test_short_trainings_need_class_numbers() -> None:
    numbers = Rows(TRAIN.x, TRAIN.x[:, 0])
    for name in ("early-loss", "early-accuracy"):
        with pytest.raises(InvalidValue, match="labels are no class numbers"):
            scored(name, Short(numbers, HELD, RECIPE))


def test_gen_nas_falls_with_the_regression_s_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    space = pocket_cell(channels=4)
    network = compile_network(space, (3, 2, 4, 1, 3, 2), generator=seeded())
    x = torch.randn(16, 1, 8, 8, generator=seeded())
    found = []
    for iterations in (0, 10, 40):
        monkeypatch.setattr(gen_nas, "ITERATIONS", iterations)
        found.append(together(known(network, x, None, "gen-nas", blocks=cut_nodes(space)), "gen-nas")["gen-nas"])
    # Two sizes of images, so two signals, of weights 0.5 and 1. Sines have a mean square of one half: what zeros cost.
    assert found[0] < -0.75 < found[2] < 0
    assert found[2] > found[1]


def test_signals_are_sines_of_at_most_half_a_cycle_a_pixel() -> None:
    waves = gen_nas._waves(seeded())
    assert waves.shape == (64, 8, 8)
    assert waves.abs().max() <= 1
    assert float(waves.square().mean()) == pytest.approx(0.5, abs=0.1)
    spectrum = torch.fft.rfft2(waves).abs()
    assert (
        int((spectrum.flatten(1).amax(dim=1) > spectrum.flatten(1).median(dim=1).values * 3).sum()) > 55
    )  # one frequency each
    assert torch.equal(waves, gen_nas._waves(seeded()))
