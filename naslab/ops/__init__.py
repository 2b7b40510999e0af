"""The vocabulary of operations: frozen dataclasses with closed-form costs, one file per family. No torch here.

An operation stands on an edge. It says how shapes change and what it costs; the compiler knows how to build it.
Shapes have no batch axis: ``(features,)`` or ``(channels, height, width)``.

Conventions. *Parameters* count weights, biases and the affine pairs of batch normalisations. *MACs* count the
multiply-accumulates of linear and convolutional layers only: biases, normalisations, activations and poolings
count as zero. (Tables that the literature calls "FLOPs" are often MACs plus the classifier's biases.)

A third party adds an operation by subclassing :class:`Operation`.
"""

from naslab.ops.activations import NormReLU, ReLU
from naslab.ops.base import Identity, Operation, Shape, Value, Zero
from naslab.ops.blocks import FactorizedReduction, MBConv, Projection, ResidualReduction
from naslab.ops.convolutions import Conv, DilatedConv, PlainConv, SeparableConv, UpsamplingConv
from naslab.ops.dense import Classifier, Linear, PooledLinear
from naslab.ops.pooling import AvgPool, MaxPool

__all__ = [
    "AvgPool",
    "Classifier",
    "Conv",
    "DilatedConv",
    "FactorizedReduction",
    "Identity",
    "Linear",
    "MBConv",
    "MaxPool",
    "NormReLU",
    "Operation",
    "PlainConv",
    "PooledLinear",
    "Projection",
    "ReLU",
    "ResidualReduction",
    "SeparableConv",
    "Shape",
    "UpsamplingConv",
    "Value",
    "Zero",
]
