"""Results: the traces of a comparison, joined with the truth when they are read."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from naslab.analysis.anytime import curves
from naslab.analysis.data import COMPLETE, COSTS, FAILED, MISSING, NO_FEASIBLE, Landscape, ResultsData, TaskInfo
from naslab.analysis.tables import final_quality
from naslab.analysis.tradeoff import landscape, pareto_front, points
from naslab.errors import OutputError
from naslab.files import load_json, unreadable
from naslab.running.kept import Kept
from naslab.running.runs import never_scored
from naslab.running.software import versions
from naslab.running.steps import step_frame
from naslab.running.trace import Recorded, differences, file_name, read, trace_path
from naslab.space import Architecture
from naslab.tasks import Budget, Constraint, Task, task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPEC = "comparison.json"
OLD_FORMAT = "These runs are recorded in format 1, in which changes after a run had ended are not noticed."
LARGEST_LANDSCAPE = 100_000
"""Architectures of a table up to which its exact Pareto fronts are computed."""


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
        except OSError as error:
            raise OutputError(unreadable(path, error)) from None
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise OutputError(f"{path} is damaged") from None
        self._given = tasks

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks by id, under the comparison's constraint."""
        if self._given is not None:
            return dict(self._given)
        constraint = Constraint.parse(self.spec["constraint"])
        found = {task_id: task(task_id) for task_id in self.spec["tasks"]}
        return {task_id: t.constrained(constraint) if constraint.limits else t for task_id, t in found.items()}

    @cached_property
    def data(self) -> ResultsData:
        """The runs as plain frames, for :mod:`naslab.analysis`."""
        runs, changes, fronts = [], [], []
        landscapes: dict[tuple[str, str], Landscape] = {}
        for task_id, one in self.tasks.items():
            judge = _Judge(one, self.folder)
            landscapes |= {(task_id, cost): known for cost, known in judge.landscapes().items()}
            for optimizer in self.optimizers:
                for seed in self.seeds:
                    key = {"task": task_id, "optimizer": optimizer, "seed": seed}
                    recorded = self.recorded(task_id, optimizer, seed)
                    if recorded is None or recorded.end is None:
                        runs.append({**key, "status": MISSING})
                        continue
                    runs.append({**key, **judge.run(recorded)})
                    changes += [{**key, **change} for change in judge.incumbents(recorded)]
                    fronts += [(task_id, optimizer, seed, *point) for point in judge.fronts(recorded)]
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
        archives = pd.DataFrame(fronts, columns=["task", "optimizer", "seed", "cost", "truth", "value"])
        return ResultsData(
            frame, anytime, infos, self.optimizers, self.seeds, archives, landscapes, self.spec.get("paired", False)
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run: what it returned, the truth about it, its regret and its costs."""
        return self.data.frame

    def steps(self) -> pd.DataFrame:
        """One row per evaluation (per epoch of a gradient search) that is recorded, unfinished runs included.

        Columns: ``task, optimizer, seed``; ``step`` (from 1) and ``trial`` (from 0) of the run; ``architecture`` in the
        space's notation; ``fidelity``, None for the task's own; ``score``; ``seconds`` charged, and the run's ``clock``
        after it; ``feasible``; ``incumbent``: whether it was the best of the run until then; and one for each metric
        that any evaluation reported, NaN where it was not. A metric called as another column is ``metric NAME``.
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

    def plot_anytime(self, task_id: str = "") -> Axes:
        """Median and quartiles of the incumbent's truth over the budget, for one task (by default the first)."""
        from naslab.analysis.plots import plot_anytime

        info = self._one(task_id)
        return plot_anytime(curves(self.data, info.id, _bootstrap()), info)

    def plot_tradeoff(self, cost: str = "params", task_id: str = "") -> Axes:
        """Truth of what was found against a cost, with the Pareto front, for one task (by default the first)."""
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
        words += ["--paired"] if self.spec.get("paired") else []
        return " ".join([*words, "--out", shlex.quote(str(self.folder))])

    @property
    def environment(self) -> dict[str, str]:
        """Versions and data that the numbers depend on, from the traces: several versions where these differ."""
        found: dict[str, dict[str, None]] = {}
        for header in headers(self.folder):
            for name, version in header["versions"].items():
                found.setdefault(name, {})[version] = None
        versions = {name: " and ".join(each) for name, each in found.items()}
        sources = {f"data of {task_id}": ", ".join(t.source.values()) for task_id, t in self.tasks.items() if t.source}
        return {"naslab": self.spec["naslab"], **versions, **sources}

    def _one(self, task_id: str) -> TaskInfo:
        return self.data.task(task_id or next(iter(self.tasks)))

    def _info(self, one: Task) -> TaskInfo:
        budget = Budget.parse(self.spec["budget"])
        limits, space = str(one.problem.constraint), one.problem.space.name
        return TaskInfo(
            one.id, one.metric, one.unit, one.direction, one.optimum, budget.amount, budget.unit, limits, space
        )


def headers(folder: Path) -> Iterator[dict[str, Any]]:
    """The first line of every trace in a comparison's folder.

    Raises:
        ValueError: Of one that is no JSON; a run that has just begun may have none.
    """
    for path in sorted(folder.glob("runs/*/*/*.jsonl")):
        with path.open("rb") as file:
            if first := file.readline():
                yield json.loads(first)


def run_header(spec: Mapping[str, Any], task_id: str, optimizer: str, seed: int) -> dict[str, Any]:
    """What the header of a run's trace must say in a comparison.

    Raises:
        KeyError: The comparison has no such task, optimizer or seed.
    """
    described = {each["name"]: dict(each) for each in spec["optimizers"]}
    waits = described[optimizer].pop("one_worker", False)
    if not 0 <= seed < spec["seeds"]:
        raise KeyError(seed)
    header = {
        "task": task_id,
        "source": spec["sources"][task_id],
        "optimizer": described[optimizer],
        "seed": seed,
        "budget": spec["budget"],
        "paired": spec.get("paired"),
    }
    header |= {name: spec[name] for name in ("retries", "evaluation_limit") if name in spec}
    if "workers" in spec and not waits:
        header["workers"] = spec["workers"]
    # Without limits of the comparison a task may have its own.
    return {**header, "constraint": spec["constraint"]} if spec["constraint"] else header


def _bootstrap() -> np.random.Generator:
    """A fresh generator, so that the same results always get the same intervals."""
    return np.random.default_rng(0)


class _Judge:
    """Joins traces of one task with its truth; every architecture is judged once.

    A truth that takes trainings is kept in the comparison's folder, so that reading again takes none.
    """

    def __init__(self, one: Task, folder: Path) -> None:
        self.task = one
        self.costs = [name for name in COSTS if name in one.problem.costs]
        self._kept = _kept_truths(one, folder)
        self._truth = _as_truths(self._kept)
        self._points: dict[Architecture, tuple[float, ...]] = {}

    @cached_property
    def tabulated(self) -> Mapping[Architecture, float] | None:
        """The truth of every architecture, where it is a table: then it costs nothing to judge all that a run saw."""
        values = getattr(self.task.truth, "values", None)
        return values if isinstance(values, Mapping) else None

    def landscapes(self) -> dict[str, Landscape]:
        """Cost -> what is known of all feasible architectures; empty where the truth is no table, or a huge one."""
        values, problem = self.tabulated, self.task.problem
        if not values or len(values) > LARGEST_LANDSCAPE:
            return {}
        columns = [np.fromiter(values.values(), float, len(values))]
        for cost in self.costs:
            if cost in problem.measured or cost in problem.additive:
                columns.append(np.array([problem.cost(cost, a) for a in values], float))
            else:
                columns.append(problem.space.cost_model.values(cost, np.array(list(values))).astype(float))
        points = np.stack(columns, axis=1)
        self._points = dict(zip(values, map(tuple, points.tolist()), strict=True))
        feasible = points[[problem.is_feasible(a) for a in values]]
        known = {cost: feasible[np.isfinite(feasible[:, [0, i]]).all(axis=1)] for i, cost in enumerate(self.costs, 1)}
        return {
            cost: landscape(rows[:, 0], rows[:, i], self._sign)
            for i, (cost, rows) in enumerate(known.items(), 1)
            if len(rows)
        }

    def fronts(self, recorded: Recorded) -> list[tuple[str, float, float]]:
        """``(cost, truth, value)`` of the Pareto front of each cost over the feasible architectures of a run: all
        that it evaluated where the truth is a table, else those that were its incumbents."""
        whole = self.tabulated is not None
        seen = {s.query.architecture: None for s in recorded.steps if s.feasible and (whole or s.incumbent)}
        if not seen:
            return []
        truths, *columns = np.array([self._point(architecture) for architecture in seen]).T
        found = []
        for cost, values in zip(self.costs, columns, strict=True):
            known = np.flatnonzero(np.isfinite(truths) & np.isfinite(values))
            best = known[pareto_front(self._sign * truths[known], values[known])]
            found += [(cost, float(truths[i]), float(values[i])) for i in best]
        return found

    def _point(self, architecture: Architecture) -> tuple[float, ...]:
        """The truth and the costs of an architecture, computed once."""
        if architecture not in self._points:
            costs = (float(self.task.problem.cost(cost, architecture)) for cost in self.costs)
            self._points[architecture] = (self.truth(architecture), *costs)
        return self._points[architecture]

    @property
    def _sign(self) -> int:
        return 1 if self.task.direction == "max" else -1

    def truth(self, architecture: Architecture) -> float:
        if architecture not in self._truth:
            self._truth[architecture] = self.task.true_value(architecture)
            self._kept.add([list(architecture), self._truth[architecture]])
        return self._truth[architecture]

    def run(self, recorded: Recorded) -> dict[str, Any]:
        """The row of a finished run."""
        seconds = math.fsum(step.evaluation.seconds for step in recorded.steps)
        assert recorded.end is not None
        status = FAILED if never_scored(recorded) or recorded.end["reason"] == "failed" else NO_FEASIBLE
        row: dict[str, Any] = {"status": status, "evaluations": len(recorded.steps), "seconds": seconds}
        row |= _carried_out(recorded, seconds)
        if recorded.end["best"] is None:
            return row
        best: Architecture = tuple(recorded.end["best"])
        problem, truth = self.task.problem, self.truth(best)
        optimum = self.task.optimum
        scores = [s.evaluation.score for s in recorded.steps if s.incumbent and s.query.architecture == best]
        return {
            **row,
            "status": COMPLETE,
            "architecture": problem.space.to_string(best),
            "reward": scores[-1] if scores else math.nan,
            "truth": truth,
            "regret": math.nan if optimum is None else abs(optimum - truth),
            **{cost: problem.cost(cost, best) for cost in ("params", "macs", *problem.measured)},
        }

    def incumbents(self, recorded: Recorded) -> list[dict[str, Any]]:
        """A row each time the incumbent changed, stamped with the clock at the end of its evaluation."""
        rows, clock = [], 0.0
        for number, step in enumerate(recorded.steps, start=1):
            clock = clock + step.evaluation.seconds if step.told is None else step.told.at
            if step.incumbent:
                rows.append(
                    {
                        "evaluations": number,
                        "seconds": clock,
                        "reward": step.evaluation.score,
                        "truth": self.truth(step.query.architecture),
                    }
                )
        return rows


def _carried_out(recorded: Recorded, seconds: float) -> dict[str, Any]:
    """How many evaluations failed, if any did; with several workers how long the run took, and their utilisation."""
    failed = sum(bool(step.evaluation.failed) for step in recorded.steps)
    found: dict[str, Any] = {"failures": failed} if failed else {}
    if "workers" in recorded.header and recorded.steps:
        makespan = max(step.told.at for step in recorded.steps if step.told is not None)
        ((_, workers),) = recorded.header["workers"].items()
        found |= {"makespan": makespan, "utilisation": seconds / (workers * makespan) if makespan else math.nan}
    return found


def _kept_truths(one: Task, folder: Path) -> Kept:
    """Where the truths of a task are kept: nowhere, if they only have to be looked up."""
    if one.truth.clock != "measured":
        return Kept(None, {}, "truths")
    header = {**versions("naslab", "numpy", "torch"), "task": one.id, "source": dict(one.source)}
    return Kept(folder / "truths" / f"{file_name(one.id)}.jsonl", header, "truths")


def _as_truths(kept: Kept) -> dict[Architecture, float]:
    """What was judged before."""
    try:
        return {tuple(architecture): float(value) for architecture, value in kept.entries}
    except (TypeError, ValueError):
        raise kept.damaged() from None
