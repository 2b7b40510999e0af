"""Closed forms, for arrays as for numbers. (Published networks: search_spaces/test_published_mobile.py.)"""

from __future__ import annotations

import numpy as np
import pytest

from naslab import ops
from naslab.ops import make_divisible

VECTOR, SEQUENCE, IMAGE = (), (5,), (6, 4)
FORMS = [
    *[(ops.Linear, {}, VECTOR)],
    *[(kind, {}, shape) for kind in (ops.BatchNorm, ops.LayerNorm, ops.RMSNorm) for shape in (VECTOR, SEQUENCE, IMAGE)],
    *[(kind, {"kernel": (1, 3)}, IMAGE) for kind in (ops.Conv, ops.DepthwiseConv, ops.SeparableConv, ops.DilatedConv)],
    (ops.GroupedConv, {"kernel": (1, 3), "groups": (2, 4)}, IMAGE),
    (ops.Conv1d, {"kernel": (1, 3)}, SEQUENCE),
    *[(kind, {}, SEQUENCE) for kind in (ops.GRU, ops.LSTM, ops.PositionalEmbedding, ops.TokenPool)],
    *[(ops.MultiHeadAttention, attributes, SEQUENCE) for attributes in ({}, {"heads": (1, 3), "head_size": (4, 5)})],
    *[(ops.FeedForward, {"expansion": values}, SEQUENCE) for values in ((2, 3), (1.5, 3.3))],
    *[(ops.SqueezeExcitation, {}, IMAGE)],
    (ops.MBConv, {"kernel": (3, 5), "expansion": (1, 6), "squeeze_excitation": (0, 1)}, IMAGE),
    (ops.MBConv, {"expansion": (1, 3), "groups": (1, 2, 4)}, IMAGE),
    (lambda **a: ops.MBConv(squeeze_excitation="mobilenetv3", **a), {"kernel": (3, 5), "expansion": (1, 2.3)}, IMAGE),
    (lambda **a: ops.SqueezeExcitation(convention="mobilenetv3", **a), {}, IMAGE),
    (lambda **a: ops.Sequence((ops.Conv(**a), ops.SqueezeExcitation())), {"kernel": (1, 3)}, IMAGE),
    (lambda **a: ops.Residual(ops.DepthwiseConv(**a)), {"kernel": (1, 3)}, IMAGE),
]


@pytest.mark.parametrize(("kind", "attributes", "positions"), FORMS)
def test_closed_forms_take_arrays(kind, attributes, positions):
    features, widths = (4, 12, 20, 36), (4, 8, 24)
    numbers = [features, widths, *attributes.values()]
    axes = np.ix_(*map(np.asarray, numbers))
    op = kind(**dict(zip(attributes, axes[2:], strict=True)))
    shape = (axes[0], *positions)
    out = op.output_shape(shape, axes[1])
    shaped = [np.broadcast_to(each, [len(n) for n in numbers]) for each in (op.params(shape, out), op.macs(shape, out))]
    for index in np.ndindex(*map(len, numbers)):
        f, w, *values = (n[i] for n, i in zip(numbers, index, strict=True))
        one = kind(**dict(zip(attributes, values, strict=True)))
        leaving = one.output_shape((f, *positions), w)
        stated = one.params((f, *positions), leaving), one.macs((f, *positions), leaving)
        assert [table[index] for table in shaped] == list(stated)
        assert all(isinstance(each, int) for each in stated)


@pytest.mark.parametrize("divisor", [8, 4, 10])
def test_make_divisible_is_the_published_rounding(divisor):
    def published(width: float) -> int:
        new = max(divisor, int(width + divisor / 2) // divisor * divisor)
        return new + divisor if new < 0.9 * width else new

    widths = np.concatenate([np.arange(1, 400), np.arange(1, 400) * 0.35, np.arange(1, 100) * 1.4])
    assert [make_divisible(w, divisor) for w in widths.tolist()] == [published(w) for w in widths.tolist()]
    assert make_divisible(widths, divisor).tolist() == [published(w) for w in widths.tolist()]
    assert np.issubdtype(make_divisible(widths).dtype, np.integer)
