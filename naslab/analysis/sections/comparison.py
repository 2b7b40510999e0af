"""All sections of a comparison's report, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from naslab.analysis.contents import Section, Table
from naslab.analysis.data import ResultsData
from naslab.analysis.paper import finding, statistics
from naslab.analysis.sections.costs import costs
from naslab.analysis.sections.final import final
from naslab.analysis.sections.fronts import front_sections
from naslab.analysis.sections.over_time import over_time
from naslab.analysis.sections.pairs import significance
from naslab.analysis.sections.runs import practice_section, runs_section


@dataclass(frozen=True, eq=False)
class Content:
    """What a report says."""

    finding: str
    """What was found and how sure it is, in a sentence."""
    sections: list[Section]


def content(
    data: ResultsData,
    seed: int,
    extra_tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
    command: str = "",
    environment: Mapping[str, str] | None = None,
) -> Content:
    """The report on these runs; arguments as :func:`naslab.analysis.report.write_report`.

    Every table draws its resamples afresh from ``seed``, so that it is the same here and anywhere else.
    """
    found = statistics(data, seed)
    made = [final(data, found, seed)]
    if extra_tables:
        made.append(Section("Further tables"))
        for number, (title, frame, caption) in enumerate(extra_tables, start=1):
            made[-1].items.append(Table(f"further-{number}-{title}", title, frame, caption))
    made += [over_time(data, seed), significance(data, found), costs(data), *front_sections(data)]
    made += [practice_section(data, command, environment or {}), runs_section(data)]
    return Content(finding(data, found), made)
