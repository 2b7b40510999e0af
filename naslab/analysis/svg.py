"""A figure's SVG adapted to a page with other figures: ids of its own, the page's ink, series marked."""

from __future__ import annotations

import re
from html import escape

from naslab.analysis.style import INK

_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)')


def inline(svg: str, prefix: str, description: str) -> str:
    """The ``<svg>`` element alone, to paste into HTML.

    Every id starts with `prefix`, so that two figures in one page can't refer to each other's parts; drawings
    of an optimizer (`Style.gid`) carry its number as ``data-series``; ink follows the page's ``--ink``.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # HTML knows these namespaces; without these addresses it is plain that the page fetches nothing.
    body = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r'<g id="series-(\d+)-[^"]*"', r'<g data-series="\1"', body)
    body = _REFERENCE.sub(rf"\g<1>{prefix}-", body)
    body = body.replace(INK, "var(--ink)").replace("'DejaVu Sans'", "var(--type)")
    label = f'<svg role="img" aria-label="{escape(description)}"'
    return body.replace("<svg", label, 1).strip()
