"""What is a number, and what only Python takes for one."""

import math

import pytest

from naslab.files import read_number, read_whole

ARABIC, FULL_WIDTH = "\u0663", "\uff11"


@pytest.mark.parametrize(
    "text", ["1_0", ARABIC, FULL_WIDTH, f"1.{ARABIC}", "", " ", "nan", "0x10", "1e", "1,5", "--1", "1 0", "1e5_0"]
)
def test_no_number(text):
    assert read_number(text) is None
    assert read_number(text, infinite=True) is None
    assert read_whole(text) is None


@pytest.mark.parametrize(("text", "number"), [(" 10 ", 10), ("-.5", -0.5), ("2.5e1", 25), ("+3.", 3), ("1E-3", 0.001)])
def test_numbers(text, number):
    assert read_number(text) == number


def test_whole_numbers_are_exact_and_short():
    assert read_whole("-12345678901234567890") == -12345678901234567890
    assert read_whole("1.0") is None
    assert read_whole("9" * 5000) is None


def test_infinities_only_where_they_are_asked_for():
    assert read_number("inf") is None
    assert read_number("1e999") is None
    assert read_number("-Infinity", infinite=True) == -math.inf
    assert read_number("1e999", infinite=True) == math.inf
