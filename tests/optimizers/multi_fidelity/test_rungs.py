"""Rungs and brackets: published examples, and what is refused."""

from __future__ import annotations

import re

import pytest

from naslab.errors import InvalidValue
from naslab.optimizers.multi_fidelity.rungs import brackets, rungs

EPOCHS = range(1, 244)


@pytest.mark.parametrize(
    ("low", "high", "eta", "found", "published", "begins"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81), "81/27/9/3/1 27/9/3/1 9/3/1 6/2 5", (81, 34, 15, 8, 5)),
        (4, 108, 3, (4, 12, 36, 108), "27/9/3/1 9/3/1 6/2 4", (27, 12, 6, 4)),
        (12, 200, 3, (23, 67, 200), "9/3/1 3/1 3", (9, 5, 3)),
        (1, 12, 3, (2, 4, 12), "9/3/1 3/1 3", (9, 5, 3)),
        (10, 50, 2, (13, 25, 50), "4/2/1 2/1 3", (4, 3, 3)),
        (25, 100, 2, (25, 50, 100), "4/2/1 2/1 3", (4, 3, 3)),
        (
            1,
            243,
            3,
            (1, 3, 9, 27, 81, 243),
            "243/81/27/9/3/1 81/27/9/3/1 27/9/3/1 18/6/2 9/3 6",
            (243, 98, 41, 18, 9, 6),
        ),
    ],
)
def test_hpbandsters_rungs_and_both_kinds_of_brackets(low, high, eta, found, published, begins) -> None:
    assert rungs(EPOCHS, eta, lowest=low, highest=high, anchor="highest") == found
    assert brackets(found, eta, "hpbandster") == tuple(tuple(map(int, b.split("/"))) for b in published.split())
    assert tuple(each[0] for each in brackets(found, eta)) == begins


@pytest.mark.parametrize(
    ("fidelities", "eta", "found"),
    [
        (range(1, 21), 3, (1, 3, 9, 20)),
        (range(1, 17), 3, (1, 3, 9, 16)),
        (range(1, 9), 2, (1, 2, 4, 8)),
        ((12, 200), 3, (12, 200)),
        ((1, 5, 9), 3, (1, 5, 9)),  # 3 is rounded up to what the task has
        ((12, 200), 20, (12, 200)),
    ],
)
def test_rungs_rise_from_the_lowest_to_the_highest(fidelities, eta, found) -> None:
    assert rungs(fidelities, eta) == found


def test_a_bracket_of_hyperband_drops_fractions() -> None:
    assert brackets((1, 3, 9), 3) == ((9, 3, 1), (5, 1), (3,))


@pytest.mark.parametrize(
    ("fidelities", "options", "message"),
    [
        ((1, 3, 9), {"eta": 1}, "eta=1: at least 2"),
        ((1, 3, 9), {"lowest": 9, "highest": 3}, "lowest=9 is not below highest=3"),
        ((1, 3, 9), {"lowest": 9}, "lowest=9 is not below highest=9"),
        ((1, 3, 9), {"highest": 8}, "highest=8 is no fidelity of the task; the nearest is 9"),
        ((9,), {}, "only 9 epochs"),
        ((), {}, "no fidelities"),
        (("half", "full"), {}, "'half', 'full' are names, which have no order"),
        ((2, 3, 9), {"eta": 5, "highest": 3, "anchor": "highest"}, "eta=5 leaves one rung"),
    ],
)
def test_what_has_no_rungs_is_refused(fidelities, options, message) -> None:
    with pytest.raises(InvalidValue, match=re.escape(message)) as refused:
        rungs(fidelities, **{"eta": 3, **options})
    assert "\n" not in str(refused.value)


def test_an_unknown_kind_of_brackets_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"hyperbnd.*hyperband"):
        brackets((1, 3, 9), 3, "hyperbnd")
