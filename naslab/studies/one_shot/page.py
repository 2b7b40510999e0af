"""Tables and figures of the study of one-shot search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from naslab.analysis.cell_plots import draw_cell, draw_distribution
from naslab.analysis.contents import Section
from naslab.analysis.correlation import agreement
from naslab.analysis.statistics import holm, mann_whitney_holm, mean_columns, mean_interval
from naslab.analysis.style import legend_above, new_axes, palette
from naslab.search_spaces import darts
from naslab.search_spaces.nasbench201 import OPERATIONS
from naslab.tasks import Task

DRAWN = ("darts", "gdas", "pc-darts", "rsps", "enas", "robust-darts")
CELLS = ("darts", "gdas", "pc-darts", "rsps")
HEATED = ("darts", "gdas", "pc-darts", "smooth-darts-rs")
SHOWN_STATISTICS = ("Spearman", "Kendall tau-b", "tau in top 10%", "precision at 10%", "regret")


def equal_seconds(
    runs: pd.DataFrame,
    tables: pd.DataFrame,
    costs: Mapping[str, Mapping[str, float]],
    planned: Mapping[str, int],
    optimum: float,
    seconds: float,
) -> Section:
    """Every strategy at the same seconds.

    Args:
        runs: Of the gradient searches.
        tables: Of the searches of the table.
        costs: Strategy -> what was measured beforehand.
        planned: Strategy -> epochs.
        optimum: The best test accuracy there is.
        seconds: The seconds that each may take.
    """
    section = Section("Every strategy at equal seconds")
    section.says.append(
        f"Every search has at most {seconds:g} seconds of one core of this machine, its derivation included. As many "
        "epochs are planned as fit into most of these seconds (at least three; an epoch was timed before, alone), and "
        "schedules span them; the table shows the epochs made and the seconds needed. For the curves, each search is "
        "asked after every epoch what it would return now; this time is not charged. Settings are the published ones, "
        "scaled to the size of the data and not tuned: batches of 32; the logits' learning rate times the published "
        "number of steps, divided by the number of steps here; warm-up for the same share of epochs. random and "
        "regularized-evolution search the table of trainings, whose recorded seconds are converted to this machine's. "
        "Regret: the best cell's test accuracy minus "
        "that of the cell returned, both trained alone, mean of the recorded seeds."
    )
    rows = []
    for name, group in runs.groupby("optimizer", sort=False):
        rows.append(
            {
                "strategy": name,
                **mean_columns(group["final"], "test accuracy, %"),
                **mean_columns(optimum - group["final"], "regret"),
                "runs": len(group),
                "epochs planned": planned[str(name)],
                "epochs made": group["epochs"].mean(),
                "seconds": float(
                    np.mean([sum(s) + d for s, d in zip(group["seconds"], group["derivation"], strict=True)])
                ),
                "peak memory, MB": costs[str(name)]["peak"] / 2**20,
                "skip share": group["final skip"].mean(),
                "not connected": int((~group["connected"].astype(bool)).sum()),
            }
        )
    for name, group in tables.groupby("optimizer", sort=False):
        rows.append(
            {
                "strategy": name,
                **mean_columns(group["final"], "test accuracy, %"),
                **mean_columns(optimum - group["final"], "regret"),
                "runs": len(group),
                "epochs planned": np.nan,
                "epochs made": np.nan,
                "seconds": group["spent"].mean(),
                "peak memory, MB": np.nan,
                "skip share": group["final skip"].mean(),
                "not connected": int((~group["connected"].astype(bool)).sum()),
            }
        )
    frame = pd.DataFrame(rows).sort_values("regret", kind="stable")
    caption = (
        f"Student's 95 % interval over runs; the optimum is {optimum:.2f} %. Peak memory: of a "
        "process that does nothing else, PyTorch included. Skip share: identities among the six edges. Not connected: "
        "runs whose cell does not use its input. Epochs made: fewer than planned where time ran out or a rule stopped "
        "the search."
    )
    section.add("equal-seconds", "Test accuracy and regret", frame, caption)
    for reference in tables["optimizer"].unique():
        caption = "Mann-Whitney U over runs, two-sided; p adjusted by Holm over the strategies."
        section.add(f"against-{reference}", f"Against {reference}", _against(runs, tables, str(reference)), caption)
    section.draw("anytime", "Regret of what would be returned", _anytime(runs, tables, optimum), _ANYTIME)
    return section


def _against(runs: pd.DataFrame, tables: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every gradient search against one search of the table."""
    theirs = tables.loc[tables["optimizer"] == reference, "final"].to_numpy(float)
    rows = []
    for name, group in runs.groupby("optimizer", sort=False):
        ours = group["final"].to_numpy(float)
        pair = mann_whitney_holm({str(name): ours, reference: theirs}).iloc[0]
        rows.append(
            {
                "strategy": name,
                "mean difference, points": ours.mean() - theirs.mean(),
                "runs": len(ours),
                "runs of the reference": len(theirs),
                "p": pair["p"],
            }
        )
    return pd.DataFrame(rows).assign(**{"p (Holm)": holm([row["p"] for row in rows])})


_ANYTIME = (
    "Median of the runs; gradient searches after each epoch, without the derivation at the end. Bands: quartiles."
)


def _anytime(runs: pd.DataFrame, tables: pd.DataFrame, optimum: float) -> Any:
    ax = new_axes(height=2.8)
    names = [*DRAWN, *tables["optimizer"].unique()]
    for name, look in palette(names).items():
        table = name in set(tables["optimizer"])
        group = (tables if table else runs)[(tables if table else runs)["optimizer"] == name]
        if not len(group):
            continue
        clocks = [row["times"] if table else np.cumsum(row["seconds"]).tolist() for row in group.to_dict("records")]
        grid = np.geomspace(max(min(c) for c in clocks if c), max(max(c) for c in clocks if c), 60)
        found = []
        for clock, truths in zip(clocks, group["truth"], strict=True):
            place = np.searchsorted(clock, grid, side="right") - 1
            found.append(np.where(place >= 0, optimum - np.asarray(truths)[np.maximum(place, 0)], np.nan))
        values = np.array(found)
        known = ~np.isnan(values).any(axis=0)
        low, middle, high = np.quantile(values[:, known], (0.25, 0.5, 0.75), axis=0)
        ax.plot(grid[known], middle, color=look.colour, ls=look.line, label=name)
        ax.fill_between(grid[known], low, high, color=look.colour, alpha=0.12, lw=0)
    ax.set(xscale="log", yscale="log", xlabel="seconds", ylabel="regret, points")
    legend_above(ax)
    return ax


def learnt(runs: pd.DataFrame, task: Task, genotype: Mapping[str, Any]) -> Section:
    """The cells found, and how searches arrived at them.

    Args:
        runs: Of all strategies.
        task: That of the runs.
        genotype: What DARTS found in its own space: see :func:`naslab.studies.one_shot.searches.genotype`.
    """
    section = Section("What was learnt")
    section.says.append(
        "Cells that the first run of a search returned, and probabilities of all operations over its epochs. Then the "
        f"normal and the reduction cell that DARTS finds in its own space on these digits: {genotype['said']}"
    )
    first: dict[str, Any] = {row["optimizer"]: row for row in runs[runs["seed"] == 0].to_dict("records")}
    names, choices = list(OPERATIONS), task.problem.space.choices
    for name in [each for each in CELLS if each in first]:
        row = first[name]
        title = f"{name}: {row['final']:.2f} % test accuracy"
        decided = {c.name: option for c, option in zip(choices, row["architecture"], strict=True)}
        ax = draw_cell(cell_of(decided, names), title=title)
        section.draw(f"cell-{name}", f"The cell of {name}", ax, "Seed 0. Edges without operation are left out.")
    for kind in darts.KINDS:
        decided = {n.partition("/")[2]: k for n, k in genotype["decisions"].items() if n.startswith(f"{kind}/")}
        ax = draw_cell(cell_of(decided, darts.OPERATIONS, [str(v) for v in darts.NODES]), title=f"darts, {kind} cell")
        section.draw(f"genotype-{kind}", f"The {kind} cell in DARTS' space", ax, "0 and 1 are the last two cells.")
    for name in [each for each in HEATED if each in first]:
        shares = np.array([np.concatenate(each) for each in first[name]["probabilities"]]).T
        groups = {choice.name: len(choice.options) for choice in choices}
        ax = draw_distribution(shares, names * len(groups), title=name, groups=groups)
        section.draw(f"probabilities-{name}", f"Probabilities of {name}", ax, "Seed 0, after every epoch.")
    return section


def cell_of(decided: Mapping[str, int], names: Sequence[str], output: Sequence[str] = ()) -> nx.DiGraph[Any]:
    """A cell, its edges labelled with operations.

    Args:
        decided: Edge, written ``"u->v"`` -> the index of its operation; ``none`` makes no edge.
        names: Of the operations.
        output: Nodes that the cell's output concatenates.
    """
    cell: nx.DiGraph[Any] = nx.DiGraph()
    for edge, option in decided.items():
        source, _, target = edge.partition("->")
        cell.add_nodes_from((source, target))
        if names[option] != "none":
            cell.add_edge(source, target, label=names[option])
    cell.add_edges_from((node, "output") for node in output)
    return cell


def collapse(runs: pd.DataFrame, longest: int, optimum: float) -> Section:
    """The share of skip connections over the epochs, the eigenvalue, and the regret that follows."""
    section = Section("Does DARTS collapse here?")
    section.says.append(
        "On NAS-Bench-201 DARTS ends in cells of skip connections (Dong & Yang 2020), and the dominant eigenvalue of "
        "the Hessian rises before that (Zela et al. 2020). Here: a small version of the same cell, "
        f"{longest} epochs, {runs['seed'].nunique()} seeds. Epochs repeated after going back to an earlier one count."
    )
    table = []
    for name, group in runs.groupby("optimizer", sort=False):
        row: dict[str, Any] = {"strategy": name}
        for part in (1 / 3, 2 / 3, 1.0):
            at = max(1, round(part * longest))
            row |= mean_columns([optimum - t[:at][-1] for t in group["truth"]], f"regret at {at}")
        row |= mean_columns(group["final skip"], "skip share at the end")
        row |= mean_columns([s[-1] for s in group["skip probability"]], "skip probability")
        row |= {"epochs made": group["epochs"].mean(), "runs": len(group)}
        table.append(row)
    caption = "Student's 95 % interval. A search that stopped early keeps what it had. Chance: 0.2, one edge in five."
    section.add("collapse", "Skip connections and regret", pd.DataFrame(table), caption)
    for column, label in (("skip probability", "mean probability of a skip"), ("skip", "share of skips derived")):
        ax = new_axes(height=2.5)
        for name, look in palette(runs["optimizer"].unique()).items():
            paths = [_padded(values, longest) for values in runs.loc[runs["optimizer"] == name, column]]
            mean, low, high = _bands(np.array(paths))
            epochs = np.arange(1, longest + 1)
            ax.plot(epochs, mean, color=look.colour, ls=look.line, label=name)
            ax.fill_between(epochs, low, high, color=look.colour, alpha=0.12, lw=0)
        ax.axhline(0.2, color="#7f7f7f", lw=0.5, ls=(0, (1, 2)))
        ax.set(xlabel="epoch", ylabel=label, ylim=(0, None))
        legend_above(ax)
        section.draw(f"collapse-{column}", label.capitalize(), ax, "Mean over seeds, Student's 95 %. Dotted: chance.")
    ax = new_axes(height=2.5)
    for name, look in palette(runs["optimizer"].unique()).items():
        measured = [dict(map(tuple, each)) for each in runs.loc[runs["optimizer"] == name, "eigenvalues"]]
        common = sorted(set.intersection(*(set(each) for each in measured))) if measured else []
        if common:
            mean, low, high = _bands(np.array([[each[e] for e in common] for each in measured]))
            ax.plot(common, mean, color=look.colour, ls=look.line, marker=look.marker, ms=2.5, label=name)
            ax.fill_between(common, low, high, color=look.colour, alpha=0.12, lw=0)
    ax.set(xlabel="epoch", ylabel="dominant eigenvalue", yscale="symlog")
    legend_above(ax)
    caption = "Of the Hessian of the mixture's validation loss with respect to the logits, always on the same 128 rows."
    section.draw("eigenvalue", "Dominant eigenvalue", ax, caption)
    return section


def sensitivity(
    runs: pd.DataFrame,
    rates: Sequence[float],
    decays: Sequence[float],
    architecture_rates: Sequence[float],
    optimum: float,
) -> Section:
    """Regret against the learning rates and the weight decay."""
    section = Section("How sensitive DARTS is to its learning rates and weight decay")
    means = {name: optimum - group["final"].to_numpy(float) for name, group in runs.groupby("optimizer")}
    bases = list(
        dict.fromkeys(str(name).partition("learning_rate")[0].partition("architecture_rate")[0] for name in means)
    )
    rows, spread = [], []
    for base in bases:
        label = base.rstrip("[,") + ("]" if "=" in base else "")
        cells = []
        for rate in rates:
            for decay in decays:
                name = f"{base}learning_rate={rate},weight_decay={decay}]"
                values = means[name]
                cells.append(values)
                setting = {"strategy": label, "learning rate": rate, "weight decay": decay}
                diverged = runs.loc[runs["optimizer"] == name, "diverged"]
                row = {
                    **setting,
                    **mean_columns(values, "regret"),
                    "runs": len(values),
                    "diverged": int(diverged.sum()),
                }
                rows.append(row)
        settings, runs_of_seeds = np.mean(cells, axis=1), np.mean(cells, axis=0)
        spread.append(
            {
                "strategy": label,
                "best of the grid": settings.min(),
                **mean_columns(runs_of_seeds, "mean"),
                "worst": settings.max(),
            }
        )
    caption = (
        "Of the nine settings below; Student's 95 % interval over seeds. Best and worst are picked by their means."
    )
    section.add("spread", "Mean regret over the grid", pd.DataFrame(spread), caption)
    section.add(
        "grid",
        "Learning rate of the weights against their weight decay",
        pd.DataFrame(rows),
        "Student's 95 % interval.",
    )
    ax = new_axes()
    for base, look in zip(bases, palette(bases).values(), strict=True):
        drawn = [means[f"{base}architecture_rate={rate}]"] for rate in architecture_rates]
        mean, low, high = _bands(np.array(drawn).T)
        label = base.rstrip("[,") + ("]" if "=" in base else "")
        ax.plot(architecture_rates, mean, color=look.colour, ls=look.line, marker=look.marker, ms=3, label=label)
        ax.fill_between(architecture_rates, low, high, color=look.colour, alpha=0.15, lw=0)
    ax.set(xscale="log", xlabel="learning rate of the logits", ylabel="regret, points")
    ax.set_ylim(bottom=0)  # Student's intervals don't know that regret is at least 0
    legend_above(ax)
    section.draw("architecture-rate", "Learning rate of the logits", ax, "Weights as published. Bands: Student's 95 %.")
    return section


def perturbations(runs: pd.DataFrame, kinds: Sequence[str], optimum: float) -> Section:
    """Any optimizer under any perturbation."""
    section = Section("Perturbation on any optimizer")
    rows = []
    for name, group in runs.groupby("optimizer", sort=False):
        base, _, kind = str(name).rstrip("]").partition("[perturbation=")
        rows.append(
            {
                "strategy": base,
                "perturbation": kind,
                **mean_columns(optimum - group["final"], "regret"),
                **mean_columns(group["final skip"], "skip share"),
                "seconds": float(np.mean([sum(s) for s in group["seconds"]])),
                "runs": len(group),
            }
        )
    frame = pd.DataFrame(rows)
    frame["perturbation"] = pd.Categorical(frame["perturbation"], list(kinds), ordered=True)
    frame = frame.sort_values(["strategy", "perturbation"], kind="stable").astype({"perturbation": str})
    caption = "The same epochs for all, so that an adversary costs more seconds. Student's 95 % interval over runs."
    section.add("perturbations", "Regret", frame, caption)
    return section


def rankings(ranked: pd.DataFrame) -> Section:
    """How well shared weights rank."""
    section = Section("How well shared weights rank")
    section.says.append(
        f"{len(ranked['truth'].iloc[0])} random cells, each scored with the shared weights on all validation rows, "
        "against test accuracy when trained alone. Batch normalisation uses statistics of the batch, the running ones "
        "that training left, or running ones recalibrated for each cell. All supernets are trained for the same number "
        "of epochs, but not for equal seconds: fairnas trains five paths a step, one-shot and darts run all options."
    )
    rows = []
    for name, group in ranked.groupby("supernet", sort=False):
        for statistics in ("batch", "running", "recalibrated"):
            tables = [
                agreement(
                    pd.DataFrame({"x": row[statistics]}),
                    np.asarray(row["truth"]),
                    np.random.default_rng(0),
                    resamples=0,
                ).set_index("statistic")["value"]
                for row in group.to_dict("records")
            ]
            line: dict[str, Any] = {"supernet": name, "statistics": statistics}
            for statistic in SHOWN_STATISTICS:
                line |= mean_columns([table[statistic] for table in tables], statistic)
            rows.append({**line, "supernets": len(group)})
    caption = "Mean and Student's 95 % interval over independently trained supernets, on the same sample of cells."
    section.add("rankings", "Agreement of shared weights with the truth", pd.DataFrame(rows), caption)
    return section


def _padded(values: Sequence[float], length: int) -> list[float]:
    return [*values, *[values[-1]] * (length - len(values))][:length]


def _bands(values: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """Mean over the rows with Student's 95 % interval, for every column."""
    found = [mean_interval(column) for column in values.T]
    return [f.value for f in found], [f.low for f in found], [f.high for f in found]
