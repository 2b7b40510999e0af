"""The section of a report on several objectives, and its figure."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from naslab.analysis import front_tables
from naslab.analysis.contents import Section
from naslab.analysis.data import ResultsData, TaskInfo
from naslab.analysis.plots import measure_label
from naslab.analysis.style import Styles, legend_above, literal, new_axes, palette, style


def front_sections(data: ResultsData) -> list[Section]:
    """One section where any task has several objectives; else none."""
    tasks = [info for info in data.tasks.values() if info.objectives]
    if not tasks:
        return []
    section, styles = Section("Several objectives"), palette(data.optimizers)
    section.says += [front_tables.said(data, info) for info in tasks]
    frame = front_tables.summary(data)
    if frame["violations"].isna().all():
        frame = frame.drop(columns="violations")
    section.add(
        "fronts",
        "Fronts that runs return",
        frame,
        "Of each run the evaluated architectures that no other beats in all objectives as told, their scores then "
        "judged by the truth (a metric that evaluations alone tell stays as told): means over n runs with Student's 95 % "
        "interval. Objectives are divided by their range from the reference point to the best there is. Hypervolume: "
        "1 is all of that box. IGD+ and additive epsilon against the front named above, of which only what is better "
        "than the reference point in every objective counts: 0 is all of it. A run without a front counts as the "
        "reference point. Front: architectures in it. Found: share of the points of the front named above. Violations: "
        "share of the evaluations that exceeded a limit.",
    )
    for info in tasks:
        for other in info.objectives[1:]:
            surfaces = front_tables.attained(data, info.id, other)
            if surfaces.empty:
                continue
            section.draw(
                f"attained-{other}-{info.id}",
                f"Attained by runs on {info.id}: {info.metric} and {other}",
                plot_attained(surfaces, info, other, styles=styles),
                "Empirical attainment: what half of an optimizer's runs reach or exceed (line), and the band between "
                "what a quarter and what three quarters do.",
            )
    return [section]


def plot_attained(
    frame: pd.DataFrame, info: TaskInfo, other: str, *, styles: Styles | None = None, ax: Axes | None = None
) -> Axes:
    """Median attainment surfaces with a band from quartile to quartile (`frame`: `front_tables.attained`).

    What is better when higher is drawn from right to left: the left is the better side of every figure.
    """
    styles = styles or palette(frame["optimizer"])
    worse = -info.measure_sign(other)
    values = worse * frame["value"].to_numpy(float)
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low or 1.0)
    floor = float((info.sign * frame["truth"]).min())
    with style():
        ax = ax or new_axes(height=2.5, left=0.55)
        for name, own in frame.groupby("optimizer", sort=False):
            look = styles[str(name)]
            steps = {share: _surface(part, info.sign, worse, floor, low, high + margin) for share, part in _of(own)}
            middle = steps.get(0.5)
            if middle is not None:
                ax.step(
                    worse * middle["value"],
                    info.sign * middle["truth"],
                    where="post",
                    color=look.colour,
                    linestyle=look.line,
                    label=literal(str(name)),
                    gid=look.gid("line"),
                )
            if 0.25 in steps and 0.75 in steps:
                both = steps[0.25].merge(steps[0.75], on="value", how="outer").sort_values("value").ffill()
                ax.fill_between(
                    worse * both["value"],
                    info.sign * both["truth_x"],
                    info.sign * both["truth_y"],
                    step="post",
                    color=look.colour,
                    alpha=min(0.16, 0.6 / len(styles)),
                    linewidth=0,
                    gid=look.gid("band"),
                )
        ax.set_xlim(worse * (low - margin), worse * (high + margin))
        ax.xaxis.set_major_formatter(EngFormatter(unit="s" if other.endswith("_seconds") else "", sep=""))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel(literal(measure_label(other, info)))
        ax.set_ylabel(literal(info.truth_label))
        ax.set_title(literal(f"{info.id}, {info.constraint}" if info.constraint else info.id))
        if len(styles) > 1:
            legend_above(ax)
    return ax


def _of(frame: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    return [(float(str(share)), part) for share, part in frame.groupby("share")]


def _surface(part: pd.DataFrame, sign: int, worse: int, floor: float, start: float, end: float) -> pd.DataFrame:
    """A surface as a step function, ``value`` rising as it gets worse, ``truth`` as it gets better: from the left edge,
    where nothing is attained, to the right one."""
    steps = pd.DataFrame({"value": worse * part["value"], "truth": sign * part["truth"]}).sort_values("value")
    last = steps["truth"].iloc[-1]
    edges = pd.DataFrame({"value": [start, end], "truth": [floor, last]})
    before = edges.iloc[:1] if steps["value"].iloc[0] > start else edges.iloc[:0]
    return pd.concat([before, steps, edges.iloc[1:]], ignore_index=True)
