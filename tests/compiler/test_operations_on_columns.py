"""Embeddings of categories, and the decomposition that is fitted to the training rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from naslab import ops
from naslab.compiler.primitives import Norm, build, initialised
from naslab.errors import InvalidSpace


def module(op: ops.Operation, features: int) -> nn.Module:
    out = op.output_shape((features,), None)
    with torch.device("meta"):
        made = build(op, (features,), out, Norm())
    return initialised(made, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        ("own", [(0, 3), (5, 9)]),  # of the categories of 3, 2 and 4 values, the second stays as it is
        ("shifted", [(0, 3), (4, 8)]),  # published: one column too early for each column but one of the second
    ],
)
def test_embeddings_read_the_columns_of_their_category(columns: str, places: list[tuple[int, int]]) -> None:
    op = ops.EntityEmbedding((3, 2, 4), (0.0, 0.5, 0.99), 3, columns)
    part = module(op, 11)
    x = torch.arange(22.0).reshape(2, 11)
    (a, b), (c, d) = places
    first, second = part.layers  # type: ignore[misc]
    expected = torch.cat([x[:, :a], first(x[:, a:b]), x[:, b:c], second(x[:, c:d]), x[:, d:]], 1)
    torch.testing.assert_close(part(x), expected)
    assert (first.out_features, second.out_features) == (1, 3)  # at least 1, at most one less than the values
    assert op.output_shape((11,), None) == (8,)


def test_a_threshold_above_all_categories_leaves_the_row() -> None:
    op = ops.EntityEmbedding((3, 2, 4), (0.5, 0.5, 0.5), 5)
    x = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(op, 9)(x), x)


@pytest.mark.parametrize(("features", "asked", "kept"), [(6, 3, 3), (6, 10, 5)])
def test_the_decomposition_is_the_singular_vectors_of_the_rows(features: int, asked: int, kept: int) -> None:
    from sklearn.decomposition import TruncatedSVD

    part = module(ops.TruncatedSVD(asked), features)
    rows = np.random.default_rng(0).standard_normal((50, features)) @ np.diag(range(1, features + 1)) + 3
    random = part.components.clone()  # type: ignore[operator]
    torch.testing.assert_close(random.T @ random, torch.eye(kept), atol=1e-5, rtol=0)
    x = torch.from_numpy(rows)
    part.double().fit_rows(x)  # type: ignore[operator]
    expected = TruncatedSVD(kept, algorithm="arpack").fit_transform(rows)
    np.testing.assert_allclose(np.abs(part(x).numpy()), np.abs(expected), rtol=1e-6)  # up to signs
    before = part.components.clone()  # type: ignore[operator]
    part.fit_rows(x)  # type: ignore[operator]
    assert torch.equal(part.components, before)
    assert not list(part.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.EntityEmbedding((3, 4), (0.5,)), "one number of values and one reduction per category"),
        (lambda: ops.EntityEmbedding((), ()), "one number of values and one reduction per category"),
        (lambda: ops.EntityEmbedding((3,), (0.5,), columns="mine"), "columns 'mine'"),
        (lambda: ops.EntityEmbedding((3, 4), (0.5, 0.5)).output_shape((6,), None), "allowed: .7 or more features,."),
        (lambda: ops.TruncatedSVD().output_shape((1,), None), "vectors of at least 2 features"),
        (lambda: ops.PatchEmbedding(3).output_shape((1, 6, 8), 4), "a patch of 3 does not divide 8"),
        (lambda: ops.PatchEmbedding().output_shape((8,), 4), "an image or a sequence"),
    ],
)
def test_what_does_not_fit_is_refused(make, message) -> None:
    with pytest.raises(InvalidSpace, match=message):
        make()
