"""Closed forms asked for all combinations at once give what they give one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from naslab.space.many import Many, Split, many, options, tabulated

TABLE = {"small": 2, "large": 7}
VALUES = {
    "n": (1, 2, 3, 5, 8),
    "m": (4, 2, 1),
    "word": ("small", "large", "tiny"),
    "rate": (0.25, 0.5, 2.0),
    "flag": (False, True),
    "mixed": (None, 3, "x"),
}


def grown(n):
    n += 1
    return n


FORMS = {
    "arithmetic": lambda n, m: n**2 * m - -(-n // m) + n % m,
    "branch": lambda n, m: n if n > m else 10 * m,
    "max": lambda n, m: max(1, n // 2, m),
    "int": lambda n, rate: int(n * rate),
    "round": lambda n, rate: round(n * rate),
    "ceil": lambda n, rate: math.ceil(n / rate) + math.floor(n * rate),
    "look-up": lambda n, word: n * TABLE.get(word, 1),
    "words": lambda n, word: n * word.startswith("t") + len(word) + ("a" in word) + (word == "small") * 3,
    "truths add up": lambda n, m, flag: (n > 1) + (m > 1) + flag + flag,
    "not and or": lambda n, flag: (not flag) + bool((n and flag) or n > 2),
    "in": lambda n, m: n in (1, 3, m),
    "text": lambda n, word: len(f"{word}-{n:04d}"),
    "range": lambda n, m: sum(range(n)) + [3, 4, 5, 6, 7][m],
    "none": lambda n, mixed: n if mixed is None else 2 * n + (mixed == 3),
    "types": lambda n, flag: n if isinstance(n, int) and flag is True else -n,
    "in place": lambda n, m: grown(n) * n + m,
    "constant": lambda n, word, flag: 3,
    "short circuits": lambda n, m: 1 if 0 < n - 1 < m else (2 if n == m or n > 6 else 3),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_gives_for_all_what_it_gives_for_one(name):
    form = FORMS[name]
    names = form.__code__.co_varnames[: form.__code__.co_argcount]
    sizes = {each: len(VALUES[each]) for each in names}

    def ask(decisions):
        given = [
            many(options(VALUES[each])[decisions[each].view(np.ndarray)])
            if isinstance(decisions[each], Many)
            else VALUES[each][decisions[each]]
            for each in names
        ]
        return form(*given), 7

    table, seven = tabulated(ask, names, sizes)
    for index in itertools.product(*map(range, sizes.values())):
        expected = form(*(VALUES[each][i] for each, i in zip(names, index, strict=True)))
        assert table[index] == expected, index
    assert (seven == 7).all()


def test_only_the_choices_that_are_looked_at_are_split():
    asked = []

    def ask(decisions):
        asked.append(decisions)
        return (decisions["a"] * 10 + decisions["c"] if decisions["b"] > 1 else decisions["a"],)

    (table,) = tabulated(ask, ("a", "b", "c"), {"a": 30, "b": 4, "c": 30})
    assert table[3, 0, 4] == 3
    assert table[3, 2, 4] == 34
    assert len(asked) == 1 + 2 * 3  # all at once, then two groups with two corners each


def test_what_fails_for_one_combination_is_raised_for_it():
    def ask(decisions):
        if decisions["a"] == 3:
            raise ValueError(f"a is {decisions['a']}, b is {decisions['b']}")
        return (1,)

    with pytest.raises(ValueError, match=r"^a is 3, b is 0$"):
        tabulated(ask, ("a", "b"), {"a": 5, "b": 2})


def test_a_value_that_is_the_same_everywhere_is_one_value():
    assert int(many(np.full((2, 3), 4))) == 4
    with pytest.raises(Split) as caught:
        int(many(np.array([[1, 1], [2, 2], [1, 1]])))
    assert (caught.value.axis, caught.value.groups) == (0, [[0, 2], [1]])
