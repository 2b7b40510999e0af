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
    file: Annotated[
        Path | None, typer.Argument(help="A CSV, JSON or Parquet file (with --schema), or an official one (--format).")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="TOML file that says what the columns are.")] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Whose official file it is: nasbench101, nasbench1shot1-1 (-2, -3), nats, transnas-micro, "
            "transnas-macro, nasbench-macro.",
        ),
    ] = None,
    nats: Annotated[Path | None, typer.Option(help="A folder of NATS-Bench records: as DIR --format nats.")] = None,
) -> None:
    """Store a table of your own, or an official file, for naslab to use."""
    from naslab.running.progress_bar import progress
    from naslab.tables.from_csv import import_csv
    from naslab.tables.importers.catalogue import importer

    if nats is not None and file is None and form is None:
        file, form = nats, "nats"
    elif nats is not None:
        file = None
    if file is not None and schema is not None and form is None:
        table = import_csv(file, schema, name)
    elif file is not None and form is not None and schema is None:
        read = importer(form)
        with progress("records" if form == "nats" else "bytes") as tick:
            table = read(file, name, lambda done, total: tick(done, total, ""))
    else:
        raise InvalidValue(
            "give either a FILE with --schema SCHEMA.toml (a first one: naslab table schema FILE), an official FILE "
            "with --format, or --nats DIR"
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
        lacking = len(table) - int(table.known(dataset).sum())
        without = f" (without {lacking:,} that lack a reward, a truth or seconds)" if lacking else ""
        print(f"task {table.name}/{dataset}{without}")


@table_app.command("join")
def join_columns(
    table: Annotated[str, typer.Argument(help="A stored table.")],
    file: Annotated[
        Path, typer.Argument(help="A CSV, JSON or Parquet file (--schema), or an official one (--format).")
    ],
    schema: Annotated[Path | None, typer.Option(help="As for an import, without tasks.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Whose official file it is: hw-nas-bench, nas-bench-suite-zero.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="A name for the new table; by default it takes TABLE's place.")
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Keep only the architectures for which every joined number is there.")
    ] = False,
) -> None:
    """Join further columns to a table by architecture: costs of devices, stored scores. It becomes a new version."""
    from naslab.tables import find_table
    from naslab.tables.importers.catalogue import addition
    from naslab.tables.joining import join, read_addition

    if (schema is None) == (form is None):
        raise InvalidValue(
            "give either --schema SCHEMA.toml, or --format FORMAT of an official file. "
            "A first schema: naslab table schema FILE"
        )
    found = find_table(table)
    added = read_addition(found, file, schema) if schema is not None else addition(str(form), found, file)
    done = join(found, added, name, complete=complete)
    print(f"{done.partners:,} of {done.rows:,} architectures have a partner in {file}")
    if done.strangers:
        print(f"Note: {done.strangers:,} of its rows are about architectures that {table!r} lacks; they are left out.")
    if len(done.table) < done.rows:
        print(f"Note: {len(done.table):,} architectures have every number; the others were left out.")
    elif done.partners < done.rows:
        print("Note: the others have missing values; --complete would leave them out.")
    print(f"{len(added.recorded.columns):,} columns joined, stored in {done.table.path}")
    if done.table.name == found.name:
        print("Note: it is a new version: folders of runs made on the older one are not continued on it.")


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
    from naslab.running.progress_bar import progress

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
