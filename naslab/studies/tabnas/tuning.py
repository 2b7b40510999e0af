"""Policy searches tuned on the same grid of learning rates and betas, beside searches that have nothing to tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from naslab.analysis.contents import Section
from naslab.running import Progress
from naslab.studies.base import in_processes
from naslab.studies.tabnas.limited import RULES, Run, judge
from naslab.studies.tabnas.limited_report import against, summary

SHARES = (0.05, 0.15, 0.3, 0.5, 0.75)
SEEDS, TUNING_SEEDS = range(50), range(1000, 1020)
CHECKPOINTS = (100, 300)
RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
BETAS: Mapping[str, tuple[float, ...]] = {
    "soft": (-0.02, -0.07, -0.2, -0.5, -1.0),
    "hard": (-0.2, -0.5, -1.0, -2.0, -4.0),
    "absolute": (-0.02, -0.05, -0.1, -0.2, -0.5),
    "linear": (-0.02, -0.05, -0.1, -0.3, -0.5),
}
SEARCHES = ("random", "regularized-evolution", "optuna-tpe")
OURS = "TabNAS, exact"


def variants() -> dict[str, dict[str, str]]:
    """Every policy search on its grid: method -> setting -> how the optimizer is written."""
    found = {
        OURS: {f"lr {r}": f"tabnas[learning_rate={r}]" for r in RATES},
        "PPO, exact": {f"lr {r}": f"ppo[learning_rate={r}]" for r in RATES},
        "indicator": {f"lr {r}": f"mnasnet-reinforce[reward=indicator,learning_rate={r}]" for r in RATES},
    }
    for reward, betas in BETAS.items():
        strategy = "tunas" if reward == "absolute" else f"mnasnet-reinforce[reward={reward}]"
        found[reward] = {
            f"beta {b}, lr {r}": with_options(strategy, f"beta={b},learning_rate={r}") for b in betas for r in RATES
        }
    return found


def with_options(optimizer: str, options: str) -> str:
    """An optimizer as it is written, with further options."""
    return f"{optimizer[:-1]},{options}]" if optimizer.endswith("]") else f"{optimizer}[{options}]"


@dataclass(frozen=True)
class Tuned:
    """Strategies compared, each at its best.

    Attributes:
        runs: Of the comparison: one row per run, checkpoint and rule, with its ``method``.
        tuning: Of the grid that the settings were chosen from, with ``method`` and ``setting``.
        chosen: Method -> rule -> the setting chosen.
    """

    runs: pd.DataFrame
    tuning: pd.DataFrame
    chosen: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Runner:
    """How runs are done: by how many processes, and where results are kept."""

    workers: int
    progress: Progress | None
    keep: Path

    def runs(self, work: list[Run]) -> pd.DataFrame:
        """One row per run, checkpoint and rule."""
        found = in_processes(judge, work, self.workers, self.progress, self.keep)
        return pd.DataFrame([row for rows in found for row in rows])


def tuned(cells: Sequence[tuple[str, str, float]], runner: Runner) -> Tuned:
    """Every strategy under limits (task, cost, largest value): tuned on some seeds, then compared on others."""
    grid = variants()
    names = {written: (method, setting) for method, each in grid.items() for setting, written in each.items()}
    tried = runner.runs([Run(*cell, o, s, CHECKPOINTS[-1:]) for cell in cells for o in names for s in TUNING_SEEDS])
    tried[["method", "setting"]] = tried["optimizer"].map(names).to_list()
    chosen = best_settings(tried)
    written = {method: {rule: grid[method][each] for rule, each in rules.items()} for method, rules in chosen.items()}
    compared = [*SEARCHES, *sorted({o for rules in written.values() for o in rules.values()})]
    runs = runner.runs([Run(*cell, o, s, CHECKPOINTS) for cell in cells for o in compared for s in SEEDS])
    return Tuned(_as_methods(runs, written), tried, chosen)


def best_settings(tuning: pd.DataFrame) -> dict[str, dict[str, str]]:
    """For each method and rule, the setting with the least mean regret over tasks, limits and seeds."""
    means = tuning.groupby(["method", "rule", "setting"], sort=False)["regret"].mean().reset_index()
    best = means.sort_values("regret", kind="stable").drop_duplicates(["method", "rule"])
    found: dict[str, dict[str, str]] = {method: {} for method in tuning["method"].unique()}
    for line in best.to_dict("records"):
        found[line["method"]][line["rule"]] = line["setting"]
    return found


def _as_methods(judged: pd.DataFrame, written: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Each method under each rule, represented by the runs of the setting that was chosen for that rule."""
    parts = [judged[judged["optimizer"].isin(SEARCHES)].assign(method=lambda f: f["optimizer"])]
    for method, settings in written.items():
        for rule, optimizer in settings.items():
            mine = (judged["optimizer"] == optimizer) & (judged["rule"] == rule)
            parts.append(judged[mine].assign(method=method))
    return pd.concat(parts, ignore_index=True)


def judged_section(found: Tuned, where: str, prefix: str = "") -> Section:
    """Which method is best, how sure that is, and which led early; ``prefix`` starts the names of the files."""
    section = Section("Which search finds the best network under a limit")
    section.says.append(
        "Regret: the test accuracy (mean over trainings) of the best network within the limit minus that of the "
        f"network returned, in points; means over {where} (kept by {', '.join(f'{100 * s:.0f} %' for s in SHARES)} of "
        f"the networks) x {len(SEEDS)} seeds. Every policy search has the learning rate and beta that were best for "
        f"that rule in {len(TUNING_SEEDS)} other seeds. Where a rule returns nothing, the smallest network is judged."
    )
    final = found.runs[found.runs["evaluations"] == CHECKPOINTS[-1]]
    overall = summary(final, ["rule", "method"])
    shown = overall.assign(rule=overall["rule"].map(RULES)).sort_values(["rule", "regret"], kind="stable")
    caption = f"{CHECKPOINTS[-1]} evaluations. 95 % bootstrap, stratified by task and limit."
    section.add(f"{prefix}regret", "Mean regret", shown, caption)
    best = final[final["rule"] == "best"]
    section.add(
        f"{prefix}tests",
        f"Against {OURS}",
        against(best, OURS),
        f"Rule: {RULES['best']}. Wilcoxon over tasks x limits.",
    )
    early = found.runs[(found.runs["rule"] == "best") & (found.runs["evaluations"] == CHECKPOINTS[0])]
    caption = f"{CHECKPOINTS[0]} evaluations of the same runs; {RULES['best']}. Settings chosen for {CHECKPOINTS[-1]}."
    section.add(f"{prefix}early", "Early in the same runs", summary(early, ["method"]).sort_values("regret"), caption)
    return section
