"""What a table says of a task: what was measured, how noisy it is, which decisions matter, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import kendalltau, rankdata

from naslab.analysis.contents import Section
from naslab.analysis.formats import number
from naslab.analysis.importance import SHARES, importance
from naslab.analysis.landscape_plots import plot_pair, plot_spread
from naslab.analysis.report import write_page
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.space.notation import labels
from naslab.studies.base import environment
from naslab.tables import Table, find_table
from naslab.tables.header import TableTask
from naslab.tasks import Task
from naslab.tasks import task as find_task

MOST_COMBINATIONS = 2**20
"""Of options: more are not listed."""
MOST_SHOWN = 10


@dataclass(frozen=True)
class TaskStudy:
    """A task of a table, looked at as a whole.

    Attributes:
        task: The task.
        table: Where its numbers are.
        entry: What the table says of it.
    """

    task: Task
    table: Table
    entry: TableTask

    @cached_property
    def known(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """``(n, choices)`` combinations of options and the truth of each, in its own unit and direction.

        Where decisions are conditional, or the table holds one of several isomorphic architectures, every combination
        that leads to a row counts: draws are uniform over combinations.
        """
        space, values = self.task.problem.space, self._values
        if prod(space.sizes) > MOST_COMBINATIONS:
            raise InvalidValue(
                f"task {self.task.id!r}: {prod(space.sizes):,} combinations of options are more than the "
                f"{MOST_COMBINATIONS:,} that can be listed"
            )
        rows, scores = [], []
        for combination in product(*map(range, space.sizes)):
            architecture = combination if combination in values else self._found(combination)
            if architecture is not None:
                rows.append(combination)
                scores.append(values[architecture])
        return np.array(rows, np.int64), np.array(scores)

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Which decisions matter: see :func:`naslab.analysis.importance.importance`."""
        rows, scores = self.known
        try:
            return importance(rows, scores, self._names, self.task.problem.space.sizes)
        except InvalidValue as error:
            raise InvalidValue(f"task {self.task.id!r}: {error}") from None

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What was measured, in words and numbers."""
        return pd.DataFrame(self._facts(), columns=["what", "value"])

    def shown(self) -> pd.DataFrame:
        """The decisions, the largest pairs, and the rest."""
        singles, pairs = self.shares["how many"] == 1, self.shares["how many"] == 2
        return pd.concat(
            [self.shares[singles], self.shares[pairs].head(MOST_SHOWN), self.shares[self.shares["how many"] > 2]]
        ).drop(columns="how many")

    def report(self, folder: Path) -> Path:
        """Write the page and its files into a folder; returns the page.

        Raises:
            OutputError: The folder can't be written.
        """
        command = f"naslab importance {self.task.id} --out {folder}"
        notes = [f"Source: {self.table.provenance.get('source', self.table.name)}."]
        if said := self.table.provenance.get("beware"):
            notes.append(f"Beware: {said}.")
        title = f"{self.task.id}: what its table says"
        return write_page([*self._sections()], folder, title, command, environment("scipy", "pandas"), notes)

    def _sections(self) -> Iterator[Section]:
        measured = Section("What was measured")
        measured.add(
            "facts", "The table", self.facts,
            "Failed: not better than a network that ignores its input. Noise: the standard deviation of the trainings "
            "of one architecture, its median over architectures.",
        )  # fmt: skip
        scores = np.array(list(self._values.values()))
        best_is_low = self.task.direction == "min"
        measured.draw(
            "spread", "All architectures",
            plot_spread(scores, self._metric, lower_is_better=best_is_low, guess=self.entry.guess),
            f"The truth of each of {len(scores):,} architectures.",
        )  # fmt: skip
        yield measured
        matter = Section("Which decisions matter")
        rows, _ = self.known
        whole = prod(self.task.problem.space.sizes)
        missing = f" {whole - len(rows):,} combinations have no row." if len(rows) < whole else ""
        matter.says.append(
            "Functional analysis of variance over every combination of options, each equally probable, of the truth "
            f"and of its ranks: {len(rows):,} combinations.{missing} Where a few architectures are far off, the "
            "variance is theirs; ranks weigh all alike."
        )
        matter.add("importance", "Shares of variance", self.shares, "A pair's share is beyond those of its two.")
        down, across = self._strongest
        matter.draw(
            "pair", f"{self._names[down]} and {self._names[across]}",
            plot_pair(self._pair(down, across), down=self._names[down], across=self._names[across]),
            "Mean rank by the options of the pair that explains most: 100 is the best architecture, 0 the worst.",
        )  # fmt: skip
        yield matter

    def _facts(self) -> Iterator[tuple[str, str]]:
        task, values = self.task, self._values
        scores = np.array(list(values.values()))
        low = task.direction == "min"
        best = min(values, key=lambda a: values[a] if low else -values[a])
        yield "architectures", f"{len(scores):,}"
        yield "truth", f"{self._metric}, {'lower' if low else 'higher'} is better"
        yield "best known", f"{number(values[best])} ({task.problem.space.to_string(best)})"
        yield "median", number(float(np.median(scores)))
        if (guess := self.entry.guess) is not None:
            failed = float((scores >= guess if low else scores <= guess).mean())
            yield "failed", f"{failed:.1%} (not better than {number(guess)}, which ignores the input)"
        yield from self._noise()
        yield from self._reward()
        yield "clock", self._clock()

    def _noise(self) -> Iterator[tuple[str, str]]:
        values = self.table.values(self.entry.truth.column, self.entry.truth.epochs)
        values = values[~np.isnan(values).all(axis=1)]
        if values.shape[1] < 2:
            seeds = self.table.columns[self.entry.truth.column].seeds
            yield "noise", "not recorded: " + ("means only" if seeds == ("mean",) else "one training each")
            return
        several = values[(~np.isnan(values)).sum(axis=1) > 1]
        noise = float(np.median(np.nanstd(several, axis=1, ddof=1)))
        yield "noise", f"{number(noise)} ({values.shape[1]} trainings at most)"
        taus = []
        for one, other in combinations(values.T, 2):
            both = ~np.isnan(one) & ~np.isnan(other)
            taus.append(float(kendalltau(one[both], other[both]).statistic))
        yield "Kendall's tau between two trainings", f"{np.mean(taus):.3f} (mean over {len(taus)} pairs)"

    def _reward(self) -> Iterator[tuple[str, str]]:
        reward, truth = self.entry.reward, self.entry.truth
        if reward == truth:
            split = self.table.columns[truth.column].split
            yield "reward", f"{'validation' if split == 'valid' else split or 'the truth'} only: one training of it"
            return
        pair = [self.table.mean(each.column, each.epochs) for each in (reward, truth)]
        both = ~np.isnan(pair).any(axis=0)
        tau = float(kendalltau(pair[0][both], pair[1][both]).statistic)
        yield "Kendall's tau between reward and truth", f"{tau:.3f} ({reward.column.partition('/')[2]}, means)"

    def _clock(self) -> str:
        dataset = self.entry.dataset or self.task.id.rpartition("/")[2]
        if dataset in self.table.untimed:
            return "evaluations only"
        seconds = self.table.charge(dataset, self.entry.reward.epochs)
        seconds = seconds[~np.isnan(seconds)]
        median, days = number(float(np.median(seconds))), number(float(seconds.sum() / 86400))
        return f"{median} s at the median, {days} days for one of each"

    def _found(self, combination: tuple[int, ...]) -> tuple[int, ...] | None:
        space = self.task.problem.space
        try:
            found = space.architecture(space.normal(combination))
        except InvalidArchitecture:
            return None
        return found if found in self._values else None

    def _pair(self, down: int, across: int) -> pd.DataFrame:
        """Mean rank, 0 (worst) to 100, by the options of two decisions."""
        rows, scores = self.known
        ranks = rankdata(scores if self.task.direction == "max" else -scores)
        ranks = 100 * (ranks - 1) / max(1, len(ranks) - 1)
        frame = pd.DataFrame({"down": rows[:, down], "across": rows[:, across], "rank": ranks})
        means = frame.pivot_table(index="down", columns="across", values="rank", aggfunc="mean")
        choices = self.task.problem.space.choices
        means.index = pd.Index([labels(choices[down])[i] for i in means.index])
        means.columns = pd.Index([labels(choices[across])[i] for i in means.columns])
        return means

    @property
    def _strongest(self) -> tuple[int, int]:
        """The two decisions that explain most of the ranks together."""
        share = self.shares.set_index("decisions")[SHARES[1]]
        names = self._names

        def together(pair: tuple[int, int]) -> float:
            one, other = (names[i] for i in pair)
            return float(share[one] + share[other] + share[f"{one} x {other}"])

        return max(combinations(range(len(names)), 2), key=together)

    @property
    def _names(self) -> list[str]:
        return [choice.name for choice in self.task.problem.space.choices]

    @property
    def _metric(self) -> str:
        return f"{self.task.metric} ({self.task.unit})" if self.task.unit else self.task.metric

    @cached_property
    def _values(self) -> dict[tuple[int, ...], float]:
        values: dict[tuple[int, ...], float] = self.task.truth.values  # type: ignore[attr-defined]
        here = self.task.problem.space
        return {a: value for a, value in values.items() if value == value and (here.is_valid(a))}


def task_study(task_id: str) -> TaskStudy:
    """Look at a task of a stored or packaged table as a whole.

    Raises:
        UnknownTask: There is none of this id.
        InvalidValue: Its truth is no table, or its reward is computed in another way (``@live``).
    """
    task = find_task(task_id)
    if "@" in task_id:
        plain = task_id.rpartition("@")[0]
        raise InvalidValue(f"task {task_id!r} is rewarded by no table. Fix: look at {plain!r}")
    if "table" not in task.source or not hasattr(task.truth, "values"):
        raise InvalidValue(f"task {task_id!r} is judged by no table, so that nobody knows all of its architectures")
    table = find_table(task.source["table"])
    return TaskStudy(task, table, table.tasks[task_id.rpartition("/")[2]])
