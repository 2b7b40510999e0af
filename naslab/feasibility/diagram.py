"""The architectures within limits as a decision diagram: exact sums over all of them, however many there are.

A diagram decides one choice per layer; its paths are the feasible architectures, each exactly once. Under independent
distributions, one per choice (a factorised policy), a pass over the layers answers every question about the feasible
architectures: their probability, its gradient, samples, the most probable of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.space import Architecture

Floats: TypeAlias = npt.NDArray[np.float64]
Probabilities: TypeAlias = Sequence[Floats]
"""One array per choice: the probability of each of its options."""
EXCLUDED = "every feasible architecture has the probability 0 under this policy. Fix: logits that are less far apart"
"""What a draw is refused with, and what else needs a feasible architecture: in double precision logits 750 apart."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One decision.

    Attributes:
        choice: Position of the choice in the space.
        targets: ``(nodes, options)``: the node of the next layer; ``after`` where the option is infeasible.
        after: The number of nodes of the next layer.
    """

    choice: int
    targets: npt.NDArray[np.int32]
    after: int


@dataclass(frozen=True, eq=False)
class Diagram:
    """A decision diagram that begins in one node and ends in one.

    Attributes:
        layers: One for every choice.
    """

    layers: tuple[Layer, ...]

    @property
    def ends(self) -> Floats:
        """One for the node in which paths end; empty where no path gets that far."""
        return np.ones(self.layers[-1].after if self.layers else 1)

    @property
    def nodes(self) -> int:
        """The number of nodes in all layers, without the end."""
        return sum(len(layer.targets) for layer in self.layers)

    @property
    def paths(self) -> float:
        """The number of paths; exact below 2**53."""
        ways = self.ends
        for layer in reversed(self.layers):
            ways = np.append(ways, 0.0)[layer.targets].sum(axis=1)
        return float(ways[0])

    def log_probability(self, p: Probabilities) -> float:
        """Logarithm of the probability that a draw is a path; minus infinity where that is 0."""
        return self._completions(p)[1]

    def marginals(self, p: Probabilities) -> tuple[float, list[Floats]]:
        """The log-probability, and each choice's distribution given that the draw is a path (zeros if it never is)."""
        onward, log_probability = self._completions(p)
        found: list[Floats] = [np.zeros(len(each)) for each in p]
        if log_probability == -np.inf:
            return log_probability, found
        reach: Floats = np.ones(1)
        for layer, completing in zip(self.layers, onward, strict=True):
            here = p[layer.choice]
            posterior = here * (reach @ completing)
            found[layer.choice] = posterior / posterior.sum()
            weights = reach[:, None] * here
            arriving = np.asarray(np.bincount(layer.targets.ravel(), weights.ravel(), layer.after + 1), np.float64)
            reach = arriving[: layer.after] / arriving[: layer.after].max()
        return log_probability, found

    def sample(self, p: Probabilities, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """``(count, choices)``: independent draws given that they are paths.

        Raises:
            InvalidValue: No path has a probability above 0.
        """
        onward, log_probability = self._completions(p)
        if log_probability == -np.inf:
            raise InvalidValue(EXCLUDED)
        drawn = np.zeros((count, len(p)), np.int64)
        node = np.zeros(count, np.int64)
        for layer, completing in zip(self.layers, onward, strict=True):
            cumulative = np.cumsum(completing[node] * p[layer.choice], axis=1)
            uniform = rng.random(count) * cumulative[:, -1]
            # <=, not <: a uniform number of zero must not choose an option of probability zero.
            option = np.minimum((cumulative <= uniform[:, None]).sum(axis=1), cumulative.shape[1] - 1)
            drawn[:, layer.choice] = option
            node = layer.targets[node, option].astype(np.int64)
        return drawn

    def best(self, p: Probabilities) -> Iterator[tuple[Architecture, float]]:
        """Paths with their log-probabilities, the most probable first; ties in the order of option numbers.

        Best-first search. A backward pass of maxima (Viterbi) gives the best completion of every node exactly, so that
        no node is visited in vain. Paths of probability zero are left out.
        """
        with np.errstate(divide="ignore"):
            logs = [np.log(each) for each in p]
        bounds = [self.ends - 1]
        for layer in reversed(self.layers):
            bounds.append((np.append(bounds[-1], -np.inf)[layer.targets] + logs[layer.choice]).max(axis=1))
        bounds.reverse()
        heap: list[tuple[float, tuple[int, ...], int, float]] = [(-float(bounds[0][0]), (), 0, 0.0)]
        while heap and heap[0][0] < np.inf:
            _, decided, node, so_far = heapq.heappop(heap)
            if len(decided) == len(self.layers):
                options = dict(zip((layer.choice for layer in self.layers), decided, strict=True))
                yield tuple(options[choice] for choice in range(len(p))), so_far
                continue
            layer = self.layers[len(decided)]
            ahead = np.append(bounds[len(decided) + 1], -np.inf)[layer.targets[node]]
            for option, (rest, log) in enumerate(zip(ahead.tolist(), logs[layer.choice].tolist(), strict=True)):
                if rest + log > -np.inf:
                    following = int(layer.targets[node, option])
                    heapq.heappush(heap, (-(so_far + log + rest), (*decided, option), following, so_far + log))

    def _completions(self, p: Probabilities) -> tuple[list[Floats], float]:
        """For each layer, node and option, the probability that the later decisions complete a path, up to one factor
        per layer; and the logarithm of the probability of all paths together."""
        onward: list[Floats] = []
        value, log_scale = self.ends, 0.0
        for layer in reversed(self.layers):
            completing = np.append(value, 0.0)[layer.targets]
            onward.append(completing)
            value = completing @ p[layer.choice]
            largest = value.max(initial=0.0)
            if not largest > 0:
                return [], -np.inf
            value = value / largest  # so that a thousand unlikely layers do not underflow
            log_scale += float(np.log(largest))
        onward.reverse()
        return onward, log_scale + float(np.log(value[0]))
