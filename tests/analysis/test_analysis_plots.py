import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from toy_runs import comparison, info

from naslab.analysis import anytime, plots, rank_plots, tables, target_plots, targets, tradeoff
from naslab.analysis import svg as svg_module
from naslab.analysis.labels import spread
from naslab.analysis.style import COLUMN_WIDTH, figure_of, palette, render, wrap
from naslab.analysis.svg import Sheet, axes_of, inline

NAMES = ["random", "regularized-evolution[population=20]", "./file.py:Class"]


@pytest.fixture
def data():
    return comparison([info(optimum=95.0), info("toy/b"), info("toy/c")], NAMES, 6)


def words(ax):
    """All text in the figure, lines joined."""
    figure = figure_of(ax)
    figure.draw_without_rendering()
    return [text.get_text().replace("\n", "") for text in figure.findobj(lambda a: hasattr(a, "get_text")) if text]


def bytes_of(ax):
    return render(figure_of(ax), "svg").decode()


def overlapping(ax):
    """Pairs of texts outside the axes that cover each other."""
    figure_of(ax).draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts if text.get_gid()]  # without its line
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.shrunk(0.9, 0.9).overlaps(b.shrunk(0.9, 0.9))]


def test_anytime_shows_names_units_and_the_optimum(data, rng):
    ax = plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"])
    assert ax.get_xlabel() == "search time (s)"
    assert ax.get_ylabel() == "test accuracy (%)"
    assert ax.get_xlim()[1] == 100
    assert {*NAMES, "optimum", "toy/a"} <= set(words(ax))
    assert [line.get_gid() for line in ax.lines[:3]] == [f"series-{i}-line" for i in range(3)]
    assert not overlapping(ax)
    drawn = ax.lines[1].get_ydata()
    assert np.nanmax(drawn) == pytest.approx(drawn[-1])


def test_anytime_counts_evaluations_on_their_own_axis(rng):
    task = info(budget=10, budget_unit="evaluations", constraint="params <= 41,153")
    ax = plots.plot_anytime(anytime.curves(comparison([task], ["a"], 3), "toy/a", rng), task)
    assert ax.get_xlabel() == "evaluations"
    assert "toy/a, params <= 41,153" in words(ax)


def test_final_draws_every_run(data, rng):
    ax = plots.plot_final(data.runs, tables.final_quality(data, rng), data.tasks["toy/a"])
    points = [line for line in ax.lines if (line.get_gid() or "").endswith("points")]
    assert len(points) == 3
    runs = data.runs.query("optimizer == 'random'")["truth"]
    assert sorted(points[0].get_xdata()) == pytest.approx(sorted(runs))
    assert {wrap(name).replace("\n", "") for name in NAMES} <= set(words(ax))
    assert ax.get_xlabel() == "test accuracy (%)"


def test_final_says_where_there_is_no_result(rng):
    data = comparison([info()], ["a", "b"], 2, infeasible=[("toy/a", "a", 0), ("toy/a", "a", 1)])
    ax = plots.plot_final(data.runs.dropna(subset="truth"), tables.final_quality(data, rng), data.tasks["toy/a"])
    assert "no result" in words(ax)


def test_ecdf_ends_at_the_share_reached(data):
    frame = targets.ecdf(data)
    ax = target_plots.plot_ecdf(frame, "all 3 tasks", "search time (s)")
    assert "all 3 tasks" in words(ax)
    assert [line.get_ydata()[-1] for line in ax.lines] == list(frame.groupby("optimizer", sort=False)["share"].last())


@pytest.mark.parametrize(("cost", "label"), [("params", "parameters"), ("latency_seconds", "latency")])
def test_tradeoff_names_the_cost(data, cost, label):
    ax = plots.plot_tradeoff(tradeoff.points(data, "toy/a", cost), data.tasks["toy/a"], cost)
    assert ax.get_xlabel() == label
    figure_of(ax).draw_without_rendering()
    assert all(("ms" in text.get_text()) == (cost == "latency_seconds") for text in ax.get_xticklabels())
    assert not overlapping(ax)


def test_improvement_and_pairwise_show_the_numbers(data, rng):
    frame = tables.improvement(data, rng)
    ax = rank_plots.plot_improvement(frame)
    ticks = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]
    assert ticks == pytest.approx(frame["P(a > b)"])
    shown = {text.get_text() for text in rank_plots.plot_pairwise(frame).texts}
    for value in frame["P(a > b)"]:
        assert {f"{100 * value:.0f}", f"{100 * (1 - value):.0f}"} <= shown


def test_bold_is_what_holm_leaves(data, rng):
    frame = tables.improvement(data, rng).assign(**{"P(a > b)": [0.9, 0.2, 0.6], "better": ["none shown"] * 3})
    frame[["P(a > b) low", "P(a > b) high"]] = [[0.6, 1], [0, 0.4], [0.55, 0.7]]
    assert {text.get_weight() for text in rank_plots.plot_pairwise(frame).texts} == {"normal"}
    frame.loc[1, "better"] = NAMES[2]
    bold = {text.get_text() for text in rank_plots.plot_pairwise(frame).texts if text.get_weight() == "bold"}
    assert bold == {"20", "80"}


def test_ranks_and_critical_difference(data):
    result = tables.friedman(data)
    ax = rank_plots.plot_critical_difference(result)
    assert f"critical difference {result.critical_difference:.2f}" in words(ax)
    for name, rank in result.ranks.items():
        assert f"{name} {rank:.2f}" in words(ax)
    assert not overlapping(ax)
    ax = rank_plots.plot_ranks(tables.ranks(data, np.random.default_rng(0)))
    bars = [line.get_xdata()[0] for line in ax.lines if (line.get_gid() or "").endswith("average")]
    assert bars == pytest.approx(tables.ranks(data, np.random.default_rng(0))["average rank"])


def test_figures_are_one_column_wide_and_type_is_readable(data, rng):
    ax = plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"])
    assert figure_of(ax).get_size_inches()[0] == pytest.approx(COLUMN_WIDTH, abs=0.2)
    texts = figure_of(ax).findobj(lambda artist: hasattr(artist, "get_fontsize") and artist.get_text())
    assert min(text.get_fontsize() for text in texts) >= 7


def test_figures_leave_pyplot_and_settings_alone(data, rng):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    ax = plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"])
    render(figure_of(ax), "png")
    assert dict(mpl.rcParams) == before


def test_plots_draw_on_given_axes(data, rng):
    frame = anytime.curves(data, "toy/a", rng)
    ax = plots.plot_anytime(frame, data.tasks["toy/a"])
    assert plots.plot_anytime(frame, data.tasks["toy/a"], ax=ax) is ax


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_files_are_the_same_bytes_each_time(data, kind):
    def once():
        return render(figure_of(rank_plots.plot_ranks(tables.ranks(data, np.random.default_rng(0)))), kind)

    assert once() == once()


def test_svg_for_a_page_has_its_own_ids_and_fetches_nothing(data, rng):
    sheet = Sheet()
    svg = bytes_of(plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"]))
    part = inline(svg, sheet.prefix(), 'a "figure"', sheet)
    assert part.startswith('<svg role="img" aria-label="a &quot;figure&quot;"')
    assert "http" not in part
    assert part.count(" id=") == part.count(' id="g1-') > 0
    assert set(re.findall(r"url\(#(.*?)\)", part)) <= set(re.findall(r' id="(.*?)"', part))
    assert 'data-series="1" data-part="line"' in part
    assert "var(--ink)" in sheet.rules
    assert "var(--c1)" in sheet.rules
    assert "#d55e00" not in part + sheet.rules
    assert set(re.findall(r'class="(.*?)"', part)) == set(re.findall(r"\.(f\d+)\{", sheet.rules))
    assert len(part) < len(svg) / 2


def corners(path):
    """Where a path leads, with every step written out."""
    x, y, found = 0.0, 0.0, []
    for letter, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in rest.split()]
        x, y = {"H": [*numbers[:1], y], "V": [x, *numbers[:1]]}.get(letter, numbers[-2:] or (x, y))
        found.append((x, y))
    return found


def test_a_shorter_path_leads_to_the_same_places():
    sheet, steps = Sheet(), "M 0 0 L 5 0 L 9.03 0 L 9.03 4 L 9.03 4 L 12 4 L 11 4 L 11 -2 L 13 7 z"
    part = inline(f'<svg><path d="{steps}"/></svg>', "a", "", sheet)
    assert re.search(r'd="(.*?)"', part)[1] == "M0 0H9.05V4H12H11V-2L13 7z"
    frame, task = np.linspace(0, 40, 50), "M" + " L".join(f"{x:.3f} {np.sin(x):.3f}" for x in np.linspace(0, 40, 50))
    drawn = corners(re.search(r'd="(.*?)"', inline(f'<svg><path d="{task}"/></svg>', "a", "", sheet))[1])
    assert np.abs(np.array(drawn) - np.stack([frame, np.sin(frame)], axis=1)).max() <= 0.031


def test_values_can_be_read_from_a_drawing(data, rng):
    ax = plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"])
    axes = json.loads(axes_of(figure_of(ax)))
    assert axes["x"]["log"]
    assert axes["x"]["name"] == "search time (s)"
    assert (axes["y"]["from"], axes["y"]["to"]) == ax.get_ylim()
    line = re.search(r'<g data-series="2" data-part="line"><path d="(.*?)"', inline(bytes_of(ax), "a", "", Sheet()))[1]
    x, y = corners(line)[-1]
    assert axes["x"]["from"] * (axes["x"]["to"] / axes["x"]["from"]) ** (
        (x - axes["x"]["start"]) / (axes["x"]["end"] - axes["x"]["start"])
    ) == pytest.approx(ax.lines[2].get_xdata()[-1], rel=1e-3)
    height = (y - axes["y"]["start"]) / (axes["y"]["end"] - axes["y"]["start"])
    read = axes["y"]["from"] + height * (axes["y"]["to"] - axes["y"]["from"])
    assert read == pytest.approx(ax.lines[2].get_ydata()[-1], abs=1e-3 * np.ptp(ax.get_ylim()))
    categories = plots.plot_final(data.runs, tables.final_quality(data, rng), data.tasks["toy/a"])
    assert "y" not in json.loads(axes_of(figure_of(categories)))


def luminance(colour):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    high, low = sorted([luminance(a), luminance(b)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_can_be_read_on_light_and_dark_paper():
    css = (Path(svg_module.__file__).parent / "report.css").read_text()
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in css.split("@media screen")[:2]]
    light, dark = schemes[0], schemes[1]
    assert len(dark) == len(light) == 21
    for colours in (light, dark):
        for name in ["ink", "soft", "accent", *(f"t{n}" for n in range(7))]:
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
            assert contrast(colours[name], colours["panel"]) >= 4.5, name
        assert contrast(colours["ink"], colours["mark"]) >= 4.5
    for name, style in palette([f"o{n}" for n in range(7)]).items():
        assert style.words == light[f"t{name[1:]}"]
        assert style.colour == light[f"c{name[1:]}"]


def test_names_are_not_mathematics():
    data = comparison([info()], ["a$x$b", "c$"], 2)
    ax = plots.plot_final(data.runs, tables.final_quality(data, np.random.default_rng(0)), data.tasks["toy/a"])
    assert "a$x$b" in bytes_of(ax)


def test_palette_is_distinct_and_stable():
    styles = palette([f"o{i}" for i in range(28)])
    assert len({(style.colour, str(style.line)) for style in styles.values()}) == 28
    assert styles["o3"] == palette(["o0", "o1", "o2", "o3"])["o3"]
    assert all(to_hex(style.colour) == style.colour for style in styles.values())


def test_wrap_breaks_at_words_and_inside_long_ones():
    assert wrap("random") == "random"
    assert wrap("validation accuracy") == "validation \naccuracy"
    assert wrap("regularized-evolution[population=20]") == "regularized-\nevolution\n[population=20]"
    assert max(map(len, wrap("x" * 50).split("\n"))) <= 18
    assert wrap("a$b") == r"a\$b"


def test_labels_are_moved_apart_as_little_as_possible():
    assert spread([10, 50], [8, 8], 0, 100) == pytest.approx([10, 50])
    assert spread([50, 50], [8, 8], 0, 100) == pytest.approx([46, 54])
    assert spread([2, 3, 99], [8, 8, 8], 0, 100) == pytest.approx([4, 12, 96])
    crowded = spread([5, 5, 5, 5], [8, 8, 8, 8], 0, 100)
    assert np.diff(crowded) == pytest.approx([8, 8, 8])


def test_curves_of_nothing_can_still_be_drawn(rng):
    data = comparison([info()], ["a"], 1, infeasible=[("toy/a", "a", 0)])
    ax = plots.plot_anytime(anytime.curves(data, "toy/a", rng), data.tasks["toy/a"])
    assert isinstance(bytes_of(ax), str)
    assert targets.ecdf(data).empty
