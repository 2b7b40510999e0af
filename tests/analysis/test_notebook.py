"""What notebooks show: every object says what it is, in HTML that is well formed and fetches nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import naslab
from naslab.analysis.notebook import MOST_ROWS, card
from naslab.errors import InvalidValue
from naslab.search_spaces.nasbench201 import nasbench201
from naslab.space import Choice
from naslab.space.plain import PlainSpace
from naslab.tables import find_table


def shown(thing: Any) -> ElementTree.Element:
    html = thing._repr_html_()
    assert "http" not in html
    return ElementTree.fromstring(f"<div>{html}</div>")


def words(element: ElementTree.Element) -> str:
    return " ".join(element.itertext())


def test_a_card_escapes_and_leaves_out_the_end_of_long_tables() -> None:
    frame = pd.DataFrame({"a <b>": [f"<i>{n}" for n in range(MOST_ROWS + 1)], "x": np.arange(MOST_ROWS + 1) / 3})
    root = ElementTree.fromstring(f"<div>{card('T & <U>', {'k&': '<v>'}, [('rows <', frame)])}</div>")
    assert "T & <U>" in words(root)
    assert "k&: <v>" in words(root)
    assert len(root.findall(".//tr")) == 1 + MOST_ROWS
    assert "1 more" in words(root)


@pytest.mark.parametrize("name", ["nasbench201", "mlp", "mobilenetv3"])
def test_a_search_space(name: str) -> None:
    space = naslab.search_space(name)
    root = shown(space)
    assert f"{space.size:,}" in words(root)
    drawn = root.find(".//img")
    assert (drawn is not None) == (name != "mobilenetv3")  # whose graph is too large
    for choice in space.choices[:MOST_ROWS]:
        assert choice.name in words(root)


def test_a_picture_of_an_architecture_leaves_out_what_is_no_operation() -> None:
    space = nasbench201()
    ax = space.draw((0, 1, 0, 3, 0, 4))
    labels = [text.get_text() for text in ax.texts]
    assert sorted(labels) == ["0", "1", "2", "3", "avgpool", "conv-3", "identity"]
    large = naslab.search_space("proxylessnas")
    with pytest.raises(InvalidValue, match="the graph has 26 nodes; graphs of up to 24 are drawn"):
        naslab.SearchSpace.draw(large, large.first)
    plain = PlainSpace([Choice("a", (1, 2))], name="plain")
    with pytest.raises(InvalidValue, match="a picture needs one"):
        plain.draw((0,))
    assert "a" in words(shown(plain))


def test_results_searches_tables_and_correlations(stored_task: str, tmp_path: Path) -> None:
    results = naslab.compare([stored_task], ["random", "local-search"], budget=5, seeds=2, out=tmp_path / "out")
    assert "local-search" in words(shown(results))
    assert results.plot_anytime()._repr_svg_().startswith("<?xml")  # type: ignore[attr-defined]
    found = naslab.search("pocket-cell/mnist", "random", budget=3)
    root = shown(found)
    assert found.name in words(root)
    assert root.find(".//img") is not None
    table = find_table("nasbench201")
    assert table is not None
    assert "15,625" in words(shown(table))
    assert "reward" in words(shown(naslab.correlate("pocket-mlp/segments", ["params", "reward"], 20)))
