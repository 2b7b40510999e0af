"""The number of parameters, of many networks at once: counted from the space, without building them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslab.evaluators.base import Evaluation, Evaluator, Fidelity
from naslab.evaluators.stopwatch import Stopwatch
from naslab.space import Architecture, SearchSpace


class CountedParams(Evaluator):
    """The proxy ``params`` from the cost model, which counts what the network would have, dead branches included.

    Args:
        space: With a network, and without ranges.
    """

    clock = "measured"

    def __init__(self, space: SearchSpace) -> None:
        space.require_network("a score of the untrained network")
        space.require_one_size("a score of the untrained network")
        self.space = space

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return self.evaluate_many([architecture], fidelity=fidelity, rng=rng)[0]

    def evaluate_many(
        self, architectures: Sequence[Architecture], *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> list[Evaluation]:
        watch = Stopwatch("cpu")
        found = self.space.cost_model.values("params", np.array(architectures)).tolist()
        each = watch.seconds() / len(found)
        return [Evaluation(float(params), each, {"params": float(params)}) for params in found]
