"""Dates: the order of their parts, decided by a column, and the features made of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writing import alternating, write

from naslab.errors import InvalidDataset
from naslab.tabular.columns import Column
from naslab.tabular.dates import days_of, infer_order, parse_date
from naslab.tabular.encoders import DateEncoder
from naslab.tabular.preprocessing import Preprocessor
from naslab.tabular.reading import read_table

LABELS = alternating("yes", "no")


@pytest.mark.parametrize(
    ("text", "order", "days"),
    [
        ("1970-01-02", "year-month-day", 1),
        ("2000/3/1", "year-month-day", 11017),
        ("01.03.2000", "day-month-year", 11017),
        ("03/01/2000", "month-day-year", 11017),
        ("1970-01-01T12:00", "year-month-day", 0.5),
        ("1970-01-01 06:00:00.000", "year-month-day", 0.25),
        ("1970-01-01T02:00:00+02:00", "year-month-day", 0),
        ("1970-01-01T00:00:00Z", "year-month-day", 0),
    ],
)
def test_days(text, order, days):
    assert parse_date(text, order) == days


@pytest.mark.parametrize("text", ["2001-02-29", "2000-13-01", "12", "2000-01", "01-01-00", "2000-01/01", "10:30", ""])
def test_what_is_no_date(text):
    assert parse_date(text, "year-month-day") is None
    assert parse_date(text, "day-month-year") is None


def test_the_order_is_that_of_the_most():
    assert infer_order(Counter({"03/04/2020": 5, "13/04/2020": 1})) == ("day-month-year", 6)
    assert infer_order(Counter({"03/04/2020": 5, "04/13/2020": 1})) == ("month-day-year", 6)
    assert infer_order(Counter({"03/04/2020": 5})) == ("month-day-year", 5)
    assert infer_order(Counter({"03.04.2020": 5})) == ("day-month-year", 5)
    assert infer_order(Counter({"2020-04-03": 5, "soon": 2})) == ("year-month-day", 5)
    assert infer_order(Counter({"soon": 2})) == ("year-month-day", 0)


@given(st.datetimes(), st.integers(-12, 12))
def test_as_python_reads_them(moment, hours):
    text = moment.isoformat()
    assert parse_date(text, "year-month-day") == pytest.approx(days_of(moment), abs=1e-9)
    if 2 < moment.year < 9998:
        ahead = moment.replace(tzinfo=UTC) + timedelta(hours=hours)
        assert days_of(ahead) == pytest.approx(days_of(moment) + hours / 24, abs=1e-9)


def test_a_column_of_dates_makes_features(tmp_path):
    days = [datetime(2021, 1, 4) + timedelta(days=row * 3 % 50) for row in range(60)]
    when: list[object] = [f"{day:%d.%m.%Y}" for day in days]
    when[5] = ""
    table = read_table(write(tmp_path / "t.csv", {"when": when, "label": LABELS}), "label")
    assert table.columns == (Column("when", "date", order="day-month-year"),)
    assert table.remarks == ("Column 'when': the dates, such as '04.01.2021', are read as day-month-year.",)
    fitted = Preprocessor.fit(table, np.arange(60))
    assert fitted.features == (
        "when", "when is missing", "when in the year (sine)", "when in the year (cosine)", "when in the week (sine)",
        "when in the week (cosine)",
    )  # fmt: skip
    x = fitted.transform(table.values)
    assert x[5].tolist() == [pytest.approx(x[5, 0]), 1, 0, 0, 0, 0]
    mondays = [row for row in range(60) if days[row].weekday() == 0 and row != 5]
    np.testing.assert_allclose(x[mondays, 4:], np.tile(x[mondays[0], 4:], (len(mondays), 1)), atol=1e-6)
    others = [row for row in range(60) if days[row].weekday() != 0 and row != 5]
    assert (np.abs(x[others, 4:] - x[mondays[0], 4:]).max(axis=1) > 0.4).all()
    year = 2 * np.pi * np.array([(day - datetime(1970, 1, 1)).days for day in days]) / 365.2425
    np.testing.assert_allclose(np.delete(x[:, 2], 5), np.delete(np.sin(year), 5), atol=1e-5)
    assert Preprocessor.from_json(fitted.to_json()) == fitted


def test_times_of_day_make_features_where_there_are_any():
    column = Column("when", "date")
    encoder = DateEncoder.fit(column, np.array([0.25, 1.5, np.nan]))
    assert encoder.has_times
    out = np.zeros((3, len(encoder.features)), dtype=np.float32)
    encoder.encode(np.array([0.25, 1.5, np.nan]), out)
    np.testing.assert_allclose(out[:, -2:], [[1, 0], [0, -1], [0, 0]], atol=1e-6)
    assert not DateEncoder.fit(column, np.array([0.0, 1.0])).has_times


def test_a_cell_that_is_no_date_is_refused_or_missing(tmp_path):
    when: list[object] = [f"2021-01-{row % 28 + 1:02}" for row in range(60)]
    when[7] = "2021-02-30"
    path = write(tmp_path / "t.csv", {"when": when, "x": list(range(60)), "label": LABELS})
    with pytest.raises(
        InvalidDataset, match="line 9: '2021-02-30' in column 'when' is not a date, but most of that col"
    ):
        read_table(path, "label")
    table = read_table(path, "label", coerce=True)
    assert np.flatnonzero(np.isnan(table.values["when"])).tolist() == [7]
    assert table.remarks == (
        "Column 'when': '2021-02-30' (1) counts as missing (first in line 9): no date, and --coerce is given.",
    )


def test_dates_of_a_frame_are_those_of_its_file(tmp_path):
    from naslab.tabular.delimited import read_cells
    from naslab.tabular.frames import cells_of_frame
    from naslab.tabular.reading import values_of

    path = write(tmp_path / "t.csv", {"when": ["31/12/2020 18:30", "", "01/02/2021"], "x": [1, 2, 3]})
    frame = pd.read_csv(path)
    columns = (Column("when", "date", order="day-month-year"),)
    from_file, _ = values_of(read_cells(path), columns)
    for when in (
        frame["when"], pd.to_datetime(frame["when"], format="mixed", dayfirst=True),
        pd.to_datetime(frame["when"], format="mixed", dayfirst=True).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    ):  # fmt: skip
        found, _ = values_of(cells_of_frame(frame.assign(when=when)), columns)
        np.testing.assert_array_equal(found["when"], from_file["when"])
