"""Results: the traces of a comparison, joined with the truth when they are read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from naslab.analysis import front_tables
from naslab.analysis.anytime import curves
from naslab.analysis.data import (
    MISSING,
    ExactFront,
    Landscape,
    ResultsData,
    TaskInfo,
)
from naslab.analysis.tables import final_quality
from naslab.analysis.tradeoff import points
from naslab.errors import OutputError, UnknownOptimizer, UnknownTask
from naslab.files import load_json, unreadable
from naslab.running.archives import front_members, step_rows
from naslab.running.judging import Judge
from naslab.running.runs import constrained_task
from naslab.running.trace import Recorded, differences, read, trace_path
from naslab.tasks import Budget, Constraint, Task, task
from naslab.tasks.objective import SCORE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPEC = "comparison.json"
OLD_FORMAT = "These runs are recorded in format 1, in which changes after a run had ended are not noticed."


class Results:
    """What a comparison found.

    Args:
        folder: The comparison's folder.
        tasks: Its tasks under their constraint, where they are at hand; else they are looked up by id.

    Raises:
        OutputError: The folder holds no comparison, or its description is damaged or can't be read.
    """

    def __init__(self, folder: str | Path, tasks: Mapping[str, Task] | None = None) -> None:
        self.folder = Path(folder)
        path = self.folder / SPEC
        if not path.is_file():
            raise OutputError(f"{folder} holds no comparison ({SPEC} is missing); give the --out of naslab compare")
        try:
            self.spec: dict[str, Any] = load_json(path)
            self.optimizers = [optimizer["name"] for optimizer in self.spec["optimizers"]]
            self.seeds = list(range(self.spec["seeds"]))
            Budget.parse(self.spec["budget"]), Constraint.parse(self.spec["constraint"]), list(self.spec["tasks"])
            self.objectives: list[str] = [*map(str, self.spec.get("objectives", ()))]
        except OSError as error:
            raise OutputError(unreadable(path, error)) from None
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise OutputError(f"{path} is damaged") from None
        self._given = tasks

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks by id, under the comparison's constraint, with its objectives."""
        if self._given is not None:
            return dict(self._given)
        constraint = Constraint.parse(self.spec["constraint"])
        found = {name: task(name) for name in self.spec["tasks"]}
        return {name: constrained_task(one, constraint, objectives=self.objectives) for name, one in found.items()}

    @cached_property
    def data(self) -> ResultsData:
        """The runs as plain frames, for :mod:`naslab.analysis`."""
        runs, changes, costs, fronts = [], [], [], []
        landscapes: dict[tuple[str, str], Landscape] = {}
        exact: dict[str, ExactFront] = {}
        for task_id, one in self.tasks.items():
            judge = Judge(one, self.folder)
            landscapes |= {(task_id, cost): known for cost, known in judge.landscapes().items()}
            if (known := judge.exact_front()) is not None:
                exact[task_id] = known
            for optimizer in self.optimizers:
                for seed in self.seeds:
                    key = {"task": task_id, "optimizer": optimizer, "seed": seed}
                    recorded = self.recorded(task_id, optimizer, seed)
                    if recorded is None or recorded.end is None:
                        runs.append({**key, "status": MISSING})
                        continue
                    runs.append({**key, **judge.run(recorded)})
                    changes += [{**key, **change} for change in judge.incumbents(recorded)]
                    costs += [(task_id, optimizer, seed, *point) for point in judge.fronts(recorded)]
                    fronts += [{**key, **member} for member in judge.front(recorded)]
        columns = ["task", "optimizer", "seed", "evaluations", "seconds", "reward", "truth"]
        wanted = [
            "task",
            "optimizer",
            "seed",
            "status",
            "architecture",
            "reward",
            "truth",
            "regret",
            "evaluations",
        ]
        frame = pd.DataFrame(runs)
        frame = frame.reindex(columns=[*wanted, "seconds", *(c for c in frame if c not in {*wanted, "seconds"})])
        infos = {task_id: self._info(one) for task_id, one in self.tasks.items()}
        anytime = pd.DataFrame(changes, columns=columns)
        archives = pd.DataFrame(costs, columns=["task", "optimizer", "seed", "cost", "truth", "value"])
        found = pd.DataFrame(fronts) if fronts else None
        return ResultsData(frame, anytime, infos, self.optimizers, self.seeds, archives, landscapes, found, exact)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run: what it returned, the truth about it, its regret and its costs."""
        return self.data.frame

    def recorded(self, task_id: str, optimizer: str, seed: int) -> Recorded | None:
        """The trace of one run, or None where there is none."""
        path = trace_path(self.folder, task_id, optimizer, seed)
        if not path.exists():
            return None
        found, expected = read(path), run_header(self.spec, task_id, optimizer, seed)
        held = {key: found.header.get(key) for key in expected}
        if held != expected:
            raise OutputError(
                f"{path} belongs to another run: {differences(held, expected)}; move it away, and the command of this "
                "comparison runs it again"
            )
        return found

    def summary(self) -> pd.DataFrame:
        """Final quality of each optimizer on each task, with 95 % intervals."""
        return final_quality(self.data, _bootstrap())

    def front(self, task_id: str, optimizer: str, seed: int | None = None) -> pd.DataFrame:
        """What no other evaluated architecture beats in all objectives: of one run, or of all runs of an optimizer.

        Returns, best score first: ``architecture``, then each objective by its name, as it was told, in its own
        direction and unit.
        Errors: UnknownTask, UnknownOptimizer; OutputError for a run that does not exist.
        """
        name = task_id or next(iter(self.tasks))
        if name not in self.tasks:
            raise UnknownTask(name, self.tasks)
        if optimizer not in self.optimizers:
            raise UnknownOptimizer(optimizer, self.optimizers)
        found = [self.recorded(name, optimizer, each) for each in (self.seeds if seed is None else [seed])]
        if seed is not None and found == [None]:
            raise OutputError(f"{self.folder} holds no run of {optimizer!r} on {name} with seed {seed}")
        problem = self.tasks[name].problem
        members = front_members(problem, (step for each in found if each is not None for step in each.steps))
        names = [each.name for each in problem.objectives]
        return pd.DataFrame([{"architecture": m.name, **m.values} for m in members], columns=["architecture", *names])

    def fronts(self) -> pd.DataFrame:
        """How good the fronts are that runs return, by hypervolume, IGD+ and additive epsilon, with 95 % intervals.

        See :func:`naslab.analysis.front_tables.summary`. Empty where there is the score alone.
        """
        return front_tables.summary(self.data)

    def steps(self) -> pd.DataFrame:
        """One row per evaluation: task, optimizer, seed, what was asked, told and charged, its objectives and metrics.

        ``clock`` is the time when it was told: the sum of the seconds so far. Unfinished runs have rows, too.
        """
        rows = []
        for task_id, one in self.tasks.items():
            for optimizer in self.optimizers:
                for seed in self.seeds:
                    key = {"task": task_id, "optimizer": optimizer, "seed": seed}
                    recorded = self.recorded(task_id, optimizer, seed)
                    rows += [{**key, **row} for row in (step_rows(one, recorded) if recorded else ())]
        return pd.DataFrame(rows)

    def plot_anytime(self, task_id: str = "") -> Axes:
        """Median and quartiles of the incumbent's truth over the budget, for one task (by default the first)."""
        from naslab.analysis.plots import plot_anytime

        info = self._one(task_id)
        return plot_anytime(curves(self.data, info.id, _bootstrap()), info)

    def plot_tradeoff(self, cost: str = "params", task_id: str = "") -> Axes:
        """Truth of what was found against a cost or a metric, with its Pareto front, for one task (default: the first).

        A metric that only evaluations tell is drawn as it was told. Errors: UnknownMetric.
        """
        from naslab.analysis.plots import plot_tradeoff

        info = self._one(task_id)
        return plot_tradeoff(points(self.data, info.id, cost), info, cost)

    def report(
        self,
        *,
        title: str = "",
        command: str = "",
        notes: Sequence[str] = (),
        tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
    ) -> Path:
        """Write ``report/report.html`` in the comparison's folder, every table and every figure beside it.

        Args:
            title: Of the page.
            command: How to repeat the comparison, as a line of shell.
            notes: Paragraphs to put on top.
            tables: Further tables: title, frame, caption.

        Returns:
            The path of the page.
        """
        from naslab.analysis.report import write_report

        return write_report(
            self.data,
            self.folder / "report",
            title or f"Comparison of {len(self.optimizers)} strategies on {', '.join(self.spec['tasks'])}",
            command or self.command,
            self.environment,
            [*notes, *([] if self.spec["format"] > 1 else [OLD_FORMAT])],
            list(tables),
        )

    @property
    def command(self) -> str:
        """The command line that makes this comparison."""
        limits = [f"--max {metric}={value:.10g}" for metric, value in self.spec["constraint"].items()]
        words = ["naslab compare", *self.spec["tasks"], "--optimizers", shlex.quote(",".join(self.optimizers))]
        words += ["--seeds", str(self.spec["seeds"]), "--budget", self.spec["budget"], *limits]
        words += [f"--objectives {','.join(self.objectives)}"] if self.objectives else []
        return " ".join([*words, "--out", shlex.quote(str(self.folder))])

    @property
    def environment(self) -> dict[str, str]:
        """Versions and data that the numbers depend on, from the first trace there is."""
        first = next(self.folder.glob("runs/*/*/*.jsonl"), None)
        versions = read(first).header["versions"] if first else {}
        sources = {f"data of {task_id}": ", ".join(t.source.values()) for task_id, t in self.tasks.items() if t.source}
        return {"naslab": self.spec["naslab"], **versions, **sources}

    def _one(self, task_id: str) -> TaskInfo:
        return self.data.task(task_id or next(iter(self.tasks)))

    def _info(self, one: Task) -> TaskInfo:
        budget = Budget.parse(self.spec["budget"])
        limits, space = str(one.problem.constraint), one.problem.space.name
        problem, alone = one.problem, len(one.problem.objectives) == 1
        measures = {name: each for name, each in problem.measurable.items() if name != SCORE.name}
        return TaskInfo(
            one.id, one.metric, one.unit, one.direction, one.optimum, budget.amount, budget.unit, limits, space,
            measures, () if alone else tuple(each.name for each in problem.objectives),
        )  # fmt: skip


def run_header(spec: Mapping[str, Any], task_id: str, optimizer: str, seed: int) -> dict[str, Any]:
    """What the header of a run's trace must say in a comparison.

    Raises:
        KeyError: The comparison has no such task, optimizer or seed.
    """
    described = {each["name"]: each for each in spec["optimizers"]}
    if not 0 <= seed < spec["seeds"]:
        raise KeyError(seed)
    header = {
        "task": task_id,
        "source": spec["sources"][task_id],
        "optimizer": described[optimizer],
        "seed": seed,
        "budget": spec["budget"],
    }
    header |= {name: spec[name] for name in ("retries", "evaluation_limit") if name in spec}
    if "workers" in spec and optimizer not in spec.get("one_worker", ()):
        header["workers"] = spec["workers"]
    if len(spec.get("objectives", ())) > 1:
        header["objectives"] = spec["objectives"]
    # Without limits or objectives of the comparison a task may have its own.
    return {**header, "constraint": spec["constraint"]} if spec["constraint"] else header


def _bootstrap() -> np.random.Generator:
    """A fresh generator, so that the same results always get the same intervals."""
    return np.random.default_rng(0)
