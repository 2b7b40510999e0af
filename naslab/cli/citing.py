"""``naslab cite``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def cite(
    task: Annotated[str, typer.Argument(help="A task id; by default naslab itself.")] = "",
) -> None:
    """Print BibTeX: of a task's table, space and data, or of naslab itself."""
    from naslab.tasks.citing import citations

    found = citations(task)
    print("\n\n".join(found.values()))
    if task and not found:
        print(
            f"Nothing is recorded for {task}: its table was imported, and says itself where it is from.",
            file=sys.stderr,
        )
