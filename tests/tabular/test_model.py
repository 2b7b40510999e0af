"""A saved model: the same predictions in a fresh process, without the training data."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from failing_files import PASSING, check_says_what_it_is, out_of_reach
from own_tables import write_table

import naslab
from naslab.errors import InvalidDataset, InvalidValue, OutputError
from naslab.tabular.model import load_model


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def by_hand(result: naslab.OwnResult, x: float, gaps: float | None, colour: str) -> np.ndarray:
    """Outputs for one row, from the files alone and the network's weights."""
    network = torch.export.load(result.folder / "model.pt2").module()  # our own: what others load is the same network
    columns = json.loads((result.folder / "preprocessing.json").read_text())["columns"]
    features: list[float] = []
    for column, value in zip(columns, (x, gaps, colour), strict=True):
        if column["kind"] == "numeric":
            filled = column["median"] if value is None else value
            features.append(min(10.0, max(-10.0, (filled - column["mean"]) / column["scale"])))
        else:
            features += [float(category == value) for category in column["categories"]]
        if column["marks_missing"]:
            features.append(float(value is None))
    return network(torch.tensor([features])).detach().numpy()[0]


def test_a_prediction_by_hand(classified, tmp_path):
    (tmp_path / "new.csv").write_text("colour,unknown,gaps,x\nred,5,0.5,1.25\nmauve,6,,-0.75\n")
    with pytest.warns(
        UserWarning, match=r"'colour': 1 of 2 cells \(50 %\) is of categories that training did not have"
    ):
        found = classified.model.predict(tmp_path / "new.csv")
    assert list(found.columns) == ["prediction", "probability of no", "probability of yes"]
    for row, given in zip(found.itertuples(index=False), [(1.25, 0.5, "red"), (-0.75, None, "mauve")], strict=True):
        weights = np.exp(by_hand(classified, *given).astype(np.float64))
        assert row[1:] == pytest.approx(weights / weights.sum(), rel=1e-5)
        assert row[0] == ("no", "yes")[int(weights.argmax())]


def test_a_number_comes_in_its_own_unit(measured, tmp_path):
    (tmp_path / "new.csv").write_text("x,gaps,colour\n1.0,0.25,blue\n")
    found = measured.model.predict(tmp_path / "new.csv")
    assert list(found.columns) == ["prediction"]
    encoder = measured.model.target
    expected = float(by_hand(measured, 1.0, 0.25, "blue")[0]) * encoder.scale + encoder.mean
    assert found["prediction"][0] == pytest.approx(expected, rel=1e-5)
    assert encoder.scale > 1000


@pytest.mark.parametrize("count", [1, 2, 500])
def test_any_number_of_rows(classified, count):
    frame = pd.DataFrame({"x": np.linspace(-2, 2, count), "gaps": 0.0, "colour": "red"})
    assert len(classified.model.predict(frame)) == count


def test_a_frame_is_read_as_its_file(classified, tmp_path):
    path = write_table(tmp_path / "new.csv", rows=40, seed=5)
    frame = pd.read_csv(path)
    frame.index = range(100, 140)
    from_frame, from_file = classified.model.predict(frame), classified.model.predict(path)
    assert list(from_frame.index) == list(range(100, 140))
    pd.testing.assert_frame_equal(from_frame.reset_index(drop=True), from_file)
    assert classified.model.score(frame) == classified.model.score(path)


def test_a_fresh_process_predicts_without_the_training_data(classified, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in (
        "weights.npy",
        "preprocessing.json",
        "target.json",
        "model.json",
    ):  # the table and the rest stay behind
        shutil.copy(classified.folder / name, folder)
    new = write_table(tmp_path / "new.csv", rows=50, seed=9)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from naslab.cli import main; main()", "predict", str(folder), str(new)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = list(csv.DictReader(done.stdout.splitlines()))
    expected = classified.model.predict(new)
    assert [line["prediction"] for line in lines] == expected["prediction"].tolist()
    for name in expected.columns[1:]:
        np.testing.assert_allclose([float(line[name]) for line in lines], expected[name], rtol=1e-6)
    right = sum(a == b["target"] for a, b in zip(expected["prediction"], rows_of(new), strict=True))
    assert done.stderr == f"accuracy on 50 rows: {100 * right / 50:.4g} %\n"


def test_an_error_is_not_negated(measured, tmp_path):
    new = write_table(tmp_path / "new.csv", kind="regression", rows=50, seed=9)
    truth = np.array([float(row["target"]) for row in rows_of(new)])
    error = measured.model.predict(new)["prediction"].to_numpy() - truth
    assert measured.model.score(new) == pytest.approx((np.sqrt((error**2).mean()), 50), rel=1e-4)


def test_rows_without_target_are_not_scored(classified, tmp_path):
    new = write_table(tmp_path / "new.csv", rows=40, seed=5)
    lines = new.read_text().splitlines()
    new.write_text("\n".join([*lines[:21], *(line.rpartition(",")[0] + "," for line in lines[21:])]) + "\n")
    score, rows = classified.model.score(new)
    predicted = classified.model.predict(new)["prediction"][:20]
    right = sum(a == b["target"] for a, b in zip(predicted, rows_of(new)[:20], strict=True))
    assert (score, rows) == (pytest.approx(100 * right / 20), 20)
    new.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    assert classified.model.score(new) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,gap,colour\n1,2,red\n", "has no column 'gaps'. Did you mean 'gap'?"),
        ("x,gaps,colour\n1,2,red\nlots,2,red\n", "line 3: 'lots' in column 'x' is not a number"),
        ("x,gaps,colour\n1,inf,red\n", "line 2: 'inf' in column 'gaps' is infinite"),
        ("x,gaps,colour\n", "has no rows below its header"),
    ],
)
def test_bad_rows(classified, tmp_path, text, said):
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(InvalidDataset) as raised:
        classified.model.predict(tmp_path / "new.csv")
    assert said in str(raised.value)


def test_a_class_that_training_did_not_know(classified, tmp_path):
    (tmp_path / "new.csv").write_text("x,gaps,colour,target\n1,2,red,perhaps\n")
    with pytest.raises(InvalidDataset, match="'perhaps' is no class of the target 'target'"):
        classified.model.score(tmp_path / "new.csv")


def test_folders_without_a_model(classified, tmp_path):
    with pytest.raises(InvalidValue, match="holds no model; give the --out of a search"):
        load_model(tmp_path)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(InvalidValue, match="its search is not finished: give its command again"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["weights.npy", "preprocessing.json", "target.json", "model.json"])
def test_damaged_files(classified, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(classified.folder, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:20])
    with pytest.raises(OutputError, match="damaged"):
        load_model(folder)


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("name", ["weights.npy", "preprocessing.json", "target.json", "model.json"])
def test_a_passing_error_is_no_damage(classified, name, number):
    with pytest.raises(OutputError) as error, out_of_reach(classified.folder / name, number):
        load_model(classified.folder)
    check_says_what_it_is(error.value, classified.folder / name, number)
