"""The training-free rows of a table of searches: scores, and who picks what."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.studies.base import environment, experiment_folder
from naslab.studies.nasbench201.rows import Picks, TrainingFree
from naslab.studies.nasbench201.training_free import (
    Block,
    Scored,
    StoredArea,
    blocks,
    score_block,
    scored_cells,
    training_free_rows,
)
from naslab.studies.nasbench201.training_free_report import SCORES
from naslab.studies.reproduce import Experiment, experiment, run_experiment
from naslab.tables import Table, find_table

POOL = 60
PROTOCOL = TrainingFree(
    naswot={"two": 2, "fifteen": 15, "all": POOL},
    optimal={"best of fifteen": 15, "best of all": POOL},
    random="one",
    area="area",
    runs=400,
    area_runs=3,
)


@pytest.fixture(scope="module")
def table(naslab_cache: Path) -> Table:
    naslab.task("nasbench201/cifar10")  # builds it
    return find_table("nasbench201")


@pytest.fixture(scope="module")
def scored() -> Scored:
    """Made-up scores."""
    rng = np.random.default_rng(0)
    space = naslab.search_space("nasbench201")
    cells = list(dict.fromkeys(space.sample(rng) for _ in range(2 * POOL)))[:POOL]
    return Scored(cells, rng.permutation(POOL).astype(float), np.ones(POOL))


@pytest.fixture(scope="module")
def rows(table: Table, scored: Scored) -> dict[str, Picks]:
    task = naslab.task("nasbench201/cifar10")
    made = training_free_rows(PROTOCOL, scored, task, "50000s", table)
    assert [each.label for each in made] == [
        "two", "fifteen", "all", "one", "best of fifteen", "best of all", "area (3 runs)", "area (400 runs)",
    ]  # fmt: skip
    return {each.label: each for each in made}


def expected_best(values: np.ndarray, n: int) -> tuple[float, float]:
    """Mean and standard deviation of the largest of n values drawn without replacement: exactly."""
    ordered, most = np.sort(values), math.comb(len(values), n)
    share = np.array([math.comb(i, n - 1) / most for i in range(len(values))])
    mean = float(share @ ordered)
    return mean, math.sqrt(float(share @ (ordered - mean) ** 2))


@pytest.mark.parametrize(("label", "n"), [("two", 2), ("fifteen", 15), ("all", POOL), ("one", 1)])
def test_the_best_scored_of_n_cells(label: str, n: int, rows: dict[str, Picks], scored: Scored, table: Table) -> None:
    score = {table.row(a): s for a, s in zip(scored.architectures, scored.scores, strict=True)}
    picked = [score[row] for row in rows[label].rows["cifar10"]]
    mean, sd = expected_best(scored.scores, n)
    assert len(picked) == 400
    assert np.mean(picked) == pytest.approx(mean, abs=4.5 * sd / 20 + 1e-9)
    assert np.std(picked) == pytest.approx(sd, rel=0.2, abs=1e-9)
    assert rows[label].rows["cifar100"] == rows[label].rows["cifar10"]
    assert rows[label].seen == n
    assert rows[label].independent == pytest.approx(1 / (1 / 400 + n / POOL))


@pytest.mark.parametrize(("label", "n"), [("best of fifteen", 15), ("best of all", POOL)])
@pytest.mark.parametrize("dataset", ["cifar10", "imagenet16-120"])
def test_optimal_is_the_best_of_its_own_dataset(
    label: str, n: int, dataset: str, rows: dict[str, Picks], scored: Scored, table: Table
) -> None:
    valid = table.mean(f"{dataset}/accuracy/valid", 200)
    pool = valid[[table.row(a) for a in scored.architectures]]
    picked = valid[list(rows[label].rows[dataset])]
    mean, sd = expected_best(pool, n)
    assert picked.mean() == pytest.approx(mean, abs=4.5 * sd / 20 + 1e-9)


def test_area_starts_with_the_best_half_of_twenty_scored_cells(scored: Scored) -> None:
    known = dict(zip(scored.architectures, scored.scores.tolist(), strict=True))
    task = naslab.task("nasbench201/cifar10")
    optimizer = StoredArea(task.problem, np.random.default_rng(0), known)
    asked = []
    for _ in range(10):
        asked.append(optimizer.ask())
        assert optimizer.asking_seconds == 0
        optimizer.tell(asked[-1], naslab.Evaluation(0.0, 1.0))
    found = [known[a] for a in asked]
    assert found == sorted(found, reverse=True)
    assert len(set(asked)) == 10
    assert np.mean(found) > np.mean(scored.scores) + 5


def test_area_runs_differ_and_the_few_are_the_first_of_the_many(rows: dict[str, Picks]) -> None:
    many = list(rows["area (400 runs)"].rows["cifar10"])
    assert list(rows["area (3 runs)"].rows["cifar10"]) == many[:3]
    assert len(set(many)) > 50


def test_too_few_scored_cells_are_refused(scored: Scored, table: Table) -> None:
    few = Scored(scored.architectures[:59], scored.scores[:59], scored.seconds[:59])
    with pytest.raises(InvalidValue, match="59 scored cells: a row needs 60"):
        training_free_rows(PROTOCOL, few, naslab.task("nasbench201/cifar10"), "50000s", table)


def test_a_score_does_not_depend_on_the_block_it_is_in() -> None:
    together, alone = score_block(Block((7, 8000, 0), batch=4)), score_block(Block((8000,), batch=4))
    assert together[1][0] == alone[0][0]
    assert together[2][0] == -math.inf  # cell 0 has no operation but zero
    assert all(seconds > 0 for _, seconds in together)


def test_a_score_is_naswots_with_weights_keyed_by_the_cell() -> None:
    space = naslab.search_space("nasbench201")
    architecture = (3, 2, 0, 1, 3, 4)
    cell = sum(digit * 5 ** (5 - i) for i, digit in enumerate(architecture))
    evaluator = ZeroCost(space, None, ["naswot"], batch=4, cut=True, seed=0)
    expected = evaluator.evaluate(architecture, rng=np.random.default_rng((0, cell))).score
    assert score_block(Block((cell,), batch=4))[0][0] == expected


def kept(path: Path, cells: int) -> list[tuple[float, float]]:
    """A file of made-up scores, as an interrupted call leaves it."""
    lines, made = [json.dumps(environment("torch", "optuna"))], []
    for block in blocks(cells):
        made += [(float(sum(divmod(cell, 5))), 0.5) for cell in block.cells]
        lines.append(json.dumps([repr(block), made[-len(block.cells) :]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return made


def test_scored_cells_are_a_sample_without_repetition_and_nothing_is_scored_twice(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    made = kept(path, 75)
    before = path.read_bytes()
    many, few = scored_cells(75, None, path), scored_cells(50, None, path)
    assert path.read_bytes() == before
    assert list(zip(many.scores.tolist(), many.seconds.tolist(), strict=True)) == made
    assert len(set(many.architectures)) == 75
    assert few.architectures == many.architectures[:50]
    assert few.scores.tolist() == many.scores[:50].tolist()


def small(folder: Path) -> Experiment:
    """The experiment with few runs and few cells."""
    shutil.copytree(experiment_folder(), folder)
    path = folder / "nasbench201_search.toml"
    text = path.read_text()
    for before, after in (
        ("seeds = 500", "seeds = 3"),
        ("runs = 500\narea", "runs = 30\narea"),
        ("= 1000\n", "= 75\n"),
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text)
    found = experiment(str(path))
    assert isinstance(found, Experiment)
    return found


def test_the_training_free_rows_from_end_to_end(nats_tss: str, tmp_path: Path) -> None:
    """With made-up scores of 100 cells."""
    found, out = small(tmp_path / "e"), tmp_path / "out"
    run_experiment(found, out)
    kept(out / SCORES, 100)
    outcome = run_experiment(found, out, training_free=100)
    frame = outcome.tables[0][1].set_index(["method", "column"])
    for label, runs in (("NASWOT (N=1000)", 30), ("Optimal (N=100)", 30), ("AREA (50 runs)", 50), ("Random", 30)):
        row = frame.loc[(label, "CIFAR-100 test")]
        assert row["runs"] == runs
        assert 1 < row["ours"] < 74
    assert frame.loc[("Optimal (N=100)", "CIFAR-10 test"), "sd"] < 1e-9  # all runs see all 100
    row = frame.loc[("NASWOT (N=10)", "CIFAR-10 test")]
    expected = row["difference"] / (row["sd"] ** 2 * (1 / 30 + 10 / 100) + row["published sd"] ** 2 / 500) ** 0.5
    assert row["in standard errors"] == pytest.approx(expected)
    page = outcome.report.read_text()
    for said in ("standard normal noise", "How the training-free rows were found", "100 random cells", "30 runs"):
        assert said in page
    assert len((out / SCORES).read_text().splitlines()) == 1 + 4
