"""Foreign pickles: numbers come out, nothing runs."""

from __future__ import annotations

import bz2
import copyreg
import hashlib
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naslab.errors import InvalidTable
from naslab.tables import pickles
from naslab.tables.pickles import NUMPY_SCALARS, load_pickle


class Malicious:
    """Unpickled by ``pickle.load``, this runs a shell command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "witness"
    yield file
    assert not file.exists(), "the pickle ran"


def store(folder: Path, data: bytes, name: str = "x.pickle") -> Path:
    file = folder / name
    file.write_bytes(bz2.compress(data) if name.endswith("pbz2") else data)
    return file


def refused(file: Path) -> str:
    messages = []
    for allowed in ({}, NUMPY_SCALARS):
        with pytest.raises(InvalidTable) as error:
            load_pickle(file, allowed)
        messages.append(str(error.value))
    assert all(str(file) in message and "\n" not in message for message in messages)
    return messages[-1]


def test_the_malicious_pickle_is_a_real_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malicious(f"touch {tmp_path}/ran")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["x.pickle", "x.pickle.pbz2"])
def test_a_malicious_pickle_is_refused_and_nothing_runs(
    tmp_path: Path, witness: Path, protocol: int, name: str
) -> None:
    data = pickle.dumps(Malicious(f"touch {witness}"), protocol)
    assert f"names {os.system.__module__}.system" in refused(store(tmp_path, data, name))


def test_a_nested_malicious_pickle_is_refused(tmp_path: Path, witness: Path) -> None:
    harmless = {"12": OrderedDict(a=[1, 2, np.float64(3.0)])}
    nested = {**harmless, "200": {"deep": [(0, {"x": Malicious(f"touch {witness}")})]}}
    refused(store(tmp_path, pickle.dumps(nested)))


def test_a_pickle_inside_a_pickle_stays_bytes(tmp_path: Path, witness: Path) -> None:
    inner = pickle.dumps(Malicious(f"touch {witness}"))
    assert load_pickle(store(tmp_path, pickle.dumps({"x": inner})), {}) == {"x": inner}


def test_a_numpy_scalar_of_objects_cannot_carry_a_pickle(tmp_path: Path, witness: Path) -> None:
    payload = pickle.dumps(Malicious(f"touch {witness}"))
    scalar, dtype = b"cnumpy.core.multiarray\nscalar\n", b"cnumpy\ndtype\n"
    for code in (b"O", b"V8", b"S9"):
        data = scalar + b"(" + dtype + b"(V" + code + b"\ntR" + pickle.dumps(payload, 0)[:-1] + b"tR."
        with pytest.raises(InvalidTable, match=f"dtype '{code.decode()}'"):
            load_pickle(store(tmp_path, data), NUMPY_SCALARS)


@pytest.mark.parametrize(
    "data",
    [
        b"cbuiltins\neval\n(V1\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"(Vos\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nV1\no.",  # OBJ
        b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",  # a dotted name
        b"cnumpy\nload\n(V/etc/passwd\ntR.",
        b"ccopyreg\n_reconstructor\n.",
    ],
)
def test_every_way_to_name_something_is_closed(tmp_path: Path, data: bytes) -> None:
    assert "nothing in it was run" in refused(store(tmp_path, data))


def test_persistent_ids_are_refused(tmp_path: Path) -> None:
    refused(store(tmp_path, b"Psome id\n."))
    refused(store(tmp_path, b"\x80\x04K\x01Q."))


def test_extension_codes_are_refused_even_when_another_pickle_has_used_them(tmp_path: Path, witness: Path) -> None:
    """An extension that an ordinary unpickler has resolved is cached, past ``find_class``."""
    module = os.system.__module__
    copyreg.add_extension(module, "system", 0xF7)
    try:
        data = pickle.dumps(Malicious(f"touch {witness}"), 2)
        assert b"\x82\xf7" in data
        assert pickle.loads(b"\x80\x02\x82\xf7.") is os.system
        assert f"names {module}.system" in refused(store(tmp_path, data))
    finally:
        copyreg.remove_extension(module, "system", 0xF7)
    refused(store(tmp_path, b"\x80\x02\x82\xf8."))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(plain, st.integers(2, 5))
def test_plain_data_passes(tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int) -> None:
    file = tmp_path_factory.getbasetemp() / "plain.pickle"
    file.write_bytes(pickle.dumps(value, protocol))
    if protocol > 2:  # protocol 2 spells bytes as a call of _codecs.encode
        assert load_pickle(file, {}) == value


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("value", [np.float64(-1.5), np.float32(0.25), np.int64(-7), np.dtype(">f8").type(3.0)])
def test_numpy_scalars_become_floats(tmp_path: Path, value: np.generic, protocol: int) -> None:
    loaded = load_pickle(store(tmp_path, pickle.dumps({"a": value}, protocol)), NUMPY_SCALARS)["a"]
    assert loaded == value
    assert type(loaded) is float


@given(st.data())
def test_damage_is_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = pickle.dumps(OrderedDict(a=np.float64(1.0), b=[1, 2, {"x": "y"}]), 4)
    keep = data.draw(st.integers(0, len(whole) - 1))
    file = tmp_path_factory.getbasetemp() / "damaged.pickle"
    file.write_bytes(whole[:keep])
    with pytest.raises(InvalidTable, match=r"damaged\.pickle' is"):
        load_pickle(file, NUMPY_SCALARS)


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    file = store(tmp_path, pickle.dumps([1.0] * 1000), "x.pickle.pbz2")
    for broken in (file.read_bytes()[:-5], b"not bz2", b""):
        file.write_bytes(broken)
        assert "Fix: get the file again" in refused(file)
    assert "can't be read" in refused(tmp_path / "absent.pickle")


def test_the_bounds_of_a_known_file_are_not_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = store(tmp_path, pickle.dumps({"a": [1.0]}))
    known = hashlib.sha256(file.read_bytes()).hexdigest()
    assert load_pickle(file, {}, known=known) == {"a": [1.0]}

    def refuse(data: bytes) -> None:
        raise ValueError("checked")

    monkeypatch.setattr(pickles, "check_bounds", refuse)
    assert load_pickle(file, {}, known=known) == {"a": [1.0]}
    for other in ("", "0" * 64):
        with pytest.raises(InvalidTable, match="checked"):
            load_pickle(file, {}, known=other)
    harmful = store(tmp_path, pickle.dumps(Malicious("true")), "harmful.pickle")
    with pytest.raises(InvalidTable, match="is refused: it names"):  # known or not
        load_pickle(harmful, {}, known=hashlib.sha256(harmful.read_bytes()).hexdigest())
