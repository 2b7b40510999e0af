"""NAS-Bench-201 under a limit on MACs, and under one on a latency that is fitted to the measured one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from naslab.analysis.contents import Section
from naslab.studies.tabnas import tuning
from naslab.studies.tabnas.limited import FITTED, limits, task_of, with_fitted_latency
from naslab.studies.tabnas.limited_report import summary
from naslab.studies.tabnas.tuning import Runner

TASK = "nasbench201/cifar10"


def cells_sections(runner: Runner) -> list[Section]:
    """The same strategies, tuned and compared in the same way, on cells."""
    sections = []
    for metric, named in (("macs", "MACs"), (FITTED, "latency")):
        found = tuning.tuned([(TASK, metric, limit) for limit in limits(TASK, metric, tuning.SHARES)], runner)
        section = tuning.judged_section(found, f"5 limits on {named}", prefix=f"cells-{named.lower()}-")
        section.title = f"NAS-Bench-201 under a limit on {named}"
        if metric == FITTED:
            _latency(section, found.runs)
        sections.append(section)
    return sections


def _latency(section: Section, runs: pd.DataFrame) -> None:
    task = task_of(TASK, "latency_seconds")
    fit = with_fitted_latency(task)[1]
    measured = np.array([task.problem.cost("latency_seconds", a) for a in task.problem.space.architectures()])
    section.says.append(
        "The latency in the limit is a constant plus one table per edge, fitted to the measured one of all cells. In "
        f"10-fold cross-validation it is off by {1e3 * fit.error:.3g} ms (root mean square; at most "
        f"{1e3 * fit.maximum:.3g} ms) where measured latencies are {1e3 * measured.min():.3g} to "
        f"{1e3 * measured.max():.3g} ms with a standard deviation of {1e3 * measured.std():.3g} ms: it explains "
        f"{100 * fit.r2:.1f} % of the variance. All results keep the limit on the fitted latency; the table shows "
        "how many keep it as measured."
    )
    best = runs[(runs["rule"] == "best") & (runs["evaluations"] == tuning.CHECKPOINTS[-1])]
    true = [task.problem.cost("latency_seconds", tuple(a)) for a in best["architecture"]]
    best = best.assign(kept=np.array(true) <= best["limit"], over=1e3 * np.maximum(np.array(true) - best["limit"], 0))
    table = summary(best, ["method"]).drop(columns="nothing")
    groups = best.groupby("method", sort=False)
    table["keep it as measured"] = table["method"].map(groups["kept"].mean())
    table["ms over, mean"] = table["method"].map(groups["over"].mean())
    section.add("cells-latency-kept", "The limit as measured", table, "The best evaluated architecture of each run.")
