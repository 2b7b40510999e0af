"""The study of latency prediction: how many measurements a device needs, and what works without any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.contents import Section
from naslab.analysis.learning_curves import plot_curves
from naslab.analysis.report import write_page
from naslab.analysis.style import style
from naslab.running import Progress
from naslab.studies.base import Outcome, environment, in_processes
from naslab.studies.predictors.fits import LATENCY, Fit, fit, framed, ground
from naslab.studies.predictors.page import averaged, by_size
from naslab.tables import find_table

TASKS = ("pocket-cell/mnist", "nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")
MEASUREMENTS = (10, 20, 50, 100, 200)
SEEDS = range(10)
PREDICTORS = (
    "ridge[target=raw]", "kernel-ridge[target=raw]", "neural-predictor[target=raw]", "path-kernel[target=raw]",
    "path-kernel",
)  # fmt: skip
COUNTED = ("macs", "params")
SPEARMAN, CLOSE = "Spearman", "within 10 %"


def run(
    title: str,
    description: str,
    out: Path,
    *,
    workers: int,
    progress: Progress | None,
    tasks: Sequence[str] = TASKS,
    measurements: Sequence[int] = MEASUREMENTS,
    seeds: Sequence[int] = SEEDS,
    names: Sequence[str] = PREDICTORS,
) -> Outcome:
    """Run the study into a folder: tables, figures and a page."""
    work = [
        Fit(task, name, count, seed, metric=LATENCY)
        for task in tasks for name in names for count in measurements for seed in seeds
    ]  # fmt: skip
    results = in_processes(fit, work, workers, progress, out / "results.jsonl")
    frame = framed(work, dict(zip(work, results, strict=True)))
    with style():
        sections = [_section(task, frame[frame["task"] == task]) for task in tasks]
    notes = [
        " ".join(description.split()),
        f"Means over {len(seeds)} seeds, each another split and another initialisation, with Student's 95 % interval. "
        "Nothing was tuned on latencies, but for ridge's penalty, by leave-one-out on the measurements alone.",
        "Latencies of pocket-cell: this project's CPU, batch and median of repetitions as its table's header says. Of "
        "NAS-Bench-201: the authors' GPU. Energy: no table here has measurements of it, so nothing is said about it.",
    ]
    page = write_page(
        sections, out / "report", title, "naslab reproduce latency-prediction",
        environment("torch", "scikit-learn"), notes,
    )  # fmt: skip
    return Outcome([(each.title, each.frame) for each in sections[0].tables][:1], page)


def counted(task: str, cost: str) -> float:
    """Spearman's correlation of a closed form with the latency of every architecture: needs no measurement."""
    data = ground(task, LATENCY)
    costs = [getattr(data.space.cost(a), cost) for a in data.architectures]
    return float(stats.spearmanr(costs, -data.judged).statistic)


def ceiling(task: str) -> float:
    """Spearman's correlation of two recorded measurements; NaN where only one was recorded."""
    table, dataset = find_table_of(task), task.partition("/")[2]
    values = table.values(f"{dataset}/{LATENCY}")
    both = values[np.isfinite(values[:, :2]).all(axis=1)] if values.shape[1] > 1 else values[:0]
    return float(stats.spearmanr(both[:, 0], both[:, 1]).statistic) if len(both) > 2 else np.nan


def find_table_of(task: str) -> Any:
    """The table behind a task."""
    import naslab

    return find_table(naslab.task(task).source["table"])


def _section(task: str, frame: pd.DataFrame) -> Section:
    section = Section(task)
    data = ground(task, LATENCY)
    without = {cost: counted(task, cost) for cost in COUNTED}
    section.says.append(
        f"{data.label[:1].upper()}{data.label[1:]}, from {-data.judged.max():.3g} to {-data.judged.min():.3g} seconds. "
        "Without any measurement, Spearman's correlation over all: "
        + ", ".join(f"{cost} {value:.3f}" for cost, value in without.items())
        + "."
    )
    if np.isfinite(noise := ceiling(task)):
        section.says.append(f"Two recorded measurements of the same architecture: Spearman's correlation {noise:.3f}.")
    for _, name, why in (
        frame.loc[frame["refused"] != "", ["task", "predictor", "refused"]].drop_duplicates().to_numpy()
    ):
        section.says.append(f"{name} can't be fitted here: {why}.")
    for statistic, what in ((SPEARMAN, "Spearman's correlation"), (CLOSE, "Share predicted within 10 %")):
        rows = frame[frame[statistic].notna()]
        table = by_size(rows, ["predictor"], statistic)
        section.add(f"{statistic}-{task}", f"{what} by measurements, {task}", table, _CAPTION)
    means = averaged(frame, ["predictor", "labels"], [SPEARMAN])
    least, most = means["labels"].min(), means["labels"].max()
    flat = pd.DataFrame(
        [{"predictor": f"{c} alone", "labels": n, SPEARMAN: without[c]} for c in COUNTED for n in (least, most)]
    )
    section.draw(
        f"curve-{task}", f"Correlation by measurements, {task}",
        plot_curves(means, value=SPEARMAN, title=task, xlabel="measurements", published=flat),
        "Mean over seeds; band: Student's 95 %. Dashed: closed forms. The y axis is scaled to the means.",
    )  # fmt: skip
    return section


_CAPTION = "Over architectures that were not measured. Mean over seeds with Student's 95 % interval; higher is better."
