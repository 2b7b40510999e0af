"""Linear layers, alone or after pooling."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.primitives import Linear, Norm, build
from naslab.ops import Shape


@build.register
def _(op: ops.Linear, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return Linear(shape[0], out[0])


class PooledClassifier(nn.Module):
    """Global average pooling, linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


class ImageClassifier(nn.Module):
    """Batch normalisation, ReLU, global average pooling, linear layer."""

    def __init__(self, channels: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm, self.linear = norm(channels), Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(functional.relu(self.norm(x)).mean(dim=(2, 3)))
        return logits


@build.register
def _(op: ops.Classifier, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ImageClassifier(shape[0], out[0], norm)


@build.register
def _(op: ops.PooledLinear, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return PooledClassifier(shape[0], out[0])
