"""TFRecord framing and the protocol buffer in it, against writers of their own."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official_files import crc32c, double, evaluation, framed, metrics, varint

from naslab.errors import InvalidTable
from naslab.tables.importers import tfrecord
from naslab.tables.importers.model_metrics import Measured, read_metrics
from naslab.tables.importers.tfrecord import read_records


def test_published_checksums() -> None:
    """RFC 3720, appendix B.4; the check value of the catalogue of CRCs."""
    texts = [bytes(32), b"\xff" * 32, bytes(range(32)), b"123456789", b""]
    assert tfrecord.crc32c(texts).tolist() == [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0xE3069283, 0]


@given(st.lists(st.binary(max_size=40), min_size=1))
def test_checksums_of_many_at_once(texts: list[bytes]) -> None:
    assert tfrecord.crc32c(texts).tolist() == [crc32c(text) for text in texts]


def test_records_come_back_in_order_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [b"a" * 30, b"", b"b" * 7, b"c" * 30, b"d"]
    (tmp_path / "x.tfrecord").write_bytes(b"".join(map(framed, texts)))
    for block in (2**24, 60, 1):
        monkeypatch.setattr(tfrecord, "BLOCK", block)
        reached: list[int] = []
        found = list(read_records(tmp_path / "x.tfrecord", lambda done, _, reached=reached: reached.append(done)))
        assert [data for _, data in found] == texts
        assert [place for place, _ in found][:3] == ["record 1 (byte 0)", "record 2 (byte 46)", "record 3 (byte 62)"]
        assert reached[-1] == 148
    assert len(reached) == 5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], r"record 3 \(byte 52\): it is cut short"),
        (lambda data: data[:57], r"record 3 \(byte 52\): it is cut short"),
        (lambda data: data[:40] + b"X" + data[41:], r"record 2 \(byte 26\): its checksum is 0x.*, and it states 0x"),
        (lambda data: data[:26] + b"\x0b" + data[27:], r"record 2 \(byte 26\): the checksum of its length is wrong"),
        (lambda data: data[:26] + framed(b"", length=2**20 + 1), "states 1,048,577 bytes; records .* have at most"),
        (lambda data: b"", "is empty: no record"),
        (lambda data: b"PK not a TFRecord", "the checksum of its length is wrong: no TFRecord file"),
    ],
)
def test_damage_names_the_record_and_its_first_byte(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "x.tfrecord"
    file.write_bytes(damage(b"".join(map(framed, [b"first text", b"the second", b"third"]))))
    with pytest.raises(InvalidTable, match=message) as caught:
        list(read_records(file))
    assert "\n" not in str(caught.value)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="can't be read: no such file"):
        list(read_records(tmp_path / "absent"))


def test_a_message() -> None:
    found = read_metrics(metrics(108, 1200.5, (0.9, 0.8, 0.7), 2_000_000, checkpoint="/model.ckpt-1"))
    assert found.params == 2_000_000
    assert found.evaluations[0] == Measured(0.0, 0.0, 0.1, 0.1, 0.1)
    assert found.evaluations[2] == Measured(108.0, 1200.5, 0.9, 0.8, 0.7)


def test_fields_in_any_order_unknown_ones_and_repeated_ones() -> None:
    shuffled = b"".join(
        double(i, value) for i, value in ((5, 0.5), (1, 4.0), (3, 0.3), (9, 7.0), (2, 2.0), (4, 0.0), (4, 0.4))
    )
    message = b"\x10" + varint(7) + b"\x52\x02ab" + b"\x0a" + varint(len(shuffled)) + shuffled + b"\x10" + varint(8)
    assert read_metrics(message) == ((Measured(4.0, 2.0, 0.3, 0.4, 0.5),), 8)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "trainable_parameters is missing"),
        (b"\x10" + varint(2**40), "trainable_parameters is"),
        (b"\x0a\x09" + double(1, 1.0) + b"\x10\x07", "training_time is missing"),
        (b"\x0a\x7f", "no protocol buffer: field 1"),
        (b"\x0b", "no protocol buffer: field 1 of type 3"),
        (b"\x10\xff", "a whole number does not end"),
        (b"\xff" * 30, "a whole number does not end"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "no protocol buffer"),
    ],
)
def test_what_is_no_message(message: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_metrics(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    whole = metrics(4, 1.0, (0.5, 0.5, 0.5), 9)
    for message in (data, whole[: len(data)] + data):
        with suppress(ValueError):
            read_metrics(message)


def test_an_evaluation_is_written_as_protocol_buffers_are() -> None:
    assert evaluation(1.0, 0.0, ()) == b"\x09" + struct.pack("<d", 1.0) + b"\x11" + struct.pack("<d", 0.0)
