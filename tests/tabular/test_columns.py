"""What a column is, when one of its cells is not, and that a path and a data frame give the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from writing import alternating, write

import naslab
from naslab.errors import InvalidDataset, InvalidValue, UnknownName
from naslab.tabular.columns import MISSING, folded
from naslab.tabular.delimited import read_cells
from naslab.tabular.frames import cells_of_frame
from naslab.tabular.preprocessing import Preprocessor
from naslab.tabular.reading import RawTable, read_rows, read_table, values_of
from naslab.tabular.targets import known_targets

NUMBERS: list[object] = [row * 0.5 for row in range(60)]
LABELS = alternating("yes", "no")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def with_cells(values: list[object], cells: dict[int, object]) -> list[object]:
    return [cells.get(row, value) for row, value in enumerate(values)]


def read(path: Path, columns: dict[str, list[object]], **options: Any) -> RawTable:
    return read_table(write(path, {"label": LABELS, **columns}), "label", **options)


def complaint(path: Path, columns: dict[str, list[object]], error: type[Exception] = InvalidDataset, **o: Any) -> str:
    with pytest.raises(error) as raised:
        read(path, columns, **o)
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(path), "FILE")


# ---- one bad cell ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["n.a.", "unknown", "oops", ".", "1,5,6", "12 EUR"])
def test_one_bad_cell_is_named_and_refused(file, bad):
    assert complaint(file, {"x": with_cells(NUMBERS, {7: bad})}) == (
        f"FILE: line 9: {bad!r} in column 'x' is not a number, but most of that column are numbers. Correct that cell; "
        "or treat what is no number as missing: --coerce; or take all of it as categories: --types x=categorical."
    )


def test_all_columns_with_such_cells_are_named_at_once(file):
    columns = {name: with_cells(NUMBERS, {row: "n.a."}) for row, name in enumerate("abcd")}
    message = complaint(file, columns)
    assert (
        "'n.a.' in column 'a' is not a number (4 such cells, 'a' line 2, 'b' line 3, 'c' line 4, 'd' line 5),"
        in message
    )


def test_coerced_cells_are_missing_and_said(file):
    table = read(file, {"x": with_cells(NUMBERS, {7: "oops", 9: "n.a.", 11: "oops"})}, coerce=True)
    assert table.columns[0].kind == "numeric"
    assert np.flatnonzero(np.isnan(table.values["x"])).tolist() == [7, 9, 11]
    assert table.remarks == (
        "Column 'x': 'oops' (2), 'n.a.' (1) count as missing (first in line 9): no number, and --coerce is given.",
    )
    again = read_rows(write(file, {"x": [1, "oops"]}), table.columns)  # the model keeps what was asked for
    np.testing.assert_array_equal(again["x"], [1, np.nan])


def test_a_column_of_which_most_is_text_stays_text(file):
    table = read(file, {"x": alternating("1", "a", "b")})
    assert (table.columns[0].kind, table.columns[0].categories) == ("categorical", ("1", "a", "b"))


def test_what_a_column_is_said_to_be_is_what_it_is(file):
    columns = {
        "code": alternating(10, 20, 30),
        "mixed": alternating("1", "2", "many"),
        "id": [f"u{r}" for r in range(60)],
    }
    types = {"code": "categorical", "mixed": "categorical", "id": "categorical"}
    table = read(file, columns, types=types)
    assert [column.kind for column in table.columns] == ["categorical"] * 3
    assert table.columns[0].categories == ("10", "20", "30")
    assert "'many' in column 'mixed' is not a number (20 such cells)" in complaint(file, columns)
    forced = read(file, {"x": alternating("a", "b", "1", "2", "c")}, types={"x": "numeric"}, coerce=True)
    assert np.isnan(forced.values["x"]).sum() == 36


def test_columns_can_be_left_out(file):
    table = read(file, {"x": NUMBERS, "id": list(range(60))}, drop=["id"])
    assert [column.name for column in table.columns] == ["x"]
    assert table.dropped == ("Column 'id' was left out, as you asked.",)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"drop": ["X"]}, InvalidDataset, "FILE has no column 'X'. Did you mean 'x'?"),
        ({"drop": ["label"]}, InvalidValue, "column 'label' is to be predicted, it can't be left out"),
        ({"types": {"y": "numeric"}}, InvalidDataset, "FILE has no column 'y'."),
        ({"types": {"x": "categoric"}}, UnknownName, "'categoric' of 'type of column x'. Did you mean 'categorical'?"),
        ({"types": {"label": "numeric"}}, InvalidValue, "say what it is by kind, classification or regression"),
        (
            {"types": {"x": "numeric"}, "drop": ["x"]},
            InvalidValue,
            "has a type and is to be left out: give one of both",
        ),
    ],
)
def test_bad_wishes(file, options, error, said):
    assert said in complaint(file, {"x": NUMBERS}, error, **options)


# ---- what stands for a missing value ---------------------------------------------------------------------------------


def test_what_pandas_takes_as_missing_is_missing():
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(STR_NA_VALUES) - {"-NaN", "-nan"} <= MISSING  # these two by rule


@pytest.mark.parametrize("mark", ["None", "none", "N.A.", "n.a.", "NaT", ".", "--", "missing", "Unknown"])
def test_marks_that_repeat_among_numbers_are_missing_values(file, mark):
    table = read(file, {"x": with_cells(NUMBERS, dict.fromkeys(range(0, 60, 9), mark))})
    assert table.columns[0].kind == "numeric"
    assert np.flatnonzero(np.isnan(table.values["x"])).tolist() == list(range(0, 60, 9))
    said = () if mark in MISSING else (f"Column 'x': {mark!r} (7) counts as missing (first in line 2).",)
    assert table.remarks == said
    np.testing.assert_array_equal(read_rows(write(file, {"x": [1, mark]}), table.columns)["x"], [1, np.nan])


def test_marks_are_categories_among_texts(file):
    table = read(file, {"x": alternating("red", "unknown", "--"), "y": NUMBERS})
    assert table.columns[0].categories == ("--", "red", "unknown")


# ---- a path and a data frame -----------------------------------------------------------------------------------------

SPELLINGS: dict[str, list[object]] = {
    "truth": alternating("TRUE", "FALSE"),
    "lower": alternating("true", "false", ""),
    "code": alternating("1", "2", "3"),
    "gaps": alternating("1", "2", "", "3"),
    "decimal": alternating("1.0", "2.0", "3.0"),
    "zeros": alternating("007", "010", "011"),
    "none": alternating("a", "None", "b"),
    "price": alternating("1,200", "900", "12"),
    "share": alternating("12%", "7.5%", "80%"),
    "long": alternating("9007199254740993", "9007199254740992", "12"),
    "space": alternating(" a", "b ", "c"),
    "number": NUMBERS,
}


@pytest.mark.parametrize("convert", [False, True])
def test_a_frame_and_its_file_give_the_same_features(file, convert):
    types = dict.fromkeys(("code", "gaps", "decimal", "zeros", "long"), "categorical")
    table = read(file, SPELLINGS, types=types)
    fitted = Preprocessor.fit(table, np.arange(60))
    from_file, _ = values_of(read_cells(file), fitted.columns)
    frame = pd.read_csv(file)
    if convert:
        frame = frame.convert_dtypes()
    from_frame, _ = values_of(cells_of_frame(frame), fitted.columns)
    np.testing.assert_array_equal(fitted.transform(from_frame), fitted.transform(from_file))
    assert fitted.remarks(from_frame) == fitted.remarks(from_file) == []


def test_numbers_of_a_frame_are_numbers_however_the_file_wrote_them(tmp_path):
    price = alternating("1.011,07", "9.015,33", "0,5")
    path = write(tmp_path / "t.csv", {"price": price, "label": LABELS}, delimiter=";")
    table = read_table(path, "label")
    from_file, _ = values_of(read_cells(path), table.columns)
    for frame in (pd.read_csv(path, sep=";"), pd.read_csv(path, sep=";", decimal=",", thousands=".")):
        np.testing.assert_array_equal(values_of(cells_of_frame(frame), table.columns)[0]["price"], from_file["price"])


def test_spellings_of_a_category_are_one_and_said(file):
    table = read(file, {"code": alternating("01", "1", "1.0", "b", "c", "d", "e"), "x": NUMBERS})
    assert table.columns[0].categories == ("01", "b", "c", "d", "e")
    assert "Column 'code': '01' and '1' and '1.0' are one category, as in a data frame they would be." in table.remarks
    assert [folded(text) for text in ("1e3", "1000", "TRUE", "-0", "a", "inf")] == [
        "1000",
        "1000",
        "true",
        "0",
        "a",
        "inf",
    ]


@pytest.mark.parametrize(
    ("cells", "options", "said"),
    [
        ({}, {}, True),
        ({}, {"types": {"zip": "numeric"}}, False),
        ({}, {"types": {"zip": "categorical"}}, False),
        ({9: "0", 11: "0.5", 13: "00.5"}, {}, False),
    ],
)
def test_codes_that_are_read_as_numbers_are_said(file, cells, options, said):
    codes: list[object] = [10000 + row for row in range(60)]
    table = read(file, {"zip": with_cells(codes, cells or {4: "01234", 7: "02345"})}, **options)
    remark = (
        "Column 'zip': '01234' (line 6) is read as a number, without its leading zeros; if these are codes: "
        "--types zip=categorical."
    )
    assert [remark] * said == [each for each in table.remarks if "zip" in each and "one category" not in each]


def test_classes_are_known_in_every_spelling(file):
    table = read_table(write(file, {"x": NUMBERS, "label": alternating("TRUE", "FALSE")}), "label")
    assert table.target.classes == ("FALSE", "TRUE")
    _, values = known_targets(cells_of_frame(pd.read_csv(file)), table.target)
    assert values.tolist() == table.y.tolist()


def test_a_model_predicts_the_same_from_a_path_and_a_frame(tmp_path):
    flag = [["TRUE", "FALSE"][row % 3 % 2] for row in range(120)]
    label = ["yes" if (row % 3 % 2 == 0) != (row % 7 == 0) else "no" for row in range(120)]
    noise = np.random.default_rng(0).standard_normal(120).round(3).tolist()
    path = write(tmp_path / "t.csv", {"flag": flag, "b": noise, "label": label})
    result = naslab.search_csv(path, "label", out=tmp_path / "o", widths=(2, 4), depth=1, budget=40, optimizer="random")
    frame = pd.read_csv(path)
    assert frame["flag"].dtype == bool
    pd.testing.assert_frame_equal(result.model.predict(frame), result.model.predict(path))
    assert result.model.score(frame) == result.model.score(path)


def test_what_training_did_not_have_is_said_with_its_share(file):
    table = read(file, {"colour": alternating("red", "blue", "green"), "x": NUMBERS, "rare": alternating("a", "b")})
    fitted = Preprocessor.fit(table, np.arange(60))
    columns = {"colour": ["red", "mauve", "teal", "mauve"], "x": [1, 2, "", 1e9], "rare": ["a", "", "b", "a"]}
    values = read_rows(write(file, columns), fitted.columns)
    assert fitted.remarks(values) == [
        "Column 'colour': 3 of 4 cells (75 %) are of categories that training did not have ('mauve', 'teal'); all "
        "features of the column are 0 for them.",
        "Column 'x': 1 of 4 cells (25 %) is missing, but none was in training; the median stands in.",
        "Column 'x': 1 of 4 cells (25 %) is more than 10 standard deviations from the mean of training, such as 1e+09; "
        "more than 10 counts as 10.",
        "Column 'rare': 1 of 4 cells (25 %) is missing, but none was in training; all features of the column are 0 for "
        "them.",
    ]


# ---- the shared cases ------------------------------------------------------------------------------------------------


def test_the_shared_cases(shared_data: Path) -> None:
    cases = shared_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip("the shared cases are not here")
    with pytest.raises(InvalidDataset, match="line 122: 'unknown' in column 'a' is not a number"):
        read_table(cases / "one_bad_cell.csv", "label")
    assert np.isnan(read_table(cases / "one_bad_cell.csv", "label", coerce=True).values["a"]).sum() == 1
    assert np.isnan(read_table(cases / "none_cells.csv", "label").values["a"]).sum() == 27
    thousands = read_table(cases / "thousands.csv", "label").values
    assert (thousands["price"][0], thousands["share"][0]) == (1011, 53.0)
    commas = read_table(cases / "decimal_comma.csv", "label").values
    assert (commas["price"][0], commas["b"][0]) == (1011.07, 0.299)
