"""The subcommands: each is a few lines over the Python interface, imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import naslab
from naslab.cli import completion
from naslab.cli.baselines import baselines_app, compare_with_library, leaderboard
from naslab.cli.citing import cite
from naslab.cli.examples import show_examples
from naslab.cli.folders import export, merge, report, show_report
from naslab.cli.looking import show, status
from naslab.cli.notes import say_idle_limits, say_idle_placement, say_one_worker, say_sources
from naslab.cli.options import (
    Budget,
    Deterministic,
    Device,
    EvaluationLimit,
    Limits,
    Objectives,
    OnFailure,
    Out,
    Precision,
    Resume,
    Retries,
    SimulateWorkers,
)
from naslab.cli.searching import search
from naslab.cli.tables import table_app
from naslab.cli.values import whole
from naslab.errors import InvalidValue, OutputError

app = typer.Typer(
    name="naslab",
    help="Compare neural architecture search strategies fairly: one loop, one clock, honest statistics.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(table_app, name="table")
app.add_typer(baselines_app, name="baselines")


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"naslab {naslab.__version__}")
        raise typer.Exit


@app.command("list")
def list_names(
    kind: Annotated[
        str, typer.Argument(help="spaces, operations, optimizers, evaluators, tasks or experiments; all by default.")
    ] = "",
    name: Annotated[
        str, typer.Argument(help="A space, operation, optimizer or evaluator: show what it is, and its options.")
    ] = "",
) -> None:
    """List names to use, one line each; or show what one of them is, and its options."""
    from naslab.cli import listing

    if name:
        print(listing.described(kind, name))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    headings, rows = listing.shown(kind)
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if not console.is_terminal:
        console.width = max(200, Console(width=10_000).measure(table).maximum)
    console.print(table)


@app.command()
def compare(
    optimizers: Annotated[
        str,
        typer.Option(
            help="Names, comma-separated: random,regularized-evolution[population=20].",
            autocompletion=completion.optimizers,
        ),
    ],
    out: Out,
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Task ids; see: naslab list tasks. With --against by default all that the library has.",
            autocompletion=completion.tasks,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with a library of results instead of running others: baselines, or its folder."),
    ] = None,
    budget: Budget = None,
    seeds: Annotated[
        int | None, typer.Option(parser=whole, help="Runs of every optimizer on every task. Default: 10.")
    ] = None,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes. The results do not depend on it.")] = 1,
    maximum: Limits = [],  # noqa: B006
    paired: Annotated[
        bool, typer.Option("--paired", help="Runs of one seed begin with the same random numbers; tests take pairs.")
    ] = False,
    objectives: Objectives = "",
    device: Device = "cpu",
    precision: Precision = "float32",
    deterministic: Deterministic = False,
    resume: Resume = None,
    simulate_workers: SimulateWorkers = 1,
    workers_per_run: Annotated[
        int, typer.Option(parser=whole, help="How many of the processes evaluate for one run; its trace depends on it.")
    ] = 1,
    on_failure: OnFailure = "record",
    retries: Retries = 0,
    evaluation_limit: EvaluationLimit = None,
) -> None:
    """Compare optimizers on tasks, and write the report. With more tasks, optimizers or seeds, a folder grows."""
    from naslab.registry import parse_list
    from naslab.running.progress_bar import progress

    named = parse_list(optimizers)
    if against is not None:
        given = {
            "--max": maximum, "--paired": paired, "--objectives": objectives, "--device": device != "cpu",
            "--precision": precision != "float32", "--deterministic": deterministic, "--resume": resume,
            "--simulate-workers": simulate_workers > 1, "--workers-per-run": workers_per_run > 1, "--retries": retries,
            "--evaluation-limit": evaluation_limit, "--on-failure": on_failure != "record",
        }  # fmt: skip
        options = {"out": out, "budget": budget, "seeds": seeds, "workers": workers}
        compare_with_library(tasks or [], named, against, given, options)
        return
    if not tasks:
        raise InvalidValue("which tasks? Give at least one; see: naslab list tasks")
    from naslab.running.comparison import compare as run_comparison

    say_idle_limits(tasks, maximum)
    say_idle_placement(tasks, named, device, precision, deterministic)
    say_one_worker(named, max(simulate_workers, workers_per_run))
    say_sources(named)
    with progress("runs") as tick:
        results = run_comparison(
            tasks,
            named,
            budget="100" if budget is None else budget,
            out=out,
            seeds=10 if seeds is None else seeds,
            workers=workers,
            max=maximum,
            paired=paired,
            objectives=parse_list(objectives) if objectives else (),
            device=device,
            precision=precision,
            deterministic=deterministic,
            resume=resume,
            simulate_workers=simulate_workers,
            workers_per_run=workers_per_run,
            on_failure=on_failure,
            retries=retries,
            evaluation_limit=evaluation_limit,
            progress=tick,
        )
    show_report(results)


app.command()(search)


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="The --out folder of: naslab search --csv.")],
    file: Annotated[Path, typer.Argument(help="A CSV file with the columns that were trained on.")],
    out: Annotated[Path | None, typer.Option(help="A new CSV file; by default, predictions are printed.")] = None,
) -> None:
    """Predict for new rows with the network that a search on a table saved. Nothing in the folder is run."""
    import warnings

    from naslab.analysis.formats import to_csv
    from naslab.tabular.model import load_model

    if out is not None and out.exists():
        raise OutputError(f"{out} exists; give a new file as --out")
    model = load_model(folder)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        text = to_csv(model.predict(file))
    scored = model.score(file)  # before anything is written: it may find something wrong with the file
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
    for remark in remarks:
        print(f"Note: {remark.message}", file=sys.stderr)
    if scored is not None:
        value, rows = scored
        print(
            f"{model.objective.metric} on {rows:,} rows: {value:.4g} {model.objective.unit}".rstrip(), file=sys.stderr
        )


@app.command()
def correlate(
    task: Annotated[str, typer.Argument(help="A task id; see: naslab list tasks.", autocompletion=completion.tasks)],
    evaluators: Annotated[
        str, typer.Option(help="Names, comma-separated: synflow,reward[epochs=1],path-kernel[labels=50],one-shot.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the scores and the report; repeat the command to resume.")],
    architectures: Annotated[
        str | None, typer.Option(help="How many to draw at random, or all. By default 1000, or all if there are fewer.")
    ] = None,
    population: Annotated[str, typer.Option(help="all, canonical (one per isomorphism class), no-dead-edges.")] = "all",
    reference: Annotated[str | None, typer.Option(help="Judge by this evaluator instead of the task's truth.")] = None,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes. The scores do not depend on it.")] = 1,
    seed: Annotated[int, typer.Option(parser=whole, help="Seed of the sample, of initial weights and batches.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Folder of CIFAR images, for a task without rows; noise by default.")
    ] = None,
    device: Device = "cpu",
    precision: Precision = "float32",
    deterministic: Deterministic = False,
    figures: Annotated[str, typer.Option(help="Further kinds of figure files: pdf, png, or pdf,png.")] = "",
) -> None:
    """Judge evaluators: how well do their scores order architectures?"""
    from naslab.cli.console import print_frame
    from naslab.correlation.study import correlate as run_correlate
    from naslab.running.progress_bar import progress

    with progress("scores", detail=True) as tick:
        found = run_correlate(
            task, evaluators, architectures, population=population, reference=reference, out=out, workers=workers,
            seed=seed, data=data, device=device, precision=precision, deterministic=deterministic, progress=tick,
        )  # fmt: skip
    written = found.report(out / "report", figures=[kind.strip() for kind in figures.split(",") if kind.strip()])
    for note in found.notes:
        print(note)
    print_frame(found.headline, f"Against {found.label}: {found.population}")
    print(f"\nReport: {written}")


@app.command()
def importance(
    task: Annotated[str, typer.Argument(help="A task of a table; see: naslab list tasks.")],
    out: Annotated[Path | None, typer.Option(help="Folder for a page with a picture of the landscape.")] = None,
) -> None:
    """Which decisions matter: an exact analysis of variance of a task's table, and what was measured."""
    from naslab.cli.console import print_frame
    from naslab.studies.importance import task_study

    found = task_study(task)
    print_frame(found.shown(), f"Which decisions matter on {task}: shares of the variance of its truth")
    print_frame(found.facts, "\nWhat was measured")
    if out is not None:
        print(f"\nReport: {found.report(out)}")


@app.command()
def reproduce(
    name: Annotated[
        str,
        typer.Argument(help="An experiment; see: naslab list experiments.", autocompletion=completion.experiments),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/NAME, or runs/NAME-on-TABLE.")] = None,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes. The results do not depend on it.")] = 1,
    table: Annotated[
        str, typer.Option(help="Run on this stored table instead of the experiment's; results are labelled so.")
    ] = "",
    training_free: Annotated[
        bool, typer.Option("--training-free", help="Also its training-free rows: scores 3,000 cells, 40 CPU minutes.")
    ] = False,
    weight_sharing: Annotated[
        bool, typer.Option("--weight-sharing", help="Also its weight-sharing rows: takes days, needs --data.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder of CIFAR for these rows; training-free rows can do without it.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Reproduce a published table: our numbers beside the published ones."""
    from naslab.cli.console import print_frame
    from naslab.running.progress_bar import progress
    from naslab.studies.nasbench201.rows import CELLS
    from naslab.studies.reproduce import experiment, run_experiment

    found = experiment(name)
    with progress("runs") as tick:
        outcome = run_experiment(
            found,
            out or Path("runs") / (f"{name}-on-{table}" if table else name),
            workers=workers,
            table=table,
            training_free=CELLS if training_free else 0,
            weight_sharing=weight_sharing,
            data=data,
            device=device,
            progress=tick,
        )
    for title, frame in outcome.tables:
        print_frame(frame, title)
    print(f"\nReport: {outcome.report}")


for _command in (report, status, show, merge, export, leaderboard, cite):
    app.command()(_command)

show_examples(app)
