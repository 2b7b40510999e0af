"""How far DARTS' finite differences are from the gradient that they stand for, through batch normalisation and ReLU.

Along runs of `darts` on `pocket-cell/mnist`: the gradient, by the logits, of the validation loss after one step of the
weights, by finite differences (`darts-v2`) and by differentiating twice, on the same batches. "of the gradient": the
norm of their difference over that of the exact gradient. "of its second order": over that of the part which is due to
the weights' moving with the logits. Medians over batches and seeds, quartiles in brackets. At the end, before training
and in float64, the same for steps of other lengths than the paper's 0.01: where the error is due to kinks it stays
until the step crosses none.

    python benchmarks/second_order.py [--epochs 0 1 5 20] [--batches 20] [--seeds 3]
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from naslab.optimizers.gradient.model import unmoved_statistics
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.updates import (
    ArchitectureUpdate,
    Batch,
    ExactSecondOrder,
    FirstOrder,
    Learner,
    SecondOrder,
    unrolled_step,
)
from naslab.optimizers.spec import optimizer_spec
from naslab.problem import Constraint
from naslab.runs import constrained_task

TASK = "pocket-cell/mnist"


class Noting(Learner):
    """Takes no step, keeps the gradient."""

    noted: Tensor

    def step(self, gradients: Sequence[Tensor | None]) -> None:
        filled = [
            torch.zeros_like(p) if g is None else g for g, p in zip(gradients, self.model.architecture, strict=True)
        ]
        object.__setattr__(self, "noted", torch.cat([each.flatten() for each in filled]))


def gradient(search: OneShotSearch, update: ArchitectureUpdate, train: Batch, held: Batch) -> Tensor:
    learner = Noting(search.model, search.relaxation, search.optimizer, search.weight_optimizer, search.generator)
    update.update(learner, train, held)
    return learner.noted


def at_moved_weights(search: OneShotSearch, train: Batch, held: Batch) -> Tensor:
    """The gradient as if the weights had moved whatever the logits are."""
    weights = search.model.weights
    before = [each.detach().clone() for each in weights]
    with unmoved_statistics(search.model.supernet):
        loss = Learner(
            search.model, search.relaxation, search.optimizer, search.weight_optimizer, search.generator
        ).loss(train)
        descent = torch.autograd.grad(loss, weights, allow_unused=True)
        filled = [torch.zeros_like(w) if g is None else g for g, w in zip(descent, weights, strict=True)]
        _, moved = unrolled_step(search.weight_optimizer, weights, filled)
        for values in (moved, before):
            with torch.no_grad():
                for weight, value in zip(weights, values, strict=True):
                    weight.copy_(value)
            if values is moved:
                found = gradient(search, FirstOrder(), train, held)
    return found


def errors(search: OneShotSearch, batches: int) -> list[tuple[float, float, float]]:
    """For each pair of batches: of the gradient, of its second order, and the second order's share of the gradient."""
    search._schedule()
    search.model.supernet.train()
    found = []
    for _ in range(batches):
        train, held = search.train_batches.next(), search.held_batches.next()
        exact, finite = (gradient(search, each, train, held) for each in (ExactSecondOrder(), SecondOrder()))
        second = exact - at_moved_weights(search, train, held)
        away, whole, part = (float(torch.linalg.vector_norm(each)) for each in (finite - exact, exact, second))
        found.append((away / whole, away / part, part / whole))
    return found


def by_length(lengths: Sequence[float], batches: int) -> dict[float, np.ndarray]:
    """Errors over the second-order part in float64, by the length of the differences' step."""
    search = searching(0, 1)
    search.model.supernet.double()
    for parameter in search.model.architecture:
        parameter.data = parameter.data.double()
    search._schedule()
    search.model.supernet.train()
    found: dict[float, list[float]] = {length: [] for length in lengths}
    for _ in range(batches):
        (x, y), (u, v) = search.train_batches.next(), search.held_batches.next()
        train, held = (x.double(), y), (u.double(), v)
        exact = gradient(search, ExactSecondOrder(), train, held)
        part = torch.linalg.vector_norm(exact - at_moved_weights(search, train, held))
        for length in lengths:
            update = SecondOrder()
            update.length = length
            away = torch.linalg.vector_norm(gradient(search, update, train, held) - exact)
            found[length].append(float(away / part))
    return {length: np.array(errors) for length, errors in found.items()}


def searching(seed: int, epochs: int) -> OneShotSearch:
    problem = constrained_task(TASK, Constraint()).problem
    spec = optimizer_spec(f"darts[update=second-order-exact,epochs={epochs}]")
    search = spec.build(problem, np.random.default_rng(seed))
    assert isinstance(search, OneShotSearch)
    return search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 1, 5, 20])
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    found: dict[int, list[tuple[float, float, float]]] = {epoch: [] for epoch in args.epochs}
    for seed in range(args.seeds):
        search = searching(seed, max(args.epochs))
        search.update = FirstOrder()
        for epoch in range(max(args.epochs) + 1):
            if epoch in found:
                found[epoch] += errors(search, args.batches)
            search.step()
    print(f"{'epochs':>6} {'of the gradient':>28} {'of its second order':>28} {'its share':>28}")
    for epoch, rows in found.items():
        quartiles = np.quantile(rows, [0.25, 0.5, 0.75], axis=0).T
        print(f"{epoch:6d} " + " ".join(f"{f'{mid:.1%} [{low:.1%}, {high:.1%}]':>28}" for low, mid, high in quartiles))
    print("\nfloat64, before training, by length of the step: of its second order")
    for length, values in by_length((1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6), args.batches).items():
        low, mid, high = np.quantile(values, [0.25, 0.5, 0.75])
        print(f"{length:6.0e} {mid:.1%} [{low:.1%}, {high:.1%}]")


if __name__ == "__main__":
    main()
