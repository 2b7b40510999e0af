"""Ways of judging an architecture, one file each: table look-up, training, shared weights, zero-cost, predictors.

An evaluator says how good an architecture is and what it cost to find out. Of a task it sees only what
:class:`TaskLike` names. Evaluators are found by their names (``naslab list evaluators``); what they share is exported
here.
"""

from naslab.evaluators.base import (
    FAILURES,
    AtFidelity,
    Evaluation,
    Evaluator,
    Fidelity,
    ProblemLike,
    TaskLike,
    check_charge,
)

__all__ = [
    "FAILURES",
    "AtFidelity",
    "Evaluation",
    "Evaluator",
    "Fidelity",
    "ProblemLike",
    "TaskLike",
    "check_charge",
]
