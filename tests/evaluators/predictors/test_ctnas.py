"""CTNAS' comparisons."""

from __future__ import annotations

import numpy as np
import torch

import naslab
from naslab.evaluators.predictors.ctnas import CTNAS

SPACE = naslab.search_space("nasbench201")


def fitted(scores, epochs=2):
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(len(scores))]
    made = CTNAS(SPACE, epochs=epochs)
    made.fit(cells, scores, rng=np.random.default_rng(1))
    return made, cells


def test_a_prediction_is_the_mean_probability_against_the_training_rows():
    made, cells = fitted(range(30))
    outputs = made.model(*made._tensors(cells, None)).detach().double().numpy()
    logits = outputs[:, :1] + outputs[:, 1]
    expected = (1 / (1 + np.exp(-logits))).mean(axis=1)
    np.testing.assert_allclose(made.predict(cells).mean, expected, atol=1e-6)


def test_the_loss_is_binary_cross_entropy_of_drawn_pairs():
    made, cells = fitted(range(30))
    inputs, targets = made._tensors(cells, None), torch.arange(30.0)
    state = made._generator.get_state()
    found = made._objective(made.model, inputs, targets).item()
    other = torch.randperm(30, generator=torch.Generator().set_state(state)).numpy()
    outputs = made.model(*inputs).detach().double().numpy()
    pairs = [(i, j) for i, j in enumerate(other) if i != j]
    logits = np.array([outputs[i, 0] + outputs[j, 1] for i, j in pairs])
    better = np.array([i > j for i, j in pairs])
    expected = np.mean(np.log1p(np.exp(np.where(better, -logits, logits))))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_equal_labels_make_no_pair():
    made, cells = fitted(range(20))
    inputs = made._tensors(cells, None)
    made.model.zero_grad()
    loss = made._objective(made.model, inputs, torch.zeros(20))
    loss.backward()
    assert loss.item() == 0
    assert all(parameter.grad.abs().max() == 0 for parameter in made.model.parameters())
