"""The subcommands: each is a few lines over the Python interface, imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import naslab
from naslab.cli.folders import export, merge, report, show_report
from naslab.cli.notes import say_idle_limits, say_idle_placement, say_one_worker, written_placement
from naslab.cli.options import (
    Budget,
    Deterministic,
    Device,
    EvaluationLimit,
    Limits,
    OnFailure,
    Out,
    Precision,
    Resume,
    Retries,
    SimulateWorkers,
)
from naslab.cli.tables import table_app
from naslab.cli.values import whole
from naslab.errors import InvalidValue, OutputError
from naslab.files import read_whole

app = typer.Typer(
    name="naslab",
    help="Compare neural architecture search strategies fairly: one loop, one clock, honest statistics.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(table_app, name="table")
for command in (report, merge, export):
    app.command()(command)

_MOST_COLUMNS = 50


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

    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "name", "what it is", "provider"):
        table.add_column(heading, overflow="fold")
    for row in listing.rows(kind):
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


@app.command()
def compare(
    tasks: Annotated[list[str], typer.Argument(help="Task ids; see: naslab list tasks.")],
    optimizers: Annotated[
        str, typer.Option(help="Names, comma-separated: random,regularized-evolution[population=20].")
    ],
    out: Out,
    budget: Budget = "100",
    seeds: Annotated[int, typer.Option(parser=whole, help="Runs of every optimizer on every task.")] = 10,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes. The results do not depend on it.")] = 1,
    maximum: Limits = [],  # noqa: B006
    paired: Annotated[
        bool, typer.Option("--paired", help="Runs of one seed begin with the same random numbers; tests take pairs.")
    ] = False,
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
    from naslab.cli.console import progress
    from naslab.registry import parse_list
    from naslab.running.comparison import compare as run_comparison

    named = parse_list(optimizers)
    say_idle_limits(tasks, maximum)
    say_idle_placement(tasks, named, device, precision, deterministic)
    say_one_worker(named, max(simulate_workers, workers_per_run))
    with progress("runs") as tick:
        results = run_comparison(
            tasks,
            named,
            budget=budget,
            out=out,
            seeds=seeds,
            workers=workers,
            max=maximum,
            paired=paired,
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


@app.command()
def search(
    optimizer: Annotated[str, typer.Option(help="NAME or NAME[key=value,...]; see: naslab list optimizers [NAME].")],
    out: Annotated[Path, typer.Option(help="Folder for the trace; with --csv for all results.")],
    task: Annotated[str, typer.Argument(help="A task id; see: naslab list tasks. Leave it out with --csv.")] = "",
    budget: Annotated[
        str | None,
        typer.Option(help="Evaluations (100), 50epochs or 12000s. Default: 100, all epochs, or 3,000 with --csv."),
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole, help="Seed of the run; with --csv also of the split.")] = 0,
    maximum: Limits = [],  # noqa: B006
    csv: Annotated[Path | None, typer.Option(help="A table of your own: a CSV file with a header.")] = None,
    target: Annotated[str | None, typer.Option(help="With --csv: the column to predict.")] = None,
    space: Annotated[str | None, typer.Option(help="With --csv: the search space, mlp.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="With --csv: classification or regression; by default guessed from the target.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="With --csv: accuracy, balanced-accuracy, roc-auc, log-loss; or r2, rmse, mae."),
    ] = None,
    class_weights: Annotated[str | None, typer.Option(help="With --csv: none, or balanced.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Images to train on, for tasks of NAS-Bench-201: a folder of CIFAR.")
    ] = None,
    depth: Annotated[int | None, typer.Option(parser=whole, help="With --csv: hidden layers, 3 by default.")] = None,
    widths: Annotated[
        str | None,
        typer.Option(help="With --csv: widths to choose from, such as 8,16,32; by default by the table's size."),
    ] = None,
    drop: Annotated[list[str], typer.Option(help="With --csv: a column to leave out; may be repeated.")] = [],  # noqa: B006
    types: Annotated[
        list[str],
        typer.Option(help="With --csv: COLUMN=numeric, COLUMN=categorical or COLUMN=date; may be repeated."),
    ] = [],  # noqa: B006
    coerce: Annotated[
        bool, typer.Option("--coerce", help="With --csv: what does not fit its column counts as missing.")
    ] = False,
    device: Device = "cpu",
    precision: Precision = "float32",
    deterministic: Deterministic = False,
    resume: Resume = None,
    simulate_workers: SimulateWorkers = 1,
    workers: Annotated[int, typer.Option(parser=whole, help="Processes that evaluate at the same time.")] = 1,
    on_failure: OnFailure = "record",
    retries: Retries = 0,
    evaluation_limit: EvaluationLimit = None,
) -> None:
    """Run one search, on a task or on a table of your own, and print what it found."""
    own = {
        "target": target, "space": space, "kind": kind, "metric": metric, "class-weights": class_weights,
        "depth": depth, "widths": widths, "drop": drop or None, "types": types or None, "coerce": coerce or None,
    }  # fmt: skip
    given = {name.replace("-", "_"): value for name, value in own.items() if value is not None}
    if (csv is None) == (not task):
        raise InvalidValue(
            "give either a TASK (see: naslab list tasks) or a table of your own: --csv FILE --target NAME"
        )
    if csv is not None:
        if target is None:
            raise InvalidValue(f"which column of {csv} is to be predicted? Give --target NAME")
        if data is not None:
            raise InvalidValue("--data is for a TASK, not for a table, --csv")
        if asked := written_placement(device, precision, deterministic):
            raise InvalidValue(f"{asked[0]} is for a TASK; tables, --csv, are searched on the CPU, in float32")
        _search_csv(csv, out, {**given, "optimizer": optimizer, "max": maximum, "budget": budget, "seed": seed})
        return
    if given:
        raise InvalidValue(
            f"--{next(name for name in own if own[name] is not None)} is for a table, --csv; not for a TASK"
        )
    from naslab.cli.console import progress
    from naslab.optimizers import optimizer_spec
    from naslab.running import default_budget, trace_path
    from naslab.running import search as run_search

    say_idle_limits([task], maximum)
    say_idle_placement([task], [optimizer], device, precision, deterministic)
    say_one_worker([optimizer], max(simulate_workers, workers))
    spec = optimizer_spec(optimizer)
    budget = budget or default_budget(spec)
    searched: Any = task
    if data is not None:
        from naslab.tasks import task as task_of
        from naslab.tasks.images import with_images

        searched = with_images(task_of(task), data)
    with progress("s" if budget.strip().endswith("s") and spec.unit != "epochs" else spec.unit, detail=True) as tick:
        result = run_search(
            searched, optimizer, budget=budget, seed=seed, max=maximum, out=out, device=device, precision=precision,
            deterministic=deterministic, resume=resume, simulate_workers=simulate_workers, workers=workers,
            on_failure=on_failure, retries=retries, evaluation_limit=evaluation_limit, progress=tick,
        )  # fmt: skip
    end = result.trace.end
    assert end is not None
    planned = spec.describe()["hyperparameters"]["epochs"] if spec.unit == "epochs" else float("inf")
    early = ", ended by itself" if end["reason"] != "budget" and end["evaluations"] < planned else ""
    print(f"{end['evaluations']} {spec.unit}{early}, trace: {trace_path(out, result.task, optimizer, seed)}")
    if result.failed:
        why = end.get("failed") or next((step.evaluation.failed for step in reversed(result.trace.steps)), "")
        print(f"The search failed: {why or 'no evaluation gave a finite score'}.")
        raise typer.Exit(1)
    if result.architecture is None:
        print("No feasible architecture was found.")
    else:
        print(f"found:  {result.name}")
        if spec.unit == "evaluations":
            print("reward: never evaluated" if result.score is None else f"reward: {result.score:.6g}")
        elif result.score is not None:
            print(f"with the shared weights: {result.score:.6g} % of the validation rows")
        print(f"truth:  {result.truth:.6g} {result.unit} {result.metric}")


def _search_csv(csv: Path, out: Path, options: dict[str, Any]) -> None:
    from naslab.cli.console import print_frame, progress
    from naslab.running import check_folder
    from naslab.tabular.plan import plan_search
    from naslab.tabular.search import SPEC, run_search

    if "widths" in options:
        widths = [read_whole(width) for width in options["widths"].split(",")]
        if None in widths:
            raise InvalidValue(f"widths {options['widths']!r}: give whole numbers such as 8,16,32")
        options["widths"] = widths
    types = [text.rpartition("=") for text in options.get("types", ())]
    for name, sign, kind in types:
        if not (name and sign and kind):
            raise InvalidValue(f"types {name + sign + kind!r}: give COLUMN=TYPE such as postcode=categorical")
    if types:
        options["types"] = {name: kind for name, _, kind in types}
    plan = plan_search(csv, **options)
    check_folder(out, plan.settings, SPEC, "search")
    shown = plan.columns.head(_MOST_COLUMNS)
    more = (
        f" (the first {len(shown)} of {len(plan.columns):,}; the report has all)"
        if len(shown) < len(plan.columns)
        else ""
    )
    print_frame(shown, f"Columns of {csv.name}{more}")
    print(flush=True)
    for sentence in plan.says:
        print(sentence, flush=True)
    with progress("steps") as tick:
        result = run_search(plan, out, tick)
    print_frame(result.frame, f"\nScores: {result.scores}")
    print(f"\nReport: {out / 'report' / 'report.html'}\nPredict: naslab predict {out} NEW.csv")


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
    task: Annotated[str, typer.Argument(help="A task id; see: naslab list tasks.")],
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
) -> None:
    """Judge evaluators: how well do their scores order architectures?"""
    from naslab.cli.console import print_frame, progress
    from naslab.correlation.study import correlate as run_correlate

    with progress("scores", detail=True) as tick:
        found = run_correlate(
            task, evaluators, architectures, population=population, reference=reference, out=out, workers=workers,
            seed=seed, data=data, device=device, precision=precision, deterministic=deterministic, progress=tick,
        )  # fmt: skip
    kept = ("evaluator", "Spearman", "Kendall tau-b", "tau in top 10%", "precision at 10%", "regret")
    idle = [name for name in ("not finite", "tied pairs") if not found.counts[name].any()]
    shown = [c for c in found.summary.columns if c.startswith(kept) or c in found.counts.columns]
    written = found.report(out / "report")
    for note in found.notes:
        print(note)
    print_frame(found.summary[shown].drop(columns=idle), f"Against {found.label}: {found.population}")
    print(f"\nReport: {written}")


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="An experiment; see: naslab list experiments.")],
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
    from naslab.cli.console import print_frame, progress
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
