"""The sub-command that runs one search, on a task or on a table of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from naslab.cli import completion
from naslab.cli.notes import say_idle_limits, say_idle_placement, say_one_worker, say_sources, written_placement
from naslab.cli.options import (
    Deterministic,
    Device,
    EvaluationLimit,
    Limits,
    Objectives,
    OnFailure,
    Precision,
    Resume,
    Retries,
    SimulateWorkers,
)
from naslab.cli.values import whole
from naslab.errors import InvalidValue
from naslab.files import read_whole

_MOST_COLUMNS = 50


def search(
    optimizer: Annotated[
        str,
        typer.Option(
            help="NAME or NAME[key=value,...]; see: naslab list optimizers [NAME].",
            autocompletion=completion.optimizers,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the trace; with --csv for all results.")],
    task: Annotated[
        str,
        typer.Argument(
            help="A task id; see: naslab list tasks. Leave it out with --csv.", autocompletion=completion.tasks
        ),
    ] = "",
    budget: Annotated[
        str | None,
        typer.Option(help="Evaluations (100), 50epochs or 12000s. Default: 100, all epochs, or 3,000 with --csv."),
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole, help="Seed of the run; with --csv also of the split.")] = 0,
    maximum: Limits = [],  # noqa: B006
    objectives: Objectives = "",
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
        if data is not None or objectives:
            raise InvalidValue(f"--{'data' if data else 'objectives'} is for a TASK, not for a table, --csv")
        if asked := written_placement(device, precision, deterministic):
            raise InvalidValue(f"{asked[0]} is for a TASK; tables, --csv, are searched on the CPU, in float32")
        _search_csv(csv, out, {**given, "optimizer": optimizer, "max": maximum, "budget": budget, "seed": seed})
        return
    if given:
        raise InvalidValue(
            f"--{next(name for name in own if own[name] is not None)} is for a table, --csv; not for a TASK"
        )
    from naslab.optimizers import optimizer_spec
    from naslab.registry import parse_list
    from naslab.running import default_budget, trace_path
    from naslab.running import search as run_search
    from naslab.running.progress_bar import progress

    say_idle_limits([task], maximum)
    say_idle_placement([task], [optimizer], device, precision, deterministic)
    say_one_worker([optimizer], max(simulate_workers, workers))
    say_sources([optimizer])
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
            objectives=parse_list(objectives) if objectives else (),
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
    if objectives:
        for member in result.front():
            print(
                f"front:  {', '.join(f'{name} {value:,.6g}' for name, value in member.values.items())}  {member.name}"
            )


def _search_csv(csv: Path, out: Path, options: dict[str, Any]) -> None:
    from naslab.cli.console import print_frame
    from naslab.running import check_folder
    from naslab.running.progress_bar import progress
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
