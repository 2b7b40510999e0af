"""Numbers as people write them: the notation of a column, decided by all its cells and by the rest of the file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writing import alternating, write

import naslab.tabular.columns
from naslab.tabular.numbers import PLAIN, Notation, infer_notation, parse_number, plain_numbers
from naslab.tabular.reading import RawTable, read_rows, read_table

LABELS = alternating("yes", "no")


def read(path: Path, *, delimiter: str = ",", **columns: list[object]) -> RawTable:
    return read_table(write(path, {**columns, "label": LABELS}, delimiter=delimiter), "label")


@pytest.mark.parametrize(
    ("cells", "values", "notation"),
    [
        (["1,200", "12", "1,234,567.5"], [1200, 12, 1234567.5], Notation(".", ",")),
        (["$5.50", "-$1,200", "$ 7"], [5.5, -1200, 7], Notation(".", ",", "$")),
        (["5,50 €", "1.200,00 €", "7"], [5.5, 1200, 7], Notation(",", ".", "€")),
        (["12%", "-3.5 %", "100%"], [12, -3.5, 100], Notation(".", "", "%")),
        (["1.234,56", "2,5", "1.000"], [1234.56, 2.5, 1000], Notation(",", ".")),
        (["1 234,5", "1\u00a0234\u00a0567", "-2"], [1234.5, 1234567, -2], Notation(",", " ")),
        (["1'234.5", "1\u2019000", "2"], [1234.5, 1000, 2], Notation(".", "'")),
        (["\u22125", "+4", "1e3"], [-5, 4, 1000], PLAIN),
        (["0.125", "1.250", ".5"], [0.125, 1.25, 0.5], PLAIN),
        (["0,125", "1,250", ",5"], [0.125, 1.25, 0.5], Notation(",")),
        (["1.234", "2.345", "9.999"], [1.234, 2.345, 9.999], PLAIN),
        (["1,234", "2,345", "9,999"], [1234, 2345, 9999], Notation(".", ",")),
    ],
)
def test_what_people_write_is_a_number(tmp_path, cells, values, notation):
    table = read(tmp_path / "t.csv", x=alternating(*cells))
    assert table.columns[0].kind == "numeric"
    assert table.columns[0].notation == notation
    np.testing.assert_allclose(table.values["x"], values * 20, rtol=1e-15)


@pytest.mark.parametrize(
    "text", ["1_000", "١٢", "0x10", "1,23,4", "12,34.5", "1.2.3", "$", "%", "$5%", "--5", "5-", "", ".", "NaN", "1 2"]
)
def test_what_is_no_number(text):
    for notation in (PLAIN, Notation(".", ","), Notation(".", "", "%"), Notation(".", ",", "$"), Notation(",", ".")):
        assert parse_number(text, notation) is None


def test_units_are_not_mixed():
    assert parse_number("5", Notation(unit="$")) == 5
    assert parse_number("€5", Notation(unit="$")) is None
    assert parse_number("0.12", Notation(unit="%")) is None  # 12 %, or 0.12 %?
    assert parse_number("12%") is None
    assert infer_notation(Counter({"$5": 30, "€6": 2, "7": 4}), ".") == (Notation(unit="$"), 34)


def test_a_column_that_can_be_read_either_way_follows_the_file(tmp_path):
    either = alternating("1.234", "2.345", "3.456")
    table = read(tmp_path / "a.csv", delimiter=";", x=either, price=alternating("1,5", "2,25", "3"))
    np.testing.assert_array_equal(table.values["x"], [1234, 2345, 3456] * 20)
    assert "Column 'x': '1.234' is read as 1234." in table.remarks
    table = read(tmp_path / "b.csv", delimiter=";", x=either, price=alternating("1.5", "2.25", "3"))
    np.testing.assert_array_equal(table.values["x"], [1.234, 2.345, 3.456] * 20)
    assert table.remarks == ()
    commas = alternating("1,234", "2,345", "3,456")
    table = read(tmp_path / "c.csv", delimiter=";", x=commas)
    np.testing.assert_array_equal(table.values["x"], [1.234, 2.345, 3.456] * 20)
    table = read(tmp_path / "d.csv", delimiter=";", x=commas, price=alternating("1.5", "2.25", "3"))
    np.testing.assert_array_equal(table.values["x"], [1234, 2345, 3456] * 20)


def test_how_numbers_were_read_is_said_and_kept(tmp_path):
    table = read(
        tmp_path / "t.csv", delimiter=";", price=alternating("1.011,07 €", "900,5 €", "12,00 €"),
        share=alternating("43,1%", "5%"), plain=alternating("1", "2", "3"),
    )  # fmt: skip
    assert table.remarks == (
        "Column 'price': '1.011,07 €' is read as 1011.07 (in €).",
        "Column 'share': '43,1%' is read as 43.1 (in %).",
    )
    new = write(tmp_path / "new.csv", {"price": ["1.234"], "share": ["7,5%"], "plain": [4]}, delimiter=";")
    values = read_rows(new, table.columns)  # alone, 1.234 would be read otherwise
    assert [float(values[name][0]) for name in ("price", "share", "plain")] == [1234, 7.5, 4]


def test_the_number_to_predict_may_have_a_notation_too(tmp_path):
    prices = [f"${row * 37 + 1000:,}.50" for row in range(60)]
    table = read_table(write(tmp_path / "t.csv", {"x": list(range(60)), "price": prices}), "price")
    assert (table.target.kind, table.target.notation) == ("regression", Notation(".", ",", "$"))
    np.testing.assert_array_equal(table.y, [row * 37 + 1000.5 for row in range(60)])


@given(numbers=st.lists(st.integers(-(10**9), 10**9).map(lambda n: n / 100), min_size=1, max_size=20), data=st.data())
def test_whatever_is_written_in_one_notation_comes_back(numbers, data):
    decimal, group = data.draw(st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (".", ""), (",", "")]))
    unit = data.draw(st.sampled_from(["", "%", "€"]))
    texts = [f"{n:,.2f}".replace(",", "\0").replace(".", decimal).replace("\0", group) + unit for n in numbers]
    notation, count = infer_notation(Counter(texts), data.draw(st.sampled_from(".,")))
    assert count == len(texts)
    assert [parse_number(text, notation) for text in texts] == numbers


@given(st.floats(allow_nan=False))
def test_every_float_of_python_is_read_exactly(number):
    assert parse_number(repr(number)) == number


PIECES = st.text(st.sampled_from("0123456789.eE+-"), max_size=6)
NUMBER_TEXTS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers().map(str)


@given(
    st.lists(PIECES | NUMBER_TEXTS | st.sampled_from(["", "1_0", "\u0661", "1e999", "inf", "1,5", "1 "]), max_size=4)
)
def test_a_column_read_as_a_whole_is_the_column_read_cell_by_cell(cells):
    numbers = [np.nan if cell == "" else parse_number(cell) for cell in cells]
    if any(number is None or np.isinf(number) for number in numbers):
        assert plain_numbers(cells) is None
    else:
        np.testing.assert_array_equal(plain_numbers(cells), np.array(numbers, dtype=float))


def test_a_plain_column_of_a_file_of_commas_is_read_as_the_file_is(tmp_path):
    columns = {"a": ["1,5", "2,25", "3"] * 20, "b": ["1.234", "2.345", "3.456"] * 20}
    assert read(tmp_path / "t.csv", delimiter=";", **columns).values["b"][0] == 1234


def test_cells_are_looked_at_one_by_one_only_where_a_column_is_not_plain(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv", {"x": [row * 0.5 for row in range(3000)], "label": LABELS * 50})
    seen: list[str] = []
    monkeypatch.setattr(naslab.tabular.columns, "number_reader", lambda notation: seen.append)
    assert read_table(path, "label").values["x"][-1] == 1499.5
    assert "1499.5" not in seen
