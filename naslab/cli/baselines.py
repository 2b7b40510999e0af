"""``naslab baselines``, ``leaderboard`` and ``compare --against``: the library of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer

from naslab.cli.values import whole
from naslab.errors import InvalidValue

baselines_app = typer.Typer(help="The library of results that new strategies are compared with.", no_args_is_help=True)


@baselines_app.callback()
def _group() -> None:
    """So that ``build`` is named."""


@baselines_app.command("build")
def build(
    out: Annotated[Path | None, typer.Option(help="Folder of the library; repeat the command to resume.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="TOML file of budgets and strategies; by default naslab's own.")
    ] = None,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes. Recorded clocks do not depend on it.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take nothing over from the library in the package.")] = False,
    verify: Annotated[
        int | None,
        typer.Option(parser=whole, help="Only make this many random runs again (of --out, else the package's)."),
    ] = None,
) -> None:
    """Make the library: run what is missing or would differ now. If interrupted, the same command continues."""
    from naslab.baselines.library import SHIPPED, Library
    from naslab.running.progress_bar import progress

    if verify is not None:
        _verify(Library(SHIPPED if out is None else out), verify, workers)
        return
    if out is None:
        raise InvalidValue("where shall the library be? Give a folder: --out DIR")
    from naslab.baselines.build import build_library
    from naslab.baselines.plan import OURS, load_plan

    with progress("runs", detail=True) as tick:
        library = build_library(load_plan(plan or OURS), out, workers=workers, fresh=fresh, progress=tick)
    size = sum((library.folder / shelf.file).stat().st_size for shelf in library.tasks.values())
    seconds = sum(entry.wall_seconds for shelf in library.tasks.values() for entry in shelf.entries)
    runs = sum(shelf.runs for shelf in library.tasks.values())
    print(
        f"{runs:,} runs on {len(library.tasks)} tasks in {size / 1e6:.2f} MB; making them took {seconds / 3600:.2f} h"
    )
    print(f"Compare with them: naslab compare --optimizers ./mine.py:Mine --against {out} --out DIR")


def leaderboard(
    task: Annotated[str, typer.Argument(help="A task id; by default all tasks of the library together.")] = "",
    against: Annotated[str, typer.Option(help="baselines (in the package), or the folder of a library.")] = "baselines",
    out: Annotated[Path | None, typer.Option(help="Folder for the same as a page, with all tasks.")] = None,
) -> None:
    """Who stands where in the library of results: ranks, scores, and who can't be told from whom."""
    from naslab.baselines.leaderboard import overall_sentence, task_sentence, terminal_frame, write_leaderboard
    from naslab.baselines.library import Library
    from naslab.cli.console import print_frame

    library = Library(against)
    if task:
        shelf = library.shelf(task)
        says, shown = task_sentence(library, task), shelf.standings
        title = f"{shelf.metric}, {shelf.unit}" if shelf.unit else shelf.metric
    else:
        says, shown, title = overall_sentence(library), library.manifest.standings, "Mean ranks"
    if out is not None:
        written = write_leaderboard(library, [task] if task else list(library.tasks), out)
    print(fill(says, 80, break_on_hyphens=False))
    if shown:
        print_frame(terminal_frame(shown), f"\n{title}")
    if not task:
        named = f"On one task: naslab leaderboard TASK, of {', '.join(library.tasks)}"
        print(f"\n{fill(named, 80, break_on_hyphens=False)}")
    if out is not None:
        print(f"\nPage: {written}")


def compare_with_library(
    tasks: Sequence[str], optimizers: Sequence[str], against: str, given: Mapping[str, Any], options: dict[str, Any]
) -> None:
    """``naslab compare --against``; ``given`` are options that don't go with it, by how they are written."""
    for name, value in given.items():
        if value:
            raise InvalidValue(
                f"{name} with --against: the library's runs were made without it. Fix: leave it out, or compare "
                "without --against"
            )
    from naslab.baselines.against import compare_against
    from naslab.running.progress_bar import progress

    with progress("runs") as tick:
        found = compare_against(optimizers, tasks=tasks, against=against, progress=tick, **options)
    places = found.places()  # before anything is printed: what can't be printed must not cost the report
    written = found.report()
    for name in found.new:
        print(f"{name}, {found.seeds} runs on each task:")
        for row in places[places["optimizer"] == name].to_dict("records"):
            low, high, mean = row["rank low"], row["rank high"], row["mean"]
            interval = f" [{low:.3g}, {high:.3g}]" if low == low else ""
            score = f", mean {mean:.6g} ± {row['mean high'] - mean:.2g}" if mean == mean else ""
            print(f"  {row['task']}: rank {row['rank']:.3g}{interval} of {row['of']}{score}")
            for words in ("better than", "can't be told from", "worse than"):
                if row[words] != "-":
                    print(f"    {words} {row[words]}")
    for note in found.notes:
        print(f"Note: {note}")
    print(f"\nReport: {written}")


def _verify(library: Any, count: int, workers: int) -> None:
    from naslab.baselines.verify import verify_library
    from naslab.running.progress_bar import progress

    with progress("runs") as tick:
        outcome = verify_library(library, count, workers=workers, progress=tick)
    same = len(outcome.runs) - len(outcome.different)
    print(f"{same} of {len(outcome.runs)} runs, made again, are the same to the byte.")
    for task_id, name, seed in outcome.different:
        print(f"different: {task_id} {name} {seed}")
    for name, why in outcome.made_otherwise.items():
        print(f"Note: {name} was made otherwise: {why}")
    if not outcome.same_machine:
        print("Note: they were made on another machine, whose sums of floating-point numbers may differ.")
    if outcome.measured:
        print(f"Not drawn: {outcome.measured:,} runs on measured clocks, which no other run repeats.")
    if outcome.different:
        print("To make what differs again: naslab baselines build --fresh --out DIR, and then --against DIR")
        raise typer.Exit(1)
