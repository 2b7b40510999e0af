"""Axes of figures."""

from __future__ import annotations

from naslab.analysis.style import log_ticks, new_axes


def test_a_logarithmic_axis_has_ticks_where_something_was_measured_and_labels_where_there_is_room() -> None:
    ax = new_axes()
    ax.plot([1, 2], [1, 2])
    log_ticks(ax, [0.02, 0.05, 0.1, 0.2, 0.4])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.02", "0.05", "0.1", "0.2", "0.4"]
    log_ticks(ax, [1, 1.01, 10_000, 1000])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "1,000", "10,000"]
    assert {*ax.get_xticks(), *ax.get_xticks(minor=True)} == {1, 1.01, 1000, 10_000}
