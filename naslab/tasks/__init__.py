"""What is searched: a problem is all that an optimizer may see; a task adds a reward that costs time, and the truth.

Test rows and the truth belong to a task, never to a problem. Evaluators decide how something is judged, and
:mod:`naslab.running` how a search is run. What needs PyTorch (:mod:`naslab.tasks.rewards`) is imported when it
is used.
"""

from naslab.tasks.base import Task
from naslab.tasks.budget import Budget
from naslab.tasks.objective import Objective
from naslab.tasks.placement import Placement
from naslab.tasks.problem import Constraint, Limit, Problem
from naslab.tasks.sources import Source
from naslab.tasks.stored import packaged_task, stored_task_ids, table_notes, table_task, task

__all__ = [
    "Budget",
    "Constraint",
    "Limit",
    "Objective",
    "Placement",
    "Problem",
    "Source",
    "Task",
    "packaged_task",
    "stored_task_ids",
    "table_notes",
    "table_task",
    "task",
]
