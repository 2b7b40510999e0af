"""naslab's own predictor: features of a network's paths, a Gaussian process and randomised trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from naslab.evaluators.predictors import encodings
from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.gaussian_process import GaussianProcess, Posterior
from naslab.evaluators.predictors.patterns import Multisets, path_codes, pattern_codes
from naslab.evaluators.predictors.summaries import summaries, transitions
from naslab.evaluators.predictors.targets import transform
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]
Encode = Callable[[Sequence[Architecture]], Floats]

TREES = 200
FOLDS = 5
LARGEST_SHARE = 0.5
"""Largest share of the trees."""


class PathKernel(Predictor):
    """Gaussian processes over groups of features of the data flow, averaged with extremely randomised trees.

    It is unpublished and follows from our comparison of predictors. All features come from the space's graph, for any
    space. Each group has a Matern kernel of its own, so that the marginal likelihood decides which groups matter:

    * the multiset of paths, identities contracted (:func:`~naslab.evaluators.predictors.patterns.path_codes`);
    * the multiset of operations with what they are computed from and go to
      (:func:`~naslab.evaluators.predictors.patterns.pattern_codes`, one round);
    * how often one operation follows another (:func:`~naslab.evaluators.predictors.summaries.transitions`);
    * counts of operations, number of paths, the longest, shortest and mean path
      (:func:`~naslab.evaluators.predictors.summaries.summaries`);
    * logarithms of widths and other numbers that are chosen;
    * the option of each choice, where the graph is the whole network and not a repeated cell;
    * features that were given.

    On cells the prediction depends on the data flow alone: isomorphic architectures are predicted alike, which other
    methods learn from augmented data.

    Two transformations of the scores are learned, with one process for each: ``target``, and the power transform, which
    keeps the distances that ranks lose. Predictions of the second are put on the scale of the first by interpolation
    between the training scores, and both are averaged.

    The trees (Geurts et al. 2006) see all features at once, and so find what a sum of kernels misses. Their share
    beside each process, at most one half, is the one with the smallest squared error, judged by the process's
    leave-one-out predictions (Rasmussen & Williams 2006, section 5.4.2) and the trees' in five-fold cross-validation.
    The residuals of the mean then scale the first process's standard deviations, so that these are right on average. As
    residuals have heavier tails than a normal distribution, intervals get their width from quantiles of the scaled
    residuals: the locally weighted conformal method (Lei et al. 2018, section 5.2). With these residuals instead of
    held-out ones, its guarantee holds only approximately.

    Args:
        space: The search space.
        target: The scale of predictions, see :func:`naslab.evaluators.predictors.targets.transform`.
        trees: Whether the trees take part.
        power: Whether the power transform takes part.
    """

    def __init__(self, space: SearchSpace, *, target: str = "rank", trees: bool = True, power: bool = True) -> None:
        super().__init__(space, target=target)
        self.trees, self.power = trees, power
        self._wiring = Wiring(space)

    def _targets(self, scores: Floats) -> Floats:
        first = super()._targets(scores)
        return np.column_stack([first, transform(scores, "power")]) if self.power else first[:, None]

    def _fit(
        self, architectures: list[Architecture], targets: Floats, rng: np.random.Generator, features: Floats | None
    ) -> None:
        self._encoders = _encoders(self._wiring, architectures)
        groups = self._groups(architectures, features)
        table = np.concatenate(groups, axis=1) if self.trees else None
        trees = None if table is None else _cross_validated(table, targets, rng)
        self._looks = [
            _Look(groups, look, targets[:, 0], None if trees is None else trees[:, i], rng)
            for i, look in enumerate(targets.T)
        ]
        shared = any(look.share for look in self._looks)
        self._forest = None if table is None or not shared else _grown(table, targets, rng)
        left_out = np.mean([look.left_out for look in self._looks], axis=0)
        away = np.abs(targets[:, 0] - left_out) / np.sqrt(self._looks[0].variance)
        self._stretch = np.sqrt(np.mean(away**2))
        self._residuals = away / self._stretch

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        groups = self._groups(architectures, features)
        trees = None if self._forest is None else _said(self._forest, np.concatenate(groups, axis=1))
        found = [look.predict(groups, None if trees is None else trees[:, i]) for i, look in enumerate(self._looks)]
        return Prediction(np.mean([each.mean for each in found], axis=0), self._stretch * np.sqrt(found[0].variance))

    def _half_width(self, level: float) -> float:
        return float(np.quantile(self._residuals, min(1.0, level * (1 + 1 / len(self._residuals)))))

    def _groups(self, architectures: list[Architecture], features: Floats | None) -> list[Floats]:
        groups = [encode(architectures) for encode in self._encoders]
        return groups if features is None else [*groups, features]


class _Look:
    """A process that learned one transformation of the scores, averaged with trees; it predicts on another's scale.

    Args:
        groups: ``(n, features)`` each.
        targets: ``(n,)``, what is learned.
        scale: ``(n,)``, the same scores in the transformation of the predictions.
        trees: ``(n,)`` predictions of trees in cross-validation; None without trees.
        rng: For the process.
    """

    def __init__(
        self, groups: list[Floats], targets: Floats, scale: Floats, trees: Floats | None, rng: np.random.Generator
    ) -> None:
        order = np.argsort(targets, kind="stable")
        self._targets, self._scale = targets[order], scale[order]
        self._process = GaussianProcess()
        self._process.fit(groups, targets, rng)
        left_out, self.variance = self._process.leave_one_out()
        self.share = 0.0 if trees is None else _share(targets - left_out, targets - trees)
        self.left_out = self._told(left_out, trees)

    def predict(self, groups: list[Floats], trees: Floats | None) -> Posterior:
        """The average on the scale of predictions, the process's variance on its own scale."""
        mean, variance = self._process.predict(groups)
        return Posterior(self._told(mean, trees), variance)

    def _told(self, process: Floats, trees: Floats | None) -> Floats:
        mean = process if trees is None else (1 - self.share) * process + self.share * trees
        if np.array_equal(self._targets, self._scale):
            return mean  # which may lie beyond the training scores
        told: Floats = np.interp(mean, self._targets, self._scale)
        return told


def _encoders(wiring: Wiring, training: list[Architecture]) -> list[Encode]:
    """One for each group of features; what they need to know of the training rows is fixed here."""

    def multisets(codes: Callable[[Sequence[Architecture]], npt.NDArray[np.uint64]]) -> Encode:
        known = Multisets(codes(training))
        return lambda architectures: known(codes(architectures))

    def standardised(encode: Encode) -> Encode:
        table = encode(training)
        known = np.isfinite(table)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, table, 0).sum(axis=0) / count
        deviation = np.sqrt(np.where(known, (table - mean) ** 2, 0).sum(axis=0) / count)
        deviation[deviation == 0] = 1  # constant among the training rows
        return lambda architectures: np.nan_to_num((encode(architectures) - mean) / deviation)

    found = [
        multisets(lambda architectures: path_codes(wiring, architectures)),
        multisets(lambda architectures: pattern_codes(wiring, architectures, 1)[1]),
        standardised(lambda architectures: transitions(wiring, architectures)),
        standardised(lambda architectures: summaries(wiring, architectures)),
        standardised(lambda architectures: encodings.live_numbers(wiring, architectures)),
    ]
    if not wiring.repeated:
        found.append(lambda architectures: encodings.live_one_hot(wiring, architectures))
    return found


def _grown(table: Floats, targets: Floats, rng: np.random.Generator) -> ExtraTreesRegressor:
    """Of targets ``(n, k)``; scikit-learn warns of a second axis where k is 1."""
    known = targets[:, 0] if targets.shape[1] == 1 else targets
    return ExtraTreesRegressor(TREES, random_state=int(rng.integers(2**31))).fit(table, known)


def _cross_validated(table: Floats, targets: Floats, rng: np.random.Generator) -> Floats:
    """``(n, k)`` predictions of targets ``(n, k)``, each by trees that did not see its row."""
    folds = rng.permutation(len(targets)) % FOLDS
    found = np.zeros_like(targets)
    for fold in range(FOLDS):
        out = folds == fold
        if out.any() and not out.all():
            found[out] = _said(_grown(table[~out], targets[~out], rng), table[out])
    return found


def _said(forest: ExtraTreesRegressor, table: Floats) -> Floats:
    """``(m, k)``; scikit-learn leaves the second axis out where k is 1."""
    said: Floats = forest.predict(table).reshape(len(table), -1)
    return said


def _share(process: Floats, trees: Floats) -> float:
    """The share s for which ``(1 - s) process + s trees`` has the smallest sum of squares, within bounds."""
    difference = process - trees
    squares = float(difference @ difference)
    return float(np.clip(process @ difference / squares, 0, LARGEST_SHARE)) if squares > 0 else 0.0
