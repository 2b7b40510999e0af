"""A folder from elsewhere: predicting with it runs nothing that is in it, and what does not fit is one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_tables import write_table

import naslab
from naslab.cli import run_command
from naslab.errors import OutputError
from naslab.tabular.model import load_model

JSON = ("model.json", "preprocessing.json", "target.json")


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def folder(classified: naslab.OwnResult, tmp_path: Path) -> Path:
    shutil.copytree(classified.folder, tmp_path / "from elsewhere")
    return tmp_path / "from elsewhere"


def infect(model: Path, marker: Path) -> None:
    """Put a pickle that runs a command among the sample inputs of an exported network."""
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    poison = io.BytesIO()
    torch.save(Payload(marker), poison)
    (name,) = (name for name in members if "sample_inputs" in name)
    members[name] = poison.getvalue()
    with zipfile.ZipFile(model, "w", zipfile.ZIP_STORED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)


def complaint(folder: Path) -> str:
    with pytest.raises(OutputError) as raised:
        load_model(folder)
    message = str(raised.value)
    assert str(folder) in message
    assert "\n" not in message
    assert len(message) < 600
    return message


def test_an_exported_network_that_runs_code_is_not_loaded(folder, tmp_path, capsys):
    infect(folder / "model.pt2", tmp_path / "ran")
    new = write_table(tmp_path / "new.csv", rows=30, seed=3)
    assert run_command(["predict", str(folder), str(new)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 31
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore")
def test_the_payload_is_a_real_one(folder, tmp_path):
    """PyTorch's own loading runs it: the test above means something."""
    infect(folder / "model.pt2", tmp_path / "ran")
    try:
        torch.export.load(folder / "model.pt2")
    except Exception as error:
        print(error)  # it does not matter what it thinks of the rest
    assert (tmp_path / "ran").is_dir()


def test_prediction_needs_no_exported_network(classified, folder, tmp_path):
    (folder / "model.pt2").unlink()
    new = write_table(tmp_path / "new.csv", rows=30, seed=3)
    assert load_model(folder).predict(new).equals(classified.model.predict(new))


def test_a_pickle_in_place_of_weights_is_not_run(folder, tmp_path):
    numbers = np.load(folder / "weights.npy").size
    for content in (
        pickle.dumps(Payload(tmp_path / "ran")),
        pickle.dumps(Payload(tmp_path / "ran")) + b"\0" * 4 * numbers,
    ):
        (folder / "weights.npy").write_bytes(content)
        assert "weights.npy is damaged" in complaint(folder)
    with (folder / "weights.npy").open("wb") as file:
        np.save(file, np.array([Payload(tmp_path / "ran")] * numbers, dtype=object), allow_pickle=True)
    assert "weights.npy is damaged" in complaint(folder)
    assert not (tmp_path / "ran").exists()


def test_modules_that_lie_about_are_not_imported(folder, tmp_path):
    """Libraries look for optional companions: predicting inside the folder must not find these."""
    for name in ("pyarrow", "numexpr", "bottleneck", "triton", "tabulate"):
        (folder / f"{name}.py").write_text(f"import os\nos.makedirs({str(tmp_path / 'ran')!r}, exist_ok=True)\n")
    new = write_table(tmp_path / "new.csv", rows=30, seed=3)
    environment = {**os.environ, "PYTHONPATH": str(Path(naslab.__file__).parent.parent)}
    done = subprocess.run(  # -P: as an installed command, without the current folder among Python's own
        [sys.executable, "-P", "-c", "from naslab.cli import main; main()", "predict", ".", str(new)],
        capture_output=True, text=True, check=False, cwd=folder, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


def changed(folder: Path, name: str, change: Callable[[Any], None]) -> str:
    path = folder / name
    before = path.read_text()
    stored = json.loads(before)
    change(stored)
    path.write_text(json.dumps(stored))
    try:
        return complaint(folder)
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("model.json", lambda s: s.pop("format"), "an older naslab wrote this model, in a form that"),
        ("model.json", lambda s: s.update(format=3), "of format '3'; this naslab reads 2"),
        ("model.json", lambda s: s["network"].update(space="evil:Space"), "not one of 'mlp'"),
        ("model.json", lambda s: s["network"]["options"].update(widths=[2, 10**12, 8]), "does not hold the"),
        ("model.json", lambda s: s["network"]["options"].update(widths=[True, 4, 8]), "not a list of whole numbers"),
        ("model.json", lambda s: s["network"]["options"].update(depth=10**9), "one place among the widths per layer"),
        ("model.json", lambda s: s["network"]["options"].update(in_features=7), "does not fit the columns and"),
        ("model.json", lambda s: s["network"].update(architecture=[9, 9]), "one place among the widths per layer"),
        ("model.json", lambda s: s["network"]["tensors"].popitem(), "its tensors are not those of the network"),
        ("model.json", lambda s: s["network"].pop("tensors"), "has no 'tensors'"),
        ("model.json", lambda s: s["objective"].update(metric="x" * 10**6), "not one of 'accuracy'"),
        ("model.json", lambda s: s["objective"].update(kind="regression"), "not one of 'classification'"),
        ("preprocessing.json", lambda s: s["columns"][0].update(scale=0), "not a number above 0"),
        ("preprocessing.json", lambda s: s["columns"][0].update(median=10**400), "not a finite number"),
        ("preprocessing.json", lambda s: s["columns"][0].update(mean=float("nan")), "not a finite number"),
        ("preprocessing.json", lambda s: s["columns"][0].update(name=["x"]), "not text"),
        ("preprocessing.json", lambda s: s["columns"][0].update(name="gaps"), "one is there twice"),
        ("preprocessing.json", lambda s: s["columns"][0]["notation"].update(decimal=";"), "what groups thousands"),
        ("preprocessing.json", lambda s: s["columns"][2].update(categories=["a", 1]), "not a list of texts"),
        ("preprocessing.json", lambda s: s["columns"][2].update(categories=[]), "are none, or stand there twice"),
        ("preprocessing.json", lambda s: s.update(columns=[]), "its columns are none"),
        ("preprocessing.json", lambda s: s.update(columns="__import__('os')"), "not a list"),
        ("target.json", lambda s: s["target"].update(classes=["no"]), "two or more of a classification"),
        ("target.json", lambda s: s["target"].update(classes=["no", "yes", "more"]), "does not fit the columns and"),
        ("target.json", lambda s: s.update(scale="1"), "not a finite number"),
        ("target.json", lambda s: s.update(target=None), "is no object"),
    ],
)  # fmt: skip
def test_every_value_is_checked(folder, name, change, said):
    assert said in changed(folder, name, change)


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("content", [b"[" * 200_000, b"[]", b"1" * 5000, b"\xff\xfe", b"null", b""])
def test_what_is_no_object_is_one_line(folder, name, content):
    (folder / name).write_bytes(content)
    assert f"{name}" in complaint(folder)


def test_files_that_are_too_large_are_not_read(folder):
    for name in (*JSON, "weights.npy"):
        before = (folder / name).read_bytes()
        with (folder / name).open("wb") as file:
            file.truncate(2**36)  # takes no room on the disk, but would in memory
        assert f"{name} is damaged" in complaint(folder)
        (folder / name).write_bytes(before)
    (folder / "weights.npy").unlink()
    os.mkfifo(folder / "weights.npy")  # reading would wait for ever
    assert "weights.npy is damaged: there is no such file" in complaint(folder)


def test_weights_of_another_kind_are_refused(folder):
    weights = np.load(folder / "weights.npy")
    for wrong, said in (
        (weights.astype(np.float64)[: weights.size // 2], "not one row of float32"),
        (weights.reshape(-1, 2), "not one row of float32"),
        (weights[:-1], "not one row of float32"),
        (np.where(np.arange(weights.size) == 3, np.float32(np.nan), weights), "not finite"),
    ):
        np.save(folder / "weights.npy", wrong)
        message = complaint(folder)
        assert said in message or "does not hold the" in message
    np.save(folder / "weights.npy", weights)
    load_model(folder)


def test_labels_that_are_formulas_are_defused_in_files(tmp_path, capsys):
    """A spreadsheet would run them; numbers stay numbers."""
    table = write_table(tmp_path / "table.csv")
    text = table.read_text().replace("yes", '=HYPERLINK("x")').replace(",no\n", ",-1\n")
    table.write_text(text.replace('=HYPERLINK("x")', '"=HYPERLINK(""x"")"'))
    words = ["--widths", "2,4", "--depth", "1", "--budget", "40", "--max", "params=99", "--optimizer", "random"]
    assert run_command(["search", "--csv", str(table), "--target", "target", "--out", str(tmp_path / "o"), *words]) == 0
    capsys.readouterr()
    assert run_command(["predict", str(tmp_path / "o"), str(table), "--out", str(tmp_path / "p.csv")]) == 0
    header, *rows = (tmp_path / "p.csv").read_text().splitlines()
    assert header.startswith("prediction,probability of -1,")
    first = {row.split(",")[0] for row in rows}
    assert first == {"-1", '"\'=HYPERLINK(""x"")"'}
    assert set(naslab.load_model(tmp_path / "o").predict(table)["prediction"]) == {"-1", '=HYPERLINK("x")'}
