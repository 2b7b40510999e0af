"""Results: the traces of a comparison, joined with the truth when they are read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
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
from naslab.analysis.paper import Paper, finding, paper, statistics
from naslab.analysis.tables import final_quality
from naslab.analysis.tradeoff import points
from naslab.errors import OutputError, UnknownOptimizer, UnknownTask
from naslab.files import load_json, unreadable
from naslab.running.archives import front_members
from naslab.running.execution import execution_options
from naslab.running.folder import SPEC, headers, run_header
from naslab.running.judging import ANYTIME, Judge
from naslab.running.outcomes import outcome_of
from naslab.running.runs import constrained_task
from naslab.running.steps import step_frame
from naslab.running.trace import Recorded, differences, read, trace_path
from naslab.tasks import Budget, Constraint, Task, table_notes, task
from naslab.tasks.objective import SCORE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
            dict(self.spec["sources"])
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
                    outcome = outcome_of(one.problem, recorded)
                    runs.append({**key, **judge.run(outcome)})
                    changes += [{**key, **change} for change in judge.incumbents(outcome)]
                    costs += [(task_id, optimizer, seed, *point) for point in judge.fronts(recorded)]
                    fronts += [{**key, **member} for member in judge.front(recorded)]
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
        anytime = pd.DataFrame(changes, columns=ANYTIME)
        archives = pd.DataFrame(costs, columns=["task", "optimizer", "seed", "cost", "truth", "value"])
        found, paired = pd.DataFrame(fronts) if fronts else None, self.spec.get("paired", False)
        return ResultsData(
            frame, anytime, infos, self.optimizers, self.seeds, archives, landscapes, paired, found, exact
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run: what it returned, the truth about it, its regret and its costs."""
        return self.data.frame

    def steps(self) -> pd.DataFrame:
        """One row per evaluation (per epoch of a gradient search) that is recorded, unfinished runs included.

        Columns: ``task, optimizer, seed``; ``step`` (from 1) and ``trial`` (from 0) of the run; ``architecture`` in the
        space's notation; ``fidelity``, None for the task's own; ``score``; ``seconds`` charged, and the run's ``clock``
        after it; with several workers when it was told, and by which ``worker``; ``failed``: why it has no score, or
        nothing; ``feasible``; ``incumbent``: whether it was the best of the run until then; one for each objective and
        limit but the score; and one for each metric that any evaluation reported, NaN where it was not. A metric called
        as another column is ``metric NAME``.
        """
        return step_frame(self.runs(), self.tasks)

    def runs(self) -> Iterator[tuple[tuple[str, str, int], Recorded]]:
        """The runs that have begun: task, optimizer and seed, and the trace."""
        for run in product(self.spec["tasks"], self.optimizers, self.seeds):
            if (found := self.recorded(*run)) is not None:
                yield run, found

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

    def _repr_html_(self) -> str:
        """What a notebook shows: the table for a paper, and what it shows in one sentence."""
        from naslab.analysis.notebook import card

        facts = {"budget": self.spec["budget"], "seeds": len(self.seeds), "folder": self.folder}
        title = f"Comparison of {len(self.optimizers)} strategies on {', '.join(self.spec['tasks'])}"
        table, finding = self.paper()
        return card(title, facts, [(finding, table.frame)])

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
        figures: Sequence[str] = (),
    ) -> Path:
        """Write ``report/report.html`` in the comparison's folder, every table and every figure (SVG) beside it.

        Args:
            title: Of the page.
            command: How to repeat the comparison, as a line of shell.
            notes: Paragraphs to put on top.
            tables: Further tables: title, frame, caption.
            figures: Further kinds of files for every figure: ``"pdf"``, ``"png"``.

        Returns:
            The path of the page.

        Raises:
            OutputError: The folder can't be written.
            InvalidValue: Another kind of file.
        """
        from naslab.analysis.report import write_report

        of_tables = [note for one in self.tasks.values() for note in table_notes(one)]
        return write_report(
            self.data,
            self.folder / "report",
            title or f"Comparison of {len(self.optimizers)} strategies on {', '.join(self.spec['tasks'])}",
            command or self.command,
            self.environment,
            [*notes, *([] if self.spec["format"] > 1 else [OLD_FORMAT]), *dict.fromkeys(of_tables)],
            list(tables),
            figures=figures,
            figures_command=f"naslab report {shlex.quote(str(self.folder))} --figures pdf,png",
        )

    def paper(self) -> tuple[Paper, str]:
        """The table for a paper (:class:`naslab.analysis.paper.Paper`), and what it shows in one sentence."""
        found = statistics(self.data)
        return paper(self.data, found), finding(self.data, found)

    @property
    def command(self) -> str:
        """The command line that makes this comparison."""
        limits = [f"--max {metric}={value:.10g}" for metric, value in self.spec["constraint"].items()]
        words = ["naslab compare", *self.spec["tasks"], "--optimizers", shlex.quote(",".join(self.optimizers))]
        words += ["--seeds", str(self.spec["seeds"]), "--budget", self.spec["budget"], *limits]
        words += ["--paired"] if self.spec.get("paired") else []
        words += [f"--objectives {','.join(self.objectives)}"] if self.objectives else []
        return " ".join([*words, *execution_options(self.spec), "--out", shlex.quote(str(self.folder))])

    @property
    def environment(self) -> dict[str, str]:
        """Versions and data that the numbers depend on, from the traces: several versions where these differ."""
        found: dict[str, dict[str, None]] = {}
        for header in headers(self.folder):
            for name, version in header["versions"].items():
                found.setdefault(name, {})[version] = None
        versions = {name: " and ".join(each) for name, each in found.items()}
        sources = {f"data of {task_id}": ", ".join(s.values()) for task_id, s in self.spec["sources"].items() if s}
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


def _bootstrap() -> np.random.Generator:
    """A fresh generator, so that the same results always get the same intervals."""
    return np.random.default_rng(0)
