"""The vocabulary of operations: frozen dataclasses with closed-form costs, one file per family. No torch here.

An operation stands on an edge. It says how shapes change, what it costs, and how its tensors are cut for a smaller form
of it (:mod:`naslab.ops.slices`); the compiler knows how to build it.

Shapes have no batch axis, and features come first whatever follows: ``(features,)``, ``(features, length)`` for
sequences, ``(channels, height, width)`` for images. So a width is always the size of the first axis, and what acts on
features (normalisations, attention, feed-forward blocks) takes sequences and images alike. Token numbers are a sequence
of one feature.

Conventions. *Parameters* count weights, biases and the affine pairs of normalisations. *MACs* count the
multiply-accumulates of matrix products and convolutions: linear layers, attention's products of tokens, the gates of
recurrent layers. Biases, normalisations, activations, poolings and embeddings count as zero. (Tables that the
literature calls "FLOPs" are often MACs plus the classifier's biases.)

A third party adds an operation by subclassing :class:`Operation` (``docs/your-own-operation.md``).
"""

from naslab.ops.activations import GELU, HardSwish, NormReLU, ReLU, ReLU6, SiLU, Tanh
from naslab.ops.attention import FeedForward, MultiHeadAttention
from naslab.ops.base import Identity, Operation, Shape, Value, Zero
from naslab.ops.blocks import FactorizedReduction, MBConv, Projection, ResidualReduction, Truncate
from naslab.ops.columns import EntityEmbedding, TruncatedSVD
from naslab.ops.composites import Residual, Sequence
from naslab.ops.convolutions import (
    Conv,
    Conv1d,
    DepthwiseConv,
    DilatedConv,
    GroupedConv,
    LeakyConv,
    LeakySeparableConv,
    LeakyUpsamplingConv,
    PlainConv,
    SeparableConv,
    UpsamplingConv,
)
from naslab.ops.dense import Classifier, Linear, PooledLinear
from naslab.ops.dropout import Dropout, ScaledDropout
from naslab.ops.embeddings import Embedding, PatchEmbedding, PositionalEmbedding
from naslab.ops.excitation import SqueezeExcitation, make_divisible
from naslab.ops.normalisations import BatchNorm, LayerNorm, RMSNorm
from naslab.ops.pooling import AvgPool, MaxPool, TokenPool, Upsample
from naslab.ops.recurrent import GRU, LSTM
from naslab.ops.shaking import PreActivationBlock, ShakeDrop
from naslab.ops.slices import Cut, Slices

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "AvgPool",
    "BatchNorm",
    "Classifier",
    "Conv",
    "Conv1d",
    "Cut",
    "DepthwiseConv",
    "DilatedConv",
    "Dropout",
    "Embedding",
    "EntityEmbedding",
    "FactorizedReduction",
    "FeedForward",
    "GroupedConv",
    "HardSwish",
    "Identity",
    "LayerNorm",
    "LeakyConv",
    "LeakySeparableConv",
    "LeakyUpsamplingConv",
    "Linear",
    "MBConv",
    "MaxPool",
    "MultiHeadAttention",
    "NormReLU",
    "Operation",
    "PatchEmbedding",
    "PlainConv",
    "PooledLinear",
    "PositionalEmbedding",
    "PreActivationBlock",
    "Projection",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Residual",
    "ResidualReduction",
    "ScaledDropout",
    "SeparableConv",
    "Sequence",
    "ShakeDrop",
    "Shape",
    "SiLU",
    "Slices",
    "SqueezeExcitation",
    "Tanh",
    "TokenPool",
    "Truncate",
    "TruncatedSVD",
    "Upsample",
    "UpsamplingConv",
    "Value",
    "Zero",
    "make_divisible",
]
