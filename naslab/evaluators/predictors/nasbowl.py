"""A Gaussian process with a graph kernel: NAS-BOWL's surrogate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.base import Prediction, Predictor
from naslab.evaluators.predictors.patterns import Multisets, pattern_codes
from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]

MOST = 500
"""Rows that hyperparameters are chosen on, drawn at random."""


class NASBOWL(Predictor):
    """Gaussian process with the Weisfeiler-Lehman kernel (Ru et al. 2021, "Interpretable Neural Architecture Search via
    Bayesian Optimisation with Weisfeiler-Lehman Kernels", sections 3.1 and 3.2).

    Graphs have operations as nodes, zeros removed and identities contracted, as in the authors' code for NAS-Bench-201.
    The kernel is the inner product of the counts of all colours of rounds 0 to h, normalised to 1 on the diagonal. h
    and the noise maximise the marginal likelihood.

    Deviations: colours are hashed for all architectures at once
    (:func:`~naslab.evaluators.predictors.patterns.pattern_codes`), where networkx hashes one graph after the other (the
    classes are the same); predecessors and successors are distinguished; h is chosen from 0 to 3 and the noise freely
    (the authors' code: h from 1 and 2, noise of at most .01); the kernel's variance is known in closed form given the
    rest and not optimised; given features (the paper has none) get a Gaussian kernel on their mean squared difference,
    averaged with the graph's kernel.

    Args:
        space: The search space.
        target: See :func:`naslab.evaluators.predictors.targets.transform`.
        rounds: The largest h.
    """

    def __init__(self, space: SearchSpace, *, target: str = "rank", rounds: int = 3) -> None:
        super().__init__(space, target=target)
        if rounds < 0:
            raise InvalidValue(f"rounds={rounds}. Allowed: whole numbers of at least 0")
        self.rounds = rounds
        self._wiring = Wiring(space)

    def _fit(
        self, architectures: list[Architecture], targets: Floats, rng: np.random.Generator, features: Floats | None
    ) -> None:
        codes = pattern_codes(self._wiring, architectures, self.rounds)
        self._multisets = [Multisets(each) for each in codes]
        rows = [known(each) for known, each in zip(self._multisets, codes, strict=True)]
        drawn = rng.permutation(len(targets))[:MOST]
        found = []
        for h in range(self.rounds + 1):
            some = np.concatenate(rows[: h + 1], axis=1)[drawn]
            some_features = None if features is None else features[drawn]
            found.append(_most_likely(_kernel(some, some, some_features, some_features), targets[drawn]))
        self.depth = max(range(len(found)), key=lambda h: found[h][0])
        _, self.noise, self.variance = found[self.depth]
        self._rows, self._features = np.concatenate(rows[: self.depth + 1], axis=1), features
        kernel = _kernel(self._rows, self._rows, features, features)
        kernel[np.diag_indices(len(kernel))] += self.noise
        self._factor = linalg.cholesky(kernel, lower=True)
        self._weights = linalg.cho_solve((self._factor, True), targets)

    def _predict(self, architectures: list[Architecture], features: Floats | None) -> Prediction:
        codes = pattern_codes(self._wiring, architectures, self.depth)
        rows = np.concatenate([known(each) for known, each in zip(self._multisets, codes, strict=False)], axis=1)
        cross = _kernel(rows, self._rows, features, self._features)
        explained = linalg.solve_triangular(self._factor, cross.T, lower=True)
        left = np.maximum(1 + self.noise - np.square(explained).sum(axis=0), 1e-9)
        return Prediction(cross @ self._weights, np.sqrt(self.variance * left))


def _kernel(a: Floats, b: Floats, features_a: Floats | None, features_b: Floats | None) -> Floats:
    """Cosines of counts; unknown patterns (the last columns) matter in the norms only."""
    unit_a, unit_b = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    kernel: Floats = unit_a @ unit_b.T
    if features_a is None or features_b is None:
        return kernel
    squares = np.square(features_a[:, None] - features_b).mean(axis=2)
    mixed: Floats = (kernel + np.exp(-squares / 2)) / 2
    return mixed


def _most_likely(kernel: Floats, targets: Floats) -> tuple[float, float, float]:
    """The largest log marginal likelihood, and the noise (as a share of the variance) and the variance that give it."""
    values, vectors = linalg.eigh(kernel)
    squares = np.square(vectors.T @ targets)
    n = len(targets)

    def loss(log_noise: float) -> float:
        spread = np.maximum(values, 0) + np.exp(log_noise)
        return float(0.5 * n * np.log((squares / spread).mean()) + 0.5 * np.log(spread).sum())

    best = optimize.minimize_scalar(loss, bounds=(-8.0, 2.0), method="bounded")
    noise = float(np.exp(best.x))
    return -float(best.fun), noise, float((squares / (np.maximum(values, 0) + noise)).mean())
