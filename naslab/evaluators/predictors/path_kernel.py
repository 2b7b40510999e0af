"""naslab's own predictor: what a network's paths have in common, a Gaussian process and randomised trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from naslab.choice import Architecture
from naslab.evaluators.predictors import encodings
from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.gaussian_process import GaussianProcess
from naslab.evaluators.predictors.patterns import Multisets, path_codes, pattern_codes
from naslab.evaluators.predictors.summaries import summaries, transitions
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import SearchSpace

Floats = npt.NDArray[np.float64]
Encode = Callable[[Sequence[Architecture]], Floats]

MULTISETS = 2
"""The first groups."""
TREES = 200
FOLDS = 5
LARGEST_SHARE = 0.5
"""Of the trees, in the mean."""


class PathKernel(Predictor):
    """A Gaussian process over groups of features of the data flow, averaged with extremely randomised trees.

    Nobody published it; it is what the comparison of predictors taught us. All features come from the space's graph, on
    any space. In groups, each with a Matern kernel of its own, so that the marginal likelihood decides what matters:

    * the multiset of paths, identities contracted (:func:`~naslab.evaluators.predictors.patterns.path_codes`);
    * the multiset of operations with what they are computed from and go to
      (:func:`~naslab.evaluators.predictors.patterns.pattern_codes`, one round);
    * how often which operation follows which (:func:`~naslab.evaluators.predictors.summaries.transitions`);
    * counts of operations, number of paths, the longest, shortest and mean path
      (:func:`~naslab.evaluators.predictors.summaries.summaries`);
    * logarithms of widths and other numbers that are chosen;
    * where the graph is the whole network, and not a cell that is repeated, which option stands where;
    * features that were given.

    On cells the prediction depends on the data flow alone: isomorphic architectures are predicted alike, which other
    methods learn from augmented data.

    The trees (Geurts et al. 2006) see all features but the multisets at once, and so find what a sum of kernels misses.
    Their share in the mean, at most one half, is the one with the smallest squared error, judged by the process's
    leave-one-out predictions (Rasmussen & Williams 2006, section 5.4.2) and the trees' in five-fold cross-validation.
    The residuals of the mean then scale the process's standard deviations.

    Args:
        space: Whose architectures they are.
        target: See :func:`naslab.evaluators.predictors.targets.transform`.
        trees: Whether the trees take part.
    """

    def __init__(self, space: SearchSpace, *, target: str = "rank", trees: bool = True) -> None:
        super().__init__(space, target=target)
        self.trees = trees
        self._wiring = Wiring(space)

    def _fit(
        self, architectures: list[Architecture], targets: Floats, rng: np.random.Generator, features: Floats | None
    ) -> None:
        self._encoders = _encoders(self._wiring, architectures)
        groups = self._groups(architectures, features)
        self._process = GaussianProcess()
        self._process.fit(groups, targets, rng)
        left_out, variance = self._process.leave_one_out()
        self._share, self._forest = 0.0, None
        if self.trees:
            table = self._table(groups)
            other = _cross_validated(table, targets, rng)
            self._share = _share(targets - left_out, targets - other)
            left_out = (1 - self._share) * left_out + self._share * other
            if self._share:
                self._forest = _grown(table, targets, rng)
        self._stretch = np.sqrt(np.mean((targets - left_out) ** 2 / variance))

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        groups = self._groups(architectures, features)
        mean, variance = self._process.predict(groups)
        if self._forest is not None:
            table = self._table(groups)
            mean = (1 - self._share) * mean + self._share * self._forest.predict(table)
        return Prediction(mean, self._stretch * np.sqrt(variance))

    def _groups(self, architectures: list[Architecture], features: Floats | None) -> list[Floats]:
        groups = [encode(architectures) for encode in self._encoders]
        return groups if features is None else [*groups, features]

    def _table(self, groups: list[Floats]) -> Floats:
        """What the trees see."""
        return np.concatenate(groups[MULTISETS:], axis=1)


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
    seed = int(rng.integers(2**31))
    return ExtraTreesRegressor(TREES, max_features=0.5, random_state=seed).fit(table, targets)


def _cross_validated(table: Floats, targets: Floats, rng: np.random.Generator) -> Floats:
    folds = rng.permutation(len(targets)) % FOLDS
    found = np.zeros(len(targets))
    for fold in range(FOLDS):
        out = folds == fold
        if out.any() and not out.all():
            found[out] = _grown(table[~out], targets[~out], rng).predict(table[out])
    return found


def _share(process: Floats, trees: Floats) -> float:
    """The share s for which ``(1 - s) process + s trees`` has the least squares, within bounds."""
    difference = process - trees
    squares = float(difference @ difference)
    return float(np.clip(process @ difference / squares, 0, LARGEST_SHARE)) if squares > 0 else 0.0
