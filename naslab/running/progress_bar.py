"""How far something is: a bar on a terminal, plain lines elsewhere (in a notebook, too)."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress(unit: str, *, detail: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A function to call with what is done, the total, and what was done last; ``detail`` prints that on every line."""
    if sys.stderr.isatty():
        with _bar(unit) as tick:
            yield tick
    else:
        yield _lines(unit, detail)


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}  left"),
        TimeRemainingColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.description}", markup=False), console=Console(stderr=True)) as bar:
        shown = bar.add_task("", total=None)

        def tick(done: int, total: int, last: str) -> None:
            if done < bar.tasks[0].completed:
                bar.reset(shown, total=total)  # the next of several parts: pace is measured anew
            bar.update(shown, completed=done, total=total, description=last)

        yield tick


def _lines(unit: str, detail: bool) -> Callable[[int, int, str], None]:
    start, already, before = 0.0, 0, math.inf
    last_line = time.monotonic()

    def tick(done: int, total: int, last: str) -> None:
        nonlocal start, already, before, last_line
        now = time.monotonic()
        if done < before:  # the first call, or the next of several parts: pace is measured anew
            start, already = now, done
        before = done
        if done < total and now - last_line < SECONDS_BETWEEN_LINES:
            return
        last_line = now
        left = (now - start) / (done - already) * (total - done) if done > already else 0.0
        said = f"; {last}" if detail and last else ""
        print(f"{done}/{total} {unit}, {left:.0f} s left{said}", file=sys.stderr, flush=True)

    return tick
