"""The functional analysis of variance, against numbers that were computed by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from naslab.analysis.importance import REST, SHARES, importance
from naslab.errors import InvalidValue

GRID = [list(each) for each in product(range(2), range(3))]


def test_a_table_of_two_by_three_by_hand() -> None:
    """Mean 4; the first decision adds -1 or 1, the second -2, 0 or 2, and their interaction 1 and -1 in turns of 0."""
    values = [4 - 1 - 2 + 1, 4 - 1 + 0 + 0, 4 - 1 + 2 - 1, 4 + 1 - 2 - 1, 4 + 1 + 0 + 0, 4 + 1 + 2 + 1]
    first, second, both = 1.0, 8 / 3, 2 / 3  # variances: of (-1, 1), of (-2, 0, 2), and of (1, 0, -1, -1, 0, 1) = 4 / 6
    frame = importance(GRID, values, ["a", "b"], [2, 3]).set_index("decisions")
    total = first + second + both
    assert total == pytest.approx(np.var(values))
    for decisions, part in (("a", first), ("b", second), ("a x b", both)):
        assert frame.loc[decisions, SHARES[0]] == pytest.approx(part / total)
    assert list(frame["how many"]) == [1, 1, 2]  # and no larger groups: there are two decisions
    assert frame.index[0] == "b"


def test_ranks_are_not_ruled_by_one_outlier() -> None:
    values = np.array([1.0, 2, 3, 4, 5, 6])
    values[0] = 1e9
    frame = importance(GRID, values, ["a", "b"], [2, 3]).set_index("decisions")
    assert frame.loc["a", SHARES[0]] == pytest.approx(0.2)  # of one cell among six: (1/6) / (5/6)
    ranks = importance(GRID, [6, 1, 2, 3, 4, 5], ["a", "b"], [2, 3]).set_index("decisions")
    np.testing.assert_allclose(frame[SHARES[1]], ranks[SHARES[0]].loc[frame.index])


def test_shares_add_up_to_one_and_what_is_constant_has_none() -> None:
    sizes = (3, 4, 2, 5)
    rows = np.array(list(np.ndindex(*sizes)))
    values = np.random.default_rng(0).normal(size=len(rows)) ** 3
    values = values.reshape(sizes)
    values[:] = values[:, :, :1]  # the third decides nothing
    frame = importance(rows, values.ravel(), list("abcd"), sizes)
    for share in SHARES:
        assert frame[share].sum() == pytest.approx(1)
        assert (frame[share] > -1e-12).all()
    assert frame.set_index("decisions").filter(regex="c", axis=0)[SHARES[0]].abs().max() == 0
    assert frame["decisions"].iloc[-1] == REST
    shuffled = np.random.default_rng(1).permutation(len(rows))
    again = importance(rows[shuffled], values.ravel()[shuffled], list("abcd"), sizes)
    together = again.merge(frame, on="decisions")
    np.testing.assert_allclose(together[f"{SHARES[0]}_x"], together[f"{SHARES[0]}_y"], atol=1e-11)


def test_a_sum_has_no_interactions() -> None:
    rows = np.array(list(np.ndindex(4, 3, 3)))
    frame = importance(rows, rows @ [1.0, 10.0, 100.0], list("abc"), (4, 3, 3)).set_index("how many")
    assert frame.loc[1, SHARES[0]].sum() == pytest.approx(1)
    assert np.abs(frame.loc[[2, 3], SHARES[0]]).max() < 1e-12


@pytest.mark.parametrize(
    ("rows", "values", "said"),
    [
        (GRID[:5], range(5), "5 of 6 combinations of options are known"),
        (GRID, [1, 2, 3, 4, 5, np.nan], "1 scores are not finite"),
        (GRID, [7] * 6, "all scores are equal"),
    ],
)
def test_what_has_no_decomposition_is_refused(rows: list[list[int]], values: list[float], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        importance(rows, list(values), ["a", "b"], [2, 3])
