"""The architectures of a space within limits, exactly: their probability under a policy, draws, moves, bounds.

This package computes what follows from a space and limits on its costs. It does not depend on tasks, budgets or
strategies.
"""

from naslab.feasibility.additive import AdditiveFit, fit_additive
from naslab.feasibility.diagram import Diagram, Floats
from naslab.feasibility.enumerated import ENUMERABLE
from naslab.feasibility.feasibility import (
    BACKENDS,
    BOUNDS_NODES,
    EXACT_NODES,
    Backend,
    Feasibility,
    Logits,
    Members,
    largest,
)
from naslab.feasibility.feasible_set import TRIES, FeasibleSet

__all__ = [
    "BACKENDS",
    "BOUNDS_NODES",
    "ENUMERABLE",
    "EXACT_NODES",
    "TRIES",
    "AdditiveFit",
    "Backend",
    "Diagram",
    "Feasibility",
    "FeasibleSet",
    "Floats",
    "Logits",
    "Members",
    "fit_additive",
    "largest",
]
