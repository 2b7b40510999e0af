"""Freeze-thaw: trainings are paused and resumed, an epoch or so at a time, by where their curves seem to go."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.base import Query
from naslab.optimizers.multi_fidelity.climbing import LOST, Climbing
from naslab.optimizers.multi_fidelity.curve_process import CurveProcess
from naslab.optimizers.multi_fidelity.rungs import rungs
from naslab.space import Architecture, Choice
from naslab.tasks import Problem

Floats = npt.NDArray[np.float64]

GROWTH = 1.2
"""Hyperparameters are fitted again when there are this many times as many results."""
KEPT_ROWS = 2**14
"""Architectures whose features are remembered: encoding 300 candidates anew took a third of an ask."""


class FreezeThaw(Climbing):
    """Continues the paused trial, or begins the new one, that most probably passes a random goal by a random time.

    The acquisition is that of Rakotoarison et al. 2024, "In-Context Freeze-Thaw Bayesian Optimization for
    Hyperparameter Optimization" (ifBO): before every ask a horizon of 1 to all fidelities is drawn, and a goal above
    the best score so far by 10^U(-4, -1) of a scale. The trial whose score at its fidelity plus the horizon exceeds the
    goal with the largest probability is trained to its next fidelity.

    Deviations: ifBO's surrogate is a network trained on synthetic curves, whose weights can't be had with the package;
    here it is a Gaussian process over curves (:class:`~naslab.optimizers.multi_fidelity.curve_process.CurveProcess`).
    ifBO's scale is what is missing to a score of 1; here, where scores have no known end, it is the distance between
    the best and the worst score told. Where trials do not continue, each resumption trains from scratch and is charged
    so. Trials that other workers train are not asked for; those that failed, or exceed a limit on a metric, never
    again.

    Args:
        problem: The problem.
        rng: Its generator.
        startup: Uniform trials of the lowest fidelity to begin with.
        candidates: Uniform architectures that compete with the paused trials.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, *, startup: int = 8, candidates: int = 300) -> None:
        rungs(problem.fidelities, 2)  # refuses what has no order, or no choice
        super().__init__(problem, rng, tuple(sorted(each for each in problem.fidelities if isinstance(each, int))))
        if startup < 1 or candidates < 1:
            raise InvalidValue(f"startup={startup}, candidates={candidates}: at least 1")
        self.startup, self.candidates = startup, candidates
        self._curves: dict[int, dict[int, float]] = {}
        self._rung: dict[int, int] = {}  # of trials that are paused below the last one
        self._model = CurveProcess()
        self._results, self._tuned = 0, 0.0
        self._rising = [i for i, choice in enumerate(self.space.choices) if _rises(choice)]
        self._sizes = np.array([len(self.space.choices[i].options) for i in self._rising], float)
        self._row = lru_cache(KEPT_ROWS)(self._described)

    def ask(self) -> Query:
        if len(self.trials) < self.startup or not self._curves:
            return self.begin(self.newcomer(0), 0)
        known = set(self.trials)
        drawn = dict.fromkeys(self.newcomer(0) for _ in range(self.candidates))  # each once, in order
        fresh = [a for a in drawn if a not in known]
        fresh = fresh or [self.newcomer(0)]
        paused = list(self._rung)
        chances = self._chances(paused, fresh)
        chosen = int(chances.argmax())
        if chosen < len(paused):
            trial = paused[chosen]
            return self.go_on(trial, self._rung.pop(trial) + 1)
        return self.begin(fresh[chosen - len(paused)], 0)

    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        if score == LOST:
            return
        self._results += 1
        found = evaluation.curve or ((self.rungs[rung], score),)
        self._curves.setdefault(trial, {}).update((epoch, value) for epoch, value in found if np.isfinite(value))
        if rung + 1 < len(self.rungs):
            self._rung[trial] = rung

    def _chances(self, paused: list[int], fresh: list[Architecture]) -> Floats:
        """The logarithm of the probability of passing the goal, of each."""
        begun = list(self._curves)
        lasts = np.array([self._curves[trial][max(self._curves[trial])] for trial in begun])
        scores = np.array([score for curve in self._curves.values() for score in curve.values()])
        middle, spread = lasts.mean(), lasts.std() or 1.0
        total = self.rungs[-1]
        curves = [{e / total: (s - middle) / spread for e, s in self._curves[t].items()} for t in begun]
        tune = self._results >= GROWTH * self._tuned
        if tune:
            self._tuned = self._results
        self._model.fit(self._features([self.trials[trial] for trial in begun]), curves, tune=tune)
        horizon = int(self.rng.integers(1, len(self.rungs) + 1))
        best = scores.max()
        goal = best + 10 ** self.rng.uniform(-4, -1) * ((best - scores.min()) or 1.0)
        until = [min(self._rung[trial] + horizon, len(self.rungs) - 1) for trial in paused]
        times = np.array([self.rungs[rung] / total for rung in until])
        first = np.full(len(fresh), self.rungs[min(horizon, len(self.rungs)) - 1] / total)
        parts = [self._model.predict_new(self._features(fresh), first)]
        if paused:
            parts.insert(0, self._model.predict([begun.index(trial) for trial in paused], times))
        z = [(part.mean - (goal - middle) / spread) / np.sqrt(part.variance) for part in parts]
        chances: Floats = special.log_ndtr(np.concatenate(z))
        return chances

    def _features(self, architectures: list[Architecture]) -> Floats:
        """Rows: one-hot options, the place of an increasing number among its options, and of ranges on their scales."""
        return np.array([self._row(architecture) for architecture in architectures])

    def _described(self, architecture: Architecture) -> Floats:
        options = self.space.choice_columns([architecture])[0, self._rising] / self._sizes
        return np.concatenate([self.space.encode(architecture, "one-hot"), 2 * options])


def _rises(choice: Choice) -> bool:
    """Whether its options are increasing numbers."""
    numbers = all(isinstance(option, int | float) for option in choice.options)
    return numbers and list(choice.options) == sorted(choice.options)
