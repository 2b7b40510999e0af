"""From a CSV file to the best network under a limit, beside simpler alternatives."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.report import write_page
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.evaluators.threads import one_thread
from naslab.running import Progress, claimed_folder, run_one, trace_path, versions
from naslab.space import Architecture
from naslab.tabular import references
from naslab.tabular.model import MODEL, Model, load_model, save_model
from naslab.tabular.page import CONSTANT, FOUND, RANDOM, RANDOM_BEST, TREES, sections
from naslab.tabular.plan import ClassWeights, Plan, plan_search
from naslab.tabular.scoring import judged
from naslab.tabular.targets import TaskKind
from naslab.tabular.training import Candidate, Trainings, network_outputs
from naslab.tasks import Budget

SPEC, RESULTS = "search.json", "results.csv"


@dataclass(frozen=True, eq=False)
class OwnResult:
    """The result of a search on one's own table.

    Attributes:
        folder: Where all files are.
        frame: One row per competitor: its widths, parameters, validation and test score (errors are not negated), the
            bootstrap interval over the test rows, and by how much the found network is better (above 0 where it is
            better, whatever the metric's direction). The column ``saved`` marks the one that is :attr:`model`.
        says: What was assumed and why.
        model: The best of all networks that were trained, by the validation rows; of equals the smallest.
        columns: What became of the table's columns: ``column, kind, missing, distinct, features``.
    """

    folder: Path
    frame: pd.DataFrame
    says: tuple[str, ...]
    model: Model
    columns: pd.DataFrame

    @property
    def scores(self) -> str:
        """What the scores are, in words."""
        objective = self.model.objective
        unit = f", {objective.unit}" if objective.unit else ""
        return f"{objective.metric}{unit} ({'higher' if objective.sign > 0 else 'lower'} is better)"


def search_csv(
    csv: str | Path,
    target: str,
    *,
    out: str | Path,
    space: str = "mlp",
    optimizer: str = "tabnas",
    max: Mapping[str, float] | Iterable[str] = (),
    kind: TaskKind | None = None,
    metric: str | None = None,
    class_weights: ClassWeights = "none",
    depth: int = 3,
    widths: Sequence[int] | None = None,
    budget: str | int | float | Budget | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    drop: Iterable[str] = (),
    types: Mapping[str, str] | None = None,
    coerce: bool = False,
) -> OwnResult:
    """Find the best network under a limit for a table of one's own, train it, judge it and save it.

    60 % of the rows train, 20 % validate, 20 % test. The search is over shared weights. Its five best architectures,
    every feasible network of constant width and five random feasible ones are then trained from scratch in the same
    way; the validation rows choose one of each group, and the best of these is saved (of equals the smaller). The test
    rows are looked at once, at the end.

    Args:
        csv: A delimited text file with a header; see :func:`naslab.tabular.reading.read_table`.
        target: The column to predict.
        out: A folder for everything: the model (:func:`naslab.load_model`), ``report/report.html``, ``results.csv``,
            the trace. The same call again reads what is there; after an interruption it gives the same result as an
            uninterrupted call (shared weights are not stored: their steps are run again).
        space: ``"mlp"``.
        optimizer: As in :func:`naslab.search`.
        max: Limits on costs, ``{"params": 40000}``; by default a quarter of the largest network's parameters.
        kind: ``"classification"`` or ``"regression"``; by default what the target's values suggest.
        metric: See :class:`naslab.evaluators.training_objective.TrainingObjective`; accuracy or r2 by default.
        class_weights: ``"none"``: every row counts the same, so that predicted probabilities estimate shares of rows
            and training aims at accuracy. ``"balanced"``: every class counts the same.
        depth: Hidden layers.
        widths: The widths to choose from in every layer; by default scaled to the number of rows.
        budget: Of the search: steps of shared weights, or seconds (``"60s"``); 3,000 steps by default.
        seed: Of the split, the search and every training.
        progress: Called with the steps done, the number of all steps, and what was done last.
        drop: Columns to leave out.
        types: What columns are, ``{"postcode": "categorical"}``, where their cells suggest something else: ``numeric``,
            ``categorical`` or ``date``.
        coerce: Whether a cell that does not fit its column, such as a word among numbers, counts as missing; otherwise
            it is refused.

    Raises:
        InvalidDataset: The file is no such table, or a cell does not fit its column.
        InvalidValue: An argument is wrong; or the limit excludes every network (names the smallest).
        OutputError: ``out`` holds something else, or can't be written.
    """
    plan = plan_search(
        csv, target, space=space, optimizer=optimizer, max=max, kind=kind, metric=metric, class_weights=class_weights,
        depth=depth, widths=widths, budget=budget, seed=seed, drop=drop, types=types, coerce=coerce,
    )  # fmt: skip
    return run_search(plan, Path(out), progress)


def run_search(plan: Plan, folder: Path, progress: Progress | None = None) -> OwnResult:
    """Run a planned search, or read the results that it left; see :func:`search_csv`."""
    with claimed_folder(folder, plan.settings, SPEC, "search"):
        if not (folder / MODEL).is_file():
            with one_thread():
                _run(plan, folder, progress or (lambda done, total, last: None))
    model = load_model(folder)
    frame = pd.read_csv(folder / RESULTS, dtype={"params": "Int64", "widths": "str"}).fillna({"saved": ""})
    return OwnResult(folder, frame, plan.says, model, plan.columns)


def _run(plan: Plan, folder: Path, progress: Progress) -> None:
    task, train_steps = plan.task, plan.recipe.epochs * plan.recipe.batches(len(_rows(plan.task.problem.train)))
    constant, drawn = references.constant_widths(task.problem), references.random_networks(task.problem, plan.seed)
    most = len({*constant, *drawn}) + references.FINALISTS
    steps = _Steps(progress, _search_steps(plan), most * train_steps)
    counted = dataclasses.replace(task, reward=lambda: _Counted(task.reward(), steps))
    path = trace_path(folder, task.id, plan.optimizer.label, plan.seed)
    recorded = run_one(counted, plan.optimizer, plan.seed, plan.budget, path)
    proposed = references.proposals(recorded) or drawn[:1]
    trainings = Trainings(plan.scratch, plan.seed, partial(steps.add, train_steps))
    groups = {FOUND: proposed, CONSTANT: constant, RANDOM: drawn[:1], RANDOM_BEST: drawn}
    size = partial(task.problem.cost, "params")
    chosen = {name: references.best_of([trainings[a] for a in group], size) for name, group in groups.items()}
    best = references.best_of(list(chosen.values()), size)
    saved = next(name for name in (FOUND, CONSTANT, RANDOM_BEST) if chosen[name] is best)
    steps.finish()
    frame = _compared(plan, chosen)
    frame.insert(1, "saved", ["yes" if name == saved else "" for name in frame["network"]])
    trained = pd.DataFrame(
        [{"group": g, **_described(plan, trainings[a])} for g in groups if g != RANDOM for a in groups[g]]
    )
    _write(plan, folder, frame, trained)
    about = {
        "group": saved,
        **{name: value for name, value in _described(plan, best).items() if name != "validation"},
        "results": json.loads(frame.to_json(orient="records", double_precision=15)),
        "settings": dict(plan.settings),
        "versions": _versions(),
    }
    options = {name: plan.settings[name] for name in ("depth", "widths")}
    save_model(
        folder, best.network, best.architecture, options, plan.preprocessor, plan.target, task.training_objective, about
    )


def _compared(plan: Plan, chosen: Mapping[str, Candidate]) -> pd.DataFrame:
    """The chosen networks and boosted trees: see :class:`OwnResult`. Looks at the test rows."""
    task, objective = plan.task, plan.task.training_objective
    held, test = _rows(task.problem.validation), _rows(task.test)
    trees = references.boosted_trees(_rows(task.problem.train), objective, plan.seed)
    rows = [{"network": name, **_described(plan, candidate)} for name, candidate in chosen.items()]
    of_trees = objective.sign * objective.score(trees(held), held.y)
    rows.append({"network": TREES, "widths": None, "params": None, "validation": of_trees})
    outputs = {name: network_outputs(candidate.network, test) for name, candidate in chosen.items()}
    frame = pd.DataFrame(rows).astype({"params": "Int64"})
    return pd.concat([frame, judged({**outputs, TREES: trees(test)}, test.y, objective)], axis=1)


def _described(plan: Plan, candidate: Candidate) -> dict[str, Any]:
    return {
        "widths": plan.space.to_string(candidate.architecture),
        "params": int(plan.task.problem.cost("params", candidate.architecture)),
        "validation": plan.task.training_objective.sign * candidate.validation,
    }


def _write(plan: Plan, folder: Path, frame: pd.DataFrame, trained: pd.DataFrame) -> None:
    frame.to_csv(folder / RESULTS, index=False)
    environment = {**_versions(), "SHA-256 of the table": plan.settings["csv_sha256"]}
    title = f"{plan.settings['target']}, predicted from {plan.csv.name}"
    command = plan.command(folder)
    write_page(sections(plan, frame, trained), folder / "report", title, command, environment, plan.says)


def _versions() -> dict[str, str]:
    return versions("naslab", "python", "torch", "numpy", "scikit-learn")


def _rows(rows: Any) -> Any:
    assert rows is not None
    return rows


def _search_steps(plan: Plan) -> int:
    if plan.budget.unit == "evaluations":
        return int(plan.budget.amount)
    return getattr(plan.task.reward(), "steps", 0)


class _Steps:
    """Counts steps of training for a progress bar."""

    def __init__(self, progress: Progress, search: int, trainings: int) -> None:
        self.progress, self.done, self.total, self.search = progress, 0, search + trainings, search

    def add(self, steps: int, last: str) -> None:
        self.done = min(self.done + steps, self.total)
        self.progress(self.done, self.total, last)

    def finish(self) -> None:
        self.progress(self.total, self.total, "done")


class _Counted(Evaluator):
    """An evaluator that reports its progress."""

    def __init__(self, inner: Evaluator, steps: _Steps) -> None:
        self.inner, self.steps, self.left = inner, steps, steps.search

    clock = "measured"
    stateful = True

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        found = self.inner.evaluate(architecture, fidelity=fidelity, rng=rng)
        if self.left:
            self.left -= 1
            self.steps.add(1, "searching")
        return found
