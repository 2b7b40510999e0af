"""The study of one-shot search on pocket cells: every strategy at equal seconds, collapse, sensitivity, ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.report import write_page
from naslab.analysis.style import style
from naslab.optimizers import optimizer_spec
from naslab.running import Progress, constrained_task, run_one
from naslab.studies.base import Outcome, environment, in_processes
from naslab.studies.one_shot import page as report
from naslab.studies.one_shot.searches import Genotype, Ranked, Training, Trial, genotype, rank, skip_share, train, trial
from naslab.tasks import Budget, Constraint

TASK = "pocket-cell/mnist"
SECONDS = 40.0
SLACK = 0.85
"""Share of the seconds that epochs are planned for: beside another worker they take longer than alone, and a search
that is cut has not finished its schedules."""
SEEDS = range(5)
TABLE_SEEDS = range(50)
STRATEGIES = (
    "darts", "darts-v2", "gdas", "snas", "setn", "enas", "rsps", "spos", "fairnas", "pc-darts", "proxylessnas",
    "robust-darts", "robust-darts[stopping=adaptive-l2]", "smooth-darts-rs", "smooth-darts-adv", "one-shot",
    "one-shot-drop-path", "flops-darts",
)  # fmt: skip
BLACK_BOX = ("random", "regularized-evolution")

COLLAPSING = (
    "darts", "robust-darts", "robust-darts[stopping=adaptive-l2]", "smooth-darts-rs", "smooth-darts-adv", "pc-darts",
    "gdas",
)  # fmt: skip
COLLAPSE_EPOCHS, MEASURED_EVERY = 60, 3

GRID_EPOCHS = 30
SENSITIVE = ("darts", "robust-darts[stopping=adaptive-l2]", "smooth-darts-rs")
LEARNING_RATES, DECAYS = (0.005, 0.025, 0.1), (0.0, 5e-4, 5e-3)
ARCHITECTURE_RATES = (0.001, 0.003, 0.01, 0.03, 0.1)

PERTURBED = ("darts", "gdas", "pc-darts", "snas")
PERTURBATIONS = ("none", "random", "adversarial")

SUPERNETS = ("rsps", "fairnas", "one-shot-drop-path", "one-shot", "darts")
RANKED_EPOCHS, SAMPLE = 60, 500


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: tables, figures and a page."""
    kept = out / "results.jsonl"

    def done(function: Any, work: Sequence[Any]) -> list[Any]:
        return in_processes(function, work, workers, progress, kept)

    costs = dict(zip(STRATEGIES, in_processes(trial, _trials(), 1, progress, kept), strict=True))  # one worker: timed
    epochs = {name: planned(cost, SECONDS) for name, cost in costs.items()}
    timed = _framed(
        done,
        [
            Training(TASK, n, s, epochs[n], 0, s == 0, seconds=SECONDS, derivation=costs[n]["derivation"])
            for n in STRATEGIES
            for s in SEEDS
        ],
    )
    worth = float(np.median([cost["worth"] for cost in costs.values()]))
    tables = _black_box(SECONDS * worth, worth)
    collapse = _framed(done, [Training(TASK, n, s, COLLAPSE_EPOCHS, MEASURED_EVERY) for n in COLLAPSING for s in SEEDS])
    grid = _framed(done, [Training(TASK, n, s, GRID_EPOCHS) for n in _settings() for s in SEEDS])
    perturbed = [f"{name}[perturbation={kind}]" for name in PERTURBED for kind in PERTURBATIONS]
    noise = _framed(done, [Training(TASK, n, s, GRID_EPOCHS) for n in perturbed for s in SEEDS])
    nets = [Ranked(TASK, name, seed, RANKED_EPOCHS, SAMPLE) for name in SUPERNETS for seed in SEEDS[:3]]
    rankings = pd.DataFrame([{"supernet": net.optimizer, **r} for net, r in zip(nets, done(rank, nets), strict=True)])
    task = constrained_task(TASK, Constraint())
    assert task.optimum is not None
    with style():
        equal = report.equal_seconds(timed, tables, costs, epochs, task.optimum, SECONDS)
        sections = [
            equal,
            report.learnt(timed, task, done(genotype, [Genotype(TASK, GRID_EPOCHS)])[0]),
            report.collapse(collapse, COLLAPSE_EPOCHS, task.optimum),
            report.sensitivity(grid, LEARNING_RATES, DECAYS, ARCHITECTURE_RATES, task.optimum),
            report.perturbations(noise, PERTURBATIONS, task.optimum),
            report.rankings(rankings),
        ]
    notes = [" ".join(description.split())]
    page = write_page(sections, out / "report", title, "naslab reproduce one-shot-pocket", environment("torch"), notes)
    return Outcome([(each.title, each.frame) for each in equal.tables][:1], page)


def planned(cost: Mapping[str, float], seconds: float) -> int:
    """Epochs that fit into these seconds together with the derivation at the end, with some slack; at least three."""
    return max(3, int((SLACK * seconds - cost["derivation"]) / cost["epoch"]))


def _trials() -> list[Trial]:
    return [Trial(TASK, name) for name in STRATEGIES]


def _settings() -> list[str]:
    """The grid of each strategy: learning rate against weight decay, and the logits' learning rate alone."""
    found = []
    for name in SENSITIVE:
        base, _, inner = name.rstrip("]").partition("[")
        for options in (
            *(f"learning_rate={rate},weight_decay={decay}" for rate in LEARNING_RATES for decay in DECAYS),
            *(f"architecture_rate={rate}" for rate in ARCHITECTURE_RATES),
        ):
            found.append(f"{base}[{inner + ',' if inner else ''}{options}]")
    return found


def _framed(done: Any, work: Sequence[Training]) -> pd.DataFrame:
    """One row per training."""
    results = done(train, work)
    return pd.DataFrame(
        [
            {"optimizer": each.optimizer, "seed": each.seed, "epochs": len(found["truth"]), **found}
            for each, found in zip(work, results, strict=True)
        ]
    )


def _black_box(seconds: float, worth: float) -> pd.DataFrame:
    """Searches of the table of trainings: what they had found at which time, in seconds of this machine.

    Args:
        seconds: Budget on the table's clock.
        worth: Seconds on the table's clock that one second here is worth.
    """
    task, rows = constrained_task(TASK, Constraint()), []
    for name in BLACK_BOX:
        for seed in TABLE_SEEDS:
            recorded = run_one(task, optimizer_spec(name), seed, Budget(seconds, "s"), None)
            clock, times, truths, best = 0.0, [], [], None
            for step in recorded.steps:
                clock += step.evaluation.seconds / worth
                if step.incumbent:
                    best = step.query.architecture
                assert best is not None
                times.append(clock)
                truths.append(task.true_value(best))
            assert best is not None
            rows.append({"optimizer": name, "seed": seed, "times": times, "truth": truths, "final": truths[-1],
                         "spent": clock, "final skip": skip_share(task.problem.space, best),
                         "connected": task.problem.space.is_connected(best)})  # fmt: skip
    return pd.DataFrame(rows)
