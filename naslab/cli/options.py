"""Options that several subcommands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from naslab.cli.values import whole

Budget = Annotated[
    str | None,
    typer.Option(
        help="Of every run: evaluations (default: 100), seconds on the task's clock (12000s), or epochs (50epochs); "
        "with --against the library's."
    ),
]
Limits = Annotated[
    list[str], typer.Option("--max", help="Limit on a cost or a metric, such as params=41153; may be repeated.")
]
Objectives = Annotated[
    str,
    typer.Option(
        help="What is optimised, the score first: score,params. Costs are minimised; else NAME:max or NAME:min."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the traces and the report; repeat the command to resume.")]
Device = Annotated[
    str, typer.Option(help="Where networks run: cpu, cuda, cuda:1, or auto for a GPU where there is one.")
]
Precision = Annotated[str, typer.Option(help="Of training steps: float32, or bfloat16 (mixed precision).")]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Only algorithms of PyTorch's that add in a fixed order.")
]
SimulateWorkers = Annotated[
    int,
    typer.Option(
        parser=whole, help="Workers of every run on a table's recorded clock, as if so many evaluated at a time."
    ),
]
OnFailure = Annotated[
    str, typer.Option(help="record: an evaluation that fails is a result, with its reason. raise: it ends everything.")
]
Retries = Annotated[int, typer.Option(parser=whole, help="How often an evaluation that failed is tried again.")]
EvaluationLimit = Annotated[
    str | None, typer.Option(help="Time after which an evaluation is stopped and counts as failed, such as 60s.")
]
Resume = Annotated[
    str | None,
    typer.Option(
        help="What evaluating a trial more thoroughly does: continue, or scratch. By default what the task can."
    ),
]
