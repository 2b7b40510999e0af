"""``naslab table``: the sub-commands that import and build stored ground truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from naslab.cli.values import whole
from naslab.errors import InvalidValue

table_app = typer.Typer(help="Import stored ground truth, or build it anew.", no_args_is_help=True)


@table_app.command("import")
def import_table(
    name: Annotated[str, typer.Option(help="Name to store the table under; its tasks are NAME/<dataset>.")],
    file: Annotated[Path | None, typer.Argument(help="A CSV, JSON or Parquet file (with --schema).")] = None,
    schema: Annotated[Path | None, typer.Option(help="TOML file that says what the columns are.")] = None,
    nats: Annotated[Path | None, typer.Option(help="Instead of FILE: a folder of official NATS-Bench records.")] = None,
) -> None:
    """Store a table of your own, or the official records, for naslab to use."""
    from naslab.cli.console import progress
    from naslab.tables.from_csv import import_csv
    from naslab.tables.from_nats import import_nats

    if nats is not None and file is None and schema is None:
        with progress("records") as tick:
            table = import_nats(nats, name, progress=lambda done, total: tick(done, total, ""))
    elif nats is None and file is not None and schema is not None:
        table = import_csv(file, schema, name)
    else:
        raise InvalidValue(
            "give either a FILE with --schema SCHEMA.toml (a first one: naslab table schema FILE), or --nats DIR"
        )
    print(f"{len(table):,} architectures stored in {table.path}")
    full = math.prod(table.header.options)
    if len(table) < full:
        print(f"Note: that is not all {full:,} combinations; searches draw from these rows and move between them.")
    if table.isomorphic:
        print(f"Note: {table.isomorphic:,} rows are isomorphic to an earlier row, and agree with it.")
    if table.duplicates:
        print(f"Note: {table.duplicates:,} rows have the numbers of an earlier row: they may share trainings.")
    if table.header.protocol == "test-only":
        print("Note: searches on it are rewarded with test data, and every report says so.")
    for dataset in table.untimed:
        print(f"Note: {dataset!r} has no train_seconds: give budgets in evaluations.")
    for dataset in table.tasks:
        print(f"task {table.name}/{dataset}")


@table_app.command("schema")
def first_schema(
    file: Annotated[Path, typer.Argument(help="A CSV, JSON or Parquet file.")],
) -> None:
    """Print a first schema, guessed from a file's columns: save it, correct it, import with it."""
    from naslab.tables.first_schema import draft_schema

    print(draft_schema(file), end="")


@table_app.command("build")
def build_table(
    name: Annotated[str, typer.Argument(help="A pocket benchmark: pocket-cell/mnist, pocket-mlp/mnist...")],
    workers: Annotated[
        int, typer.Option(parser=whole, help="Processes, one thread each. The results do not depend on it.")
    ] = 1,
    verify: Annotated[
        int | None,
        typer.Option(parser=whole, help="Only rebuild this many random rows of the shipped table, and compare."),
    ] = None,
) -> None:
    """Rebuild a pocket table from scratch: train every architecture. If interrupted, the same command continues."""
    from naslab.cli.console import progress

    with progress("blocks" if verify is None else "rows") as tick:
        if verify is not None:
            from naslab.pocket.verify import verify_table

            outcome = verify_table(name, verify, workers=workers, progress=tick)
        else:
            from naslab.pocket.build import build_table as build

            archive = build(name, workers=workers, progress=tick)
    if verify is None:
        print(f"built: {archive}")
        return
    print(f"{outcome.identical} of {outcome.rows} rows are identical to the shipped table, in every epoch and split.")
    if not outcome.same_machine:
        print(
            "Machine or versions differ from the build's. Test accuracy differs by "
            f"{outcome.difference:.2f} points on average; allowed: {outcome.tolerance:.2f}, "
            "a quarter of what two seeds differ by"
        )
    if not outcome.passed:
        print("NOT reproduced.")
        raise typer.Exit(1)
