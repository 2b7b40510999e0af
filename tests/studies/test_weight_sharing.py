"""The weight-sharing rows of NAS-Bench-201's table, end to end on a stand-in of CIFAR-10's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cifar_files import stand_in

import naslab
from naslab.errors import InvalidValue
from naslab.optimizers.spec import optimizer_spec
from naslab.reproduce import Experiment, experiment, run_experiment
from naslab.studies.weight_sharing import further_rows
from naslab.tables.store import find_table

ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def search_experiment() -> Experiment:
    found = experiment("nasbench201-search")
    assert isinstance(found, Experiment)
    return found


def test_every_published_row_has_its_strategy_with_its_settings() -> None:
    protocol = search_experiment().weight_sharing
    assert protocol is not None
    settings = {row: optimizer_spec(name).describe()["hyperparameters"] for row, name in protocol.rows.items()}
    assert {row: found["epochs"] for row, found in settings.items()} == {
        "RSPS": 250, "DARTS-V1": 50, "DARTS-V2": 50, "GDAS": 250, "SETN": 250, "ENAS": 250,
    }  # fmt: skip
    assert all(found["augmentation"] == "crop-flip" for found in settings.values())
    assert protocol.seeds == 3


def test_darts_published_row_is_the_cell_of_skips() -> None:
    table, space = find_table("nasbench201"), naslab.search_space("nasbench201")
    row = table.row(space.from_string(ALL_SKIP))
    published = {"cifar10": 39.77, "cifar100": 15.03, "imagenet16-120": 16.43}  # validation; test is in nats-tss
    for dataset, accuracy in published.items():
        assert table.mean(f"{dataset}/accuracy/valid", 200)[row] == pytest.approx(accuracy, abs=0.006)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="give a folder of CIFAR-10, --data DIR"):
        run_experiment(search_experiment(), tmp_path / "out", table="nasbench201", weight_sharing=True)
    with pytest.raises(InvalidValue, match="has no weight-sharing rows"):
        run_experiment(experiment("tabnas-toy"), tmp_path / "out", weight_sharing=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_searches_run_are_looked_up_and_are_not_made_twice(tmp_path: Path) -> None:
    protocol = search_experiment().weight_sharing
    assert protocol is not None
    short = {
        row: name[:-1] + ",epochs=1,batch=8]"
        for row, name in protocol.rows.items()
        if row in ("RSPS", "DARTS-V1", "GDAS")
    }
    protocol = protocol.model_copy(update={"rows": short, "seeds": 1})
    table, data = find_table("nasbench201"), stand_in(tmp_path / "cifar", 8)
    found = further_rows(protocol, data, tmp_path / "out", table, ["cifar10"], workers=2)
    assert [pick.published for pick in found.picks] == list(short)
    assert all(0 <= row < 15_625 for pick in found.picks for row in pick.rows["cifar10"])
    traces = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jsonl")}
    assert len(traces) == 3
    again = further_rows(protocol, data, tmp_path / "out", table, ["cifar10"])
    assert again.picks == found.picks
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jsonl")} == traces
