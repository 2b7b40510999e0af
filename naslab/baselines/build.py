"""Building a library: what a plan asks for and is not there yet is run, packed and put beside the rest."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from naslab.baselines.judged import scores_of
from naslab.baselines.library import MANIFEST, Entry, Library, Manifest, shipped, write_manifest, write_shelf
from naslab.baselines.plan import Plan
from naslab.baselines.stamps import differences, stamp
from naslab.baselines.standings import overall_standings, task_standings
from naslab.running import Progress, claimed_folder, constrained_task
from naslab.running.comparison import Comparison, compare
from naslab.running.outcomes import Outcome, outcome_of
from naslab.running.results import Results
from naslab.running.trace import file_name
from naslab.tasks import Constraint, Task

WORK = "work"
Runs: TypeAlias = tuple[Entry, list[Outcome]]


class _Job(NamedTuple):
    """What is wanted on one task: strategies and their seeds; those of ``kept`` are there already."""

    task: Task
    budget: str
    wanted: dict[str, int]
    kept: dict[str, Runs]

    @property
    def missing(self) -> dict[str, int]:
        return {name: seeds for name, seeds in self.wanted.items() if name not in self.kept}


def build_library(
    plan: Plan, out: Path, *, workers: int = 1, fresh: bool = False, progress: Progress | None = None
) -> Library:
    """Make a library in a folder.

    Runs that the folder's library, or the one in the package, has are taken over where they would be made in the same
    way now: the same budget, table, number of seeds, strategy, code and versions. The others are run, task by task, in
    ``OUT/work``, which is removed when the task is packed. After a kill the same call continues.

    Args:
        plan: What the library shall hold.
        out: Its folder.
        workers: Processes. Runs on measured clocks disturb each other: give them one.
        fresh: Take nothing from the package.
        progress: Called after every run with what is done, all that is to be run, and what was done last.

    Raises:
        NaslabError: For anything that is wrong with the plan, before anything is written.
        OutputError: The folder holds something else, is in use, or can't be written.
    """
    jobs = _checked(plan)
    description = {"format": 1, "holds": "a library of results"}
    with claimed_folder(out, description, "build.json", "library of results"):
        sources = [Library(out)] if (out / MANIFEST).is_file() else []
        jobs = [_known(job, [*sources, *([] if fresh else shipped())]) for job in jobs]
        total, done = sum(sum(job.missing.values()) for job in jobs), 0
        shelves = dict(sources[0].tasks) if sources else {}
        if progress:
            progress(0, total, "")
        for job in jobs:

            def tick(runs: int, _: int, last: str, before: int = done) -> None:
                if progress and last:
                    progress(before + runs, total, last)

            work = out / WORK / file_name(job.task.id)
            made = _made(job, work, workers, tick)
            done += sum(job.missing.values())
            runs = {name: made[name] if name in made else job.kept[name] for name in job.wanted}
            scores = scores_of(job.task, {name: outcomes for name, (_, outcomes) in runs.items()})
            standings = task_standings(scores, job.task.sign)
            shelves[job.task.id] = write_shelf(out, job.task, job.budget, runs.values(), standings)
            write_manifest(out, Manifest(shelves=shelves))
            shutil.rmtree(work, ignore_errors=True)  # others may be left of a build that was killed
        library = Library(out)
        by_task = {job.task.id: scores_of(job.task, library.outcomes(job.task.id)) for job in jobs}
        wanted = {job.task.id: shelves[job.task.id] for job in jobs}
        write_manifest(out, Manifest(shelves=wanted, standings=overall_standings(by_task)))
        shutil.rmtree(out / WORK, ignore_errors=True)
    return Library(out)


def reasons_to_rerun(shelf_source: Mapping[str, str], entry: Entry, task: Task) -> list[str]:
    """In words, why runs of a library would differ from runs made now; nothing where they would not."""
    table = ["its table is another one"] if dict(shelf_source) != dict(task.source) else []
    return table + differences(entry.made, stamp(entry.name))


def _checked(plan: Plan) -> list[_Job]:
    """What a plan asks for, nothing of it there yet; raises what is wrong with it."""
    jobs = []
    for task_id, wanted in plan.wanted().items():
        budget, one = plan.budget(task_id), constrained_task(task_id, Constraint())
        for seeds in dict.fromkeys(wanted.values()):
            names = tuple(name for name in wanted if wanted[name] == seeds)
            Comparison((task_id,), names, seeds, budget, Constraint()).prepare()
        jobs.append(_Job(one, str(budget), wanted, {}))
    return jobs


def _known(job: _Job, sources: Sequence[Library]) -> _Job:
    """The same job, with what libraries have of it: the first one's runs."""
    kept = {}
    for name, seeds in job.wanted.items():
        found = (_kept(library, job.task, job.budget, name, seeds) for library in sources)
        if (runs := next(filter(None, found), None)) is not None:
            kept[name] = runs
    return job._replace(kept=kept)


def _kept(library: Library, task: Task, budget: str, name: str, seeds: int) -> Runs | None:
    """The runs of a strategy in a library, where they are those that would be made now."""
    shelf = library.tasks.get(task.id)
    if shelf is None or name not in shelf.by_name:
        return None
    entry = shelf.by_name[name]
    if (shelf.budget, entry.seeds) != (budget, seeds):
        return None
    return None if reasons_to_rerun(shelf.source, entry, task) else (entry, library.outcomes(task.id)[name])


def _made(job: _Job, work: Path, workers: int, tick: Progress) -> dict[str, Runs]:
    """Run what is missing on a task, strategies with the same number of seeds at a time."""
    found: dict[str, Runs] = {}
    done = 0
    for seeds in dict.fromkeys(job.missing.values()):
        names = [name for name in job.missing if job.missing[name] == seeds]

        def count(runs: int, total: int, last: str, before: int = done) -> None:
            tick(before + runs, total, last)

        results = compare(
            [job.task.id], names, budget=job.budget, out=work / str(seeds), seeds=seeds, workers=workers, progress=count
        )
        done += len(names) * seeds
        found |= {name: _packed(results, job.task, name) for name in names}
    return found


def _packed(results: Results, task: Task, name: str) -> Runs:
    """A strategy's runs in a finished comparison."""
    recorded = [results.recorded(task.id, name, seed) for seed in results.seeds]
    outcomes = [outcome_of(task.problem, each) for each in recorded if each is not None]
    measured = any("machine" in each.header["versions"] for each in recorded if each is not None)
    times = [json.loads(line) for line in (results.folder / "times.jsonl").read_text().splitlines()]
    entry = Entry(
        described=recorded[0].header["optimizer"] if recorded[0] else {},
        seeds=len(outcomes),
        clock="measured" if measured else "recorded",
        made=stamp(name),
        wall_seconds=round(math.fsum(each["wall_seconds"] for each in times if each["optimizer"] == name), 1),
    )
    return entry, outcomes
