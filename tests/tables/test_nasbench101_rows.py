"""NAS-Bench-101 as a table that is imported: rows of the shared file, under their official strings."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import pytest

import naslab
from naslab.cli.entry import run_command

SCHEMA = """
space = "nasbench101"
architecture = "cell"
provenance = "NAS-Bench-101: mean test accuracy after 108 epochs, as copied by FreeREA"
protocol = "test-only"

[[columns]]
column = "test108"
dataset = "cifar10"
metric = "accuracy"
split = "test"
role = "truth"
unit = "%"
direction = "max"
epochs = 108

[tasks.cifar10]
reward = "test108"
truth = "test108"
"""


@pytest.fixture
def recorded(shared_data: Path, tmp_path: Path) -> dict[str, float]:
    """A sample of the shared file, imported by the command; the accuracy of each row by the official hash."""
    with gzip.open(shared_data / "nasbench101.csv.gz", "rt") as file:
        rows = random.Random(0).sample(list(csv.DictReader(file)), 150)
    cells = {f"{row['edges']}|{row['operations']}": 100 * float(row["test108"]) for row in rows}
    (tmp_path / "rows.csv").write_text("cell,test108\n" + "".join(f"{c},{a}\n" for c, a in cells.items()))
    (tmp_path / "schema.toml").write_text(SCHEMA)
    command = ["table", "import", str(tmp_path / "rows.csv"), "--schema", str(tmp_path / "schema.toml")]
    assert run_command([*command, "--name", "nb101"]) in (0, None)
    space = naslab.search_space("nasbench101")
    return {space.official_key(space.from_string(cell)): accuracy for cell, accuracy in cells.items()}


@pytest.mark.slow
def test_strategies_are_compared_on_rows_that_have_test_scores_alone(
    recorded: dict[str, float], tmp_path: Path
) -> None:
    task = naslab.task("nb101/cifar10")
    assert task.metric == "test accuracy (test-only protocol: searches see it)"
    assert task.problem.space.size == len(recorded) == 150
    command = "compare nb101/cifar10 --optimizers random,regularized-evolution,local-search --seeds 2 --budget 15"
    assert run_command([*command.split(), "--out", str(tmp_path / "runs")]) in (0, None)
    assert "test-only" in (tmp_path / "runs" / "report" / "report.html").read_text()
    space = naslab.search_space("nasbench101")
    for step in naslab.search(task, "regularized-evolution[population=5,sample=2]", budget=15, seed=0).trace.steps:
        assert step.evaluation.score == pytest.approx(recorded[space.official_key(step.query.architecture)])
