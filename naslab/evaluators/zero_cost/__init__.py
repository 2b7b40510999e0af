"""Scores of untrained networks, grouped by what they look at; :mod:`~naslab.evaluators.zero_cost.base` is the start."""
