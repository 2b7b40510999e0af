"""Ways of judging an architecture, one file each: looked up, trained, by shared weights, untrained, predicted.

Here lives what says how good an architecture is and what finding out costs. An evaluator sees of a task what
:class:`TaskLike` names. Evaluators are found by their names (``naslab list evaluators``); what they have in common is
handed on here.
"""

from naslab.evaluators.base import AtFidelity, Evaluation, Evaluator, Fidelity, ProblemLike, TaskLike

__all__ = ["AtFidelity", "Evaluation", "Evaluator", "Fidelity", "ProblemLike", "TaskLike"]
