"""Pocket benchmarks: small spaces in which every architecture is trained from scratch, and the command that does it."""
