"""Joint search: whether it pays to search the recipe along with the architecture, at equal seconds.

What is run and the page of it. Nothing here is needed to search a joint space: that is :mod:`naslab.tasks.joint`.
"""
