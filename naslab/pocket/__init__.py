"""Pocket benchmarks: small spaces in which every architecture is trained from scratch, and the command that does it.

Here lives what makes a pocket table and rebuilds it. What was built is read by :mod:`naslab.tables`, so that a search
needs nothing from here.
"""
