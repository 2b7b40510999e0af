"""How the command line reads a number: the command-line library's own way takes ``1_0`` for 10."""

from __future__ import annotations

import typer

from naslab.files import clipped, read_whole


def whole(text: str) -> int:
    """A whole number, for ``typer.Option(parser=whole)``."""
    number = read_whole(str(text))  # a default comes as a number
    if number is None:
        raise typer.BadParameter(f"{clipped(text)} is no whole number.")
    return number
