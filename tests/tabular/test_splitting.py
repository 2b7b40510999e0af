"""Splits: complete, disjoint, of the right sizes, alike in their targets, and decided by the generator."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from naslab.errors import InvalidValue
from naslab.tabular.splitting import split

seeds = st.integers(0, 2**32 - 1)


def classes(sizes: dict[str, int]) -> np.ndarray:
    labels = [name for name, size in sizes.items() for _ in range(size)]
    return np.random.default_rng(5).permutation(np.array(labels, dtype=object))


def assert_partition(parts: tuple[np.ndarray, ...], rows: int) -> None:
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@given(sizes=st.lists(st.integers(3, 40), min_size=2, max_size=12), seed=seeds)
def test_every_class_is_in_every_split_by_a_fifth(sizes: list[int], seed: int) -> None:
    y = classes({f"c{n}": size for n, size in enumerate(sizes)})
    parts = split(y, "classification", np.random.default_rng(seed))
    assert_partition(parts, len(y))
    train, validation, test = (Counter(y[part]) for part in parts)
    assert validation == test
    for n, size in enumerate(sizes):
        assert max(1, size // 5) <= test[f"c{n}"] <= max(1, -(-size // 5))
        assert train[f"c{n}"] >= 1


@given(sizes=st.lists(st.integers(5, 60), min_size=2, max_size=30), seed=seeds)
def test_roundings_cancel_over_the_classes(sizes: list[int], seed: int) -> None:
    """With five rows or more of each class nothing is forced, so that the whole is cut as one class would be."""
    y = classes({f"c{n}": size for n, size in enumerate(sizes)})
    _, validation, test = split(y, "classification", np.random.default_rng(seed))
    assert abs(len(test) - len(y) / 5) <= 0.5
    assert len(validation) == len(test)


def test_as_many_of_each_class_as_scikit_learn_takes() -> None:
    y = classes({"a": 500, "b": 300, "c": 45, "d": 155})
    ours = split(y, "classification", np.random.default_rng(1))
    rest, test = train_test_split(np.arange(1000), test_size=0.2, stratify=y, random_state=0)
    train, validation = train_test_split(rest, test_size=0.25, stratify=y[rest], random_state=0)
    for part, theirs in zip(ours, (train, validation, test), strict=True):
        assert Counter(y[part]) == Counter(y[theirs])


def test_a_class_too_small_to_spread_is_for_training() -> None:
    y = classes({"many": 40, "two": 2, "one": 1})
    train, validation, test = split(y, "classification", np.random.default_rng(0))
    assert Counter(y[train])["two"] == 2
    assert Counter(y[train])["one"] == 1
    assert set(y[validation]) == set(y[test]) == {"many"}


@given(rows=st.integers(20, 400), seed=seeds)
def test_each_tenth_of_a_regression_gives_its_fifth(rows: int, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.exp(np.arange(rows) / rows * 9))
    parts = split(y, "regression", np.random.default_rng(seed))
    assert_partition(parts, rows)
    _, validation, test = parts
    assert len(validation) == len(test)
    bins = min(10, rows // 5)
    assert abs(len(test) - rows / 5) <= 0.5
    edges = [number * rows // bins for number in range(bins + 1)]
    ranks = np.argsort(np.argsort(y))
    for low, high in pairwise(edges):
        for part in (validation, test):
            inside = ((ranks[part] >= low) & (ranks[part] < high)).sum()
            assert abs(inside - (high - low) / 5) < 1
            assert inside >= 1


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_every_row_is_held_out_equally_often(kind: str) -> None:
    y = np.array(["a", "b", "c"] * 10, dtype=object) if kind == "classification" else np.arange(30.0)
    rng = np.random.default_rng(3)
    counts = np.zeros((3, 30))
    for _ in range(2000):
        for number, part in enumerate(split(y, kind, rng)):
            counts[number, part] += 1
    expected = 2000 * np.array([0.6, 0.2, 0.2])[:, None]
    deviation = np.sqrt(expected * (1 - expected / 2000))
    assert (np.abs(counts - expected) < 4.5 * deviation).all()


def test_the_generator_decides_and_nothing_else() -> None:
    y = classes({"a": 50, "b": 50})
    first = split(y, "classification", np.random.default_rng(7))
    again = split(y, "classification", np.random.default_rng(7))
    other = split(y, "classification", np.random.default_rng(8))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first[2].tolist() != other[2].tolist()


def test_equal_targets_of_a_regression_are_no_obstacle() -> None:
    parts = split(np.array([0.0] * 90 + [1.0] * 10), "regression", np.random.default_rng(0))
    assert [len(part) for part in parts] == [60, 20, 20]
    assert [int((part >= 90).sum()) for part in parts] == [6, 2, 2]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"kind='ranking'\. Allowed: 'classification', 'regression'"):
        split(np.arange(20.0), "ranking", np.random.default_rng(0))  # type: ignore[arg-type]
