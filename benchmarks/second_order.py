"""How far DARTS' finite differences are from the gradient that they stand for, through batch normalisation and ReLU.

Along runs of `darts` on `pocket-cell/mnist`: the gradient, by the logits, of the validation loss after one step of the
weights, by finite differences (`darts-v2`) and by differentiating twice, on the same batches. "of the gradient": the
norm of their difference over that of the exact gradient. "of its second order": over that of the part which is due to
the weights' moving with the logits. Then the step that is unrolled, plain momentum's, against the one that is taken,
with Nesterov's momentum and clipping: how far apart the weights after them are, over the length of the latter, and the
exact gradients through the two, likewise. Medians over batches and seeds, quartiles in brackets. At the end, before
training and in float64, the same for steps of other lengths than the paper's 0.01: where the error is due to kinks it
stays until the step crosses none.

    python benchmarks/second_order.py [--epochs 0 1 5 20] [--batches 20] [--seeds 3]
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.model import unmoved_statistics
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.updates import (
    ArchitectureUpdate,
    Batch,
    ExactSecondOrder,
    FirstOrder,
    Learner,
    SecondOrder,
    set_values,
    unrolled_step,
)
from naslab.running import constrained_task
from naslab.tasks import Constraint

TASK = "pocket-cell/mnist"
LENGTHS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class Noting(Learner):
    """Takes no step, keeps the gradient."""

    noted: Tensor

    def step(self, gradients: Sequence[Tensor]) -> None:
        object.__setattr__(self, "noted", torch.cat([each.flatten() for each in gradients]))


def learner_of(search: OneShotSearch, clip: float | None = None) -> Noting:
    parts = (search.model, search.relaxation, search.optimizer, search.weight_optimizer, search.generator)
    return Noting(*parts, clip=clip)


def gradient(
    search: OneShotSearch, update: ArchitectureUpdate, train: Batch, held: Batch, clip: float | None = None
) -> Tensor:
    learner = learner_of(search, clip)
    update.update(learner, train, held)
    return learner.noted


def apart(search: OneShotSearch, train: Batch, held: Batch) -> list[float]:
    """The step unrolled and the gradient through it, each against those of the step that is taken: relative."""
    weights = search.model.weights
    with unmoved_statistics(search.model.supernet):
        descent = torch.autograd.grad(learner_of(search).loss(train), weights, materialize_grads=True)
    ends = (unrolled_step(search.weight_optimizer, weights, descent, clip)[1] for clip in (search.clip, None))
    steps = [torch.cat([(w - v).detach().flatten() for w, v in zip(end, weights, strict=True)]) for end in ends]
    ways = [gradient(search, ExactSecondOrder(), train, held, clip) for clip in (search.clip, None)]
    return [float((plain - taken).norm() / taken.norm()) for taken, plain in (steps, ways)]


def at_moved_weights(search: OneShotSearch, train: Batch, held: Batch) -> Tensor:
    """The gradient as if the weights had moved whatever the logits are."""
    weights = search.model.weights
    before = [each.detach().clone() for each in weights]
    with unmoved_statistics(search.model.supernet):
        descent = torch.autograd.grad(learner_of(search).loss(train), weights, materialize_grads=True)
        set_values(weights, unrolled_step(search.weight_optimizer, weights, descent)[1])
        found = gradient(search, FirstOrder(), train, held)
        set_values(weights, before)
    return found


def errors(search: OneShotSearch, batches: int, lengths: Sequence[float], dtype: torch.dtype) -> np.ndarray:
    """``(batches, 4 + lengths)``: norms of the gradient, of its second order, and of the differences' errors by length;
    last, how far the step unrolled and the gradient through it are from what is taken."""
    search._schedule()
    search.model.supernet.train()
    found = []
    for _ in range(batches):
        (x, y), (u, v) = search.train_batches.next(), search.held_batches.next()
        train, held = (x.to(dtype), y), (u.to(dtype), v)
        exact = gradient(search, ExactSecondOrder(), train, held)
        away = [exact, exact - at_moved_weights(search, train, held)]
        for length in lengths:
            update = SecondOrder()
            update.length = length
            away.append(gradient(search, update, train, held) - exact)
        found.append([*(float(torch.linalg.vector_norm(each)) for each in away), *apart(search, train, held)])
    return np.array(found)


def searching(seed: int, epochs: int) -> OneShotSearch:
    problem = constrained_task(TASK, Constraint()).problem
    spec = optimizer_spec(f"darts[update=second-order-exact,epochs={epochs}]")
    search = spec.build(problem, np.random.default_rng(seed))
    assert isinstance(search, OneShotSearch)
    return search


def quartiles(shares: np.ndarray) -> str:
    low, mid, high = np.quantile(shares, [0.25, 0.5, 0.75])
    return f"{mid:.1%} [{low:.1%}, {high:.1%}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 1, 5, 20])
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    found: dict[int, list[np.ndarray]] = {epoch: [] for epoch in args.epochs}
    for seed in range(args.seeds):
        search = searching(seed, max(args.epochs))
        search.update = FirstOrder()
        for epoch in range(max(args.epochs) + 1):
            if epoch in found:
                found[epoch].append(errors(search, args.batches, [SecondOrder.length], torch.float32))
            search.step()
    heads = ("of the gradient", "of its second order", "its share", "step not taken", "gradient through it")
    print(f"{'epochs':>6} " + " ".join(f"{head:>28}" for head in heads))
    for epoch, tables in found.items():
        whole, part, away, step, way = np.concatenate(tables).T
        columns = (quartiles(share) for share in (away / whole, away / part, part / whole, step, way))
        print(f"{epoch:6d} " + " ".join(f"{column:>28}" for column in columns))
    print("\nfloat64, before training, by length of the step: of its second order")
    search = searching(0, 1)
    search.model.supernet.double()
    for parameter in search.model.architecture:
        parameter.data = parameter.data.double()
    _, part, *by_length, _, _ = errors(search, args.batches, LENGTHS, torch.float64).T
    for length, away in zip(LENGTHS, by_length, strict=True):
        print(f"{length:6.0e} {quartiles(away / part)}")


if __name__ == "__main__":
    main()
