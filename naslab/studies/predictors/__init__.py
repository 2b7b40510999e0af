"""Learned predictors: how well they order architectures, how fast a search under them is, and latency."""
