"""The scores of evaluators on a population, and every statistic of how well they agree with a reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis import correlation
from naslab.analysis.data import FloatArray
from naslab.running import seed_sequence

TOPS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
LEAST = 10
"""Architectures that a tau is computed of."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """The scores of evaluators on a population, and how well they agree with a reference.

    Attributes:
        task: Id of the task.
        reference: What scores are judged by: the truth's metric, or an evaluator's name.
        unit: The reference's unit.
        population: Which architectures these are, in words.
        scores: One row per architecture (index: its official string), one column per evaluator, higher is better.
        truth: ``(n,)``: the reference, higher is better.
        params: ``(n,)``: parameters of each architecture.
        trainings: ``(n, S)``: the single trainings behind the truth, higher is better; None where they are not known.
        seconds: Evaluator -> median seconds for an architecture; of a pass that gives several scores, an equal part.
        sharing: Evaluator -> how many scores the pass gave that it came from; 1 where it had its own.
        duplicates: Architectures that are the same network as another one of them.
        making: Evaluator -> seconds to make it, once: to fit a predictor or to train shared weights.
        notes: Sentences that a reader must know.
        seed: Of sample, scores and intervals.
        command: The command line that makes the same again.
        environment: Versions and data that the numbers depend on.
    """

    task: str
    reference: str
    unit: str
    population: str
    scores: pd.DataFrame
    truth: FloatArray
    params: FloatArray
    trainings: FloatArray | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    sharing: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    making: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seed: int = 0
    command: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """What a notebook shows: how well each evaluator agrees with the reference."""
        from naslab.analysis.notebook import card

        facts = {"reference": self.label, "architectures": f"{len(self.scores):,} ({self.population})"}
        return card(f"Evaluators on {self.task}", facts, [("Agreement", self.headline)])

    @property
    def label(self) -> str:
        """The reference with its unit."""
        return f"{self.reference} ({self.unit})" if self.unit else self.reference

    @property
    def evaluators(self) -> list[str]:
        """Their names, in the order in which they were given."""
        return [str(name) for name in self.scores.columns]

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """Every evaluator against the reference: see :func:`naslab.analysis.correlation.agreement`."""
        return correlation.agreement(self.scores, self.truth, self._rng("agreement"))

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Architectures, scores that are not finite and ties: see :func:`naslab.analysis.correlation.counts`."""
        return correlation.counts(self.scores)

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Spearman's correlations of all evaluators with each other; the last row is the reference."""
        return correlation.matrix(self.scores.assign(**{self.reference: self.truth}))

    @cached_property
    def bias(self) -> pd.DataFrame:
        """Spearman's correlation with the number of parameters, of every evaluator and of the reference."""
        known = np.isfinite(self.params)
        scores = self.scores.assign(**{self.reference: self.truth})[known]
        return correlation.bias(scores, self.params[known], self._rng("bias"))

    @cached_property
    def ceiling(self) -> pd.DataFrame:
        """The best agreement that the noise of trainings allows: see :func:`naslab.analysis.correlation.ceiling`."""
        trainings = np.empty((0, 2)) if self.trainings is None else self.trainings
        return correlation.ceiling(trainings, self._rng("ceiling"))

    @cached_property
    def tops(self) -> pd.DataFrame:
        """tau-b among the best share by the reference: columns predictor, share (in %), tau-b.

        Shares of fewer than ten architectures are left out. Which of equal references are among the best is drawn.
        """
        shares = [share for share in TOPS if share * len(self.truth) >= LEAST]
        rows = [
            (name, 100 * share, tau)
            for name in self.evaluators
            for share, tau in zip(
                shares,
                correlation.tau_at_top(self.scores[name].to_numpy(float), self.truth, shares, self._rng("tops")),
                strict=True,
            )
        ]
        return pd.DataFrame(rows, columns=["predictor", "share", "tau-b"])

    @cached_property
    def lead(self) -> tuple[float, float, float]:
        """How much better Spearman's correlation of the best evaluator is than the second's, with its interval."""
        first, second = self.summary["evaluator"].iloc[:2]
        return correlation.difference(self.scores, self.truth, str(first), str(second), self._rng("lead"))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per evaluator, the best Spearman first."""
        return wide(self.statistics).merge(self.counts, on="evaluator").sort_values(
            "Spearman", ascending=False, kind="stable", ignore_index=True
        )  # fmt: skip

    @property
    def headline(self) -> pd.DataFrame:
        """The columns of :attr:`summary` that tell most, for where there is little room."""
        kept = ("evaluator", "Spearman", "Kendall tau-b", "tau in top 10%", "precision at 10%", "regret")
        idle = [name for name in ("not finite", "tied pairs") if not self.counts[name].any()]
        shown = [c for c in self.summary.columns if c.startswith(kept) or c in self.counts.columns]
        return self.summary[shown].drop(columns=idle)

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(seed_sequence(self.task, self.reference, self.seed, purpose))


def wide(statistics: pd.DataFrame) -> pd.DataFrame:
    """One row per evaluator; each statistic and each of its bounds is a column, as tables show them."""
    columns: dict[str, Any] = {"evaluator": list(dict.fromkeys(statistics["evaluator"]))}
    for statistic, rows in statistics.groupby("statistic", sort=False):
        by_name = rows.set_index("evaluator").loc[columns["evaluator"]]
        columns[str(statistic)] = by_name["value"].to_numpy()
        for bound in ("low", "high"):
            columns[f"{statistic} {bound}"] = by_name[bound].to_numpy()
    return pd.DataFrame(columns)
