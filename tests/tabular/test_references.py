"""Who stands beside the found network, and who is trained at all."""

from __future__ import annotations

import numpy as np
from own_tables import write_table
from torch import nn

from naslab.evaluators import Evaluation
from naslab.optimizers import Query
from naslab.running import Recorded, Step
from naslab.tabular import references
from naslab.tabular.plan import plan_search
from naslab.tabular.training import Candidate


def recorded(end: dict[str, object], *scores: float, infeasible: int = -1) -> Recorded:
    """A run of one-choice architectures 0, 1, 2..., with these scores."""
    steps = [Step(Query((i,)), Evaluation(s, 0.0), i != infeasible, False) for i, s in enumerate(scores)]
    return Recorded({}, steps, end)


def test_finalists_that_the_strategy_ranked():
    ranked = [{"architecture": [i], "score": s} for i, s in ((4, 70.0), (7, 90.0), (5, 80.0), (9, float("nan")))]
    found = references.proposals(recorded({"best": [7], "finalists": ranked}, 1.0, 2.0, 99.0))
    assert found == [(7,), (5,), (4,)]


def test_without_ranking_what_is_returned_comes_first_and_then_the_best_scores():
    found = references.proposals(recorded({"best": [1]}, 5.0, 1.0, 9.0, float("nan"), 7.0, 8.0, 6.0, infeasible=2))
    assert found == [(1,), (5,), (4,), (6,), (0,)]  # five; the best one is infeasible
    assert references.proposals(recorded({"best": None}, 5.0, infeasible=0)) == []


def test_random_networks_and_constant_widths_are_feasible(tmp_path):
    plan = plan_search(write_table(tmp_path / "t.csv"), "target", widths=(2, 4, 8), depth=2, max={"params": 60})
    problem = plan.task.problem
    assert [problem.space.to_string(a) for a in references.constant_widths(problem)] == ["2-2", "4-4"]
    drawn = references.random_networks(problem, 0)
    assert all(problem.is_feasible(a) for a in drawn)
    assert len(set(drawn)) == len(drawn) > 1
    assert drawn == references.random_networks(problem, 0) != references.random_networks(problem, 1)


def test_the_best_is_chosen_by_validation_and_ties_go_to_the_smaller():
    def best(*scores: float) -> int:
        candidates = [Candidate((i,), nn.Identity(), score) for i, score in enumerate(scores)]
        return references.best_of(candidates, lambda architecture: 10 - architecture[0]).architecture[0]

    assert best(1.0, 3.0, 2.0) == 1
    assert best(3.0, 1.0, 3.0, 3.0) == 3  # the later ones are smaller
    assert best(float("nan"), 1.0) == 1
    assert best(float("nan"), float("nan")) == 1


def test_boosted_trees_are_scikit_learns(tmp_path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    plan = plan_search(write_table(tmp_path / "t.csv"), "target", class_weights="balanced")
    train, test = plan.task.problem.train, plan.task.test
    trees = HistGradientBoostingClassifier(random_state=3, class_weight="balanced").fit(train.x, train.y)
    ours = references.boosted_trees(train, plan.task.training_objective, 3)(test)
    np.testing.assert_allclose(np.exp(ours), trees.predict_proba(test.x), rtol=1e-6)
