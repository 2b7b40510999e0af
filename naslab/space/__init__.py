"""The language of search spaces: choices, the rules between them, and what follows from a graph that contains them.

Here lives what a space is and what can be said of it without PyTorch: costs, data flow, encodings, recipes. The spaces
themselves are in :mod:`naslab.search_spaces`, operations in :mod:`naslab.ops`. Nothing here knows limits, tasks or
data.
"""

from naslab.space.choice import Architecture, Choice, choices_in, resolve, scope
from naslab.space.cost import METRICS, CostModel, Factor, Features, combinations
from naslab.space.recipe import Recipe
from naslab.space.search_space import SearchSpace
from naslab.space.validity import Rule

__all__ = [
    "METRICS",
    "Architecture",
    "Choice",
    "CostModel",
    "Factor",
    "Features",
    "Recipe",
    "Rule",
    "SearchSpace",
    "choices_in",
    "combinations",
    "resolve",
    "scope",
]
