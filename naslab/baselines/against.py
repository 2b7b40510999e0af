"""New strategies compared with a library of results: they alone are run, and judged beside what is there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import median_low
from typing import Any

import pandas as pd

from naslab.analysis.data import COSTS, ResultsData
from naslab.baselines.judged import frames, scores_of
from naslab.baselines.leaderboard import makers
from naslab.baselines.library import SHIPPED, Library, Standing
from naslab.baselines.stamps import differences, stamp
from naslab.baselines.standings import overall_standings, task_standings
from naslab.errors import InvalidLibrary, InvalidValue, OutputError
from naslab.optimizers import Optimizer, optimizer_spec
from naslab.running import Progress, claimed_folder, constrained_task, versions
from naslab.running.comparison import Comparison, compare
from naslab.running.outcomes import outcome_of
from naslab.running.results import Results
from naslab.running.trace import file_name
from naslab.tasks import Budget, Constraint, Task

ALL = "all tasks"
_RERUN = "To run them here: naslab baselines build --fresh --out DIR, and then --against DIR"
_HOLDS = "a comparison with a library of results"


def compare_against(
    optimizers: Sequence[str | type[Optimizer]],
    *,
    out: str | Path,
    tasks: Sequence[str] = (),
    against: str | Path = SHIPPED,
    budget: str | int | float | Budget | None = None,
    seeds: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Against:
    """Run new strategies on tasks of a library, at its budgets, and compare them with what it holds.

    Args:
        optimizers: As in :func:`naslab.compare`.
        out: A folder: ``OUT/<task>`` is a comparison of the new strategies, as any other. The same call again finishes
            what is missing.
        tasks: Ids; all of the library by default.
        against: ``"baselines"``, the library in the package, or the folder of one.
        budget: None, or what the library has.
        seeds: Runs of each new strategy on each task. By default as many as half of the library's strategies there
            have; those with fewer are left out of the report's tests (not of the standings), and named.
        workers: Processes.
        progress: Called after every run.

    Raises:
        UnknownTask: The library has no runs on it.
        InvalidLibrary: The library is damaged, or was made on another version of a task's table.
        InvalidValue: Another budget than the library's, or a strategy that the library has.
        NaslabError: For anything else that is wrong, before anything is written.
    """
    if seeds is not None and (not isinstance(seeds, int) or seeds < 1):
        raise InvalidValue(f"seeds {seeds!r}: give a whole number of at least 1")
    library = Library(against)
    chosen = list(dict.fromkeys(tasks)) or list(library.tasks)
    for task_id in chosen:
        library.shelf(task_id)
    found = {task_id: constrained_task(task_id, Constraint()) for task_id in chosen}
    _check(library, found, budget)
    new = [optimizer_spec(each).label for each in optimizers]
    if known := next((name for name in new if any(name in library.shelf(each).by_name for each in chosen)), None):
        raise InvalidValue(
            f"{known!r} is in the library, and its runs are compared with anyway: leave it out, or state a variant, "
            f"{known}[key=value]"
        )
    common = _on_all(library, chosen)
    if not common:
        raise InvalidValue(f"no strategy of the library ran on all of {', '.join(chosen)}; name fewer tasks")
    count = median_low(common.values()) if seeds is None else seeds
    for task_id in chosen:  # errors are told before anything is written
        parts = (task_id,), tuple(optimizers), count, Budget.parse(library.shelf(task_id).budget), Constraint()
        Comparison(*parts).prepare()
    folder, results = Path(out), {}
    description = {"holds": _HOLDS, "library": str(against), "tasks": chosen, "optimizers": new, "seeds": count}
    with claimed_folder(folder, description, "against.json", "comparison", grown=partial(_grown, folder, description)):
        for place, task_id in enumerate(chosen):

            def tick(done: int, total: int, last: str, before: int = place) -> None:
                if progress:
                    progress(before * total + done, len(chosen) * total, last)

            parts_of_task = folder / file_name(task_id)
            results[task_id] = compare(
                [task_id], optimizers, budget=library.shelf(task_id).budget, out=parts_of_task, seeds=count,
                workers=workers, progress=tick,
            )  # fmt: skip
    return Against(library, folder, found, new, count, results)


@dataclass(frozen=True)
class Against:
    """New strategies beside those of a library; made by :func:`compare_against`.

    Attributes:
        library: What they are compared with.
        folder: Their runs, and the report.
        tasks: The tasks by id.
        new: The new strategies.
        seeds: Their number of runs on each task, and of all others in :attr:`data`.
        results: Of the new strategies, task by task.
    """

    library: Library
    folder: Path
    tasks: Mapping[str, Task]
    new: Sequence[str]
    seeds: int
    results: Mapping[str, Results]

    @cached_property
    def others(self) -> list[str]:
        """The library's strategies in :attr:`data`: those that have so many seeds on every task."""
        return [name for name, seeds in _on_all(self.library, list(self.tasks)).items() if seeds >= self.seeds]

    @cached_property
    def data(self) -> ResultsData:
        """All runs as plain frames, for :mod:`naslab.analysis`; costs are left out."""
        own = [results.data for results in self.results.values()]
        runs, changes = [each.frame for each in own], [each.anytime for each in own]
        for task_id, task in self.tasks.items():
            outcomes = self.library.outcomes(task_id)
            frame, anytime = frames(task, {name: outcomes[name][: self.seeds] for name in self.others})
            runs.append(frame)
            changes.append(anytime)
        infos = {name: info for each in own for name, info in each.tasks.items()}
        frame = pd.concat(runs, ignore_index=True)
        costs = {cost for task in self.tasks.values() for cost in task.problem.costs} | {*COSTS}
        kept = frame.drop(columns=[cost for cost in costs if cost in frame.columns])
        return ResultsData(
            kept, pd.concat(changes, ignore_index=True), infos, [*self.new, *self.others], list(range(self.seeds))
        )

    @cached_property
    def standings(self) -> dict[str, tuple[Standing, ...]]:
        """Who stands where, on each task and (under :data:`ALL`) over several: with all runs of all strategies."""
        scores = {}
        for task_id, task in self.tasks.items():
            own = self.results[task_id]
            recorded = {name: [own.recorded(task_id, name, seed) for seed in range(self.seeds)] for name in self.new}
            mine = {
                name: [outcome_of(task.problem, r) for r in each if r is not None] for name, each in recorded.items()
            }
            scores[task_id] = scores_of(task, {**mine, **self.library.outcomes(task_id)})
        found = {name: task_standings(each, self.tasks[name].sign) for name, each in scores.items()}
        overall = overall_standings(scores)
        return {**({ALL: overall} if overall else {}), **found}

    def places(self) -> pd.DataFrame:
        """Where the new strategies stand: a row for each of them, over all tasks and on each.

        Returns ``optimizer, task, n``, ``rank`` with ``rank low`` and ``rank high``, ``of`` (strategies), the ``mean``
        truth with ``mean low`` and ``mean high``, and the names of those that it is ``better than``, ``can't be told
        from``, and is ``worse than``.
        """
        rows = []
        for name in self.new:
            for task, standings in self.standings.items():
                own = next(each for each in standings if each.name == name)
                told = [each for each in standings if each.name != name and each.name not in own.alike]
                worse = [each.name for each in told if each.rank < own.rank]
                mean, half = (float("nan") if x is None else x for x in (own.mean, own.half_width))
                low, high = (float("nan") if x is None else x for x in (own.rank_low, own.rank_high))
                rows.append({
                    "optimizer": name, "task": task, "n": own.n, "rank": own.rank, "rank low": low, "rank high": high,
                    "of": len(standings), "mean": mean, "mean low": mean - half, "mean high": mean + half,
                    "better than": ", ".join(each.name for each in told if each.name not in worse) or "-",
                    "can't be told from": ", ".join(own.alike) or "-", "worse than": ", ".join(worse) or "-",
                })  # fmt: skip
        return pd.DataFrame(rows)

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know: who is left out, and whose runs might differ now."""
        shelves = [self.library.shelf(task_id) for task_id in self.tasks]
        every = dict.fromkeys(name for shelf in shelves for name in shelf.by_name)
        common = _on_all(self.library, list(self.tasks))
        said = []
        if few := [f"{name} ({seeds})" for name, seeds in common.items() if seeds < self.seeds]:
            said.append(
                f"Fewer than {self.seeds} runs, and therefore in the standings alone: {', '.join(few)}. With --seeds N "
                "of at most so many they are in all of the report."
            )
        if elsewhere := [name for name in every if name not in common]:
            said.append(
                f"Not on all of these tasks, and so only in the standings of single ones: {', '.join(elsewhere)}."
            )
        changed: dict[str, list[str]] = {}
        for name in every:
            made = next(shelf.by_name[name].made for shelf in shelves if name in shelf.by_name)
            if found := differences(made, stamp(name)):
                changed.setdefault("; ".join(found), []).append(name)
        said += [
            f"Runs of the library that might come out otherwise now: {', '.join(names)} ({why}). Whether they do: "
            f"naslab baselines build --verify 50. {_RERUN}."
            for why, names in changed.items()
        ]
        said.append(
            "The library keeps the incumbents of its runs, not all that they evaluated: costs are not compared."
        )
        return said

    def report(self) -> Path:
        """Write ``report/report.html`` and its tables and figures; returns the page."""
        from naslab.analysis.report import write_report

        places = self.places()
        caption = (
            "With all runs of the library, those with fewer seeds included. rank: of the interquartile mean, 1 = best, "
            "with its 95 % bootstrap interval; over all tasks the mean rank among strategies that ran on all of them. "
            "mean: of the truth, with Student's 95 % interval. Better, worse, can't be told from: at 0.05 by "
            "Mann-Whitney's test (over all tasks van Elteren's), Holm over all pairs of strategies on that line."
        )
        environment = {
            "naslab": versions("naslab")["naslab"],
            "library": f"{self.library.name}, {sum(self.library.shelf(each).runs for each in self.tasks):,} runs here",
            **makers(self.library, list(self.tasks)),
        }
        return write_report(
            self.data, self.folder / "report",
            f"{', '.join(self.new)} against a library of {len(self.others)} strategies", self.command, environment,
            self.notes, [("Where the new strategies stand", places, caption)],
        )  # fmt: skip

    @property
    def command(self) -> str:
        """The command line that makes this comparison."""
        words = ["naslab compare", *self.tasks, "--optimizers", shlex.quote(",".join(self.new))]
        words += ["--against", shlex.quote(self.library.name), "--seeds", str(self.seeds)]
        return " ".join([*words, "--out", shlex.quote(str(self.folder))])


def _check(library: Library, tasks: Mapping[str, Task], budget: str | int | float | Budget | None) -> None:
    """Refuse another budget than the library's, and data other than that on which it was made."""
    for task_id, task in tasks.items():
        shelf = library.shelf(task_id)
        if budget is not None and Budget.parse(budget) != Budget.parse(shelf.budget):
            raise InvalidValue(
                f"budget {Budget.parse(budget)}: the library's runs on {task_id} had {shelf.budget}. Fix: leave out "
                "--budget, or compare without --against"
            )
        if dict(shelf.source) != dict(task.source):
            raise InvalidLibrary(
                f"the library's runs on {task_id} were made on another version of its table ({shelf.source} there, "
                f"{dict(task.source)} here). {_RERUN}"
            )


def _on_all(library: Library, tasks: Sequence[str]) -> dict[str, int]:
    """The strategies that ran on all of some tasks, and the fewest seeds that each has there."""
    shelves = [library.shelf(task_id).by_name for task_id in tasks]
    common = [name for name in shelves[0] if all(name in each for each in shelves)]
    return {name: min(each[name].seeds for each in shelves) for name in common}


def _grown(folder: Path, description: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The folder's new description: what its runs are, each task's own folder says and checks."""
    if found.get("holds") != _HOLDS:
        raise OutputError(f"{folder} holds something else; give another --out")
    return dict(description)
