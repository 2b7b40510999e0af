"""Search strategies, one file each; strategies that share code are in one folder with it.

A strategy decides which architecture is considered next. It is built from a problem, a random generator and its
hyperparameters, and knows nothing else. Strategies are found by their names (``naslab list optimizers``). Their base
classes and the reading of names are exported here.
"""

from naslab.optimizers.base import AskTell, GradientSearch, Optimizer, Query, Step, Wait
from naslab.optimizers.spec import OptimizerSpec, optimizer_spec, plugin_error

__all__ = [
    "AskTell",
    "GradientSearch",
    "Optimizer",
    "OptimizerSpec",
    "Query",
    "Step",
    "Wait",
    "optimizer_spec",
    "plugin_error",
]
