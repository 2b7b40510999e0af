"""Bombs are refused before memory or time is spent on them, and honest files pass."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from naslab.files import decompress, read_json, read_toml
from naslab.files.arrays import check_npy, load_npy

PACK = {"bz2": bz2.compress, "gzip": gzip.compress}


@pytest.mark.parametrize("kind", ["bz2", "gzip"])
def test_honest_bytes_come_out_whole(kind):
    numbers = "\n".join(map(str, np.random.default_rng(0).random(20_000))).encode()
    for data in (b"", b"x", b"0" * 3_000_000, numbers):
        assert decompress(PACK[kind](data), kind) == data
    assert decompress(PACK[kind](b"one ") + PACK[kind](b"two"), kind) == b"one two"


@pytest.mark.parametrize("kind", ["bz2", "gzip"])
def test_what_is_cut_short_or_something_else_is_refused(kind):
    whole = PACK[kind](b"some text" * 100)
    for broken in (whole[:-5], b"", b"not packed"):
        with pytest.raises(ValueError, match=kind):
            decompress(broken, kind)


@pytest.mark.parametrize("kind", ["bz2", "gzip"])
def test_a_bomb_is_not_unpacked(kind):
    bomb = PACK[kind](b"\0" * 30_000_000)
    with pytest.raises(ValueError, match="unpacks to more than"):
        decompress(bomb, kind)
    if kind == "bz2":
        assert len(bomb) < 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" + ".a" * 20_000 + " = 1", "a key has more than 32 parts"),
        ("[" + "a." * 20_000 + "a]", "a key has more than 32 parts"),
        ('"a" . ' * 20_000 + "a = 1", "a key has more than 32 parts"),
        ('x = {y = """z"""", ' + "b." * 20_000 + 'b = 1, c = "d"}', "a key has more than 32 parts"),
        ("a = " + "[" * 100_000, "nested more than 32 deep"),
        ("a = " + "{a = " * 5_000, "nested more than 32 deep"),
        ("# " + "x" * 2_000_000, "more than 1,048,576 bytes"),
        ("a = \xff", "utf-8"),
    ],
)
def test_toml_is_bounded_before_it_is_parsed(text, said):
    with pytest.raises(ValueError, match=said) as error:
        read_toml(text.encode("latin-1"))
    assert "\n" not in str(error.value)


def test_dots_and_brackets_in_strings_and_comments_mean_nothing():
    dots, brackets = "a." * 100, "[{" * 100
    text = f"# {dots} {brackets}\nx = \"{dots}\"\ny = '{brackets}'\nz = '''\n{dots}\n'''\r\nw = [1.5, [2.5]]\n"
    assert read_toml(text.encode())["x"] == dots
    assert read_toml(b"a.b.c = 1") == {"a": {"b": {"c": 1}}}
    assert read_toml(("x" * 1_000_000 + " = 1").encode())  # no time is lost on a long word


def test_json_that_is_nested_too_deeply_is_no_json():
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json("[" * 200_000)
    with pytest.raises(json.JSONDecodeError):
        read_json(b"{")
    assert read_json(b'{"a": [1]}') == {"a": [1]}


def npy(shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npy("(10000000000000,)"), "claims 80,000,000,000,000 bytes of numbers, and it holds 0"),
        (npy("(4294967296, 4294967296, 4294967296)"), "claims"),  # the product wraps around to 0 in 64 bits
        (npy("(-1, 2)"), "claims"),
        (npy("(2,)", b"\0" * 8), "claims 16 bytes of numbers, and it holds 8"),
        (npy("nonsense"), "no .npy array"),
        (npy("[" * 300), "no .npy array"),
        (b"PK\x03\x04", "no .npy array"),
        (b"", "no .npy array"),
        (b"\x93NUMPY\x07\x07", "format"),
    ],
)
def test_an_array_must_hold_what_its_header_claims(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_npy(io.BytesIO(data), len(data))
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(ValueError, match=said):
        load_npy(tmp_path / "x.npy")


def test_an_array_of_objects_is_refused_and_numbers_come_back(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        load_npy(tmp_path / "x.npy")
    for values in (np.arange(6.0).reshape(2, 3), np.zeros((0, 4)), np.array(3, np.int8)):
        np.save(tmp_path / "x.npy", values)
        assert (load_npy(tmp_path / "x.npy", mapped=values.size > 0) == values).all()


PICKLES = {
    "a memo index": b"\x80\x02]r\xff\xff\xff\x08.",
    "a memo index in digits": b"]p150000000\n.",
    "a length of bytes": b"\x80\x04\x8e\x00\x00\x00\x80\x00\x00\x00\x00.",
    "a length of a byte array": b"\x80\x05\x96\x00\x00\x00\x80\x00\x00\x00\x00.",
    "tuples in a key": b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.",
    "tuples in a key, by the memo": b"\x80\x04})" + b"\x94\x85\x94\x30h\x00\x85" * 3 + b"\x85" * 100_000 + b"K\x01s.",
    "a whole number": b"I" + b"9" * 1_000_000 + b"\n.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_can_claim_no_memory_and_end_no_process(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.pickle").write_bytes(PICKLES[name])
    (tmp_path / "x.pickle.pbz2").write_bytes(bz2.compress(PICKLES[name]))
    script = (
        "import resource, sys; from pathlib import Path; from naslab.errors import InvalidTable\n"
        "from naslab.tables.pickles import NUMPY_SCALARS, load_pickle\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "for name in sys.argv[1:]:\n"
        "    try: load_pickle(Path(name), NUMPY_SCALARS)\n"
        "    except InvalidTable as error: print(error)\n"
    )
    files = [str(tmp_path / "x.pickle"), str(tmp_path / "x.pickle.pbz2")]
    done = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("' is ")[0].removeprefix("'") for line in done.stdout.splitlines()] == files
    assert "MemoryError" not in done.stdout
    assert "too little memory" not in done.stdout
