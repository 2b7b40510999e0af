"""Checks of search spaces, evaluators and operations."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np

from naslab.evaluators import Evaluation, Evaluator
from naslab.space import SearchSpace
from naslab.testing.common import ConformanceError, context, expect, global_randomness_untouched
from naslab.testing.toys import SEED


def check_search_space(space: SearchSpace, *, samples: int = 50) -> None:
    """Check that a search space is consistent with itself.

    Samples and neighbours must be valid, neighbourhoods symmetric and mutations neighbours (unless decisions are
    conditional, or ranges); strings, JSON and pickles must
    come back as the same architecture; keys and costs must not depend on how the space was made; nothing may touch the
    global random states.

    Args:
        space: The space.
        samples: Number of random architectures to look at.

    Raises:
        ConformanceError: A check fails.
    """
    rng = np.random.default_rng(SEED)
    symmetric = not space.conditions and not space.ranges
    twin: SearchSpace = pickle.loads(pickle.dumps(space))
    with global_randomness_untouched():
        for _ in range(samples):
            a = space.sample(rng)
            expect(space.is_valid(a), f"sample() gave {a}, which is_valid() refuses")
            expect(space.architecture(json.loads(json.dumps(a))) == a, f"{a} does not come back from JSON")
            written = space.to_string(a)
            expect(space.from_string(written) == a, f"from_string({written!r}) is not {a}, which it was written from")
            expect(twin.to_string(a) == written, f"a pickled copy writes {a} differently")
            expect(twin.canonical(a) == space.canonical(a), f"a pickled copy has another canonical key for {a}")
            expect(twin.cost(a) == space.cost(a), f"a pickled copy has other costs for {a}")
            neighbors = space.neighbors(a)
            expect(len(set(neighbors)) == len(neighbors), f"neighbors({a}) lists an architecture twice")
            expect(a not in neighbors, f"neighbors({a}) lists the architecture itself")
            for b in neighbors[:20]:
                expect(space.is_valid(b), f"neighbors({a}) lists {b}, which is_valid() refuses")
                if symmetric:
                    expect(a in space.neighbors(b), f"{b} is a neighbour of {a}, but not the other way round")
            child = space.mutate(a, rng)
            expect(space.is_valid(child), f"mutate({a}) gave {child}, which is_valid() refuses")
            if not space.ranges:
                expect(child in neighbors or (not neighbors and child == a), f"mutate({a}) gave {child}: no neighbour")
            marked, chosen = int(space.encode(a, "one-hot")[: sum(space.sizes)].sum()), space.conditions.active(a)
            expect(marked == sum(chosen[: len(space.choices)]), f"the one-hot code of {a} marks {marked} options")


def check_evaluator(evaluator: Evaluator, space: SearchSpace, *, samples: int = 10) -> None:
    """Check that an evaluator keeps to the interface.

    It must return an :class:`~naslab.evaluators.Evaluation` with plain numbers, charge a time of at least zero,
    draw all its randomness from the generator it is given, leave the architecture and the global random states alone,
    and answer ``evaluate_many`` with one evaluation per architecture.

    Args:
        evaluator: The evaluator.
        space: A space whose architectures it evaluates.
        samples: Number of random architectures to evaluate.

    Raises:
        ConformanceError: A check fails.
    """
    rng = np.random.default_rng(SEED)
    architectures = [space.sample(rng) for _ in range(samples)]
    with global_randomness_untouched():
        for a in architectures:
            found = evaluator.evaluate(a, rng=np.random.default_rng(SEED))
            expect(isinstance(found, Evaluation), f"evaluate({a}) returned {found!r}, not an Evaluation")
            expect(isinstance(found.score, float), f"the score of {a} is {found.score!r}, not a float")
            expect(found.seconds >= 0, f"the evaluation of {a} charges {found.seconds} seconds")
            again = evaluator.evaluate(a, rng=np.random.default_rng(SEED))
            same = again.score == found.score or (math.isnan(again.score) and math.isnan(found.score))
            expect(same, f"the same generator gave {a} the scores {found.score} and {again.score}")
    many = evaluator.evaluate_many(architectures, rng=np.random.default_rng(SEED))
    expect(len(many) == len(architectures), f"evaluate_many() answered {len(architectures)} with {len(many)}")


def check_operation(op: Any, shape: tuple[Any, ...], width: Any = None, *, uncounted: int = 0) -> None:
    """Check an operation, its builder and its cuts; naslab's own vocabulary is tested by it.

    Where the operation, the features of the input or the width are choices, every combination is a form of it. Each
    form must have the stated output shape, parameters (with affine normalisations) and MACs, those of
    ``torch.utils.flop_counter``; get its initial values from the generator that it is given; and leave the global
    random states alone. Forms that share weights in a supernet must be parts of the largest: on its tensors, cut as the
    operation states, they compute what networks of their own with copies of these compute, training and evaluating, to
    1e-5.

    Args:
        op: The operation, with choices in it or without.
        shape: Shape of its input, without the batch axis; its first entry may be a choice.
        width: What the destination states: a number, a choice, or None.
        uncounted: MACs of one example that the operation states and the counter does not see (or, negative, the
            reverse).

    Raises:
        ConformanceError: A check fails.
    """
    from naslab.compiler.conformance import complaints

    with context(f"{op}"), global_randomness_untouched():
        for complaint in complaints(op, shape, width, uncounted, seed=SEED):
            raise ConformanceError(complaint)
