"""Checks that the author of a plug-in runs on their own class::

    from naslab.testing import check_optimizer

    def test_my_optimizer():
        check_optimizer("my_package.my_module:MyOptimizer")

Each check raises :class:`ConformanceError`, which says what was expected and what happened. Nothing of naslab's own
imports this wing.
"""

from naslab.testing.common import ConformanceError
from naslab.testing.optimizers import check_optimizer
from naslab.testing.others import check_evaluator, check_operation, check_search_space
from naslab.testing.toys import ToyReward, toy_tasks, toy_trainings, toy_trials

__all__ = [
    "ConformanceError",
    "ToyReward",
    "check_evaluator",
    "check_operation",
    "check_optimizer",
    "check_search_space",
    "toy_tasks",
    "toy_trainings",
    "toy_trials",
]
