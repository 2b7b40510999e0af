"""The training loop, against steps taken by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.layers import Linear, built
from naslab.evaluators.predictors.losses import squared
from naslab.evaluators.predictors.training import Schedule, Training, outputs_of

X = torch.randn(7, 3, generator=torch.Generator().manual_seed(5))
Y = X @ torch.tensor([1.0, -2.0, 0.5])


class Scores(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)[:, 0]


def training(schedule: Schedule, seed: int = 0) -> Training:
    model = built(Scores, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    return Training(model, lambda inputs, y: squared(model(*inputs), y), (X,), Y, schedule, generator)


def test_an_epoch_is_adam_on_shuffled_full_batches():
    run = training(Schedule(epochs=2, batch=3, learning_rate=0.1, weight_decay=0.01))
    twin = built(Scores, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(twin.parameters(), 0.1, weight_decay=0.01)
    order = torch.Generator().manual_seed(0)
    run.run()
    for epoch in range(2):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * epoch / 2)) / 2
        rows = torch.randperm(7, generator=order)
        for batch in (rows[:3], rows[3:6]):
            optimizer.zero_grad()
            (twin(X[batch]) - Y[batch]).square().mean().backward()
            optimizer.step()
    for mine, other in zip(run.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_it_learns_a_linear_map():
    run = training(Schedule(epochs=400, batch=7, learning_rate=0.1))
    run.run()
    torch.testing.assert_close(outputs_of(run.model, (X,)), Y, atol=0.01, rtol=0)


def test_a_gradient_is_clipped():
    run = training(Schedule(epochs=1, batch=7, learning_rate=1e-9, clip=0.5))
    run.run()
    norm = torch.cat([p.grad.flatten() for p in run.model.parameters()]).norm().item()
    assert norm == pytest.approx(0.5, rel=1e-4)


def test_many_rows_are_taken_in_larger_batches_at_larger_rates():
    schedule = Schedule(epochs=1, batch=10, learning_rate=1e-4, most_steps=20)
    assert schedule.sized(150) == schedule.sized(200) == schedule
    assert schedule.sized(4).batch == 4
    assert schedule.sized(800).batch == 40
    assert schedule.sized(800).learning_rate == pytest.approx(2e-4)


def test_rates_fall_along_half_a_cosine_or_stay():
    falling = Schedule(epochs=4, batch=1, learning_rate=2.0)
    assert [falling.rate(e) for e in (0, 2)] == pytest.approx([2.0, 1.0])
    assert falling.rate(4) == pytest.approx(0)
    assert Schedule(epochs=4, batch=1, learning_rate=2.0, cosine=False).rate(3) == 2.0


def test_outputs_are_those_of_evaluation_mode_in_the_order_of_rows():
    model = built(Scores, torch.Generator())
    x = torch.randn(1300, 3, generator=torch.Generator())
    torch.testing.assert_close(outputs_of(model, (x,)), model(x).detach())


@pytest.mark.parametrize("changed", [{"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}])
def test_schedules_that_make_no_sense_are_refused(changed):
    with pytest.raises(InvalidValue, match="Allowed"):
        Schedule(**{"epochs": 1, "batch": 1, "learning_rate": 0.1, **changed})
