"""Evaluators against a truth: naming them, keeping what they say, judging how well they order architectures.

Here lives what ``naslab correlate`` runs. The statistics themselves are functions of frames, in
:mod:`naslab.analysis.correlation`; :func:`naslab.correlate` is the way in.
"""
