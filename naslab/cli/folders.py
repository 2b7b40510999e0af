"""The sub-commands on folders of comparisons: their report, merging them, exporting them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from naslab.errors import InvalidValue

_Folder = Annotated[Path, typer.Argument(help="The --out folder of a comparison.")]


def report(folder: _Folder) -> None:
    """Write the report of a comparison (again)."""
    from naslab.running.results import Results

    show_report(Results(folder))


def merge(
    folders: Annotated[list[Path], typer.Argument(help="The --out folders of a comparison on several machines.")],
    out: Annotated[Path, typer.Option(help="A new folder; repeat the command to resume.")],
) -> None:
    """Merge the folders of a comparison that was spread over machines; folders that disagree are refused."""
    from naslab.running.merging import merge as merge_folders

    merged = merge_folders(folders, out)
    runs = len(merged.spec["tasks"]) * len(merged.optimizers) * len(merged.seeds)
    missing = runs - sum(recorded.end is not None for _, recorded in merged.runs())
    print(f"{runs - missing:,} of {runs:,} runs are complete in {out}")
    if missing:
        print(f"The others: {merged.command}")
    print(f"Report: naslab report {out}")


def export(
    folder: _Folder,
    to: Annotated[str, typer.Option(help="csv or parquet (one row per evaluation), or optuna (an SQLite storage).")],
    out: Annotated[Path, typer.Option(help="A new file.")],
) -> None:
    """Write every evaluation of a comparison into one file, for other programs."""
    from naslab.cli.console import progress
    from naslab.running.exports import export as write
    from naslab.running.results import Results

    with progress("evaluations") as tick:
        print(write(Results(folder), to, out, tick))


def show_report(results: Any) -> None:
    """Write the report of a comparison, and print its first table."""
    from naslab.cli.console import print_frame

    frame = results.frame
    if not (frame["evaluations"] > 0).any():
        raise InvalidValue(
            f"no run made a single evaluation: each costs more than the budget of {results.spec['budget']}"
        )
    summary = results.summary()
    metrics = summary["metric"].unique()
    idle = [name for name in ("missing", "no feasible", "failed", "failed share") if not summary[name].any()]
    shown = summary.drop(columns=[*idle, *(["metric"] if len(metrics) == 1 else [])])
    written = results.report()  # before anything is printed: what can't be printed must not cost the report
    print_frame(shown, "Final quality" + (f": {metrics[0]}" if len(metrics) == 1 else ""))
    if len(fronts := results.fronts()):
        kept = ["task", "optimizer", "n", "front", "hypervolume", "IGD+", "epsilon", "best hypervolume", "violations"]
        print_frame(fronts[kept].dropna(axis=1, how="all"), "\nFronts that runs return")
    print(f"\nReport: {written}")
