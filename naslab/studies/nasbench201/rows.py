"""Rows of a published table that a comparison can't make: what an experiment file says of them, and their results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from pydantic import BaseModel, ConfigDict

CELLS = 3000
"""Architectures that are scored for the training-free rows of a table."""


class TrainingFree(BaseModel):
    """Which rows of a published table of searches are training-free, in an experiment file.

    Attributes:
        naswot: Row -> N, the number of random architectures whose best score decides.
        optimal: Row -> N, where their best validation accuracy decides.
        random: The row of one random architecture.
        area: The row of assisted regularized evolution.
        runs: Runs of every row.
        area_runs: Runs of AREA as published; it is run as often as the others, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    naswot: dict[str, int]
    optimal: dict[str, int]
    random: str
    area: str
    runs: int
    area_runs: int


class WeightSharing(BaseModel):
    """Which rows of a published table of searches share weights, in an experiment file.

    Attributes:
        task: Whose space is searched; the images come from a folder.
        rows: Published row -> optimizer.
        seeds: Runs of every row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    rows: dict[str, str]
    seeds: int


@dataclass(frozen=True)
class Picks:
    """What the runs of one row of a published table of searches picked, however that was found.

    Attributes:
        published: The published row that they stand beside.
        label: The name of the row.
        rows: Dataset -> for each run the row of the table of trainings that it picked, as judged there.
        seen: Architectures that a run looked at without training them.
        independent: At least how many independent runs these are worth, where they share what they look at.
    """

    published: str
    label: str
    rows: Mapping[str, Sequence[int]]
    seen: int = 0
    independent: float = math.inf


@dataclass(frozen=True)
class Further:
    """Rows that a comparison can't make.

    Attributes:
        picks: What was picked.
        notes: Sentences for the top of the page: how it was picked.
        tables: Title, frame and caption of further tables.
    """

    picks: Sequence[Picks]
    notes: Sequence[str]
    tables: Sequence[tuple[str, pd.DataFrame, str]]
