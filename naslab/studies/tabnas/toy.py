"""TabNAS' toy example (Yang et al. 2022, section 4; google-research/tabnas): many repetitions at once.

Two hidden layers of 2, 3 or 4 units, two inputs, one output, at most 25 parameters. Larger is better, but the best
feasible network, 4-2, is a bottleneck: to find it the first layer has to grow while the second one shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.feasibility import Floats
from naslab.optimizers.policy.rewards import REWARDS

SIZES = (2, 3, 4)
LIMIT = 25
LOSSES = np.array([[0.9, 0.9, 0.66], [0.9, 0.66, 0.3], [0.6, 0.3, 0.1]])
"""Rows: options of the first layer; columns: of the second."""
PARAMS = np.array([[3 * a + (a + 1) * b + (b + 1) for b in SIZES] for a in SIZES])
FEASIBLE = PARAMS <= LIMIT
QUALITY = 1 - LOSSES
OPTIMUM = (2, 0)
DRAWS = 50

Correction = Literal["exact", "slide", "sum", "detached", "none"]


@dataclass(frozen=True)
class Variant:
    """One way of learning on the toy example.

    Attributes:
        reward: ``"rejection"`` or a name of :data:`naslab.optimizers.policy.rewards.REWARDS`: then nothing is rejected.
        beta: Of the reward.
        correction: Of rejection, by P(V). ``"exact"``: its value. ``"slide"``: the paper's unbiased estimate from
            ``samples`` draws; its gradient is the mean of the feasible draws' scores. ``"sum"``: the released code's
            sum of the draws' probabilities; its gradient is that mean weighted by probability. ``"detached"``: the
            released PyTorch code, whose estimate has no gradient, so that all it does is to skip steps for which no
            draw is feasible. ``"none"``.
        samples: N, the number of draws of an estimate.
        conditional: Draw feasible networks only, so that no step is lost, instead of skipping what is infeasible.
        learning_rate: Of Adam.
        steps: Draws, rejected ones included.
        accumulate: Never reset the gradient: the missing ``zero_grad`` of the released PyTorch code.
        bonus: Weight of log P(V) in the objective.
    """

    reward: str = "rejection"
    beta: float = 0.0
    correction: Correction = "exact"
    samples: int = 5
    conditional: bool = False
    learning_rate: float = 0.1
    steps: int = 500
    accumulate: bool = False
    bonus: float = 0.0

    def __post_init__(self) -> None:
        if self.reward != "rejection" and self.reward not in REWARDS:
            raise InvalidValue(f"reward {self.reward!r}. Allowed: rejection, {', '.join(REWARDS)}")


@dataclass(frozen=True, eq=False)
class Outcome:
    """How each repetition ended.

    Attributes:
        logits: ``(R, 2, 3)``.
        argmax: Whether the most probable options of the layers are the best feasible network.
        argmax_infeasible: Whether these options are infeasible.
        most_probable: Whether the most probable feasible network is the best one.
        feasible_probability: P(V).
        hit: The probability that 50 draws contain the best feasible network.
        taught: The share of the steps that changed the policy.
    """

    logits: Floats
    argmax: npt.NDArray[np.bool_]
    argmax_infeasible: npt.NDArray[np.bool_]
    most_probable: npt.NDArray[np.bool_]
    feasible_probability: Floats
    hit: Floats
    taught: Floats


def simulate(variant: Variant, repetitions: int, rng: np.random.Generator) -> Outcome:
    """Run a variant many times at once."""
    rows = np.arange(repetitions)
    logits = np.zeros((repetitions, 2, 3))
    first, second, held = np.zeros_like(logits), np.zeros_like(logits), np.zeros_like(logits)
    updates, average, weight = np.zeros(repetitions), np.zeros(repetitions), np.zeros(repetitions)
    for _ in range(variant.steps):
        p = _softmax(logits)
        joint = p[:, 0, :, None] * p[:, 1, None, :]
        drawn = _draw(joint * FEASIBLE if variant.conditional else joint, rng)
        feasible = FEASIBLE.ravel()[drawn]
        learns = feasible if variant.reward == "rejection" else np.ones(repetitions, np.bool_)
        center = p
        if variant.reward == "rejection" and variant.correction != "none":
            center, known = _center(variant, p, joint, rng)
            learns = learns & known
        reward = _rewards(variant)[drawn]
        average = np.where(learns, 0.9 * average + 0.1 * reward, average)
        weight = np.where(learns, 0.9 * weight + 0.1, weight)
        advantage = reward - average / np.where(weight > 0, weight, 1.0)
        chosen = np.zeros_like(logits)
        chosen[rows, 0, drawn // 3] = chosen[rows, 1, drawn % 3] = 1.0
        gradient = advantage[:, None, None] * (chosen - center)
        if variant.bonus:
            gradient = gradient + variant.bonus * (_marginals(joint) - p)
        if variant.accumulate:
            held = np.where(learns[:, None, None], held + gradient, held)
            gradient = held
        updates = updates + learns
        step = learns[:, None, None]
        first = np.where(step, 0.9 * first + 0.1 * gradient, first)
        second = np.where(step, 0.999 * second + 0.001 * gradient**2, second)
        count = np.maximum(updates, 1)[:, None, None]
        mean, square = first / (1 - 0.9**count), second / (1 - 0.999**count)
        logits = np.where(step, logits + variant.learning_rate * mean / (np.sqrt(square) + 1e-8), logits)
    return _outcome(logits, updates / variant.steps)


def _rewards(variant: Variant) -> Floats:
    """The reward of each network."""
    if variant.reward == "rejection":
        return QUALITY.ravel()
    reward = REWARDS[variant.reward]
    pairs = zip(QUALITY.ravel().tolist(), (PARAMS / LIMIT).ravel().tolist(), strict=True)
    return np.array([reward(quality, ratio, variant.beta) for quality, ratio in pairs])


def _center(
    variant: Variant, p: Floats, joint: Floats, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What the gradient subtracts from the choice made, and where it is known: an estimate needs a feasible draw."""
    if variant.correction == "exact":
        return _marginals(joint), np.ones(len(p), np.bool_)
    draws = np.stack([_draw(joint, rng) for _ in range(variant.samples)], axis=1)  # (R, N)
    weights = FEASIBLE.ravel()[draws].astype(np.float64)
    if variant.correction == "sum":
        weights = weights * np.take_along_axis(joint.reshape(len(p), 9), draws, axis=1)
    total = weights.sum(axis=1)
    share = weights / np.where(total > 0, total, 1.0)[:, None]
    center = np.zeros_like(p)
    for option in range(3):
        center[:, 0, option] = (share * (draws // 3 == option)).sum(axis=1)
        center[:, 1, option] = (share * (draws % 3 == option)).sum(axis=1)
    return (p if variant.correction == "detached" else center), total > 0


def _marginals(joint: Floats) -> Floats:
    """The probabilities of each layer's options, given that the network is feasible."""
    inside = joint * FEASIBLE
    inside = inside / inside.sum(axis=(1, 2), keepdims=True)
    return np.stack([inside.sum(axis=2), inside.sum(axis=1)], axis=1)


def _draw(weights: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    cumulative = weights.reshape(len(weights), 9).cumsum(axis=1)
    uniform = rng.random(len(weights)) * cumulative[:, -1]
    drawn: npt.NDArray[np.int64] = np.minimum((cumulative <= uniform[:, None]).sum(axis=1), 8)
    return drawn


def _outcome(logits: Floats, taught: Floats) -> Outcome:
    p = _softmax(logits)
    joint = p[:, 0, :, None] * p[:, 1, None, :]
    each = logits.argmax(axis=2)
    best_feasible = np.where(FEASIBLE, joint, -1.0).reshape(len(p), 9).argmax(axis=1)
    return Outcome(
        logits,
        argmax=(each == OPTIMUM).all(axis=1),
        argmax_infeasible=~FEASIBLE[each[:, 0], each[:, 1]],
        most_probable=best_feasible == 3 * OPTIMUM[0] + OPTIMUM[1],
        feasible_probability=(joint * FEASIBLE).sum(axis=(1, 2)),
        hit=1 - (1 - joint[:, OPTIMUM[0], OPTIMUM[1]]) ** DRAWS,
        taught=taught,
    )


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    probabilities: Floats = weights / weights.sum(axis=2, keepdims=True)
    return probabilities
