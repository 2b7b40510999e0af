"""Judging architectures by the beginnings of their learning curves: last values, sums, extrapolation, regression."""
