"""Counting, drawing and listing under rules, against going through all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toy_spaces import looks_uniform

from naslab.space import IndexedRule, Rule
from naslab.space.validity import Elimination, enumerate_valid


def indexed(sizes, rules):
    position = {str(i): i for i in range(len(sizes))}
    return [IndexedRule(Rule(tuple(map(str, scope)), allowed), position, sizes) for scope, allowed in rules]


@st.composite
def ruled(draw):
    """Sizes, and a few rules that overlap at random."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rules = []
    for _ in range(draw(st.integers(0, 3))):
        scope = tuple(draw(st.permutations(range(len(sizes))))[: draw(st.integers(1, min(3, len(sizes))))])
        every = list(itertools.product(*(range(sizes[i]) for i in scope)))
        rules.append((scope, frozenset(draw(st.lists(st.sampled_from(every), max_size=len(every))))))
    return sizes, rules


def brute_force(sizes, rules) -> list[tuple[int, ...]]:
    every = itertools.product(*map(range, sizes))
    return [a for a in every if all(tuple(a[i] for i in scope) in allowed for scope, allowed in rules)]


@given(ruled())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_count_and_list_are_those_of_brute_force(case):
    sizes, rules = case
    valid = brute_force(sizes, rules)
    assert Elimination(sizes, indexed(sizes, rules)).total == len(valid)
    assert list(enumerate_valid(sizes, indexed(sizes, rules))) == valid


@given(ruled(), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_samples_are_valid(case, seed):
    sizes, rules = case
    valid = set(brute_force(sizes, rules))
    assume(valid)
    elimination, rng = Elimination(sizes, indexed(sizes, rules)), np.random.default_rng(seed)
    assert {elimination.sample(rng) for _ in range(50)} <= valid


NOT_EQUAL = frozenset(itertools.permutations(range(4), 2))
CHAIN = [((i, i + 1), NOT_EQUAL) for i in range(4)]
LOOP = [*CHAIN, ((4, 0), NOT_EQUAL)]
TIGHT = [((0, 1, 2), frozenset({(0, 0, 0), (1, 2, 3), (1, 2, 0)})), ((4, 2), frozenset({(0, 0), (1, 0), (2, 3)}))]


@pytest.mark.parametrize(
    ("rules", "count"),
    [
        ([], 4**5),
        (CHAIN, 4 * 3**4),
        (LOOP, 3**5 - 3),  # colourings of a cycle of five with four colours
        (TIGHT, (2 + 1 + 2) * 4),
    ],
    ids=["free", "chain", "loop", "tight"],
)
def test_samples_are_uniform(rules, count):
    sizes = (4,) * 5
    valid = brute_force(sizes, rules)
    assert len(valid) == count
    elimination, rng = Elimination(sizes, indexed(sizes, rules)), np.random.default_rng(8)
    draws = [elimination.sample(rng) for _ in range(10 * max(len(valid), 100))]
    assert looks_uniform(draws, valid)


def test_counts_beyond_64_bits_are_exact():
    sizes = (10,) * 60
    different = frozenset(itertools.permutations(range(10), 2))
    elimination = Elimination(sizes, indexed(sizes, [((i, i + 1), different) for i in range(59)]))
    assert elimination.total == 10 * 9**59
    draw = elimination.sample(np.random.default_rng(0))
    assert all(a != b for a, b in itertools.pairwise(draw))


def test_listing_does_not_go_through_all_combinations():
    # One architecture among 10^60.
    rules = [((i,), frozenset({(7,)})) for i in range(60)]
    assert list(enumerate_valid((10,) * 60, indexed((10,) * 60, rules))) == [(7,) * 60]


@pytest.mark.parametrize("drawn", range(4))
def test_equal_shares_of_the_draw_are_half_open(drawn):
    """A draw on the border of two options belongs to the second, as 0 belongs to the first."""

    class Fixed:
        def random(self) -> float:
            return drawn / 4

    assert Elimination((4,), []).sample(Fixed()) == (drawn,)
