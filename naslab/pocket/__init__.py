"""Pocket benchmarks: small spaces in which every architecture is trained from scratch, and the command that does it.

Here lives what builds a pocket table and verifies it. The finished table is read by :mod:`naslab.tables`, so that a
search needs nothing from here.
"""
