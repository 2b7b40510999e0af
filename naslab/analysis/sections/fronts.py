"""The section of a report on several objectives."""

from __future__ import annotations

from naslab.analysis import front_tables, plots
from naslab.analysis.contents import Section
from naslab.analysis.data import ResultsData
from naslab.analysis.style import palette


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
        "judged by the truth (a metric that evaluations alone tell stays as told): means over n runs with Student's 95 "
        "% interval. Objectives are divided by their range from the reference point to the best there is. Hypervolume: "
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
                plots.plot_attained(surfaces, info, other, styles=styles),
                "Empirical attainment: what half of an optimizer's runs reach or exceed (line), and the band between "
                "what a quarter and what three quarters do.",
            )
    return [section]
