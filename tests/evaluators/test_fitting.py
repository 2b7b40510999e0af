"""Training: equal to plain PyTorch, one network or several; what is recorded; what can go wrong."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import drawn_rows, seeded, tensors, train_by_hand
from torch import Tensor, nn
from torch.nn import functional

import naslab
from naslab.compiler.network import compile_network
from naslab.compiler.population import stack_networks
from naslab.datasets import Rows
from naslab.errors import InvalidValue
from naslab.evaluators import stopwatch
from naslab.evaluators.fitting import Training, count_right, fit
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

pytestmark = pytest.mark.usefixtures("global_randomness")
SPACE = naslab.search_space("mlp", in_features=4, out_features=3, depth=2, widths=(2, 5, 16))
ARCHITECTURES = [(0, 2), (1, 1), (2, 0)]
TRAIN, HELD = drawn_rows(70, seed=1), drawn_rows(45, seed=2)  # 4 batches of 16, 6 rows are left out of each epoch
SGD = Recipe(epochs=5, batch=16, learning_rate=0.1, weight_decay=1e-3)
ADAMW = dataclasses.replace(SGD, optimizer="adamw", learning_rate=0.02, weight_decay=0.1)
CONSTANT = dataclasses.replace(SGD, schedule="constant")
ADAM = dataclasses.replace(ADAMW, optimizer="adam")
MIXUP = dataclasses.replace(SGD, mixup=0.4)


def networks() -> list[nn.Module]:
    return [compile_network(SPACE, a, generator=seeded(i)).double() for i, a in enumerate(ARCHITECTURES)]


def population() -> nn.Module:
    return stack_networks(SPACE, ARCHITECTURES, networks())


def same(one: Training, other: Training, epochs: int | None = None) -> None:
    """To the bit, but for the seconds."""
    np.testing.assert_array_equal(one.losses[:epochs], other.losses)
    np.testing.assert_array_equal(one.train[:epochs], other.train)
    assert one.scored.keys() == other.scored.keys()
    for name, counts in one.scored.items():
        np.testing.assert_array_equal(counts[:epochs], other.scored[name])


@pytest.mark.parametrize(
    "recipe", [SGD, ADAMW, CONSTANT, ADAM, MIXUP], ids=["sgd", "adamw", "constant", "adam", "mixup"]
)
def test_fitting_is_plain_training(recipe: Recipe) -> None:
    expected = [train_by_hand(net, TRAIN, recipe, seeded(5), HELD) for net in networks()]
    losses, right, scored = (np.array(column).T for column in zip(*expected, strict=True))
    assert len({tuple(column) for column in scored.T}) == 3  # the members differ
    assert losses[-1].max() < losses[0].min()  # they learn
    together = fit(population(), TRAIN, recipe, seeded(5), {"held": HELD})
    alone = [fit(net, TRAIN, recipe, seeded(5), {"held": HELD}) for net in networks()]
    for done in (together, *alone):
        assert done.losses.dtype == np.float64
        assert (done.train.dtype, done.scored["held"].dtype) == (np.int64, np.int64)
    np.testing.assert_allclose(together.losses, losses, rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.hstack([done.losses for done in alone]), losses, rtol=0, atol=1e-10)
    for train, held in (
        (together.train, together.scored["held"]),
        (np.hstack([done.train for done in alone]), np.hstack([done.scored["held"] for done in alone])),
    ):
        np.testing.assert_array_equal(train, right)
        np.testing.assert_array_equal(held, scored)


def test_cells_are_fitted_as_in_plain_training() -> None:
    space = pocket_cell(num_classes=3, input_shape=(1, 4, 4), channels=2)
    train, held = drawn_rows(40, (1, 4, 4), seed=1), drawn_rows(80, (1, 4, 4), seed=2)
    recipe = dataclasses.replace(SGD, epochs=2, batch=8)
    architectures = [(0, 0, 0, 2, 0, 0), (3, 2, 4, 1, 3, 2), (0, 0, 0, 0, 0, 0)]

    def nets() -> list[Any]:
        return [compile_network(space, a, generator=seeded(i)).double() for i, a in enumerate(architectures)]

    expected = [train_by_hand(net, train, recipe, seeded(5), held) for net in nets()]
    losses, right, scored = (np.array(column).T for column in zip(*expected, strict=True))
    done = fit(stack_networks(space, architectures, nets()), train, recipe, seeded(5), {"held": held})
    np.testing.assert_allclose(done.losses, losses, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(done.train, right)
    np.testing.assert_array_equal(done.scored["held"], scored)


def test_parts_that_are_fitted_see_what_arrives_there_from_all_training_rows() -> None:
    seen = []

    class Fitted(nn.Module):
        def fit_rows(self, x: Tensor) -> None:
            seen.append((x.clone(), self.training, torch.is_grad_enabled()))

        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    network = nn.Sequential(Fitted(), Fitted(), networks()[0])
    fit(network, TRAIN, SGD, seeded(), {"held": HELD})
    x = torch.from_numpy(TRAIN.x).double()
    assert [each[1:] for each in seen] == [(False, False)] * 2
    for factor, (rows, *_) in zip((1, 2), seen, strict=True):
        torch.testing.assert_close(rows, factor * x, rtol=0, atol=0)
    assert not network[0]._forward_pre_hooks


def test_shapes_of_the_curves() -> None:
    done = fit(population(), TRAIN, SGD, seeded(), {"held": HELD, "again": TRAIN})
    for curve in (done.losses, done.train, done.scored["held"], done.scored["again"]):
        assert curve.shape == (5, 3)
    assert done.seconds.shape == (5,)
    assert (np.diff([0.0, *done.seconds]) > 0).all()
    single = fit(networks()[0], TRAIN, SGD, seeded())
    assert single.losses.shape == single.train.shape == (5, 1)
    assert single.scored == {}


def test_stopping_early_is_the_beginning_of_the_whole() -> None:
    recipe = dataclasses.replace(ADAMW, epochs=5)
    whole = fit(population(), TRAIN, recipe, seeded(3), {"held": HELD})
    for epochs in (1, 3):
        same(whole, fit(population(), TRAIN, recipe, seeded(3), {"held": HELD}, epochs=epochs), epochs)
    shorter = fit(population(), TRAIN, dataclasses.replace(recipe, epochs=3), seeded(3), {"held": HELD})
    assert not np.array_equal(whole.losses[:3], shorter.losses)  # its schedule is another


def test_scoring_changes_nothing() -> None:
    scored, unscored = (fit(population(), TRAIN, SGD, seeded(3), held) for held in ({"held": HELD}, None))
    np.testing.assert_array_equal(scored.losses, unscored.losses)
    np.testing.assert_array_equal(scored.train, unscored.train)


def test_the_generator_decides_alone() -> None:
    first = fit(population(), TRAIN, SGD, seeded(3), {"held": HELD})
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        same(first, fit(population(), TRAIN, SGD, seeded(3), {"held": HELD}))
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
    assert not np.array_equal(first.losses, fit(population(), TRAIN, SGD, seeded(4)).losses)


# ---- augmentation ----------------------------------------------------------------------------------------------------


class Recorder(nn.Module):
    """Keeps what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))
        self.seen: list[Tensor] = []
        self.judged: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        (self.seen if self.training else self.judged).append(x)
        return self.bias.expand(len(x), 3)


def test_every_row_is_seen_at_most_once_an_epoch() -> None:
    model = Recorder()
    fit(model, TRAIN, SGD, seeded())
    assert [len(batch) for batch in model.seen] == [16] * 20
    orders = set()
    for epoch in range(5):
        rows = [tuple(row.tolist()) for row in torch.cat(model.seen[4 * epoch : 4 * epoch + 4])]
        assert len(set(rows)) == 64
        assert set(rows) < {tuple(row.tolist()) for row in torch.from_numpy(TRAIN.x)}
        orders.add(tuple(rows))
    assert len(orders) == 5


def test_shifts_are_of_one_pixel_at_most_and_the_same_for_a_batch() -> None:
    rows = Rows(np.arange(1, 12 * 2 * 5 * 6 + 1, dtype=np.float32).reshape(12, 2, 5, 6), np.arange(12) % 3)
    recipe = Recipe(epochs=30, batch=4, learning_rate=0.1, augmentation="shift")
    model, plain = Recorder(), Recorder()
    fit(model, rows, recipe, seeded(), {"held": rows})
    fit(plain, rows, dataclasses.replace(recipe, augmentation="none"), seeded(), {"held": rows})
    originals = torch.from_numpy(rows.x)
    met: dict[tuple[int, int], int] = {}
    for batch in model.seen:
        assert batch.shape == (4, 2, 5, 6)
        found = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                moved = torch.zeros_like(originals)
                to = (slice(max(down, 0), 5 + min(down, 0)), slice(max(right, 0), 6 + min(right, 0)))
                fro = (slice(max(-down, 0), 5 + min(-down, 0)), slice(max(-right, 0), 6 + min(-right, 0)))
                moved[:, :, to[0], to[1]] = originals[:, :, fro[0], fro[1]]
                if all(any(torch.equal(image, candidate) for candidate in moved) for image in batch):
                    found.append((down, right))
        assert len(found) == 1
        met[found[0]] = met.get(found[0], 0) + 1
    assert len(met) == 9
    assert max(met.values()) < 30  # of 90: about ten each
    assert all(torch.equal(batch, originals) for batch in model.judged)  # rows that are scored stay where they are
    unmoved = {tuple(image.flatten().tolist()) for batch in plain.seen for image in batch}
    assert unmoved == {tuple(image.flatten().tolist()) for image in originals}


def test_shifts_come_from_the_generator() -> None:
    rows = drawn_rows(40, (1, 4, 4))
    recipe = Recipe(epochs=2, batch=8, learning_rate=0.1, augmentation="shift")
    seen = []
    for seed in (1, 1, 2):
        model = Recorder()
        fit(model, rows, recipe, seeded(seed))
        seen.append(torch.cat(model.seen))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


# ---- scoring ---------------------------------------------------------------------------------------------------------


def test_right_rows_are_counted_over_all_blocks() -> None:
    x, y = tensors(drawn_rows(201, seed=4), torch.float64)
    model = population().eval()
    logits = model(x).detach().numpy()
    expected = [(logits[:, member].argmax(1) == y.numpy()).sum() for member in range(3)]
    assert len(set(expected)) > 1
    np.testing.assert_array_equal(count_right(model.train(), x, y), expected)


def test_scoring_uses_running_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.Flatten())
    model[0].running_mean[:] = torch.tensor([0.0, 5.0, 0.0])
    x = torch.tensor([[1.0, 4.0, 0.0]] * 4)  # the last but one is the largest, unless its running mean is taken off
    np.testing.assert_array_equal(count_right(model, x, torch.tensor([0, 0, 1, 2])), [2])
    assert torch.equal(model[0].running_mean, torch.tensor([0.0, 5.0, 0.0]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_for_which_nothing_finite_is_said_is_wrong(bad: float) -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [bad, 0.0, 0.0], [0.0, 0.0, bad], [bad] * 3, [0.0, -math.inf, 1.0]])
    assert count_right(nn.Identity(), logits, torch.tensor([0, 0, 2, 0, 2])).tolist() == [2]


def test_seconds_are_those_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Slow(Recorder):
        def forward(self, x: Tensor) -> Tensor:
            clock[0] += 1.0 if self.training else 100.0
            return super().forward(x)

    monkeypatch.setattr(stopwatch.time, "process_time", lambda: clock[0])
    done = fit(Slow(), TRAIN, SGD, seeded(), {"held": HELD})
    assert done.seconds.tolist() == [4.0, 8.0, 12.0, 16.0, 20.0]


# ---- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_training_that_diverges_is_no_crash(optimizer: str) -> None:
    recipe = dataclasses.replace(SGD, optimizer=optimizer, learning_rate=1e36, epochs=3, weight_decay=1e3)
    model = stack_networks(SPACE, ARCHITECTURES, [net.float() for net in networks()])
    done = fit(model, TRAIN, recipe, seeded(), {"held": HELD})
    assert not np.isfinite(done.losses[-1]).any()
    assert (done.scored["held"][-1] == 0).all()
    assert (done.train[-1] == 0).all()


def test_one_member_diverges_alone() -> None:
    nets = networks()
    with torch.no_grad():
        next(nets[1].parameters())[0, 0] = math.nan
    done = fit(stack_networks(SPACE, ARCHITECTURES, nets), TRAIN, SGD, seeded(3), {"held": HELD})
    sound = fit(population(), TRAIN, SGD, seeded(3), {"held": HELD})
    assert np.isnan(done.losses[:, 1]).all()
    assert (done.scored["held"][:, 1] == 0).all()
    for curve, other in ((done.losses, sound.losses), (done.scored["held"], sound.scored["held"])):
        np.testing.assert_array_equal(curve[:, [0, 2]], other[:, [0, 2]])


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InvalidValue, match="a batch of 71 is larger than the 70 training rows"):
        fit(population(), TRAIN, dataclasses.replace(SGD, batch=71), seeded())
    for epochs in (0, -1, 6):
        with pytest.raises(InvalidValue, match=f"epochs={epochs}. Allowed: 1 to the recipe's 5"):
            fit(population(), TRAIN, SGD, seeded(), epochs=epochs)
    with pytest.raises(InvalidValue, match="augmentation='shift' moves images; the training rows are none"):
        fit(population(), TRAIN, dataclasses.replace(SGD, augmentation="shift"), seeded())


def test_a_batch_of_all_rows() -> None:
    model, x, y = networks()[0], *tensors(TRAIN, torch.float64)
    first = functional.cross_entropy(model(x), y).item()
    done = fit(model, TRAIN, dataclasses.replace(SGD, batch=70, epochs=1), seeded())
    assert done.losses[0, 0] == pytest.approx(first, abs=1e-12)
