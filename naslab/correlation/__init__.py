"""Evaluators against a truth: naming them, storing their scores, judging how well they rank architectures.

Here lives what ``naslab correlate`` runs. The statistics themselves are functions of frames, in
:mod:`naslab.analysis.correlation`; the entry point is :func:`naslab.correlate`.
"""
