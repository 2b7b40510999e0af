"""The study of joint search, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from naslab.running.results import Results
from naslab.studies.joint import search
from naslab.studies.reproduce import Study, experiment


@pytest.mark.slow
def test_the_whole_study_made_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OPTIMIZERS": ("random",), "SEEDS": 2, "SECONDS": "4s"}.items():
        monkeypatch.setattr(search, name, value)
    outcome = search.run("A title", "What it is.", tmp_path, workers=1, progress=None)
    ((_, table),) = outcome.tables
    frame = Results(tmp_path).frame
    fixed, joint = (frame[frame["task"] == f"{search.TASK}@{mode}"]["truth"].to_numpy() for mode in ("live", "joint"))
    assert table["gain"].tolist() == pytest.approx([np.mean(joint) - np.mean(fixed)])
    interval = stats.ttest_ind(joint, fixed, equal_var=False).confidence_interval()
    assert table[["gain low", "gain high"]].to_numpy().ravel() == pytest.approx(list(interval))
    assert "What it is." in outcome.report.read_text()
    (kept,) = (tmp_path / "truths").iterdir()
    assert len(kept.read_text().splitlines()) > 1
    before = kept.read_bytes()
    assert Results(tmp_path).frame["truth"].tolist() == frame["truth"].tolist()
    assert kept.read_bytes() == before  # nothing was trained again


def test_it_can_be_reproduced() -> None:
    wanted = experiment("joint-search")
    assert isinstance(wanted, Study)
    assert wanted.study == "naslab.studies.joint.search:run"
