"""Reading a person's table: types, missing values, what is left out, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writing import alternating, write

from naslab.errors import InvalidDataset, InvalidValue
from naslab.tabular.columns import MISSING, Column
from naslab.tabular.delimited import read_cells
from naslab.tabular.reading import RawTable, read_rows, read_table
from naslab.tabular.targets import Target, known_targets

NUMBERS = [row * 0.5 for row in range(60)]
LABELS = alternating("yes", "no")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def read(path: Path, columns: dict[str, list[object]], target: str = "label", **options: Any) -> RawTable:
    columns = {"x": NUMBERS, **columns}
    return read_table(write(path, columns, **options.pop("written", {})), target, **options)


def complaint(path: Path, columns: dict[str, list[object]], target: str = "label", **options: Any) -> str:
    with pytest.raises(InvalidDataset) as caught:
        read(path, columns, target, **options)
    return one_line(caught, path)


def one_line(caught: pytest.ExceptionInfo[InvalidDataset], path: Path) -> str:
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def replaced(values: list[object], **at: object) -> list[object]:
    """A copy with other values at ``row3=...``."""
    values = list(values)
    for name, value in at.items():
        values[int(name.removeprefix("row"))] = value
    return values


@pytest.mark.parametrize("written", [{}, {"delimiter": ";"}, {"delimiter": "\t"}, {"start": "\ufeff"}])
def test_types_are_inferred(file: Path, written: dict[str, str]) -> None:
    columns = {
        "few": alternating(1, 2, 3),
        "science": alternating("1e-3", "-2.5E+2", " +7 "),
        "truth": alternating(True, False),
        "colour": alternating("red", "green", "blue"),
        "mixed": alternating("1", "one", "many"),
        "label": LABELS,
    }
    table = read(file, columns, written=written)
    assert table.columns == (
        Column("x", "numeric"),
        Column("few", "numeric"),
        Column("science", "numeric"),
        Column("truth", "categorical", ("False", "True")),
        Column("colour", "categorical", ("blue", "green", "red")),
        Column("mixed", "categorical", ("1", "many", "one")),
    )
    assert list(table.values) == [column.name for column in table.columns]
    np.testing.assert_array_equal(table.values["x"], NUMBERS)
    np.testing.assert_array_equal(table.values["science"], [0.001, -250.0, 7.0] * 20)
    assert table.values["few"].dtype == np.float64
    assert table.values["mixed"].tolist() == columns["mixed"]
    assert (table.target.name, table.target.kind, table.target.classes) == ("label", "classification", ("no", "yes"))
    assert table.y.tolist() == LABELS
    assert table.dropped == ()
    assert len(table) == 60


@pytest.mark.parametrize("spelling", [*sorted(MISSING), "-nan", "nAn"])
def test_missing_values_are_recognised(file: Path, spelling: str) -> None:
    numbers: list[object] = replaced(NUMBERS, row0=spelling, row59=f" {spelling} ")
    table = read(file, {"number": numbers, "text": alternating("a", spelling, "b"), "label": LABELS})
    assert [column.kind for column in table.columns] == ["numeric", "numeric", "categorical"]
    assert np.flatnonzero(np.isnan(table.values["number"])).tolist() == [0, 59]
    np.testing.assert_array_equal(table.values["number"][1:59], NUMBERS[1:59])
    assert table.values["text"].tolist() == ["a", None, "b"] * 20
    assert table.columns[2].categories == ("a", "b")


@pytest.mark.parametrize("text", ["none", "Na", "missing", "--", "1_000", "0x10", "1,5,6", "infinity war"])
def test_what_only_looks_missing_or_numeric_is_a_category(file: Path, text: str) -> None:
    for other in ("a", "b"):
        table = read(file, {"text": alternating(other, text), "label": LABELS})
        assert table.columns[1] == Column("text", "categorical", tuple(sorted((other, text))))


def test_decimal_commas_are_read_where_semicolons_separate(file: Path) -> None:
    columns = {"price": alternating("1,5", "-2", "1e1"), "both": alternating("1.000,5", "2,5"), "label": LABELS}
    table = read(file, columns, written={"delimiter": ";"})
    np.testing.assert_array_equal(table.values["price"], [1.5, -2.0, 10.0] * 20)
    np.testing.assert_array_equal(table.values["both"], [1000.5, 2.5] * 30)


def test_useless_columns_are_left_out_and_said(file: Path) -> None:
    table = read(
        file,
        {
            "": list(range(60)),
            "same": alternating(4),
            "same text": alternating("a"),
            "nothing": alternating("", "NA"),
            "id": [f"u{row}" for row in range(60)],
            "rarely": replaced(alternating(""), row3="one", row4="two"),
            "number": list(range(1000, 1060)),
            "or missing": alternating("", 4),
            "label": LABELS,
        },
    )
    assert [column.name for column in table.columns] == ["x", "number", "or missing"]
    assert set(table.values) == {"x", "number", "or missing"}
    identifier = "it is an identifier, text that differs in every row"
    assert table.dropped == (
        "Column 2 was left out: it has no name in the header.",
        "Column 'same' was left out: it is '4' in every row.",
        "Column 'same text' was left out: it is 'a' in every row.",
        "Column 'nothing' was left out: all of it is missing.",
        f"Column 'id' was left out: {identifier}.",
        f"Column 'rarely' was left out: {identifier}.",
    )


def test_rows_without_a_target_are_left_out_before_anything_is_judged(file: Path) -> None:
    labels = replaced(LABELS, row4="", row50="?")
    odd = replaced(alternating("1", "2"), row4="text", row50="inf")
    table = read(file, {"odd": odd, "same": replaced(alternating("a"), row4="b"), "label": labels})
    assert len(table) == 58
    assert [column.name for column in table.columns] == ["x", "odd"]
    kept = [row for row in range(60) if row not in (4, 50)]
    np.testing.assert_array_equal(table.values["x"], [NUMBERS[row] for row in kept])
    assert table.y.tolist() == [LABELS[row] for row in kept]
    assert (
        table.dropped[0]
        == "2 of 60 rows were left out: their target 'label' is missing, it says '?' (first in line 6)."
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (alternating(0, 1, rows=20), "classification"),
        (alternating(-1.0, 1.0, rows=20), "classification"),
        (alternating(0.5, 1, rows=20), "regression"),
        (alternating(0, 1, 2, rows=59), "regression"),
        (alternating(0, 1, 2, rows=60), "classification"),
        (alternating(*range(20), rows=400), "classification"),
        (alternating(*range(20), rows=399), "regression"),
        (alternating(*range(21), rows=4200), "regression"),
        (alternating("a", 1, 2, rows=60), "classification"),
    ],
)
def test_the_rule_that_tells_classes_from_quantities(file: Path, values: list[object], kind: str) -> None:
    table = read_table(write(file, {"x": list(range(len(values))), "y": values}), "y")
    assert table.target.kind == kind
    if kind == "regression":
        assert table.target.classes == ()
        assert table.y.dtype == np.float64
        np.testing.assert_array_equal(table.y, np.array(values, float))
    else:
        assert table.y.tolist() == [str(value) for value in values]


def test_the_rule_can_be_overruled(file: Path) -> None:
    table = read(file, {"label": alternating(0, 1)}, task="regression")
    assert table.target.kind == "regression"
    np.testing.assert_array_equal(table.y, [0.0, 1.0] * 30)
    table = read(file, {"label": alternating(2.5, 10, 0.5, 7)}, task="classification")
    assert table.target.classes == ("0.5", "2.5", "7", "10")


def test_classes_are_sorted_as_numbers_and_spelled_as_first(file: Path) -> None:
    table = read(file, {"label": alternating("10", "02", "2", "1.0", "1", "10")})
    assert table.target.classes == ("1.0", "02", "10")
    assert table.y.tolist() == ["10", "02", "02", "1.0", "1.0", "10"] * 10
    assert read(file, {"label": alternating("10", "9", "b", "a")}).target.classes == ("10", "9", "a", "b")


def test_an_unknown_task_is_refused(file: Path) -> None:
    with pytest.raises(InvalidValue, match="task='ranking'"):
        read_table(file, "label", task="ranking")  # type: ignore[arg-type]


def test_an_unknown_target_is_named_with_the_nearest(file: Path) -> None:
    assert complaint(file, {"label": LABELS}, "Lable") == "FILE has no column 'Lable'. Did you mean 'label'?"
    assert complaint(file, {"label": LABELS}, "") == "FILE has no column ''. There are: 'x', 'label'."


def test_a_missing_header_is_suspected(file: Path) -> None:
    file.write_text("5.1,3.5,1.4,setosa\n" + "4.9,3.0,1.4,setosa\n" * 60)
    with pytest.raises(InvalidDataset) as caught:
        read_table(file, "species")
    assert "its first line seems to be values. Add a line with names on top" in one_line(caught, file)


@pytest.mark.parametrize(("labelled", "said"), [(0, "0 rows"), (1, "1 row"), (3, "3 rows"), (19, "19 rows")])
def test_too_few_rows(file: Path, labelled: int, said: str) -> None:
    message = complaint(file, {"label": [*LABELS[:labelled], *[""] * (60 - labelled)]})
    assert message == f"FILE has {said} with a value of the target 'label'. At least 20 are needed: add rows."


@pytest.mark.parametrize("task", [None, "classification", "regression"])
def test_a_target_that_is_always_the_same(file: Path, task: str | None) -> None:
    message = complaint(file, {"label": alternating("1", "1.0")}, task=task)
    assert message.startswith("FILE: the target 'label' is '1' in every row. At least two values")
    assert "'a' in every row" in complaint(file, {"label": alternating("a")}, task=task)


def test_a_class_that_is_too_rare_is_named_with_its_count(file: Path) -> None:
    message = complaint(file, {"label": replaced(LABELS, row1="maybe", row2="maybe")})
    assert "class 'maybe' of the target 'label' has 2 of the 3 rows that a class needs." in message
    assert "regression" not in message
    message = complaint(file, {"label": replaced(alternating("a", "b"), row1="c", row2="d")})
    assert "class 'c' of the target 'label' has 1 of the 3 rows that a class needs (2 classes lack rows)." in message
    assert "or ask for regression" in complaint(file, {"label": replaced(alternating(1, 2), row1=3)})
    assert (
        read(file, {"label": replaced(LABELS, row1="maybe", row2="maybe", row3="maybe")}).target.classes[0] == "maybe"
    )


def test_a_regression_target_that_is_no_number_is_named_with_its_line(file: Path) -> None:
    prices: list[object] = replaced(NUMBERS, row7="12 EUR", row9="?")
    for task in (None, "regression"):
        message = complaint(file, {"label": prices}, task=task)
        assert message.startswith("FILE: line 9: '12 EUR' in the target 'label' is not a number, as regression needs.")
    assert "line 2: 'yes'" in complaint(file, {"label": LABELS}, task="regression")


@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "1e999"])
def test_an_infinite_value_is_named_with_line_and_column(file: Path, infinite: str) -> None:
    labels = replaced(LABELS, row2="")
    message = complaint(file, {"size": replaced(NUMBERS, row5=infinite), "label": labels})
    assert message.startswith(f"FILE: line 7: '{infinite}' in column 'size' is infinite.")
    message = complaint(file, {"label": replaced(NUMBERS, row5=infinite)})
    assert message.startswith(f"FILE: line 7: '{infinite}' in column 'label' is infinite.")


def test_columns_of_the_same_name_are_refused(file: Path) -> None:
    for header in ("x,a,a,label", "a,label,x,label", "a,x,label,a "):
        file.write_text(f"{header}\n" + "1,2,3,4\n5,6,7,8\n" * 30)
        with pytest.raises(InvalidDataset, match=r"columns \d, \d are all called '(a|label)'"):
            read_table(file, "label")


def test_no_column_left_to_predict_from(file: Path) -> None:
    message = complaint(file, {"x": alternating(1), "id": [f"u{row}" for row in range(60)], "label": LABELS})
    assert message.startswith("FILE has no column to predict 'label' from. Column 'x' was left out: it is '1' in")
    assert "Column 'id' was left out" in message


def test_a_long_or_broken_value_is_shown_short_and_on_one_line(file: Path) -> None:
    message = complaint(file, {"label": replaced(NUMBERS, row0="two\nlines " + "x" * 100)})
    assert f"'two\\nlines {'x' * 27}...'" in message


COLUMNS = (Column("age", "numeric"), Column("colour", "categorical", ("red",)))


def test_new_rows_are_read_in_any_order_of_columns(file: Path) -> None:
    write(file, {"extra": ["u", "v"], "colour": ["blue", "NA"], "extra ": [1, 2], "age": ["", "3.5"]}, delimiter=";")
    values = read_rows(file, COLUMNS)
    assert list(values) == ["age", "colour"]
    np.testing.assert_array_equal(values["age"], [np.nan, 3.5])
    assert values["colour"].tolist() == ["blue", None]


def test_new_rows_may_have_one_column_and_lack_values(file: Path) -> None:
    file.write_text('age\n1\n""\n3\n')
    np.testing.assert_array_equal(read_rows(file, COLUMNS[:1])["age"], [1, np.nan, 3])


def test_new_rows_are_typed_as_in_training_whatever_they_look_like(file: Path) -> None:
    values = read_rows(write(file, {"age": ["", ""], "colour": ["1", "2"]}), COLUMNS)
    assert values["age"].dtype == np.float64
    assert np.isnan(values["age"]).all()
    assert values["colour"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"Age": [1], "colour": ["red"]}, "FILE has no column 'age'. Did you mean 'Age'?"),
        ({"age": [1], "size": [3]}, "FILE has no column 'colour'. There are: 'size'."),
        ({"k": [1], "l": [3]}, "FILE has no column 'age' (2 that are needed are missing). There are: 'k', 'l'."),
        ({"age": [], "colour": []}, "FILE has no rows below its header."),
        ({"age": [1, "old"], "colour": ["a", "b"]}, "FILE: line 3: 'old' in column 'age' is not a number"),
        ({"age": [1, "inf"], "colour": ["a", "b"]}, "FILE: line 3: 'inf' in column 'age' is infinite."),
        ({"age": [1], "colour": ["a"], "age ": [2]}, "FILE: columns 1, 3 are all called 'age'."),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(file: Path, columns: dict[str, list[object]], said: str) -> None:
    write(file, columns)
    with pytest.raises(InvalidDataset) as caught:
        read_rows(file, COLUMNS)
    assert one_line(caught, file).startswith(said)


finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.sampled_from("abZ é,;\t\"'\n|"), max_size=6).map(lambda text: f"w{text}w")


@given(data=st.data(), delimiter=st.sampled_from(",;\t"))
def test_random_mixed_data_come_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, delimiter: str
) -> None:
    rows = data.draw(st.integers(20, 30))
    numbers = data.draw(st.lists(st.none() | finite, min_size=rows, max_size=rows))
    texts = data.draw(st.lists(st.none() | words, min_size=rows, max_size=rows))
    labels = alternating(*data.draw(st.lists(words, min_size=2, max_size=5, unique=True)), rows=rows)
    columns = {"order": list(range(rows)), "number": numbers, "text": texts, "label": labels}
    written = {name: ["" if value is None else value for value in values] for name, values in columns.items()}
    path = write(tmp_path_factory.getbasetemp() / "mixed.csv", written, delimiter=delimiter)
    table = read_table(path, "label")
    assert table.target.classes == tuple(sorted(set(labels)))
    assert table.y.tolist() == labels
    np.testing.assert_array_equal(table.values["order"], columns["order"])
    if "number" in table.values:
        np.testing.assert_array_equal(table.values["number"], np.array(numbers, float))
    else:
        assert set(numbers) == {None} or len({number for number in numbers if number is not None}) == 1
    if "text" in table.values:
        assert table.values["text"].tolist() == texts
    else:
        present = [text for text in texts if text is not None]
        assert len(set(present)) in (0, 1, len(present))
    again = read_rows(path, table.columns)
    for column in table.columns:
        np.testing.assert_array_equal(again[column.name], table.values[column.name])


# ---- targets of new rows ---------------------------------------------------------------------------------------------


def test_known_targets_are_spelled_as_in_training(file: Path) -> None:
    cells = read_cells(write(file, {"x": [1, 2, 3, 4], "label": ["1.0", "", "2", "?"]}))
    rows, values = known_targets(cells, Target("label", "classification", ("1", "2")))
    assert (rows.tolist(), values.tolist()) == ([0, 2], ["1", "2"])
    cells = read_cells(write(file, {"x": [1, 2], "label": ["yes", "perhaps"]}))
    assert known_targets(cells, Target("label", "classification", ("no", "yes")))[1].tolist() == ["yes", "perhaps"]


def test_known_targets_of_a_regression(file: Path) -> None:
    target = Target("label", "regression")
    rows, values = known_targets(read_cells(write(file, {"x": [1, 2, 3], "label": [0.5, "NA", -2]})), target)
    assert (rows.tolist(), values.tolist()) == ([0, 2], [0.5, -2.0])
    with pytest.raises(InvalidDataset, match="line 3: 'much' in the target 'label' is not a number"):
        known_targets(read_cells(write(file, {"x": [1, 2], "label": [0.5, "much"]})), target)
