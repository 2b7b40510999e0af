"""Features from columns: fitted to training rows only, as scikit-learn would have them, stored to the last bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from naslab.errors import InvalidDataset
from naslab.tabular.columns import Column
from naslab.tabular.encoders import MOST_CATEGORIES
from naslab.tabular.preprocessing import Preprocessor, TargetEncoder
from naslab.tabular.reading import RawTable
from naslab.tabular.targets import Target

nan = np.nan
ALL = np.arange(4)


def objects(*values: Any) -> np.ndarray:
    return np.array(values, dtype=object)


def table(y: np.ndarray | None = None, target: Target | None = None, **values: np.ndarray) -> RawTable:
    columns = tuple(
        Column(name, "numeric")
        if column.dtype == np.float64
        else Column(name, "categorical", tuple(sorted({text for text in column if text is not None})))
        for name, column in values.items()
    )
    rows = len(next(iter(values.values()))) if values else 0
    return RawTable(columns, values, target or Target("y", "regression"), np.arange(rows) if y is None else y)


def random_table(rng: np.random.Generator, rows: int = 200) -> RawTable:
    number = rng.normal(3, 5, rows)
    number[rng.random(rows) < 0.2] = nan
    colour = rng.choice(objects("red", "green", "blue"), rows)
    city = rng.choice(objects("Rome", "Oslo", None), rows)
    return table(number=number, whole=rng.normal(1e6, 1e-2, rows), colour=colour, city=city)


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    raw = random_table(rng)
    rows = np.sort(rng.permutation(200)[:120])
    fitted = Preprocessor.fit(raw, rows)
    numbers = np.column_stack([raw.values["number"], raw.values["whole"]])
    imputer = SimpleImputer(strategy="median").fit(numbers[rows])
    scaler = StandardScaler().fit(imputer.transform(numbers[rows]))
    standardised = scaler.transform(imputer.transform(numbers))
    hot = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    texts = np.column_stack([raw.values["colour"], raw.values["city"]])
    texts = np.where(texts == None, "~", texts)  # noqa: E711 - elementwise; the last in order, as missing is
    expected = np.column_stack(
        [standardised[:, 0], np.isnan(numbers[:, 0]), standardised[:, 1], hot.fit(texts[rows]).transform(texts)]
    )
    x = fitted.transform(raw.values)
    assert x.dtype == np.float32
    assert x.shape == (200, len(fitted.features))
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(x[rows][:, [0, 2]].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x[rows][:, [0, 2]].std(axis=0), 1, atol=1e-6)
    assert fitted.features == (
        *("number", "number is missing", "whole"),
        *("colour = blue", "colour = green", "colour = red"),
        *("city = Oslo", "city = Rome", "city is missing"),
    )


def test_held_out_rows_change_nothing() -> None:
    rng = np.random.default_rng(1)
    raw = random_table(rng)
    rows = np.arange(0, 200, 2)
    held = np.arange(1, 200, 2)
    others = {name: values.copy() for name, values in raw.values.items()}
    for name, strange in (("number", 1e9), ("whole", nan), ("colour", "pink"), ("city", "Bonn")):
        others[name][held] = strange
    changed = Preprocessor.fit(table(**others), rows)
    assert changed == Preprocessor.fit(raw, rows)
    x = changed.transform(others)
    np.testing.assert_array_equal(x[rows], changed.transform(raw.values)[rows])
    beyond = dict(zip(changed.features, x[1], strict=True))
    assert beyond["number"] == 10
    assert abs(beyond["whole"]) < 1  # the median
    assert [value for name, value in beyond.items() if " = " in name or " is " in name] == [0] * 7


def test_missing_numbers_are_the_median_and_marked_if_training_lacks_some() -> None:
    raw = table(a=np.array([1.0, 5.0, nan, 3.0]), b=np.array([1.0, 2.0, 3.0, nan]))
    fitted = Preprocessor.fit(raw, ALL[:3])
    assert fitted.features == ("a", "a is missing", "b")
    x = fitted.transform(raw.values)
    mean, deviation = 3.0, np.sqrt(8 / 3)  # of 1, 5 and the median 3
    np.testing.assert_allclose(x[:, 0], (np.array([1, 5, 3, 3]) - mean) / deviation, rtol=1e-6)
    assert x[:, 1].tolist() == [0, 0, 1, 0]
    assert x[3, 2] == 0  # the median of 1, 2, 3, which is their mean


def test_tails_are_clipped_on_both_sides() -> None:
    raw = table(a=np.array([-1.0, 1.0, 9.5, -10.5, 11.0, -1e300]))
    x = Preprocessor.fit(raw, np.array([0, 1])).transform(raw.values)
    assert x[:, 0].tolist() == [-1, 1, 9.5, -10, 10, -10]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-300, 1e300])
def test_a_column_that_is_constant_in_training_is_zero(constant: float) -> None:
    raw = table(a=np.array([constant] * 7 + [constant + 2]))
    x = Preprocessor.fit(raw, np.arange(7)).transform(raw.values)
    assert x[:7, 0].tolist() == [0] * 7
    assert x[7, 0] == pytest.approx(constant + 2 - constant)


def test_the_largest_numbers_do_not_overflow() -> None:
    raw = table(a=np.array([-1.7e308, 1.7e308, 0.0, 1.7e308]), b=np.array([5e-324, 0.0, 5e-324, 0.0]))
    x = Preprocessor.fit(raw, ALL[:2]).transform(raw.values)
    np.testing.assert_allclose(x[:, 0], [-1, 1, 0, 1])
    assert np.isfinite(x).all()


def test_categories_unseen_in_training_are_all_zeros() -> None:
    raw = table(c=objects("a", "b", "a", "c", None))
    fitted = Preprocessor.fit(raw, ALL[:3])
    assert fitted.features == ("c = a", "c = b")
    assert fitted.transform(raw.values).tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]]
    assert fitted.columns == (Column("c", "categorical", ("a", "b")),)


def test_missing_is_a_category_if_training_has_it() -> None:
    raw = table(c=objects("a", None, "missing", "b"))
    fitted = Preprocessor.fit(raw, ALL[:3])
    assert fitted.features == ("c = a", "c = missing", "c is missing")
    assert fitted.transform(raw.values).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("distinct", [50, 51, 60])
def test_the_rarest_of_too_many_categories_share_one(distinct: int) -> None:
    names = [f"c{number:02}" for number in range(distinct)]
    values = objects(*[name for number, name in enumerate(names) for _ in range(number + 1)], None, "new")
    fitted = Preprocessor.fit(table(c=values), np.arange(len(values) - 1))
    kept, shared = names[-MOST_CATEGORIES:], names[:-MOST_CATEGORIES]
    other = ("c is other",) if shared else ()
    assert fitted.features == (*(f"c = {name}" for name in kept), *other, "c is missing")
    x = fitted.transform({"c": objects(*names, None, "new")})
    expected = np.zeros((distinct + 2, len(fitted.features)))
    for row, name in enumerate(names):
        expected[row, kept.index(name) if name in kept else 50] = 1
    expected[distinct, -1] = 1
    np.testing.assert_array_equal(x, expected)
    assert fitted.columns[0].categories == tuple(names)


def test_equally_rare_categories_are_chosen_by_name() -> None:
    names = [f"c{number:02}" for number in range(52)]
    fitted = Preprocessor.fit(table(c=objects(*names[::-1])), np.arange(52))
    assert fitted.features == (*(f"c = {name}" for name in names[:50]), "c is other")


def test_a_column_without_values_in_training_gives_no_feature() -> None:
    raw = table(a=np.array([nan, nan, 1.0, 2.0]), b=np.array([1.0, 2.0, 3.0, 4.0]), c=objects(None, None, "x", "y"))
    fitted = Preprocessor.fit(raw, ALL[:2])
    assert fitted.features == ("b",)
    assert [column.name for column in fitted.columns] == ["b"]
    with pytest.raises(InvalidDataset, match="none of the columns 'a', 'c' has a value in any of the 2 training rows"):
        Preprocessor.fit(table(a=raw.values["a"], c=raw.values["c"]), ALL[:2])


def test_a_column_that_is_not_there_is_named() -> None:
    fitted = Preprocessor.fit(table(age=np.arange(4.0)), ALL)
    with pytest.raises(InvalidDataset, match=r"no column 'age' to transform\. Did you mean 'Age'\?"):
        fitted.transform({"Age": np.arange(4.0)})


def test_the_order_of_columns_is_that_of_the_fit() -> None:
    raw = table(a=np.arange(4.0), c=objects("x", "y", "x", "y"))
    fitted = Preprocessor.fit(raw, ALL)
    reversed_values = dict(reversed(raw.values.items())) | {"more": ALL}
    np.testing.assert_array_equal(fitted.transform(reversed_values), fitted.transform(raw.values))
    assert fitted.transform({"a": np.array([]), "c": objects()}).shape == (0, 3)


numbers = st.floats(allow_infinity=False) | st.integers(-3, 3).map(float)
texts = st.none() | st.text(max_size=3)


@given(data=st.data())
def test_json_gives_bit_identical_features(data: st.DataObject) -> None:
    rows = data.draw(st.integers(4, 12))
    number = np.array(data.draw(st.lists(numbers, min_size=rows, max_size=rows)), dtype=np.float64)
    text = objects(*data.draw(st.lists(texts, min_size=rows, max_size=rows)))
    raw = table(number=number, text=text, order=np.arange(rows) / 7)
    fitted = Preprocessor.fit(raw, np.arange(rows - 1))
    read = Preprocessor.from_json(fitted.to_json())
    assert read == fitted
    assert read.columns == fitted.columns
    x = fitted.transform(raw.values)
    assert read.transform(raw.values).tobytes() == x.tobytes()
    assert read.to_json() == fitted.to_json()
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= 10


LABELLED = table(
    objects("cat", "dog", "cat", "eel"), Target("pet", "classification", ("cat", "dog", "eel")), a=np.arange(4.0)
)


def test_classes_become_indices_and_back() -> None:
    encoder = TargetEncoder.fit(LABELLED, ALL[:2])
    indices = encoder.transform(LABELLED.y)
    assert indices.dtype == np.int64
    assert indices.tolist() == [0, 1, 0, 2]
    assert encoder.inverse(indices).tolist() == ["cat", "dog", "cat", "eel"]
    with pytest.raises(InvalidDataset, match=r"'dgo' is no class of the target 'pet'\. Did you mean 'dog'\?"):
        encoder.transform(objects("cat", "dgo"))


def test_quantities_are_standardised_by_the_training_rows_and_back() -> None:
    y = np.array([10.0, 30.0, 1000.0, -7.0])
    encoder = TargetEncoder.fit(table(y, a=np.arange(4.0)), ALL[:2])
    standardised = encoder.transform(y)
    assert standardised.dtype == np.float32
    np.testing.assert_allclose(standardised, (y - 20) / 10, rtol=1e-6)
    back = encoder.inverse(standardised)
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, y, rtol=1e-6)
    same = TargetEncoder.fit(table(y, a=np.arange(4.0)), ALL[:1])
    assert same.transform(y[:2]).tolist() == [0, 20]


@given(y=st.lists(st.floats(-1e30, 1e30), min_size=4, max_size=9))
def test_json_gives_the_same_target_encoder(y: list[float]) -> None:
    fitted = TargetEncoder.fit(table(np.array(y), a=np.arange(4.0)), ALL)
    assert TargetEncoder.from_json(fitted.to_json()) == fitted
    named = TargetEncoder.fit(LABELLED, ALL)
    assert TargetEncoder.from_json(named.to_json()) == named


def test_what_was_not_stored_by_this_version_is_refused() -> None:
    for kind, text in (
        (Preprocessor, Preprocessor.fit(LABELLED, ALL).to_json()),
        (TargetEncoder, TargetEncoder.fit(LABELLED, ALL).to_json()),
    ):
        stored = json.loads(text)
        assert stored["version"] == 2
        with pytest.raises(InvalidDataset, match="is of version '1'; this naslab reads version 2"):
            kind.from_json(json.dumps({**stored, "version": 1}))
        with pytest.raises(InvalidDataset, match="is damaged: it is no object"):
            kind.from_json("[]")
        with pytest.raises(InvalidDataset, match="is damaged"):
            kind.from_json(text[:-3])
        with pytest.raises(InvalidDataset, match="is damaged"):
            kind.from_json('{"version": 2}')
    with pytest.raises(InvalidDataset, match="is damaged"):
        Preprocessor.from_json('{"version": 2, "columns": [{"kind": "picture", "name": "a"}]}')
