"""How search spaces are described: choices, rules between them, and what can be computed from a graph with choices.

This package defines a space and computes from it what needs no PyTorch: costs, data flow, encodings, recipes. The
spaces themselves are in :mod:`naslab.search_spaces`, operations in :mod:`naslab.ops`. Nothing here depends on limits,
tasks or data.
"""

from naslab.space.choice import Architecture, Choice, Decision, Range, choices_in, resolve, scope
from naslab.space.conditions import Conditions
from naslab.space.cost import CostModel, Factor, resolved_cost_model, rounding
from naslab.space.dataflow import pruned, reaching_output
from naslab.space.derived import CostPerArchitecture, Derived, stated_width
from naslab.space.features import Features
from naslab.space.plain import PlainSpace
from naslab.space.recipe import SGD, Adam, AdamW, Cosine, Recipe
from naslab.space.restricted import key_digest, listed, lookup_digest
from naslab.space.rules import (
    REFUSED,
    Automaton,
    IndexedRule,
    Reading,
    Rule,
    Transition,
    at_least,
    at_most,
    at_most_in_a_row,
    exactly,
    tabulated,
)
from naslab.space.search_space import SearchSpace
from naslab.space.tabulation import METRICS, combinations, may_concatenate

__all__ = [
    "METRICS",
    "REFUSED",
    "SGD",
    "Adam",
    "AdamW",
    "Architecture",
    "Automaton",
    "Choice",
    "Conditions",
    "Cosine",
    "CostModel",
    "CostPerArchitecture",
    "Decision",
    "Derived",
    "Factor",
    "Features",
    "IndexedRule",
    "PlainSpace",
    "Range",
    "Reading",
    "Recipe",
    "Rule",
    "SearchSpace",
    "Transition",
    "at_least",
    "at_most",
    "at_most_in_a_row",
    "choices_in",
    "combinations",
    "exactly",
    "key_digest",
    "listed",
    "lookup_digest",
    "may_concatenate",
    "pruned",
    "reaching_output",
    "resolve",
    "resolved_cost_model",
    "rounding",
    "scope",
    "stated_width",
    "tabulated",
]
