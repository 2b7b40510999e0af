"""What the strategies with a factorised policy share: rewards, baseline, and how the final architecture is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Evaluation
from naslab.feasibility import Feasibility, Floats
from naslab.optimizers.base import AskTell, Query
from naslab.optimizers.policy.policy import Baseline, Policy
from naslab.optimizers.policy.rewards import REWARDS
from naslab.space import Architecture
from naslab.tasks import Problem

SELECTIONS = ("most-probable", "rerank", "sample", "argmax", "best")
FULL = "full-validation"
LEAST_RATIO = 1e-6


class PolicySearch(AskTell):
    """A strategy that learns a factorised policy; subclasses say how. Limits on metrics are refused.

    Args:
        problem: The problem.
        rng: Its generator.
        learning_rate: Of Adam.
        momentum: Of the baseline.
        entropy: Weight of the policy's entropy in the objective.
        scale: Factor from score to quality; accuracies are in percent.
        selection: What is returned in the end. ``"most-probable"``: the most probable feasible architecture.
            ``"rerank"``: of the 10 most probable feasible ones, the best by the shared weights on all validation rows.
            ``"sample"``: of 50 draws, the most probable feasible one. ``"argmax"``: the most probable option of each
            choice, as in TuNAS; nothing where that is not feasible, which happens often. ``"best"``: the best that was
            evaluated.
        betas: Of Adam.
        start: Initial logits.
    """

    DRAWS = 50
    FINALISTS = 10

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        learning_rate: float = 0.05,
        momentum: float = 0.9,
        entropy: float = 0.0,
        scale: float = 0.01,
        selection: str = "most-probable",
        betas: tuple[float, float] = (0.9, 0.999),
        start: Floats | None = None,
    ) -> None:
        super().__init__(problem, rng)
        self.space.require_choices(type(self).__name__)
        problem.require_known_limits(type(self).__name__)
        if not (learning_rate > 0 and 0 <= momentum < 1 and entropy >= 0 and scale > 0):
            raise InvalidValue(
                f"learning_rate={learning_rate}, momentum={momentum}, entropy={entropy}, scale={scale}. "
                "Allowed: learning_rate and scale above 0, momentum within [0, 1), entropy at least 0"
            )
        if selection not in SELECTIONS:
            raise UnknownName(selection, SELECTIONS, of="selection")
        if selection == "rerank" and FULL not in problem.fidelities:
            raise InvalidValue("selection=rerank is for shared weights: a task such as pocket-mlp/segments@shared")
        self.policy = Policy(self.space.sizes, learning_rate, betas, start, self.space.conditions)
        self.baseline = Baseline(momentum)
        self.entropy, self.scale, self.selection = entropy, scale, selection

    def quality(self, evaluation: Evaluation) -> float | None:
        """The quality to learn from; None where the score is not finite, or while shared weights still warm up."""
        if not np.isfinite(evaluation.score) or evaluation.metrics.get("warm_up"):
            return None
        return self.scale * evaluation.score

    @cached_property
    def feasible(self) -> Feasibility:
        """The feasible architectures of the problem; all valid ones where there is no limit."""
        return self.problem.feasibility()

    def ratio(self, architecture: Architecture) -> float:
        """The resource over its limit: of several limits the largest ratio; 1 where there is none.

        A cost of zero or less counts as a millionth of its limit, so that powers of the ratio are defined.
        """
        limits = self.problem.constraint.limits
        ratios = (self.problem.cost(each.metric, architecture) / each.maximum for each in limits)
        return max(max(ratios, default=1.0), LEAST_RATIO)

    def valid_draw(self) -> Architecture:
        """A draw from the policy, given that the space allows it: drawn again where not, after 100 times exactly."""
        for _ in range(100):
            architecture = self.policy.sample(self.rng)
            if not self.space.rules or self.space.is_valid(architecture):
                return architecture
        return tuple(self._valid.sample(self.policy.per_choice, self.rng)[0].tolist())

    @cached_property
    def _valid(self) -> Feasibility:
        return Feasibility(self.space, {})

    @cached_property
    def unrestricted(self) -> bool:
        """Whether every combination of options is feasible; then :attr:`feasible` is not needed."""
        return not self.space.rules and not self.problem.constraint.limits

    def feasible_draw(self) -> Architecture:
        """A draw from the policy given that it is feasible."""
        if self.unrestricted:
            return self.policy.sample(self.rng)
        return tuple(self.feasible.sample(self.policy.per_choice, self.rng)[0].tolist())

    def feasible_mean(self) -> Floats:
        """The mean one-hot code of feasible draws: what the gradient of ``log P(y | y feasible)`` subtracts."""
        if self.unrestricted:
            return self.policy.probabilities
        return self.policy.padded(self.feasible.marginals(self.policy.per_choice))

    def learn(self, direction: Floats, advantage: float) -> None:
        """One step along ``advantage * direction``, the gradient of a log-probability, and the entropy's gradient."""
        gradient = advantage * direction
        if self.entropy:
            gradient = gradient + self.entropy * self.policy.entropy_gradient()
        self.policy.ascend(gradient)

    def finalists(self) -> Sequence[Query]:
        if self.selection != "rerank":
            return ()
        return [Query(a, FULL) for a in self.feasible.top(self.policy.per_choice, self.FINALISTS)]

    def best(self) -> Architecture | None:
        if not self.policy.steps:
            return super().best()  # nothing was learnt
        logits = self.policy.per_choice
        if self.selection == "most-probable":
            return self.feasible.most_probable(logits)
        if self.selection == "argmax":
            each = self.space.normal(tuple(int(row.argmax()) for row in logits))
            return each if self.space.is_valid(each) and self.problem.is_feasible(each) else None
        if self.selection == "sample":
            rng = np.random.default_rng(0)  # returning something must not change the search
            drawn = {self.policy.sample(rng) for _ in range(self.DRAWS)}
            kept = [a for a in sorted(drawn) if self.space.is_valid(a) and self.problem.is_feasible(a)]
            return max(kept, key=self.policy.log_probability, default=None)
        return super().best()


def checked_reward(name: str) -> str:
    """Refuse a reward that does not exist."""
    if name not in REWARDS:
        raise UnknownName(name, REWARDS, of="reward")
    return name
