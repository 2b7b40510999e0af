"""What ``naslab list tasks`` says of each task, without making a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslab.cli import run_command
from naslab.registry import entries
from naslab.tables.packaged import nasbench201, packaged_tables
from naslab.tasks.facts import EVALUATIONS, SECONDS, _facts, table_facts


def test_twenty_seven_tasks_are_listed_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("NASLAB_CACHE", str(cache))
    facts = table_facts()
    assert len(facts) == 27
    assert set(facts) <= set(entries("tasks"))  # each is a task of its own, and described
    families = {
        "nasbench201": 3,
        "fcnet": 4,
        "hpobench-mlp": 8,
        "nas-bench-graph": 9,
        "pocket-cell": 1,
        "pocket-mlp": 2,
    }
    assert {name: sum(each.startswith(f"{name}/") for each in facts) for name in families} == families
    assert facts["fcnet/slice-localization"] == (
        62_208,
        "min valid mse; min params, macs, activation_bytes, peak_bytes, train_seconds",
        "one (100 epochs)",
        SECONDS,
    )
    assert facts["nas-bench-graph/proteins"] == (2_021, "max test roc_auc; min latency, params_M", "one", EVALUATIONS)
    assert facts["pocket-mlp/segments"].fidelities == "1 to 20 epochs"
    assert run_command(["list", "tasks"]) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if "/" in line.split()[0]}
    assert set(shown) == set(facts) | {"dispnet/random-dots"}  # which trains, and has no table
    for name, each in facts.items():
        assert f" {each.size:,} " in shown[name]
        assert each.clock in shown[name]
        assert each.objectives in shown[name]
    assert not cache.exists()


def test_a_stored_task_stands_in_the_same_list(stored_task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "tasks"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(stored_task))
    for each in (
        " 27 ",
        "max test accuracy; min params, ",
        "latency_seconds",
        " 1, 3, 9 epochs ",
        SECONDS,
        "table toymlp",
    ):
        assert each in line


def test_a_description_is_that_of_the_table(tmp_path: Path) -> None:
    table = nasbench201.TABLE.build(tmp_path / "nasbench201")
    stated = packaged_tables()["nasbench201"]
    for name in table.tasks:
        assert _facts(table.header, name, len(table)) == _facts(stated.describe(), name, stated.size)
    assert {key: table.provenance[key] for key in stated.describe().provenance} == stated.describe().provenance
