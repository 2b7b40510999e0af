"""What a page consists of: sections, each with sentences, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslab.analysis.style import figure_of


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the page, and the name of its files."""

    name: str
    title: str
    frame: pd.DataFrame
    caption: str
    bold: pd.DataFrame | None = None
    """Which cells are bold, with columns of the frame."""
    fold: str = ""
    """What it is folded away under; empty where it is open."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of the page, and the name of its files."""

    name: str
    title: str
    figure: Figure
    caption: str
    says: str = ""
    """What it shows, for who can't see it; the title by default."""
    fold: str = ""


@dataclass(frozen=True, eq=False)
class Words:
    """Sentences, each a point of a list."""

    sentences: list[str]
    fold: str = ""


@dataclass(eq=False)
class Section:
    """A part of the page under one heading."""

    title: str
    says: list[str] = field(default_factory=list)
    items: list[Table | Picture | Words] = field(default_factory=list)
    fold: str = ""

    @property
    def tables(self) -> list[Table]:
        """Its tables alone."""
        return [item for item in self.items if isinstance(item, Table)]

    def add(
        self, name: str, title: str, frame: pd.DataFrame, caption: str, *, bold: pd.DataFrame | None = None
    ) -> None:
        """Add a table; one without rows has nothing to say and is left out."""
        if len(frame):
            self.items.append(Table(name, title, frame, caption, bold, self.fold))

    def tell(self, sentences: list[str]) -> None:
        """Add sentences in the order of tables and figures; those of :attr:`says` stand before all."""
        self.items.append(Words(sentences, self.fold))

    def draw(self, name: str, title: str, ax: Axes, caption: str, says: str = "") -> None:
        """Add a figure."""
        self.items.append(Picture(name, title, figure_of(ax), caption, says, self.fold))

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is added within is folded away under these words."""
        self.fold = summary
        yield
        self.fold = ""
