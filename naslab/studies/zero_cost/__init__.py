"""Scores of untrained networks: on NAS-Bench-201 beside the published numbers, and on pocket tasks."""
