"""Two finished searches, made once: on classes and on a number."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from own_tables import QUICK, write_table

import naslab


@pytest.fixture(scope="session", autouse=True)
def short_trainings() -> Iterator[None]:
    """A tenth of the steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naslab.tabular.defaults.STEPS", 300)
        yield


@pytest.fixture(scope="session")
def classified(tmp_path_factory: pytest.TempPathFactory) -> naslab.OwnResult:
    folder = tmp_path_factory.mktemp("classified")
    table = write_table(folder / "table.csv")
    return naslab.search_csv(table, "target", out=folder / "out", max={"params": 60}, **QUICK)


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> naslab.OwnResult:
    folder = tmp_path_factory.mktemp("measured")
    table = write_table(folder / "table.csv", kind="regression")
    options = {**QUICK, "depth": 1, "widths": (4, 8), "max": {"params": 500}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("naslab.tabular.defaults.STEPS", 3000)
        return naslab.search_csv(table, "target", out=folder / "out", metric="rmse", optimizer="random", **options)
