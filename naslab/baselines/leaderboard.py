"""The table of who stands where, for a terminal and as a page: made from ``library.json`` alone, no run is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from naslab.analysis.tables import ranges
from naslab.baselines.library import Library, Standing
from naslab.running import versions

OVERALL = "Over all tasks"
_COLUMNS, _LONGEST_NAME = 80, 27


def standing_frame(standings: Sequence[Standing]) -> pd.DataFrame:
    """Standings as a table: ``place``, ``optimizer``, ``rank`` with its bounds, ``mean`` with its bounds (where there
    is one), ``n`` runs, how many ``failed``, and the places of those that it is ``not told from``."""
    place = {each.name: i for i, each in enumerate(standings, start=1)}
    rows = []
    for each in standings:
        mean, half = _number(each.mean), _number(each.half_width)
        rows.append({
            "place": place[each.name], "optimizer": each.name,
            "rank": each.rank, "rank low": _number(each.rank_low), "rank high": _number(each.rank_high),
            "mean": mean, "mean low": mean - half, "mean high": mean + half, "n": each.n, "failed": each.failed,
            "not told from": ranges([place[name] for name in each.alike]) or "-",
        })  # fmt: skip
    frame = pd.DataFrame(rows)
    idle = [name for name in ("mean", "mean low", "mean high") if frame["mean"].isna().all()]
    return frame.drop(columns=[*idle, *(["failed"] if not frame["failed"].any() else [])])


def terminal_frame(standings: Sequence[Standing]) -> pd.DataFrame:
    """The same in 80 columns: long names and lists are cut short, intervals of ranks on one task have no decimals."""
    full = standing_frame(standings)
    name = full["optimizer"].map(lambda text: _clipped(text, _LONGEST_NAME))
    digits = 0 if all(each.tasks == 1 for each in standings) else 1
    rank = [f"{each.rank:.{max(digits, 0 if each.rank == round(each.rank) else 1)}f}" for each in standings]
    bounds = [
        "" if each.rank_low is None or each.rank_high is None
        else f" [{each.rank_low:.{digits}f}, {each.rank_high:.{digits}f}]"
        for each in standings
    ]  # fmt: skip
    shown: dict[str, list[str]] = {
        "": [str(place) for place in full["place"]],
        "optimizer": list(name),
        "rank (95 %)": [a + b for a, b in zip(rank, bounds, strict=True)],
    }
    if "mean" in full:
        decimals = _decimals([each.half_width for each in standings if each.half_width])
        shown["mean ± 95 %"] = [
            "-" if each.mean is None else f"{each.mean:.{decimals}f} ± {_number(each.half_width):.{decimals}f}"
            for each in standings
        ]
    shown["n"] = [str(each.n) for each in standings]
    if "failed" in full:
        shown["failed"] = [str(each.failed) for each in standings]
    taken = sum(2 + max(len(name), *map(len, column)) for name, column in shown.items())
    left = max(_COLUMNS - taken, len("not told from"))
    shown["not told from"] = [_clipped(text.replace(", ", ","), left) for text in full["not told from"]]
    return pd.DataFrame(shown, dtype=str)


def write_leaderboard(library: Library, tasks: Sequence[str], folder: Path) -> Path:
    """Write the page ``leaderboard.html``'s sections, one per task, into a folder; returns the page.

    Raises:
        UnknownTask: The library has nothing on it.
        OutputError: The folder can't be written.
    """
    from naslab.analysis.contents import Section
    from naslab.analysis.report import write_page

    sections = []
    if library.manifest.standings and len(tasks) > 1:
        overall = Section(OVERALL)
        overall.says.append(overall_sentence(library))
        overall.add(
            "overall", f"Mean rank over {len(library.tasks)} tasks", standing_frame(library.manifest.standings),
            "rank: mean over the tasks of the rank of the interquartile mean, among the strategies that ran on all of "
            "them, with its 95 % bootstrap interval over runs; not told from: places of those from which van Elteren's "
            "test, stratified by task, Holm over all pairs, does not tell it at 0.05; n: runs.",
        )  # fmt: skip
        sections.append(overall)
    for task_id in tasks:
        shelf = library.shelf(task_id)
        section = Section(task_id)
        section.says.append(task_sentence(library, task_id))
        section.add(
            task_id, f"{shelf.metric} ({shelf.unit})" if shelf.unit else shelf.metric, standing_frame(shelf.standings),
            "rank: of the interquartile mean over runs, 1 = best, with its 95 % bootstrap interval; mean: with "
            "Student's 95 % interval; n: runs; not told from: places of those from which Mann-Whitney's test, Holm "
            "over all pairs on this task, does not tell it at 0.05.",
        )  # fmt: skip
        sections.append(section)
    names = dict.fromkeys(each.name for task_id in tasks for each in library.shelf(task_id).standings)
    return write_page(
        sections, folder, "Leaderboard", f"naslab leaderboard{''.join(f' {t}' for t in tasks[:1] if len(tasks) == 1)}",
        {"naslab": versions("naslab")["naslab"], "library": library.name, **makers(library, tasks)}, [], list(names),
    )  # fmt: skip


def task_sentence(library: Library, task_id: str) -> str:
    """What was run on a task: budget, number of runs, clock."""
    shelf = library.shelf(task_id)
    measured = [entry.name for entry in shelf.entries if entry.clock == "measured"]
    live = f" Seconds of {', '.join(measured)} were measured, and scaled to the table's machine." if measured else ""
    unit = "s" if shelf.budget.endswith("s") else "evaluations"
    amount = float(shelf.budget.removesuffix("s"))
    return f"{task_id}: {shelf.runs:,} runs of {len(shelf.entries)} strategies, {amount:,.10g} {unit} each.{live}"


def overall_sentence(library: Library) -> str:
    """Who is ranked over all tasks, and who is not."""
    ranked = {each.name for each in library.manifest.standings}
    every = dict.fromkeys(entry.name for shelf in library.tasks.values() for entry in shelf.entries)
    left = [name for name in every if name not in ranked]
    rest = f" Not on all of them, and ranked on single tasks alone: {', '.join(left)}." if left else ""
    return f"{len(ranked)} strategies ran on all {len(library.tasks)} tasks.{rest}"


def makers(library: Library, tasks: Sequence[str]) -> dict[str, str]:
    """Versions and machines that made the runs on some tasks: several where they differ."""
    found: dict[str, dict[str, None]] = {}
    for made in (entry.made for task_id in tasks for entry in library.shelf(task_id).entries):
        for key, text in {**made["versions"], "machine": made["machine"]}.items():
            found.setdefault(f"made by {key}", {})[str(text)] = None
    tables = {f"data of {task_id}": ", ".join(library.shelf(task_id).source.values()) for task_id in tasks}
    return {key: " and ".join(texts) for key, texts in found.items()} | tables


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _decimals(widths: Sequence[float]) -> int:
    """So many that the narrowest interval has a digit."""
    return min(6, max(0, -math.floor(math.log10(min(widths))))) if widths else 2
