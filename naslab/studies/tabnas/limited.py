"""Runs under a limit, judged by every rule of selection at once: the runs of the studies of constrained search."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from naslab.evaluators import Evaluation
from naslab.feasibility import AdditiveFit, fit_additive
from naslab.optimizers import AskTell, Query, Wait, optimizer_spec
from naslab.optimizers.policy.policy_search import FULL, PolicySearch
from naslab.running import Trace, constrained_task, run, seed_sequence
from naslab.space import Architecture
from naslab.tasks import Budget, Constraint, Problem, Task

RULES = {
    "best": "best evaluated",
    "most-probable": "most probable feasible",
    "sample": "best of 50 draws",
    "argmax": "argmax of each choice",
    "rerank": "re-ranked",
}
FALLBACK = "fallback"
FITTED = "fitted_latency_seconds"


@dataclass(frozen=True)
class Run:
    """One run of a study.

    Attributes:
        task: Its id.
        metric: The cost that is limited.
        limit: Its largest value allowed.
        optimizer: As on the command line.
        seed: Which of the optimizer's runs.
        checkpoints: Evaluations (steps of shared weights) after which the rules are judged; the last is the budget.
    """

    task: str
    metric: str
    limit: float
    optimizer: str
    seed: int
    checkpoints: tuple[int, ...]


class Watched(AskTell):
    """Wraps a strategy, and notes the choice of each rule at checkpoints.

    On shared weights it names finalists for every strategy: the ten most probable of a policy, else the ten with the
    best scores. The rule ``"rerank"`` chooses the finalist with the best score on all validation rows.
    """

    FINALISTS = 10

    def __init__(self, problem: Problem, rng: np.random.Generator, inner: AskTell, checkpoints: Sequence[int]) -> None:
        super().__init__(problem, rng)
        self.inner, self.checkpoints = inner, checkpoints
        self.chosen: dict[int, dict[str, Architecture | None]] = {}
        self.log_feasible: list[float] = []
        self.count = self.infeasible = 0
        self._scores: dict[Architecture, float] = {}

    def ask(self) -> Architecture | Query | Wait | None:
        return self.inner.ask()

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        raise NotImplementedError("what is received is passed on")

    def receive(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        better = self.inner.receive(query, evaluation, feasible)
        self.count += 1
        self.infeasible += not feasible
        if feasible and not evaluation.metrics.get("warm_up"):
            self._scores[query.architecture] = evaluation.score
        if isinstance(self.inner, PolicySearch) and self.count % (self.checkpoints[-1] // 20) == 0:
            self.log_feasible.append(self.inner.feasible.log_probability(self.inner.policy.per_choice))
        if self.count in self.checkpoints:
            self.chosen[self.count] = self._choices()
        return better

    def finalists(self) -> Sequence[Query]:
        if FULL not in self.problem.fidelities:
            return ()
        if isinstance(self.inner, PolicySearch):
            best = self.inner.feasible.top(self.inner.policy.per_choice, self.FINALISTS)
        else:
            best = sorted(self._scores, key=lambda a: (-self._scores[a], a))[: self.FINALISTS]
        return [Query(architecture, FULL) for architecture in best]

    def best(self) -> Architecture | None:
        if FULL in self.problem.fidelities:
            self.chosen[self.checkpoints[-1]]["rerank"] = super().best()
        return None

    def _choices(self) -> dict[str, Architecture | None]:
        if not isinstance(self.inner, PolicySearch):
            return {"best": self.inner.best()}
        chosen, usual = {}, self.inner.selection
        for rule in ("best", "most-probable", "sample", "argmax"):
            self.inner.selection = rule
            chosen[rule] = self.inner.best()
        self.inner.selection = usual
        return chosen


def judge(work: Run) -> list[dict[str, Any]]:
    """Do a run; returns for each checkpoint and rule the regret of what would be returned.

    Regret is the truth of the best feasible architecture minus that of the one returned, in percentage points. Where a
    rule returns nothing, the smallest architecture is judged, and the row says so.
    """
    task, spec = _task(work.task, work.metric, work.limit), optimizer_spec(work.optimizer)
    key = (work.task, work.metric, work.limit, work.optimizer, work.seed)
    rng = np.random.default_rng(seed_sequence(*key, "optimizer"))
    watched = Watched(task.problem, rng, spec.build_black_box(task.problem, rng), work.checkpoints)
    budget = Budget(work.checkpoints[-1], "evaluations")
    run(task, watched, budget, Trace({}), seed_sequence(*key, "evaluations"))
    smallest, optimum = _smallest(work.task, work.metric), task.optimum
    assert optimum is not None
    rows = []
    for evaluations, choices in watched.chosen.items():
        for rule, architecture in choices.items():
            found = smallest if architecture is None else architecture
            rows.append(
                {
                    "task": work.task,
                    "metric": work.metric,
                    "limit": work.limit,
                    "optimizer": work.optimizer,
                    "seed": work.seed,
                    "evaluations": evaluations,
                    "rule": rule,
                    "architecture": list(found),
                    "regret": optimum - task.true_value(found),
                    "cost": task.problem.cost(work.metric, found),
                    FALLBACK: architecture is None,
                    "infeasible": watched.infeasible / watched.count,
                    "log P(V)": watched.log_feasible,
                }
            )
    return rows


@cache
def task_of(task_id: str, metric: str) -> Task:
    """A task without limits; one on the fitted latency has it as a further cost."""
    task = constrained_task(task_id, Constraint())
    return with_fitted_latency(task)[0] if metric == FITTED else task


def with_fitted_latency(task: Task) -> tuple[Task, AdditiveFit]:
    """The same task with a latency that is a sum of one table per choice, fitted to the measured one."""
    problem = task.problem
    rows = np.array(list(problem.space.architectures()))
    measured = [problem.cost("latency_seconds", tuple(row)) for row in rows.tolist()]
    fit = fit_additive(problem.space.sizes, rows, measured, np.random.default_rng(0))
    problem = dataclasses.replace(problem, additive={**problem.additive, FITTED: fit.factors})
    return dataclasses.replace(task, problem=problem), fit


@cache
def _task(task_id: str, metric: str, limit: float) -> Task:
    return task_of(task_id, metric).constrained(Constraint.parse({metric: limit}))


@cache
def _smallest(task: str, metric: str) -> Architecture:
    problem = task_of(task, metric).problem
    return min(problem.space.architectures(), key=lambda a: problem.cost(metric, a))


def limits(task_id: str, metric: str, shares: Sequence[float]) -> list[float]:
    """The limits that are kept by these shares of a task's architectures."""
    problem = task_of(task_id, metric).problem
    costs = np.sort([problem.cost(metric, a) for a in problem.space.architectures()])
    chosen = [float(costs[round(share * (len(costs) - 1))]) for share in shares]
    # Equal costs that are sums of fractions may differ by rounding: a limit just above is kept by all of them.
    return [limit if limit == int(limit) else limit * (1 + 1e-9) for limit in chosen]
