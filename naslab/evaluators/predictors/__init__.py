"""Learned predictors: from the labels of a few architectures to the scores of all."""
