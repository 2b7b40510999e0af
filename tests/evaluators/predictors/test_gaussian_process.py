"""The Gaussian process against plain linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from naslab.evaluators.predictors.gaussian_process import JITTER, GaussianProcess, _Loss, _squared_distances


def groups(rng, n):
    return [rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), np.ones((n, 4))]


def fitted(n=40, seed=0):
    rng = np.random.default_rng(seed)
    table = groups(rng, n)
    targets = np.sin(table[0][:, 0]) + 0.3 * table[1][:, 1] + 0.1 * rng.normal(size=n)
    process = GaussianProcess()
    process.fit(table, (targets - targets.mean()) / targets.std(), rng)
    return process, table, (targets - targets.mean()) / targets.std()


def matern(a, b, variance, length, scale):
    r = np.sqrt(5) * np.linalg.norm(a[:, None] - b, axis=2) * scale / length
    return variance * (1 + r + r**2 / 3) * np.exp(-r)


def covariance(process, a, b, training):
    x = np.exp(process.hyperparameters)
    total = np.zeros((len(a[0]), len(b[0])))
    for i in (0, 1):
        distances = np.linalg.norm(training[i][:, None] - training[i], axis=2)
        total += matern(a[i], b[i], x[i], x[2 + i], 1 / np.sqrt(np.mean(distances**2)))
    return total


def test_predictions_are_the_conditional_normal():
    process, table, targets = fitted()
    asked = groups(np.random.default_rng(1), 7)
    known = covariance(process, table, table, table) + (process.noise + JITTER) * np.eye(40)
    cross = covariance(process, asked, table, table)
    mean, variance = process.predict(asked)
    assert np.allclose(mean, cross @ np.linalg.solve(known, targets))
    prior = np.exp(process.hyperparameters[:2]).sum() + process.noise
    assert np.allclose(variance, prior - np.diag(cross @ np.linalg.solve(known, cross.T)))


def test_leaving_one_out_is_leaving_one_out():
    process, table, targets = fitted()
    mean, variance = process.leave_one_out()
    known = covariance(process, table, table, table) + (process.noise + JITTER) * np.eye(40)
    for row in (0, 17):
        rest = np.arange(40) != row
        weights = np.linalg.solve(known[np.ix_(rest, rest)], known[rest, row])
        assert np.isclose(mean[row], weights @ targets[rest])
        assert np.isclose(variance[row], known[row, row] - weights @ known[rest, row])


def test_the_loss_is_the_negative_log_posterior_and_its_gradient_is_right():
    rng = np.random.default_rng(2)
    table, targets = groups(rng, 15)[:2], rng.normal(size=15)
    squares = [_squared_distances(rows, rows) for rows in table]
    prior = np.asarray([(0.0, 1.0), (0.5, 2.0), (0.1, 1.0), (0.0, 0.5), (-3.0, 1.5)])
    loss = _Loss(squares, targets, prior)
    x = rng.normal(size=5)
    known = sum(matern(t, t, np.exp(x[i]), np.exp(x[2 + i]), 1.0) for i, t in enumerate(table))
    known = known + (np.exp(x[4]) + JITTER) * np.eye(15)
    density = stats.multivariate_normal(np.zeros(15), known).logpdf(targets)
    penalty = 0.5 * np.sum(((x - prior[:, 0]) / prior[:, 1]) ** 2)
    assert np.isclose(loss(x)[0], penalty - density - 7.5 * np.log(2 * np.pi))
    assert np.allclose(loss(x)[1], optimize.approx_fprime(x, lambda at: loss(at)[0], 1e-6), atol=1e-4)


def test_hyperparameters_are_a_minimum():
    process, table, targets = fitted()
    scaled = list(process._scaled(table))
    k = len(scaled)
    prior = np.asarray([process.VARIANCE] * k + [process.LENGTH] * k + [process.NOISE])
    loss = _Loss([_squared_distances(rows, rows) for rows in scaled], targets, prior)
    best = loss(process.hyperparameters)[0]
    assert best < loss(prior[:, 0])[0]
    rng = np.random.default_rng(3)
    assert all(loss(process.hyperparameters + 0.2 * rng.normal(size=2 * k + 1))[0] > best - 1e-6 for _ in range(20))


def test_nothing_to_go_by_is_the_mean_and_the_noise():
    rng = np.random.default_rng(4)
    targets = rng.normal(size=30)
    targets = (targets - targets.mean()) / targets.std()
    process = GaussianProcess()
    process.fit([np.ones((30, 2))], targets, rng)
    mean, variance = process.predict([np.zeros((5, 2))])
    assert np.allclose(mean, 0)
    assert np.allclose(variance, process.noise)


@pytest.mark.parametrize("most", [10, 500])
def test_hyperparameters_of_some_rows_serve_all(most):
    rng = np.random.default_rng(5)
    table = [rng.normal(size=(60, 2))]
    targets = np.tanh(table[0][:, 0])
    process = GaussianProcess(most)
    process.fit(table, (targets - targets.mean()) / targets.std(), rng)
    assert np.corrcoef(process.predict(table).mean, targets)[0, 1] > 0.95
