"""The sub-commands on folders of comparisons: their report, merging them, exporting them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from naslab.errors import InvalidValue

WIDTH = 80
_Folder = Annotated[Path, typer.Argument(help="The --out folder of a comparison.")]


def report(
    folder: _Folder,
    figures: Annotated[str, typer.Option(help="Further kinds of figure files: pdf, png, or pdf,png.")] = "",
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print the page to report.pdf, by Chromium if it is here.")
    ] = False,
) -> None:
    """Write the report of a comparison (again): naslab report runs/mine --figures pdf,png."""
    from naslab.running.results import Results

    show_report(Results(folder), [kind.strip() for kind in figures.split(",") if kind.strip()], pdf)


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
    from naslab.running.exports import export as write
    from naslab.running.progress_bar import progress
    from naslab.running.results import Results

    with progress("evaluations") as tick:
        print(write(Results(folder), to, out, tick))


def show_report(results: Any, figures: Sequence[str] = (), pdf: bool = False) -> None:
    """Write the report of a comparison, and print the paper's table and what was found."""
    from naslab.cli.console import print_frame, print_wide

    frame = results.frame
    if not (frame["evaluations"] > 0).any():
        raise InvalidValue(
            f"no run made a single evaluation: each costs more than the budget of {results.spec['budget']}"
        )
    table, sentence = results.paper()
    written = results.report(figures=figures)  # before anything is printed: what can't be printed must not cost it
    says = table.says if print_wide(table.frame, table.bold) else table.says.replace("Bold:", "*:")
    if len(fronts := results.fronts()):
        kept = ["task", "optimizer", "n", "front", "hypervolume", "IGD+", "epsilon", "best hypervolume", "violations"]
        print_frame(fronts[kept].dropna(axis=1, how="all"), "\nFronts that runs return")
    print(f"\n{textwrap.fill(says, WIDTH)}\n\n{textwrap.fill(sentence, WIDTH)}\n\nReport: {written}")
    if pdf:
        from naslab.analysis.pdf import print_page

        print(f"PDF: {print_page(written)}")
