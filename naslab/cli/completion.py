"""What a shell may complete: names of tasks, optimizers and experiments."""

from __future__ import annotations


def tasks(incomplete: str) -> list[str]:
    """Task ids that begin so."""
    return [name for name in _names("tasks") if name.startswith(incomplete)]


def optimizers(incomplete: str) -> list[str]:
    """Lists of optimizers whose last name begins so."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in _names("optimizers") if name.startswith(last)]


def experiments(incomplete: str) -> list[str]:
    """Experiments that begin so."""
    return [name for name in _names("experiments") if name.startswith(incomplete)]


def _names(kind: str) -> list[str]:
    from naslab.cli import listing

    return [row[1] for row in listing.rows(kind)]
