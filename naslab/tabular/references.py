"""What a found network is compared with: other networks under the same limit, trained alike, and boosted trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from naslab.datasets import Labelled
from naslab.evaluators.training_objective import TrainingObjective
from naslab.running import Recorded, seed_sequence
from naslab.space import Architecture
from naslab.tabular.scoring import Outputs
from naslab.tabular.training import Candidate
from naslab.tasks import Problem

FINALISTS, RANDOM = 5, 5


def proposals(recorded: Recorded) -> list[Architecture]:
    """At most five architectures that a search ends with, best first.

    The finalists that the strategy itself has ranked on all validation rows, if it has any; else what it returns, and
    then those with the best evaluations, which on shared weights are of one batch each.
    """
    assert recorded.end is not None
    ranked = [(each["score"], tuple(each["architecture"])) for each in recorded.end.get("finalists", ())]
    told = [(s.evaluation.score, s.query.architecture) for s in recorded.steps if s.feasible]
    pool = [(score, a) for score, a in ranked or told if np.isfinite(score)]
    best = [tuple(recorded.end["best"])] if recorded.end["best"] is not None else []
    in_order = [*best, *(a for _, a in sorted(pool, key=lambda entry: -entry[0]))]
    return list(dict.fromkeys(in_order))[:FINALISTS]


def constant_widths(problem: Problem) -> list[Architecture]:
    """The feasible networks whose layers all have the same width."""
    shared = set.intersection(*(set(choice.options) for choice in problem.space.choices))
    every = [tuple(choice.options.index(width) for choice in problem.space.choices) for width in sorted(shared)]
    return [architecture for architecture in every if problem.is_feasible(architecture)]


def random_networks(problem: Problem, seed: int) -> list[Architecture]:
    """Five uniform draws from the feasible networks; one that is drawn twice counts once."""
    rng = np.random.default_rng(seed_sequence("csv", "random", seed))
    return list(dict.fromkeys(problem.sample(rng) for _ in range(RANDOM)))


def boosted_trees(train: Labelled, objective: TrainingObjective, seed: int) -> Callable[[Labelled], Outputs]:
    """Scikit-learn's histogram gradient boosting with its defaults, on the features that networks see.

    Returns:
        From rows to the outputs that a :class:`~naslab.evaluators.training_objective.TrainingObjective` scores.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if objective.kind == "regression":
        regressor = HistGradientBoostingRegressor(random_state=seed).fit(train.x, train.y)
        return lambda rows: regressor.predict(rows.x)[:, None]
    weights = dict(enumerate(objective.class_weights)) or None
    classifier = HistGradientBoostingClassifier(random_state=seed, class_weight=weights).fit(train.x, train.y)
    return lambda rows: np.log(np.maximum(classifier.predict_proba(rows.x), 1e-15))


def best_of(candidates: Sequence[Candidate], size: Callable[[Architecture], float]) -> Candidate:
    """The candidate with the best validation score; the smallest of equals, the first of equally small ones.

    One that diverged is taken only if all did.
    """
    return max(
        candidates,
        key=lambda c: (c.validation if np.isfinite(c.validation) else -np.inf, -size(c.architecture)),
    )
