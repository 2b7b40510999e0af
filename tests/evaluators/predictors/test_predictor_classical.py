"""Classical predictors: their formulas, their properties, and what they reach on NAS-Bench-201."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from predictor_spaces import drawn
from scipy import stats

import naslab
from naslab.evaluators.predictors.catalogue import predictor
from naslab.evaluators.predictors.nasbowl import _most_likely
from naslab.evaluators.predictors.path_kernel import LARGEST_SHARE, _share
from naslab.evaluators.predictors.targets import transform
from naslab.tables import find_table

CELL = naslab.search_space("nasbench201")


def by_size(architectures):
    """A label that depends on the data flow, with a little noise."""
    rng = np.random.default_rng(0)
    alive = [len(CELL.canonical(a)) for a in architectures]
    return np.asarray(alive) + 0.01 * rng.normal(size=len(alive))


def test_kernel_ridge_is_its_formula():
    architectures = drawn(CELL, 20)
    scores = by_size(architectures)
    made = predictor("kernel-ridge[target=raw]", CELL)
    made.fit(architectures[:15], scores[:15], rng=np.random.default_rng(0))
    # Every choice that differs is a squared distance of 2.
    differs = np.asarray(
        [[sum(x != y for x, y in zip(a, b, strict=True)) for b in architectures] for a in architectures]
    )
    kernel = np.exp(-2 * differs / 12)
    weights = np.linalg.solve(kernel[:15, :15] + 0.05 * np.eye(15), transform(scores[:15], "raw"))
    assert np.allclose(made.predict(architectures[15:]).mean, kernel[15:, :15] @ weights)


@pytest.mark.parametrize("name", ["nasbowl", "path-kernel"])
def test_isomorphic_architectures_are_predicted_alike(name):
    architectures = drawn(CELL, 50)
    made = predictor(name, CELL)
    made.fit(architectures, by_size(architectures), rng=np.random.default_rng(0))
    classes: dict[str, list[tuple[int, ...]]] = {}
    for architecture in list(CELL.architectures())[::5]:
        classes.setdefault(CELL.canonical(architecture), []).append(architecture)
    pairs = [members[:2] for members in classes.values() if len(members) > 1][:40]
    assert len(pairs) == 40
    first, second = (made.predict(list(each)) for each in zip(*pairs, strict=True))
    assert np.allclose(first.mean, second.mean)
    assert np.allclose(first.deviation, second.deviation)
    assert np.ptp(first.mean) > 0.1


def test_a_prediction_does_not_depend_on_what_else_is_predicted():
    architectures = drawn(CELL, 60)
    made = predictor("path-kernel", CELL)
    made.fit(architectures[:40], by_size(architectures[:40]), rng=np.random.default_rng(0))
    together = made.predict(architectures)
    alone = made.predict(architectures[-3:])
    assert np.allclose(together.mean[-3:], alone.mean)
    assert np.allclose(together.deviation[-3:], alone.deviation)


def test_two_looks_at_the_scores_are_averaged_on_the_scale_of_the_first():
    architectures = drawn(CELL, 60)
    known, scores = architectures[:40], np.exp(by_size(architectures[:40]) / 20)
    said = {}
    for name in ("power=true", "power=false", "target=power,power=false"):
        made = predictor(f"path-kernel[{name},trees=false]", CELL)
        made.fit(known, scores, rng=np.random.default_rng(0))
        said[name] = made.predict(architectures).mean
    order = np.argsort(scores, kind="stable")
    targets, ranks = (transform(scores, target)[order] for target in ("power", "rank"))
    second = np.interp(said["target=power,power=false"], targets, ranks)
    assert np.allclose(said["power=true"], (said["power=false"] + second) / 2)
    assert np.ptp(said["power=false"] - second) > 0.01


def test_the_noise_of_nasbowl_is_the_most_likely():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(25, 6))
    kernel = rows @ rows.T / 6
    targets = rng.multivariate_normal(np.zeros(25), 2 * (kernel + 0.3 * np.eye(25)))
    value, noise, variance = _most_likely(kernel, targets)

    def density(noise, variance):
        return stats.multivariate_normal(np.zeros(25), variance * (kernel + noise * np.eye(25))).logpdf(targets)

    best = density(noise, variance)
    assert all(best >= density(noise * a, variance * b) - 1e-6 for a in (0.8, 1, 1.2) for b in (0.8, 1, 1.2))
    assert np.isclose(value, best + 12.5 * np.log(2 * np.pi) + 12.5)


def test_the_trees_share_has_the_least_squares():
    rng = np.random.default_rng(2)
    process, trees = rng.normal(size=50), 1.2 * rng.normal(size=50)
    share = _share(process, trees)
    assert 0 < share < LARGEST_SHARE

    def loss(at):
        return np.square((1 - at) * process + at * trees).sum()

    assert loss(share) <= min(loss(share - 0.01), loss(share + 0.01))
    assert _share(process, 10 * trees) < share
    assert _share(trees * 10, process) == LARGEST_SHARE
    assert _share(process, process) == 0


def tau_by_seed(written, columns, sizes, seeds):
    """Kendall's tau, trained on the first column, judged by the second on all others: ``(seeds, sizes)``."""
    architectures, labels, truth = columns
    found = np.zeros((len(seeds), len(sizes)))
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(architectures))
        for j, size in enumerate(sizes):
            training, rest = order[:size], order[size:]
            made = predictor(written, CELL)
            made.fit([architectures[k] for k in training], labels[training], rng=rng)
            mean = made.predict([architectures[k] for k in rest]).mean
            found[i, j] = stats.kendalltau(mean, truth[rest]).statistic
    return found


def columns_of(shared_data, labels, truth):
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    architectures = [CELL.from_string(row["arch"]) for row in rows]
    return architectures, *(np.asarray([float(row[name]) for row in rows]) for name in (labels, truth))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("cifar10/test200", (0.619, 0.680, 0.759, 0.792, 0.823)),
        ("cifar10/valid200", (0.588, 0.661, 0.738, 0.773, 0.809)),
    ],
)
def test_kernel_ridge_reaches_what_the_reference_measured(shared_data, labels, expected):
    columns = columns_of(shared_data, labels, "cifar10/test200")
    found = tau_by_seed("kernel-ridge", columns, (78, 156, 469, 781, 1563), range(5)).mean(axis=0)
    assert np.abs(found - expected).max() < 0.02


@pytest.mark.slow
def test_ranks_are_better_targets_than_accuracies(shared_data):
    columns = columns_of(shared_data, "cifar10/valid200", "cifar10/test200")
    ranks, raw = (tau_by_seed(f"kernel-ridge[target={t}]", columns, (156,), range(3)).mean() for t in ("rank", "raw"))
    assert ranks > raw + 0.1


@pytest.mark.slow
def test_path_kernel_reaches_what_it_did(shared_data):
    columns = columns_of(shared_data, "cifar100/valid200", "cifar100/test200")
    found = tau_by_seed("path-kernel", columns, (78, 156), range(3)).mean(axis=0)
    assert found[0] > 0.78
    assert found[1] > 0.82


@pytest.mark.slow
def test_path_kernels_deviations_cover():
    table = find_table("pocket-mlp-mnist")
    ((_, entry),) = table.tasks.items()
    space = naslab.search_space(table.space, **dict(entry.space_options))
    architectures = [tuple(row) for row in table.architectures.tolist()]
    values = table.mean(entry.reward.column, entry.reward.epochs)
    covered = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(values))
        training, rest = order[:156], order[156:3000]
        made = predictor("path-kernel", space)
        made.fit([architectures[i] for i in training], values[training], rng=rng)
        mean, deviation = made.predict([architectures[i] for i in rest])
        known, first = np.unique(values[training], return_index=True)
        targets = np.interp(values[rest], known, transform(values[training], "rank")[first])
        ends = np.asarray([made.half_width(level) for level in (0.5, 0.8, 0.95)])[:, None] * deviation
        covered.append((np.abs(targets - mean) <= ends).mean(axis=1))
    assert (np.abs(np.mean(covered, axis=0) - [0.5, 0.8, 0.95]) < 0.05).all()
