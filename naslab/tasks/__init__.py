"""What is searched: a problem is all that an optimizer may see; a task adds what a search pays for, and the truth.

Here lives who may know what: test rows and the truth are a task's, never a problem's. How something is judged is an
evaluator's affair, how a search is run that of :mod:`naslab.running`. What needs PyTorch (:mod:`naslab.tasks.rewards`)
is imported when it is asked for.
"""

from naslab.tasks.base import Task
from naslab.tasks.budget import Budget
from naslab.tasks.problem import Constraint, Limit, Problem, TabulatedCost
from naslab.tasks.stored import packaged_task, stored_task_ids, table_task, task

__all__ = [
    "Budget",
    "Constraint",
    "Limit",
    "Problem",
    "TabulatedCost",
    "Task",
    "packaged_task",
    "stored_task_ids",
    "table_task",
    "task",
]
