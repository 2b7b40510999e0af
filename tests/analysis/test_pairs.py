"""Both taus are SciPy's, which counts pairs by other means."""

import numpy as np
import pytest
from scipy import stats

from naslab.analysis.pairs import taus


@pytest.mark.parametrize("n", [3, 4, 7, 50, 700])
def test_they_are_scipys(n):
    rng = np.random.default_rng(n)
    for kinds in (2, 3, 10, 1000) * 5:
        x, y = rng.integers(kinds, size=n), rng.integers(rng.integers(2, 2 + kinds), size=n)
        y = np.where(rng.random(n) < 0.4, x, y)  # related
        found = taus(x, y)
        if np.ptp(x) and np.ptp(y):
            wanted = stats.kendalltau(x, y, method="asymptotic").statistic, stats.weightedtau(x, y).statistic
            assert found == pytest.approx(wanted, abs=1e-12)
        else:
            assert np.isnan(found).all()


def test_of_few_values():
    assert taus(np.array([0, 1]), np.array([5, 3])) == (-1, -1)
    assert taus(np.array([0, 1]), np.array([3, 5])) == (1, 1)
    for few in ([], [4], [4, 4]):
        assert np.isnan(taus(np.array(few, np.int64), np.array(few, np.int64))).all()
