"""Tables are read back as they were written, and a damaged one is refused by name."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from failing_files import PASSING, check_says_what_it_is, out_of_reach
from hypothesis import given, settings
from hypothesis import strategies as st

from naslab.errors import InvalidArchitecture, InvalidTable, InvalidValue, UnknownMetric
from naslab.tables import Table, open_table
from naslab.tables import format as table_format
from naslab.tables.format import Column
from naslab.tables.header import ColumnSpec, TableSpec, content_hash
from naslab.tables.writing import write_table

FILES = ("architectures.npy", "toy+accuracy+valid.npy", "toy+accuracy+test.npy", "toy+train_seconds.npy")


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def edit_header(path: Path, change: Callable[[dict[str, Any]], None], *, rehash: bool) -> None:
    header = json.loads((path / "header.json").read_text())
    change(header)
    if rehash:
        header["sha256"] = content_hash(header)
    (path / "header.json").write_text(json.dumps(header))


def test_a_table_answers(toy: Table) -> None:
    assert (toy.name, toy.space, len(toy)) == ("toy", "toy-space", 3)
    assert toy.row((1, 2)) == 0
    assert toy.row((0, 1)) == 2
    assert toy.columns["toy/accuracy/valid"].epochs == (1, 4)
    assert toy.columns["toy/accuracy/valid"].unit == "%"
    assert toy.tasks["toy"].reward.epochs == 1
    assert toy.provenance["source"] == "invented"
    assert "naslab" in toy.provenance
    np.testing.assert_array_equal(toy.values("toy/accuracy/valid", 1), [[10, 20], [1, np.nan], [0, 0]])
    np.testing.assert_array_equal(toy.values("toy/accuracy/valid"), [[30, 50], [3, 5], [np.nan, np.nan]])
    np.testing.assert_array_equal(toy.mean("toy/accuracy/valid", 1), [15, 1, 0])
    np.testing.assert_array_equal(toy.mean("toy/accuracy/valid", 4), [40, 4, np.nan])


def test_arrays_are_mapped_and_read_only(toy: Table) -> None:
    assert isinstance(toy.columns["toy/accuracy/valid"].values, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        toy.columns["toy/accuracy/valid"].values[0, 0, 0] = 1.0


def test_charge_is_recorded_or_in_proportion(toy: Table) -> None:
    np.testing.assert_array_equal(toy.charge("toy", 4), [8, 80, 800])
    np.testing.assert_array_equal(toy.charge("toy", 1), [2, 20, 200])
    np.testing.assert_array_equal(toy.charge("toy"), [8, 80, 800])


def test_charge_is_in_proportion_to_the_longest_recorded_training(toy: Table) -> None:
    seconds = toy.columns["toy/train_seconds"]
    values = np.stack([seconds.values[:, 0] / 8, seconds.values[:, 0]], axis=1)  # 1 epoch took less than a quarter
    both = Column(**{**dict(seconds), "epochs": (1, 4), "values": values})
    table = dataclasses.replace(toy, columns={**toy.columns, both.name: both})
    np.testing.assert_array_equal(table.charge("toy", 1), [1, 10, 100])  # recorded
    np.testing.assert_array_equal(table.charge("toy", 2), [4, 40, 400])
    np.testing.assert_array_equal(table.charge("toy", 8), [16, 160, 1600])


def test_an_unknown_dataset_has_no_charge(toy: Table) -> None:
    with pytest.raises(UnknownMetric, match=r"tay/train_seconds.*Did you mean 'toy/train_seconds'"):
        toy.charge("tay", 4)


def test_what_is_not_there_is_refused(toy: Table) -> None:
    for architecture in ((1, 1), (1,), [1, 2]):
        with pytest.raises(InvalidArchitecture, match="is not among the 3 architectures of the table 'toy'"):
            toy.row(architecture)  # type: ignore[arg-type]
    with pytest.raises(UnknownMetric, match="Did you mean 'toy/accuracy/valid'"):
        toy.values("toy/acuracy/valid")
    with pytest.raises(InvalidValue, match=r"epochs=3 .* Recorded: 1, 4"):
        toy.mean("toy/accuracy/valid", 3)


@st.composite
def contents(draw: st.DrawFn) -> tuple[tuple[int, ...], np.ndarray, tuple[int, ...], int, np.ndarray]:
    options = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    codes = draw(st.sets(st.integers(0, int(np.prod(options)) - 1), min_size=1, max_size=20))
    architectures = np.stack(np.unravel_index(draw(st.permutations(sorted(codes))), options), axis=1)
    epochs = tuple(sorted(draw(st.sets(st.integers(1, 300), max_size=3))))
    seeds = draw(st.integers(1, 3))
    size = len(codes) * max(1, len(epochs)) * seeds
    numbers = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
    values = draw(st.lists(numbers, min_size=size, max_size=size))
    return options, architectures, epochs, seeds, np.reshape(values, (len(codes), -1, seeds))


@settings(deadline=None)  # it waits for the disk
@given(contents())
def test_round_trip(case: tuple[tuple[int, ...], np.ndarray, tuple[int, ...], int, np.ndarray]) -> None:
    options, architectures, epochs, seeds, values = case
    column = ColumnSpec(
        dataset="d",
        metric="m",
        split=None,
        role="context",
        unit="",
        direction="min",
        epochs=epochs,
        seeds=tuple(map(str, range(seeds))),
    )
    spec = TableSpec(name="t", space="s", options=options, columns=(column,), tasks={}, provenance={})
    with tempfile.TemporaryDirectory() as folder:
        table = write_table(Path(folder) / "t", spec, architectures, {"d/m": values})
        np.testing.assert_array_equal(table.architectures, architectures)
        np.testing.assert_array_equal(table.columns["d/m"].values, values)
        for row, architecture in enumerate(architectures.tolist()):
            assert table.row(tuple(architecture)) == row
        for position, epoch in enumerate(epochs or (None,)):
            expected = [
                np.mean([x for x in seeds if x == x]) if any(x == x for x in seeds) else np.nan
                for seeds in values[:, position]
            ]
            np.testing.assert_allclose(table.mean("d/m", epoch), expected, rtol=1e-12, atol=1e-9)


def test_the_same_content_has_the_same_hash(write_toy: Callable[..., Table], tmp_path: Path) -> None:
    assert write_toy().sha256 == write_toy(path=tmp_path / "toy").sha256
    assert write_toy().sha256 != write_toy(shift=1.0, path=tmp_path / "toy2").sha256


def test_a_pickled_table_is_its_path(toy: Table, write_toy: Callable[..., Table]) -> None:
    packed = pickle.dumps(toy)
    assert len(packed) < 1000
    assert pickle.loads(packed).sha256 == toy.sha256
    write_toy(shift=1.0, replace=True)
    with pytest.raises(InvalidTable, match="was replaced"):
        pickle.loads(packed)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused(toy: Table, name: str) -> None:
    file = toy.path / name
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InvalidTable) as error:
        open_table(toy.path)
    assert f"'{file}'" in one_line(error)
    assert "Fix: delete the folder" in one_line(error)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("keep", [0, 20, -8])
def test_a_truncated_file_is_refused(toy: Table, name: str, verify: bool, keep: int) -> None:
    file = toy.path / name
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InvalidTable) as error:
        open_table(toy.path, verify=verify)
    assert f"'{file}'" in one_line(error)


@pytest.mark.parametrize("name", [*FILES, "header.json"])
def test_a_missing_file_is_refused(toy: Table, name: str) -> None:
    (toy.path / name).unlink()
    with pytest.raises(InvalidTable) as error:
        open_table(toy.path)
    assert f"'{toy.path / name}' is missing" in one_line(error)


def test_an_edited_header_is_refused(toy: Table) -> None:
    edit_header(toy.path, lambda header: header["columns"][1].update(role="reward"), rehash=False)
    with pytest.raises(InvalidTable, match=r"header.json' was edited"):
        open_table(toy.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["tasks"]["toy"]["reward"].update(column="toy/accuracy/test", epochs=4), "is test data"),
        (lambda h: h["tasks"]["toy"]["reward"].update(epochs=2), "at 2 epochs; recorded: 1, 4"),
        (lambda h: h["tasks"]["toy"]["truth"].update(column="toy/accuracy/tost"), "Did you mean"),
        (lambda h: h["columns"][0].update(epochs=[1, 2, 4]), "wrong shape"),
        (lambda h: h["columns"][0].update(epochs=[4, 1]), "epochs must ascend"),
        (lambda h: h["columns"][0].update(file="../../secret.npy"), "file = '../../secret.npy'"),
        (lambda h: h["columns"][0].update(direction="up"), "Allowed: 'max' or 'min'"),
        (lambda h: h["columns"].append(h["columns"][0]), "two columns"),
        (lambda h: h["columns"][0].update(shape=[3, 4]), r"\(3, 2, 2\) float64, not \(3, 4\)"),
        (lambda h: h.update(options=[2, 3, 4]), "options that do not fit"),
        (lambda h: h.update(format=2), "format = 2. Allowed: 1"),
        (lambda h: h.update(spaec="x"), "unknown key 'spaec'. Did you mean 'space'"),
        (lambda h: h.pop("space"), "key 'space' is missing"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    toy: Table, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit_header(toy.path, change, rehash=True)
    with pytest.raises(InvalidTable, match=message) as error:
        open_table(toy.path)
    assert str(toy.path) in one_line(error)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_broken_header_is_refused(toy: Table, text: bytes) -> None:
    (toy.path / "header.json").write_bytes(text)
    with pytest.raises(InvalidTable) as error:
        open_table(toy.path)
    assert "header.json' is not" in one_line(error)


def test_arrays_of_objects_are_never_unpickled(toy: Table) -> None:
    file = toy.path / FILES[1]
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    sha256 = table_format.file_sha256(file)
    edit_header(toy.path, lambda h: h["columns"][0].update(sha256=sha256), rehash=True)
    with pytest.raises(InvalidTable, match="it holds Python objects"):
        open_table(toy.path)


def test_hashes_are_computed_once_and_again_after_a_change(toy: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = table_format.file_sha256

    def counted(file: Path) -> str:
        hashed.append(file.name)
        return original(file)

    monkeypatch.setattr(table_format, "file_sha256", counted)
    open_table(toy.path)
    assert hashed == []
    file = toy.path / FILES[0]
    file.write_bytes(file.read_bytes())  # same bytes, another time of change
    open_table(toy.path)
    assert hashed == list(FILES)
    open_table(toy.path)
    assert hashed == list(FILES)
    (toy.path / "verified.json").write_text("nonsense")
    open_table(toy.path)
    assert hashed == list(FILES) * 2
    (toy.path / "verified.json").unlink()
    open_table(toy.path, verify=False)
    assert hashed == list(FILES) * 2


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("name", [*FILES, "header.json"])
@pytest.mark.parametrize("how", ["hashed", "known", "unverified"])
def test_a_passing_error_is_no_damage(toy: Table, number: int, name: str, how: str) -> None:
    """The table may be whole: nobody is told to delete it, or to import it again."""
    if how == "hashed":
        (toy.path / "verified.json").unlink()
    with pytest.raises(InvalidTable) as error, out_of_reach(toy.path / name, number):
        open_table(toy.path, verify=how != "unverified")
    check_says_what_it_is(error.value, toy.path / name, number)
    assert open_table(toy.path).sha256 == toy.sha256


def test_only_a_hash_that_differs_is_damage(toy: Table) -> None:
    """A header of another version, a lost file: the numbers may be whole, so the folder is moved, not deleted."""
    edit_header(toy.path, lambda header: header.update(format=2), rehash=True)
    with pytest.raises(InvalidTable, match="Fix: move the folder") as error:
        open_table(toy.path)
    assert "delete" not in one_line(error)


@pytest.mark.parametrize("verify", [True, False])
def test_a_shape_that_no_file_fills_takes_no_memory(toy: Table, verify: bool) -> None:
    file = toy.path / FILES[1]
    data = bytearray(file.read_bytes())
    start = data.index(b"(3, 2, 2)")
    data[start : start + 9] = b"(3,9**99)"
    for shape in (b"(3,9**99)", b"(9999,99)", b"(3,-2,-2)"):
        data[start : start + 9] = shape
        file.write_bytes(data)
        sha256 = table_format.file_sha256(file)
        edit_header(toy.path, lambda h, sha256=sha256: h["columns"][0].update(sha256=sha256), rehash=True)
        with pytest.raises(InvalidTable, match=r"can't be read \((its header claims|no .npy array)"):
            open_table(toy.path, verify=verify)


def test_a_header_is_no_bomb(toy: Table) -> None:
    for text in (b"[" * 200_000, b'{"provenance": ' + b'{"a": ' * 50_000, b'{"format": ' + b"9" * 10_000 + b"}"):
        (toy.path / "header.json").write_bytes(text)
        with pytest.raises(InvalidTable) as error:
            open_table(toy.path)
        assert f"'{toy.path / 'header.json'}' is not" in one_line(error)
        assert len(one_line(error)) < 1000
    edit = {"tasks": {"x" * 100_000: 1}, "options": [1.5] * 100_000, "columns": "9" * 100_000}
    (toy.path / "header.json").write_text(json.dumps(edit))
    with pytest.raises(InvalidTable) as error:
        open_table(toy.path)
    assert len(one_line(error)) < 1000
