"""Closed forms: for arrays as for numbers, and for networks that were published."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from naslab import ops
from naslab.ops import Conv, Linear, MBConv, Operation, PooledLinear, make_divisible

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


# ---- published networks ------------------------------------------------------------------------------------------

Layers = list[tuple[Operation, int]]


def stage(width: int, repeats: int, stride: int = 1, **options: object) -> Iterator[tuple[Operation, int]]:
    """Blocks of one width, the first with the stride."""
    return ((MBConv(stride=stride if i == 0 else 1, **options), width) for i in range(repeats))


def stem(width: int) -> tuple[Operation, int]:
    return Conv(kernel=3, stride=2, order="conv-bn-relu"), width


HEAD: Layers = [(Conv(kernel=1, order="conv-bn-relu"), 1280), (PooledLinear(), 1000)]
SE = {"squeeze_excitation": True}
V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
V3 = [
    *[(3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 1, "relu", 2)],
    *[(5, 120, 40, 1, "relu", 1)] * 2,
    *[(3, 240, 80, 0, "hard-swish", 2), (3, 200, 80, 0, "hard-swish", 1), *[(3, 184, 80, 0, "hard-swish", 1)] * 2],
    *[(3, 480, 112, 1, "hard-swish", 1), (3, 672, 112, 1, "hard-swish", 1)],
    *[(5, 672, 160, 1, "hard-swish", 2), *[(5, 960, 160, 1, "hard-swish", 1)] * 2],
]


def mobilenetv3() -> Layers:
    """Howard et al. 2019, table 1."""
    layers, features = [stem(16)], 16
    for kernel, hidden, width, excited, activation, stride in V3:
        se = "mobilenetv3" if excited else False
        op = MBConv(
            kernel=kernel, expansion=hidden / features, squeeze_excitation=se, activation=activation, stride=stride
        )
        layers.append((op, width))
        features = width
    return [*layers, (Conv(kernel=1, order="conv-bn"), 960), (PooledLinear(), 1280), (Linear(), 1000)]


PUBLISHED = {
    "MobileNetV2": (
        [
            stem(32),
            *itertools.chain(*(stage(c, n, s, expansion=t, activation="relu6") for t, c, n, s in V2)),
            *HEAD,
        ],
        (3_504_872, 300_774_272),
    ),
    "MnasNet-A1": (
        [
            stem(32),
            *stage(16, 1, expansion=1),
            *stage(24, 2, 2),
            *stage(40, 3, 2, kernel=5, expansion=3, **SE),
            *stage(80, 4, 2),
            *stage(112, 2, **SE),
            *stage(160, 3, 2, kernel=5, **SE),
            *stage(320, 1),
            *HEAD,
        ],
        (3_887_038, 311_579_072),
    ),
    "MobileNetV3-L": (mobilenetv3(), (5_483_032, 216_589_760)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_their_counts(name):
    """Squeeze-and-excitation in its two conventions: a quarter of the block's input, or of the expanded width."""
    layers, expected = PUBLISHED[name]
    shape, params, macs = (3, 224, 224), 0, 0
    for op, width in layers:
        out = op.output_shape(shape, width)
        params, macs, shape = params + op.params(shape, out), macs + op.macs(shape, out), out
    assert (params, macs) == expected
