"""A figure's SVG adapted to a page with other figures: short, ids of its own, the page's colours, series marked."""

from __future__ import annotations

import json
import re
from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FuncFormatter

from naslab.analysis.style import INK, swatches

_ID = re.compile(r'\bid="([^"]*)"')
_USED = re.compile(r'(?:href="#|url\(#)([^")]*)')
_SERIES = re.compile(r'<g id="series-(\d+)-([a-zA-Z]+)[^"]*"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_MARKS = re.compile(r'<g( clip-path="[^"]*")?>((?:<use [^>]*?/>){2,})</g>')
_STEP = re.compile(r"([A-Za-z])([^A-Za-z]*)")


class Sheet:
    """The page's classes: what figures draw alike is said once.

    Every figure of a page is given the same sheet; :attr:`rules` is the CSS that they need.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._figures = 0

    def prefix(self) -> str:
        """For the ids of the next figure."""
        self._figures += 1
        return f"g{self._figures}"

    def name(self, style: str) -> str:
        """The class of a declaration such as ``fill: none; stroke: #0072b2``."""
        return self._names.setdefault(style, f"f{len(self._names)}")

    @property
    def rules(self) -> str:
        """The CSS."""
        return "".join(f".{name}{{{_page_colours(style)}}}" for style, name in self._names.items())


def axes_of(figure: Figure) -> str:
    """What `report.js` needs to read values from a drawing, as JSON; empty where there is not one pair of axes.

    For ``x`` and ``y``: whether the scale is logarithmic, the values at both ends and where these are in the drawing
    (points, from the upper left), and the axis' name. An axis of names is left out.
    """
    if len(figure.axes) != 1 or figure.axes[0].images:
        return ""
    ax: Axes = figure.axes[0]
    (width, height), box, found = figure.get_size_inches() * 72, ax.get_position(), {}
    for name, axis, limits, ends in (
        ("x", ax.xaxis, ax.get_xlim(), (box.x0 * width, box.x1 * width)),
        ("y", ax.yaxis, ax.get_ylim(), ((1 - box.y0) * height, (1 - box.y1) * height)),
    ):
        log = axis.get_scale() == "log"
        if log or (axis.get_visible() and not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)):
            found[name] = {
                "log": log, "from": float(limits[0]), "to": float(limits[1]), "start": round(float(ends[0]), 2),
                "end": round(float(ends[1]), 2), "name": axis.get_label_text().replace(r"\$", "$"),
            }  # fmt: skip
    return json.dumps(found) if "x" in found else ""


def inline(svg: str, prefix: str, description: str, sheet: Sheet, axes: str = "") -> str:
    """The ``<svg>`` element alone, to paste into HTML.

    Args:
        svg: As matplotlib writes it.
        prefix: Every id starts with it, so that two figures in one page can't refer to each other's parts.
        description: What a reader hears who does not see.
        sheet: Of the page; styles become its classes, colours those of the page, so that they can follow its scheme.
        axes: As :func:`axes_of` gives it.

    Drawings of an optimizer (`Style.gid`) carry its number as ``data-series`` and what they are as ``data-part``.
    Lengths are rounded to a twentieth of a point and steps that lead nowhere left out, which no screen shows.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    # HTML knows these namespaces; without these addresses it is plain that the page fetches nothing.
    body = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    body = _SERIES.sub(r'<g data-series="\1" data-part="\2"', body)
    body = body.replace('<g id="optimum-', '<g data-part="optimum-')
    body = body.replace('<g id="matplotlib.axis_1"', '<g data-axis="x"').replace(
        '<g id="matplotlib.axis_2"', '<g data-axis="y"'
    )
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r'(<path(?: id="[^"]*")?) d="([^"]*)"', lambda found: f'{found[1]} d="{_shorter(found[2])}"', body)
    body = re.sub(r' (x|y)="(-?[\d.]+)"', lambda found: f' {found[1]}="{_short(float(found[2]))}"', body)
    body = re.sub(r' style="([^"]*)"', lambda found: f' class="{sheet.name(found[1])}"', body)
    numbers = {name: f"{prefix}-{number}" for number, name in enumerate(dict.fromkeys(_USED.findall(body)))}
    body = _ID.sub(lambda found: f'id="{numbers[found[1]]}"' if found[1] in numbers else "", body)
    for name, own in numbers.items():
        body = body.replace(f'"#{name}"', f'"#{own}"').replace(f"url(#{name})", f"url(#{own})")
    body = re.sub(r">\s+<", "><", re.sub(r"\s+(?=/?>)", "", body))
    body = re.sub(r"<g>((?:<text[^>]*>[^<]*</text>|<path[^>]*/>)?)</g>", r"\1", body)
    body = _MARKS.sub(_one_class, body)
    data = f' data-axes="{escape(axes)}"' if axes else ""
    label = f'<svg role="img" aria-label="{escape(description)}"{data}'
    return body.replace("<svg", label, 1).strip()


def _one_class(found: re.Match[str]) -> str:
    """Marks that look alike say so once."""
    classes = set(re.findall(r' class="([^"]*)"', found[2]))
    if len(classes) != 1:
        return found[0]
    return f'<g{found[1] or ""} class="{classes.pop()}">' + re.sub(r' class="[^"]*"', "", found[2]) + "</g>"


def _page_colours(style: str) -> str:
    """Colours as variables of the page; without what is so by default."""
    for colour, variable in swatches().items():
        style = style.replace(colour, f"var(--{variable})")
    style = style.replace(INK, "var(--ink)").replace("'DejaVu Sans'", "var(--type)")
    return re.sub(r"\s*([:;])\s*", r"\1", style)


def _shorter(path: str) -> str:
    """The same path: points that add nothing are left out, horizontal and vertical steps are written as such."""
    steps: list[tuple[str, list[float]]] = []
    for letter, rest in _STEP.findall(path):
        steps.append((letter, [round(float(number), 2) for number in _NUMBER.findall(rest)]))
    found: list[str] = []
    x = y = before = 0.0
    last = ""
    for letter, numbers in steps:
        way = letter
        if letter == "L":
            way = "H" if numbers[1] == y else "V" if numbers[0] == x else "L"
            if numbers == [x, y]:
                continue
        if way in "HV" and way == last and (before > 0) == (numbers["HV".index(way)] > (x, y)["HV".index(way)]):
            found.pop()
        if way in "HV":
            before = numbers["HV".index(way)] - (x, y)["HV".index(way)]
        shown = {"H": numbers[:1], "V": numbers[1:]}.get(way, numbers)
        found.append(way + " ".join(map(_short, shown)))
        if numbers:
            x, y = numbers[-2:]
        last = way
    return "".join(found)


def _short(length: float) -> str:
    text = f"{round(length * 20) / 20:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
