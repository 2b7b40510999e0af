"""The operations of the vocabulary: modules against closed forms, and smaller forms as parts of the largest."""

from __future__ import annotations

import pytest
from test_primitives import CASES as BLOCKS

from naslab import Choice, ops
from naslab.space import choices_in
from naslab.testing import check_operation

FEATURES, WIDTH = Choice("features", (4, 8)), Choice("width", (6, 3))
VECTOR, SEQUENCE, IMAGE = (FEATURES,), (FEATURES, 5), (FEATURES, 6, 5)
KERNEL = Choice("kernel", (3, 1, 5))
SHAPES = (VECTOR, SEQUENCE, IMAGE)
ACTIVATIONS = (ops.ReLU6(), ops.HardSwish(), ops.GELU(), ops.SiLU(), ops.Tanh())
LAYER = ops.Sequence((ops.Residual(ops.Sequence((ops.LayerNorm(), ops.MultiHeadAttention(heads=2)))), ops.GELU()))
CASES = [
    *[(op, shape, None) for op in (*ACTIVATIONS, ops.Dropout()) for shape in SHAPES],
    *[(op, shape, None) for op in (ops.BatchNorm(), ops.LayerNorm(), ops.RMSNorm()) for shape in SHAPES],
    *[(op, shape, None) for op in (ops.PositionalEmbedding(), ops.TokenPool()) for shape in (SEQUENCE, IMAGE)],
    (ops.Dropout(rate=Choice("rate", (0.1, 0.5, 0))), VECTOR, None),
    *[(ops.ScaledDropout(most=most, share=0.5, least=0.05), VECTOR, None) for most in (0.0, 0.05, 0.3, 1.0)],
    (ops.ScaledDropout(everything=True), SEQUENCE, None),
    *[(ops.ShakeDrop(share=0.5, inverted=inverted), VECTOR, None) for inverted in (False, True)],
    *[
        (ops.PreActivationBlock(ops.Dropout(), shake_shake, ops.ShakeDrop(), inverted), (5,), width)
        for width in (5, 3)
        for shake_shake in (False, True)
        for inverted in (False, True)
    ],
    *[(ops.EntityEmbedding((3, 2, 7), (0.5, 0.9, 0.2), 3, columns), (14,), None) for columns in ("own", "shifted")],
    *[(ops.TruncatedSVD(dimensions), (6,), None) for dimensions in (2, 99)],
    (ops.PatchEmbedding(), (FEATURES, 6, 4), WIDTH),
    (ops.PatchEmbedding(5), SEQUENCE, WIDTH),
    (ops.DepthwiseConv(kernel=KERNEL), IMAGE, None),
    (ops.DepthwiseConv(stride=2), IMAGE, None),
    (ops.GroupedConv(kernel=KERNEL), IMAGE, Choice("width", (6, 4))),
    (ops.GroupedConv(groups=4, stride=2), IMAGE, None),
    *[(op(kernel=KERNEL), IMAGE, WIDTH) for op in (ops.LeakyConv, ops.LeakySeparableConv)],
    (ops.LeakyUpsamplingConv(kernel=Choice("kernel", (4, 2))), IMAGE, WIDTH),
    (ops.Conv1d(kernel=KERNEL), SEQUENCE, WIDTH),
    (ops.Conv1d(stride=2), SEQUENCE, None),
    (ops.Upsample(), SEQUENCE, None),
    (ops.Upsample(mode="bilinear", factor=3), IMAGE, None),
    (ops.Embedding(vocabulary=9), (1, 5), WIDTH),
    *[(ops.Truncate(), shape, Choice("width", (4, 3))) for shape in SHAPES],
    *[(op, shape, width) for op in (ops.GRU(), ops.LSTM()) for shape in (SEQUENCE,) for width in (WIDTH, None)],
    *[(ops.MultiHeadAttention(), shape, width) for shape in (SEQUENCE, IMAGE) for width in (WIDTH, None)],
    (ops.MultiHeadAttention(heads=Choice("heads", (1, 4, 2))), SEQUENCE, WIDTH),
    (ops.MultiHeadAttention(heads=Choice("heads", (1, 4)), head_size=Choice("size", (3, 5))), SEQUENCE, WIDTH),
    *[
        (ops.FeedForward(expansion=Choice("expansion", (2, 1.5))), shape, width)
        for shape in SHAPES
        for width in (3, None)
    ],
    (ops.FeedForward(activation=Choice("activation", ("relu", "silu"))), SEQUENCE, WIDTH),
    *[(ops.SqueezeExcitation(convention=name), IMAGE, None) for name in ("mnasnet", "mobilenetv3")],
    (ops.MBConv(squeeze_excitation="mobilenetv3", activation="hard-swish", kernel=KERNEL), IMAGE, WIDTH),
    (ops.MBConv(squeeze_excitation="mobilenetv3", expansion=Choice("expansion", (1, 3, 2.5))), IMAGE, None),
    (ops.MBConv(squeeze_excitation=Choice("se", (False, True, "mobilenetv3"))), IMAGE, WIDTH),
    (ops.MBConv(activation=Choice("activation", ("relu6", "hard-swish"))), IMAGE, None),
    (ops.Sequence((ops.ReLU(), ops.Conv1d(kernel=KERNEL), ops.BatchNorm(), ops.Conv1d(), ops.Tanh())), SEQUENCE, WIDTH),
    (LAYER, SEQUENCE, None),
    (ops.Residual(ops.MBConv(kernel=KERNEL)), IMAGE, None),
    (ops.Residual(Choice("op", (ops.Zero(), ops.FeedForward(), ops.Sequence((ops.RMSNorm(), ops.SiLU()))))), (4,), 4),
    (ops.Sequence((Choice("op", (ops.GRU(), ops.Conv1d())), ops.TokenPool(), ops.Linear())), SEQUENCE, WIDTH),
]


@pytest.mark.parametrize(("op", "shape", "width"), CASES, ids=str)
def test_an_operation_does_what_it_states(op, shape, width):
    check_operation(op, shape, width)


def test_every_operation_is_checked():
    """Here, or as one of the convolutions and blocks of test_primitives."""
    every = {op for op in vars(ops).values() if isinstance(op, type) and issubclass(op, ops.Operation)}
    chosen = [option for op, _, _ in CASES for choice in choices_in(op) for option in choice.options]
    checked = {type(op) for op in [*(op for op, _, _ in (*CASES, *BLOCKS)), *chosen]}
    assert every - checked == {ops.Operation}
