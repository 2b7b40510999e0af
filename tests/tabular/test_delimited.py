"""Delimited text: what separates its cells, the line each row stands on, and files that are none."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naslab.errors import InvalidDataset
from naslab.tabular.delimited import read_cells, suggestion

texts = st.text(st.sampled_from("ab1 ,;\t\"'\n\ré€"), max_size=6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def complaint(path: Path) -> str:
    with pytest.raises(InvalidDataset) as caught:
        read_cells(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiter_mark_and_line_ends_are_recognised(file: Path, delimiter: str, encoding: str, end: str) -> None:
    lines = (("naïve", "b", "c"), ("1", " x y ", ""), ("2", "3", "4"))
    file.write_bytes(end.join(delimiter.join(line) for line in lines).encode(encoding))
    cells = read_cells(file)
    assert cells.delimiter == delimiter
    assert cells.header == ("naïve", "b", "c")
    assert cells.rows == [["1", "x y", ""], ["2", "3", "4"]]
    assert cells.lines == [2, 3]


def test_the_delimiter_is_the_one_that_makes_rows_equally_long(file: Path) -> None:
    file.write_text("a;b,c;d\n1,5;2;3\n1,5;2,5;3,5\n")
    assert read_cells(file).header == ("a", "b,c", "d")
    file.write_text("size;a,b,c\n1;2\n3;4\n")
    assert read_cells(file).header == ("size", "a,b,c")
    file.write_text('"a;b;c;d",e\n"1;2",3\n')
    assert read_cells(file).header == ("a;b;c;d", "e")


def test_one_row_of_another_length_does_not_change_the_delimiter(file: Path) -> None:
    file.write_text("a,b\n1,2\n1,2,3\n1,2\n")
    message = complaint(file)
    assert message.startswith("FILE: line 3 has 3 cells, the header 2 (separated by commas).")


def test_lines_are_counted_through_quoted_line_ends_and_blank_lines(file: Path) -> None:
    file.write_text('\na,b\n"x\ny",2\n\n   \n3,4\n5\n')
    assert "FILE: line 8 has 1 cell, the header 2" in complaint(file)
    file.write_text('\na,b\n"x\ny",2\n\n   \n3,4\n')
    cells = read_cells(file)
    assert cells.rows == [["x\ny", "2"], ["3", "4"]]
    assert cells.lines == [3, 7]


def test_a_row_of_empty_cells_is_a_row(file: Path) -> None:
    file.write_text("a,b\n,\n1,2\n")
    assert read_cells(file).rows == [["", ""], ["1", "2"]]


def test_a_single_column_is_read_only_if_asked_for_and_keeps_its_empty_cells(file: Path) -> None:
    file.write_text('a\n1\n""\n3\n\n')
    assert "no CSV file: its first line has neither comma, semicolon nor tab" in complaint(file)
    assert read_cells(file, one_column=True).rows == [["1"], [""], ["3"]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "FILE is empty"),
        (b" \n\n", "FILE is empty"),
        (b"PK\x03\x04rest", "an Excel workbook or a zip archive"),
        (b"\x1f\x8brest", "compressed (gzip)"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16"),
        (b"a,b\n1,\x00\n", "it is binary"),
        ("a,b\n1,2\n1,é\n".encode("latin-1"), "line 3 is not UTF-8 text"),
        (b"just a sentence\nand another\n", "neither comma, semicolon nor tab"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 3 is no CSV"),
        (b'a,b\n1,"2"3\n', "line 2 is no CSV"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "line 2 is no CSV: field larger than field limit"),
    ],
)
def test_what_is_no_csv_is_refused(file: Path, data: bytes, said: str) -> None:
    file.write_bytes(data)
    assert said in complaint(file)


def test_a_file_that_is_not_there_is_named_with_the_nearest(file: Path, tmp_path: Path) -> None:
    assert complaint(file) == "FILE does not exist. Give the path of a CSV file."
    (tmp_path / "date.csv").write_text("a,b\n")
    assert complaint(file) == f"FILE does not exist. Did you mean {str(tmp_path / 'date.csv')!r}?"
    assert "nor does the folder" in complaint(tmp_path / "none" / "data.csv")
    assert "is a folder" in complaint(tmp_path)


def test_a_name_that_occurs_twice_has_no_position(file: Path) -> None:
    file.write_text("a,b, a\n1,2,3\n")
    cells = read_cells(file)
    assert cells.position("b") == 1
    with pytest.raises(InvalidDataset, match=r"columns 1, 3 are all called 'a'"):
        cells.position("a")


def test_suggestions() -> None:
    assert suggestion("LABEL", ["lable", "age"]) == "Did you mean 'lable'?"
    assert suggestion("zzz", ["", "age", "sex"]) == "There are: 'age', 'sex'."
    assert suggestion("zzz", [f"x{n}" for n in range(14)]).endswith("'x8', 'x9' and 4 more.")
    assert suggestion("zzz", []) == "There is none."


@given(rows=st.lists(st.tuples(texts, texts, texts), max_size=8), delimiter=st.sampled_from(",;\t"))
def test_whatever_is_written_comes_back_stripped(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], delimiter: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows([("first", "second", "third"), *rows])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(buffer.getvalue().encode())
    cells = read_cells(path)
    assert cells.delimiter == delimiter
    assert cells.rows == [[cell.strip() for cell in row] for row in rows]
    for row, line in enumerate(cells.lines):  # the line on which the row's first cell begins
        buffer.seek(0)
        before = csv.reader(io.StringIO(buffer.getvalue(), newline=""), delimiter=delimiter)
        for _ in range(row + 1):
            next(before)
        assert line == before.line_num + 1
