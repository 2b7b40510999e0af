"""Watching a forward pass: what its ReLUs, layers and normalisations see, whatever the modules are called."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

RELUS = {functional.relu, torch.relu, Tensor.relu}
RELUS_IN_PLACE = {functional.relu_, torch.relu_, Tensor.relu_}
LAYERS = {torch.conv1d, torch.conv2d, torch.conv3d, functional.linear}
NORMS = {functional.batch_norm}
POOLS = {functional.avg_pool2d, functional.max_pool2d, torch.max_pool2d}
MEANS = {torch.mean, Tensor.mean, functional.adaptive_avg_pool2d}


class Recorder(TorchFunctionMode):
    """Sees every function of PyTorch that runs inside ``with``, functional calls included.

    If the ReLU of one tensor is taken several times, it is computed once, as long as nothing writes to the tensor: the
    values are the same.

    Args:
        relu: What to keep of the output of each ReLU.
        layer: What to keep of the weight and the output of every convolution and linear layer.
        norm: What to keep of the input of each batch normalisation.
        maps: What to keep of the output of every layer, normalisation, ReLU and pooling.
        normalise: Whether normalisations normalise; otherwise they are the identity.
        shared: Whether ReLUs are shared. If not, each is a node of the autograd graph, constants included.

    Attributes:
        relus: What was kept of each call, in order; shared ones occur as often as they are called.
        norms: The same for normalisations.
        maps: The same for feature maps.
        layers: The same for layers.
        features: What the last global pooling, or else the last linear layer, received.
    """

    def __init__(
        self,
        relu: Callable[[Tensor], Any] | None = None,
        layer: Callable[[Tensor, Tensor], Any] | None = None,
        norm: Callable[[Tensor], Any] | None = None,
        maps: Callable[[Tensor], Any] | None = None,
        *,
        normalise: bool = True,
        shared: bool = True,
    ) -> None:
        super().__init__()
        self._relu, self._layer, self._norm, self._map = relu, layer, norm, maps
        self._normalise, self._shared = normalise, shared
        self._known: dict[int, tuple[Any, int, Tensor, int, Any]] = {}
        self.relus: list[Any] = []
        self.norms: list[Any] = []
        self.maps: list[Any] = []
        self.layers: list[Any] = []
        self.features: Tensor | None = None
        self._pooled = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in RELUS:
            return self._activate(func, args, kwargs)
        if func in NORMS:
            x = kwargs["input"] if "input" in kwargs else args[0]
            if self._norm is not None:
                self.norms.append(self._norm(x))
            return self._mapped(func(*args, **kwargs) if self._normalise else x)
        out = func(*args, **kwargs)
        if func in LAYERS:
            if self._layer is not None:
                self.layers.append(self._layer(kwargs["weight"] if "weight" in kwargs else args[1], out))
            if func is functional.linear and not self._pooled:
                self.features = kwargs["input"] if "input" in kwargs else args[0]
            return self._mapped(out)
        if func in MEANS and self._pools(args[0], out):
            self.features, self._pooled = args[0], True
        elif func in RELUS_IN_PLACE:
            return self._seen(out)
        elif func in POOLS:
            return self._mapped(out)
        return out

    def _activate(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        x = args[0]
        if kwargs.get("inplace") or (func is functional.relu and len(args) > 1 and args[1]):
            return self._seen(func(*args, **kwargs))
        if not self._shared:
            return self._seen(func(x if x.requires_grad else x.detach().requires_grad_()))
        known = self._known.get(id(x))
        if known is not None:
            reference, version, out, written, kept = known
            if reference() is x and x._version == version and out._version == written:
                if self._relu is not None:
                    self.relus.append(kept)
                return out
        out = self._seen(func(x))
        memory, key, kept = self._known, id(x), self.relus[-1] if self._relu is not None else None
        memory[key] = (weakref.ref(x, lambda _: memory.pop(key, None)), x._version, out, out._version, kept)
        return out

    def __exit__(self, *error: Any) -> None:
        self._known.clear()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _seen(self, out: Tensor) -> Tensor:
        if self._relu is not None:
            self.relus.append(self._relu(out))
        return self._mapped(out)

    def _mapped(self, out: Tensor) -> Tensor:
        if self._map is not None:
            self.maps.append(self._map(out))
        return out

    @staticmethod
    def _pools(x: Tensor, out: Tensor) -> bool:
        return isinstance(out, Tensor) and x.dim() == 4 and out.numel() == x.shape[0] * x.shape[1]
