"""The weight-sharing rows of NAS-Bench-201's table, end to end on a stand-in of CIFAR-10's files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from cifar_files import stand_in

import naslab
from naslab.errors import InvalidValue
from naslab.optimizers import optimizer_spec
from naslab.studies.nasbench201.weight_sharing import FOLDER
from naslab.studies.reproduce import Experiment, experiment, run_experiment
from naslab.tables import find_table

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


def test_darts_published_row_is_the_cell_of_skips(nats_tss: str) -> None:
    table, space = find_table(nats_tss), naslab.search_space("nasbench201")
    row = table.row(space.from_string(ALL_SKIP))
    published = {"cifar10": 54.30, "cifar100": 15.61, "imagenet16-120": 16.32}
    for dataset, accuracy in published.items():
        assert table.mean(f"{dataset}/accuracy/test", 200)[row] == pytest.approx(accuracy, abs=0.006)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="give a folder of CIFAR-10, --data DIR"):
        run_experiment(search_experiment(), tmp_path / "out", table="nasbench201", weight_sharing=True)
    with pytest.raises(InvalidValue, match="has no weight-sharing rows"):
        run_experiment(experiment("tabnas-toy"), tmp_path / "out", weight_sharing=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_row_is_searched_looked_up_and_not_searched_twice(tmp_path: Path, nats_tss: str) -> None:
    wanted = search_experiment()
    assert wanted.weight_sharing is not None
    short = {row: name[:-1] + ",epochs=1,batch=8]" for row, name in wanted.weight_sharing.rows.items()}
    protocol = wanted.weight_sharing.model_copy(update={"rows": short, "seeds": 1})
    wanted = wanted.model_copy(update={"weight_sharing": protocol, "seeds": 2, "rows": wanted.rows[:1]})
    out, data = tmp_path / "out", stand_in(tmp_path / "cifar", 8)

    def run() -> pd.DataFrame:
        found = run_experiment(wanted, out, table=nats_tss, weight_sharing=True, data=data, workers=2)
        assert "Weight-sharing rows: 1 searches each" in found.report.read_text()
        (_, frame) = found.tables[0]
        return frame

    frame = run()
    assert set(short) <= set(frame["method"])
    assert frame["ours"].between(0, 100).all()
    traces = {path: path.stat().st_mtime_ns for path in (out / FOLDER).rglob("*.jsonl")}
    assert len(traces) == len(short)
    pd.testing.assert_frame_equal(run(), frame)
    assert {path: path.stat().st_mtime_ns for path in (out / FOLDER).rglob("*.jsonl")} == traces
