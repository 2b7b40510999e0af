"""ReNAS' matrices."""

from __future__ import annotations

import numpy as np
import pytest
from predictor_spaces import drawn, spaces

import naslab
from naslab.errors import InvalidSpace
from naslab.evaluators.predictors.renas import ReNAS, cost_matrices
from naslab.evaluators.predictors.wiring import Wiring

SPACES = spaces()


def test_entries_are_the_operations_and_costs_of_edges():
    space = SPACES["nasbench201"]
    matrices = cost_matrices(Wiring(space), [(0, 3, 2, 3, 1, 4)])[0]
    kinds = matrices[0]
    assert kinds[0, 1] == 0
    assert kinds[0, 2] == kinds[0, 3] > 0
    assert len({kinds[0, 2], kinds[1, 2], kinds[1, 3], kinds[2, 3]}) == 4
    assert not np.tril(matrices.sum(axis=0)).any()
    params = matrices[2]
    # Five cells a stage with 16, 32 and 64 channels; a normalisation has two parameters a channel.
    wide = 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
    assert params[0, 2] == params[0, 3] == wide
    assert params[1, 2] == 5 * sum(c * c + 2 * c for c in (16, 32, 64))
    assert params[1, 3] == params[2, 3] == 0


@pytest.mark.parametrize("name", [name for name in SPACES if name not in ("fabric", "odd")])
def test_costs_that_depend_on_choices_are_all_there(name):
    space = SPACES[name]
    cells = drawn(space, 10)
    found = cost_matrices(Wiring(space), cells)[:, 1:].sum(axis=(2, 3))
    for channel, metric in enumerate(("macs", "params")):
        total = space.cost_model.values(metric, cells)
        fixed = sum(int(f.table) for f in space.cost_model.factors[metric] if not f.scope)
        np.testing.assert_allclose(found[:, channel], total - fixed, rtol=1e-5)


def test_channels_are_standardised_by_the_training_rows():
    space = SPACES["nasbench201"]
    cells = drawn(space, 50)
    made = ReNAS(space, epochs=1)
    made.fit(cells, range(50), rng=np.random.default_rng(0))
    (matrices,) = made._inputs(cells)
    varied = matrices.std(dim=0, correction=0)
    assert matrices.mean(dim=0).abs().max() < 1e-4
    assert set(varied.round(decimals=3).unique().tolist()) == {0.0, 1.0}


def test_cells_that_are_too_large_are_refused():
    with pytest.raises(InvalidSpace, match="renas reads cells of at most 32 nodes"):
        ReNAS(naslab.search_space("fabric"))
