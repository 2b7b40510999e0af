"""The study of one-shot search: settings brought to the size of the data, what is recorded, and its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import naslab
from naslab.errors import TrainingFailed
from naslab.optimizers import Step, optimizer_spec
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.studies.one_shot import pocket as one_shot_pocket
from naslab.studies.one_shot import searches as one_shot
from naslab.studies.one_shot.page import cell_of, collapse, perturbations, rankings, sensitivity
from naslab.studies.one_shot.searches import Genotype, Ranked, Training, Trial, genotype, rank, train, trial, written

TASK = "pocket-cell/mnist"


def settings(name: str) -> dict[str, object]:
    found: dict[str, object] = optimizer_spec(name).describe()["hyperparameters"]
    return found


def test_logits_may_move_as_far_as_in_the_published_search() -> None:
    for name, rate, epochs in (("darts", 3e-4, 50), ("gdas", 3e-4, 250), ("pc-darts", 6e-4, 50)):
        found = settings(written(name, 40, 16))
        assert found["architecture_rate"] * 40 * 16 == pytest.approx(rate * epochs * 391, rel=0.01)
        assert (found["epochs"], found["batch"]) == (40, 32)
    assert settings(written("pc-darts", 40, 16))["warm_up"] == 12  # 15 of 50
    assert settings(written("enas", 40, 16))["controller_steps"] == 2
    kept = settings(written("darts[architecture_rate=0.5,learning_rate=0.1]", 10, 16))
    assert (kept["architecture_rate"], kept["learning_rate"]) == (0.5, 0.1)


def test_a_training_records_every_epoch() -> None:
    found = train(Training(TASK, "darts", 0, 2, curvature=2, distribution=True))
    task = naslab.task(TASK)
    assert [len(found[name]) for name in ("seconds", "truth", "skip", "skip probability", "entropy")] == [2] * 5
    assert found["final"] == task.true_value(tuple(found["architecture"]))
    assert found["final skip"] == np.mean([option == 1 for option in found["architecture"]])
    assert [epoch for epoch, _ in found["eigenvalues"]] == [2]
    assert np.shape(found["probabilities"]) == (2, 6, 5)
    assert np.sum(found["probabilities"], axis=2) == pytest.approx(1)
    means = np.mean(np.array(found["probabilities"])[:, :, 1], axis=1)
    assert found["skip probability"] == pytest.approx(means.tolist())
    again = train(Training(TASK, "darts", 0, 2))
    assert again["truth"] == found["truth"]


def test_a_search_that_diverges_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    step = OneShotSearch.step

    def diverging(self: OneShotSearch) -> Step | None:
        if self.epoch == last:
            raise TrainingFailed("the training loss is nan")
        return step(self)

    whole, last = train(Training(TASK, "rsps", 0, 3)), 2
    monkeypatch.setattr(OneShotSearch, "step", diverging)
    found = train(Training(TASK, "rsps", 0, 3))
    assert (whole["diverged"], found["diverged"]) == (False, True)
    assert found["final"] == found["truth"][-1]
    assert found["truth"] == whole["truth"][:2]
    last = 0
    with pytest.raises(TrainingFailed):
        train(Training(TASK, "rsps", 0, 3))


def test_searches_of_the_table_are_described_like_the_others() -> None:
    frame = one_shot_pocket._black_box(40.0, 1.0)
    assert len(frame) == 2 * len(one_shot_pocket.TABLE_SEEDS)
    assert frame["spent"].between(0, 40).all()
    assert frame["connected"].all()
    assert frame["final skip"].between(0, 1).all()


def test_shared_weights_are_asked_in_three_ways() -> None:
    found = rank(Ranked(TASK, "rsps", 0, 1, 4))
    assert found.keys() == {"architectures", "truth", "batch", "running", "recalibrated"}
    assert {len(values) for values in found.values()} == {4}
    assert found["batch"] != found["running"]
    assert all(0 <= score <= 100 for score in found["recalibrated"])


@pytest.mark.slow
def test_a_trial_runs_in_a_process_of_its_own() -> None:
    found = trial(Trial(TASK, "rsps"))
    assert found["epoch"] > 0
    assert found["derivation"] > 0
    assert found["peak"] > 2**20
    assert one_shot_pocket.planned({"epoch": 2.0, "derivation": 5.0}, 20.0) == 6


def test_a_cell_has_its_operations_as_edges() -> None:
    cell = cell_of({"0->1": 1, "0->2": 0, "1->2": 2}, ["none", "skip", "conv"], ["1", "2"])
    assert set(cell.edges) == {("0", "1"), ("1", "2"), ("1", "output"), ("2", "output")}
    assert cell.edges["1", "2"]["label"] == "conv"


def runs(names: list[str], epochs: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "optimizer": name,
                "seed": seed,
                "epochs": epochs,
                "truth": rng.uniform(80, 90, epochs).tolist(),
                "seconds": [1.0] * epochs,
                "skip": rng.random(epochs).tolist(),
                "skip probability": rng.random(epochs).tolist(),
                "final": 80 + number + seed,
                "final skip": 0.5,
                "eigenvalues": [[3, 1.0 + seed], [6, 2.0]],
                "diverged": seed == 0,
            }
            for number, name in enumerate(names)
            for seed in range(3)
        ]
    )


def test_sections_hold_means_of_what_they_are_given() -> None:
    names = [*(f"darts[learning_rate={r},weight_decay={d}]" for r in (0.1, 0.2) for d in (0.0, 0.5)),
             *(f"darts[architecture_rate={r}]" for r in (0.01, 0.1))]  # fmt: skip
    section = sensitivity(runs(names), (0.1, 0.2), (0.0, 0.5), (0.01, 0.1), 100.0)
    spread, grid = section.items[0].frame, section.items[1].frame
    assert grid["regret"].tolist() == [19.0, 18.0, 17.0, 16.0]
    assert grid["diverged"].tolist() == [1] * 4
    assert spread.iloc[0][["strategy", "best of the grid", "mean", "worst"]].tolist() == ["darts", 16.0, 17.5, 19.0]
    assert spread.iloc[0]["mean low"] < 17.5 < spread.iloc[0]["mean high"]
    noise = perturbations(runs(["gdas[perturbation=random]", "gdas[perturbation=none]"]), ("none", "random"), 100.0)
    assert noise.items[0].frame["perturbation"].tolist() == ["none", "random"]
    assert noise.items[0].frame["regret"].tolist() == [18.0, 19.0]
    table = collapse(runs(["darts", "gdas"]), 6, 100.0).items[0].frame
    assert table["skip share at the end"].tolist() == [0.5, 0.5]
    ranked = pd.DataFrame(
        [{"supernet": "rsps", "truth": [1.0, 2, 3, 4], "batch": [1.0, 2, 3, 4], "running": [4.0, 3, 2, 1],
          "recalibrated": [1.0, 2, 3, 4]}] * 2
    )  # fmt: skip
    frame = rankings(ranked).items[0].frame
    assert frame["Spearman"].tolist() == pytest.approx([1.0, -1.0, 1.0])


@pytest.mark.slow
def test_the_whole_study_runs_small_and_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SECONDS": 2.0, "SEEDS": range(2), "TABLE_SEEDS": range(3), "STRATEGIES": ("darts", "gdas"),
        "COLLAPSING": ("darts", "robust-darts[stopping=adaptive-l2]"), "COLLAPSE_EPOCHS": 3, "GRID_EPOCHS": 2,
        "SENSITIVE": ("robust-darts[stopping=adaptive-l2]",), "LEARNING_RATES": (0.1,), "DECAYS": (0.0,),
        "PERTURBED": ("darts",), "SUPERNETS": ("rsps",), "RANKED_EPOCHS": 1, "SAMPLE": 30,
    }.items():  # fmt: skip
        monkeypatch.setattr(one_shot_pocket, name, value)
    monkeypatch.setattr(one_shot, "EPOCHS_TRIED", 2)
    outcome = one_shot_pocket.run("title", "description", tmp_path, workers=2, progress=None)
    page = outcome.report.read_text()
    assert set(outcome.tables[0][1]["strategy"]) == {"darts", "gdas", "random", "regularized-evolution"}
    for said in ("Does DARTS collapse here?", "normal and the reduction cell", "How well shared weights rank"):
        assert said in page
    before = (tmp_path / "results.jsonl").read_bytes()
    one_shot_pocket.run("title", "description", tmp_path, workers=2, progress=None)
    assert (tmp_path / "results.jsonl").read_bytes() == before
    assert (tmp_path / "report" / "report.html").read_text() == page


@pytest.mark.slow
def test_darts_finds_a_genotype_in_its_own_space() -> None:
    found = genotype(Genotype(TASK, 1))
    assert found["said"].startswith("Genotype(normal=[(")
    assert len(found["decisions"]) == 28
