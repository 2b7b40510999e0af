"""Search strategies, one file each; what several of them share is in a folder with them.

Here lives what decides which architecture is looked at next. A strategy is made of a problem, a generator and its
hyperparameters, and knows nothing else. Strategies are found by their names (``naslab list optimizers``); what they
have in common, and how they are named, is handed on here.
"""

from naslab.optimizers.base import AskTell, GradientSearch, Optimizer, Query, Step
from naslab.optimizers.spec import OptimizerSpec, optimizer_spec, plugin_error

__all__ = [
    "AskTell",
    "GradientSearch",
    "Optimizer",
    "OptimizerSpec",
    "Query",
    "Step",
    "optimizer_spec",
    "plugin_error",
]
