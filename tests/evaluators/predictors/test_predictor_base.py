"""What every predictor does with what it is given, and how it is named."""

from __future__ import annotations

import numpy as np
import pytest
from predictor_spaces import drawn, spaces
from scipy import stats

import naslab
from naslab import registry
from naslab.errors import (
    InvalidArchitecture,
    InvalidValue,
    PluginError,
    UnknownEvaluator,
    UnknownHyperparameter,
    UnknownName,
)
from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.catalogue import PREDICTORS, predictor, predictor_spec
from naslab.evaluators.predictors.features import FeatureScale
from naslab.evaluators.predictors.targets import transform

CLASSICAL = ("kernel-ridge", "boosted-trees", "random-forest", "nasbowl", "path-kernel")
SPACES = spaces()
CELL = SPACES["nasbench201"]
CELLS = drawn(CELL, 40)


class Recorder(Predictor):
    """Remembers what reaches it; predicts the number of the first option."""

    def _fit(self, architectures, targets, rng, features):
        self.seen = (architectures, targets, features)

    def _predict(self, architectures, features):
        self.asked = features
        mean = np.asarray([float(a[0]) for a in architectures])
        return Prediction(mean, mean + 1)


def fitted(name, space, architectures, scores, **options):
    made = predictor(name, space)
    made.fit(architectures, scores, rng=np.random.default_rng(0), **options)
    return made


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSICAL)
def test_bad_labels_are_refused_in_one_line(name):
    rng = np.random.default_rng(0)
    made = predictor(name, CELL)
    with pytest.raises(InvalidValue, match=r"1 scores to learn from\. Allowed: at least 2"):
        made.fit(CELLS[:1], [0.5], rng=rng)
    with pytest.raises(InvalidValue, match=r"all 3 scores are 0\.5: there is nothing to learn"):
        made.fit(CELLS[:3], [0.5] * 3, rng=rng)
    with pytest.raises(InvalidValue) as caught:
        made.fit(CELLS[:3], [0.5, np.nan, np.inf], rng=rng)
    assert str(CELLS[1]) in str(caught.value)
    assert "(number 1) is nan, and 2 of 3 are not finite" in str(caught.value)
    with pytest.raises(InvalidValue, match=r"3 architectures with scores of shape \(2,\): give one to each"):
        made.fit(CELLS[:3], [0.5, 1], rng=rng)


@pytest.mark.parametrize("name", CLASSICAL)
def test_prediction_before_fit_is_refused(name):
    with pytest.raises(InvalidValue, match=r"predicts before it was fitted\. Fix: call fit"):
        predictor(name, CELL).predict(CELLS[:1])
    with pytest.raises(InvalidValue, match=r"no intervals before it was fitted\. Fix: call fit"):
        predictor(name, CELL).half_width(0.5)


def test_intervals_are_normal_where_a_predictor_does_not_say_otherwise():
    made = fitted("nasbowl", CELL, CELLS, range(40))
    assert [made.half_width(level) for level in (0.5, 0.95)] == pytest.approx([0.67449, 1.95996], abs=1e-5)
    with pytest.raises(InvalidValue, match=r"level=1\. Allowed: between 0 and 1"):
        made.half_width(1)


def test_path_kernels_intervals_hold_as_many_of_its_residuals_as_they_say():
    scores = np.random.default_rng(1).standard_t(2, size=40)
    made = fitted("path-kernel", CELL, CELLS, scores)
    away = np.abs(made._residuals)
    assert np.sqrt(np.mean(away**2)) == pytest.approx(1)  # deviations are right on average
    for level in (0.5, 0.8, 0.95):
        assert np.mean(away <= made.half_width(level)) == pytest.approx(level, abs=2 / 40)


def test_a_fit_that_fails_leaves_what_was_learned():
    made = fitted("kernel-ridge", CELL, CELLS, range(40))
    before = made.predict(CELLS).mean
    with pytest.raises(InvalidValue):
        made.fit(CELLS[:1], [1], rng=np.random.default_rng(0))
    assert (made.predict(CELLS).mean == before).all()


def test_architectures_of_another_space_are_refused():
    made = fitted("kernel-ridge", CELL, CELLS, range(40))
    for foreign in ([(0, 1, 2)], [(0, 0, 0, 0, 0, 5)], [(0.5,) * 6]):
        with pytest.raises(InvalidArchitecture):
            made.predict(foreign)
        with pytest.raises(InvalidArchitecture):
            made.fit([*CELLS[:2], *foreign], [1, 2, 3], rng=np.random.default_rng(0))


def test_features_must_be_those_of_the_fit():
    features = np.arange(80.0).reshape(40, 2)
    made = fitted("kernel-ridge", CELL, CELLS, range(40), features=features)
    with pytest.raises(
        InvalidValue, match=r"KernelRidge was fitted with 2 features\. Fix: predict from the same columns"
    ):
        made.predict(CELLS)
    with pytest.raises(InvalidValue, match=r"features of shape \(40, 1\). Allowed: \(40, 2\)"):
        made.predict(CELLS, features=features[:, :1])
    without = fitted("kernel-ridge", CELL, CELLS, range(40))
    with pytest.raises(InvalidValue, match="was fitted without features"):
        without.predict(CELLS, features=features)


# ---- targets and features -------------------------------------------------------------------------------------------


def test_rank_targets_are_normal_scores_of_mean_ranks():
    found = transform([3.0, 1.0, 3.0, 2.0], "rank")
    expected = stats.norm.ppf((np.asarray([3.5, 1, 3.5, 2]) - 0.375) / 4.25)
    assert np.allclose(found, (expected - expected.mean()) / expected.std())
    assert np.allclose(transform(np.exp([3.0, 1.0, 3.0, 2.0]), "rank"), found)


def test_raw_targets_are_standardised():
    assert np.allclose(transform([1.0, 2.0, 3.0], "raw"), np.asarray([-1, 0, 1]) * np.sqrt(1.5))


@pytest.mark.parametrize("scores", [[90.0, 99.0, 99.9], [0.90, 0.99, 0.999]])
def test_log_errors_of_percent_and_of_fractions_are_the_same(scores):
    assert np.allclose(transform(scores, "log-error"), np.asarray([-1, 0, 1]) * np.sqrt(1.5))


def test_no_error_counts_half_of_the_smallest_one():
    found = transform([50.0, 75.0, 100.0], "log-error")  # errors 50, 25, and 12.5
    assert np.allclose(found, np.asarray([-1, 0, 1]) * np.sqrt(1.5))


def test_powers_are_as_normal_as_they_get_whatever_the_unit():
    scores = np.exp(np.random.default_rng(0).normal(size=500))
    found = transform(scores, "power")
    assert np.array_equal(np.argsort(found), np.argsort(scores))
    assert found.mean() == pytest.approx(0, abs=1e-12)
    assert found.std() == pytest.approx(1)
    assert stats.skew(scores) > 3
    assert abs(stats.skew(found)) < 0.4
    assert np.allclose(transform(7 - 3 * scores, "power"), transform(-scores, "power"))
    # Yeo & Johnson 2000, equation 2.1, at the power under which a normal density is most likely.
    standard = (scores - scores.mean()) / scores.std()

    def powers(power):
        above, below = np.maximum(standard, 0), np.minimum(standard, 0)
        return ((above + 1) ** power - 1) / power - ((1 - below) ** (2 - power) - 1) / (2 - power)

    def density(power):
        return (
            -len(scores) / 2 * np.log(powers(power).var())
            + (power - 1) * (np.sign(standard) * np.log1p(np.abs(standard))).sum()
        )

    best = powers(max(np.arange(-2.005, 2, 0.01), key=density))
    assert np.allclose(found, (best - best.mean()) / best.std(), atol=0.02)


def test_log_errors_of_something_else_are_refused():
    with pytest.raises(InvalidValue, match=r"target 'log-error' of scores from -1 to 3. Allowed: accuracies"):
        transform([-1.0, 3.0], "log-error")
    with pytest.raises(UnknownName, match=r"'ranks' of 'target'\. Did you mean 'rank'\?"):
        predictor("kernel-ridge[target=ranks]", CELL)


def test_features_are_normal_scores_of_training_ranks():
    scale = FeatureScale(np.asarray([[1.0], [5.0], [5.0], [100.0]]))
    z = stats.norm.ppf((np.asarray([1, 2.5, 4]) - 0.375) / 4.25)
    asked = np.asarray([[1.0], [5.0], [100.0], [3.0], [1e9], [-np.inf], [np.nan], [np.inf]])
    expected = [z[0], z[1], z[2], (z[0] + z[1]) / 2, z[2], z[0], z[0], z[2]]
    assert np.allclose(scale(asked)[:, 0], expected)


def test_features_that_say_nothing_are_zero():
    scale = FeatureScale(np.asarray([[7.0, np.nan], [7.0, np.inf]]))
    assert scale(np.asarray([[7.0, 1.0], [9.0, 2.0]])).tolist() == [[0, 0], [0, 0]]


def test_targets_and_scaled_features_reach_the_predictor():
    made = Recorder(CELL, target="raw")
    made.fit(CELLS[:3], [1, 2, 3], rng=np.random.default_rng(0), features=[[1.0], [2.0], [30.0]])
    architectures, targets, features = made.seen
    assert architectures == CELLS[:3]
    assert np.allclose(targets, np.asarray([-1, 0, 1]) * np.sqrt(1.5))
    assert np.allclose(features[:, 0], stats.norm.ppf((np.asarray([1, 2, 3]) - 0.375) / 3.25))
    made.predict(CELLS[:1], features=[[30.0]])
    assert np.allclose(made.asked, features[2])


# ---- as an evaluator ------------------------------------------------------------------------------------------------


def test_it_is_an_evaluator():
    made = Recorder(CELL)
    made.fit(CELLS, range(40), rng=np.random.default_rng(0))
    found = made.evaluate_many(CELLS[:5], rng=np.random.default_rng(0))
    assert [each.score for each in found] == [a[0] for a in CELLS[:5]]
    assert [each.metrics["deviation"] for each in found] == [a[0] + 1 for a in CELLS[:5]]
    assert made.evaluate(CELLS[0], rng=np.random.default_rng(0)).score == CELLS[0][0]
    assert made.evaluate_many([], rng=np.random.default_rng(0)) == []
    with pytest.raises(InvalidValue, match="fidelity 12: a predictor has none"):
        made.evaluate(CELLS[0], fidelity=12, rng=np.random.default_rng(0))


def test_for_a_task_it_is_fitted_to_drawn_rewards():
    task = naslab.task("pocket-mlp/segments")
    made = predictor_spec("kernel-ridge").factory.for_task(task, np.random.default_rng(0), labels=60)
    rng = np.random.default_rng(1)
    others = [task.problem.sample(rng) for _ in range(300)]
    truths = [task.true_value(a) for a in others]
    assert stats.kendalltau(made.predict(others).mean, truths).statistic > 0.6
    with pytest.raises(InvalidValue, match="labels=1"):
        predictor_spec("kernel-ridge").factory.for_task(task, rng, labels=1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("boosted-trees[rounds=0]", "rounds=0"),
        ("boosted-trees[depth=0]", "depth=0"),
        ("boosted-trees[learning_rate=-1.0]", "learning_rate=-1.0"),
        ("random-forest[trees=0]", "trees=0"),
        ("tnasp[loss=bce,rounds=2]", "rounds=2 of self-evolution with loss=bce"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_learned(written, said):
    with pytest.raises(InvalidValue, match=said):
        predictor(written, CELL)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidValue, match="no numbers"):
        predictor("ridge", CELL).fit(CELLS[:2], ["good", "better"], rng=np.random.default_rng(0))


# ---- names ----------------------------------------------------------------------------------------------------------


def test_names_are_entry_points():
    points = registry.entries("evaluators")
    for name, where in PREDICTORS.items():
        module, _, attribute = where.partition(":")
        loaded = points[name].load()
        assert (loaded.__module__, loaded.__name__) == (module, attribute)
        assert issubclass(loaded, Predictor)
    assert set(CLASSICAL) <= set(PREDICTORS)


def test_options_are_written_in_brackets():
    spec = predictor_spec("kernel-ridge[target=raw,gamma=1]")
    made = spec.build(CELL)
    assert (spec.label, made.target, made.gamma, made.ridge) == ("kernel-ridge[target=raw,gamma=1]", "raw", 1, 0.05)


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(UnknownEvaluator, match=r"Did you mean 'kernel-ridge'\?"):
        predictor_spec("kernel-rigde")
    with pytest.raises(UnknownHyperparameter, match=r"Did you mean 'gamma'\?"):
        predictor_spec("kernel-ridge[gama=1]")
    with pytest.raises(InvalidValue, match="gamma='big' is no float"):
        predictor_spec("kernel-ridge[gamma=big]")
    with pytest.raises(InvalidValue, match="predictor 'kernel-ridge\\[': write NAME"):
        predictor_spec("kernel-ridge[")
    with pytest.raises(PluginError, match="'table' is no predictor"):
        predictor_spec("table")
    with pytest.raises(InvalidValue, match=r"gamma=-1, ridge=0\.05. Allowed: positive numbers"):
        predictor("kernel-ridge[gamma=-1]", CELL)


# ---- every space ----------------------------------------------------------------------------------------------------


FEW_TREES = {"boosted-trees": "[rounds=20]", "random-forest": "[trees=20]", "path-kernel": "[trees=false,power=false]"}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("name", CLASSICAL)
def test_every_space_can_be_learned(name, space):
    """A score that depends on parameters and options: what was seen is told apart, and nothing is not finite."""
    architectures = list(dict.fromkeys(drawn(space, 50, seed=6)))
    weights = np.random.default_rng(7).normal(size=len(space.sizes))
    scores = [np.log(1 + space.cost(a).params) + 0.1 * np.sin(weights @ np.asarray(a)) for a in architectures]
    made = fitted(name + FEW_TREES.get(name, ""), space, architectures, scores)
    mean, deviation = made.predict(architectures)
    assert np.isfinite(mean).all()
    assert stats.kendalltau(mean, scores).statistic > 0.3
    if deviation is not None:
        assert np.isfinite(deviation).all()
        assert (deviation >= 0).all()


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_generator_decides_everything(name):
    scores = [CELL.cost(a).params + 1e4 * a[0] for a in CELLS]
    first, second = (fitted(name, CELL, CELLS, scores).predict(CELLS) for _ in range(2))
    assert (first.mean == second.mean).all()
    assert first.deviation is None or (first.deviation == second.deviation).all()


@pytest.mark.parametrize("name", CLASSICAL)
def test_features_help_where_they_say_everything(name):
    rng = np.random.default_rng(8)
    architectures = drawn(CELL, 120, seed=9)
    scores = rng.normal(size=120)  # nothing of the architecture
    features = np.stack([np.exp(scores), rng.normal(size=120)], axis=1)
    made = fitted(name + FEW_TREES.get(name, ""), CELL, architectures[:80], scores[:80], features=features[:80])
    mean = made.predict(architectures[80:], features=features[80:]).mean
    assert stats.kendalltau(mean, scores[80:]).statistic > 0.5


@pytest.mark.parametrize("name", CLASSICAL)
def test_two_labels_are_enough(name):
    made = fitted(name, CELL, [(3,) * 6, (0,) * 6], [90, 10])
    mean = made.predict([(3,) * 6, (0,) * 6]).mean
    assert mean[0] >= mean[1]


@pytest.mark.parametrize("name", CLASSICAL)
def test_labels_of_one_architecture_may_differ(name):
    made = fitted(name, CELL, [(3,) * 6] * 4, [1, 2, 3, 4])
    assert np.isfinite(made.predict([(3,) * 6, (1,) * 6]).mean).all()
