"""How figures look: column width, type of 7 points and more, colours that the colour-blind can tell apart."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4  # inches: a column of a two-column page
INK = "#1b1f24"

# Okabe & Ito 2008 without yellow and black, which vanish on white and on dark paper; a grey in their place.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
# The same hues for words, dark enough to be read on white: a contrast of 4.5 and more (WCAG 2.2, 1.4.3).
_WORDS = ("#0069a5", "#b34f00", "#00785a", "#9e4a7d", "#8a5f00", "#1a6f9f", "#666666")
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.titley": 1.0,  # given, it is not looked for, which takes a tenth of drawing a figure
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "axes.unicode_minus": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.hashsalt": "naslab",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Style:
    """How one optimizer is drawn in every figure."""

    number: int
    colour: str
    line: Any
    marker: str
    words: str
    """The colour of its name."""

    def gid(self, part: str) -> str:
        """The SVG id of a part of this optimizer's drawing: ``series-3-label``."""
        return f"series-{self.number}-{part}"


_within: list[bool] = []
Styles: TypeAlias = Mapping[str, Style]


def palette(names: Iterable[str]) -> dict[str, Style]:
    """Name -> style, in the order given; 28 combinations of colour and line before one repeats."""
    return {
        name: Style(
            number,
            _COLOURS[number % len(_COLOURS)],
            _LINES[number % len(_LINES)],
            _MARKERS[number % len(_MARKERS)],
            _WORDS[number % len(_WORDS)],
        )
        for number, name in enumerate(dict.fromkeys(names))
    }


def swatches() -> dict[str, str]:
    """Colour -> the name that a page has for it: ``c0``... for what is drawn, ``t0``... for names."""
    return {colour: f"{kind}{n}" for kind, each in (("c", _COLOURS), ("t", _WORDS)) for n, colour in enumerate(each)}


@contextmanager
def style() -> Iterator[None]:
    """Within it, figures are drawn and saved in naslab's style, whatever the user's ``matplotlibrc`` says."""
    if _within:  # setting three hundred settings takes as long as drawing an axis
        yield
        return
    with mpl.rc_context():
        mpl.rcdefaults()  # text.usetex needs LaTeX; other settings would give other figures on every machine
        mpl.rcParams.update(_SETTINGS)
        _within.append(True)
        try:
            yield
        finally:
            _within.pop()


class ShownAxes(Axes):
    """Axes that a notebook shows: pyplot, which would do that, does not know their figure."""

    def _repr_svg_(self) -> str:
        return render(figure_of(self), "svg").decode()


def new_axes(
    width: float = COLUMN_WIDTH,
    height: float = 2.3,
    *,
    left: float = 0.5,
    right: float = 0.1,
    top: float = 0.25,
    bottom: float = 0.4,
) -> Axes:
    """Axes alone in a new figure that pyplot does not know of. All lengths in inches."""
    figure = Figure(figsize=(width, height))
    box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    return figure.add_axes(box, axes_class=ShownAxes)


def legend_above(ax: Axes) -> None:
    """The legend over the axes, where no curve is; the figure grows by its height."""
    figure, names = figure_of(ax), ax.get_legend_handles_labels()[1]
    columns = 3 if max(map(len, names), default=0) < 15 else 2
    rows = -(-len(names) // columns)
    (width, height), box, extra = figure.get_size_inches(), ax.get_position(), 0.14 * rows
    figure.set_size_inches(width, height + extra)
    ax.set_position((box.x0, box.y0 * height / (height + extra), box.width, box.height * height / (height + extra)))
    ax.legend(
        frameon=False, fontsize=6, ncols=columns, loc="lower left", bbox_to_anchor=(-0.12, 1), borderpad=0,
        columnspacing=1.0, handlelength=2.2,
    )  # fmt: skip


def log_ticks(ax: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis with a tick at each value that was measured, where labels have room, and at no other."""
    ax.set_xscale("log")
    measured = sorted({float(value) for value in values})
    room = (measured[-1] / measured[0]) ** 0.09 if len(measured) > 1 else 1.0
    shown: list[float] = []
    for value in measured:
        if not shown or value > shown[-1] * room:
            shown.append(value)
    ax.set_xticks(shown, [f"{value:,.6g}" for value in shown])
    ax.set_xticks(measured, minor=True, labels=[])


def figure_of(ax: Axes) -> Figure:
    """The figure that the axes are in."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def literal(text: str) -> str:
    """The text for matplotlib with ``$`` escaped, so that it is not read as mathematics."""
    return text.replace("$", r"\$")


def wrap(name: str, width: int = 18) -> str:
    """A long name on several lines, broken where words of a name end (space, ``-``, ``[``, ``,``, ``/``, ``:``), and
    inside a word that is longer than a line."""
    lines = [""]
    words = re.split(r"(?<=[-,/: ])|(?=\[)", name)
    for part in (word[start : start + width] for word in words for start in range(0, len(word), width)):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return literal("\n".join(lines))


def render(figure: Figure, kind: str) -> bytes:
    """The figure as ``"svg"``, ``"pdf"`` or ``"png"`` (300 dpi): the same bytes for the same figure."""
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    buffer = io.BytesIO()
    with style():
        figure.savefig(
            buffer,
            format=kind,
            dpi=300,
            metadata=undated[kind],
            facecolor="none" if kind == "svg" else "white",
        )
    return buffer.getvalue()
