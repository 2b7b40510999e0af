"""What is wrong with an operation, its builder or its cuts: what ``naslab.testing.check_operation`` asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from naslab.compiler.parts import largest_form
from naslab.compiler.primitives import Norm, build, initialised
from naslab.compiler.sharing import Shared, tensors_of
from naslab.ops import Shape
from naslab.space import choices_in, combinations, resolve, scope


def complaints(op: Any, shape: tuple[Any, ...], width: Any, uncounted: int, *, seed: int) -> Iterator[str]:
    """Each thing that an operation states and its module does not do; nothing where all is well.

    Args:
        op: The operation, with choices in it or without.
        shape: Shape of its input; its first entry may be a choice.
        width: What the destination states.
        uncounted: MACs of one example that the operation states and the counter does not see.
        seed: Of initial values and inputs.
    """
    whole = (op, *shape, width)
    sizes = {choice.name: len(choice.options) for choice in choices_in(whole)}
    families: dict[Any, list[tuple[Any, Shape, int | None]]] = {}
    for _, decisions in combinations(scope(whole), sizes):
        form = resolve(op, decisions), resolve(shape, decisions), resolve(width, decisions)
        if form[0].is_zero or form[0].is_identity:
            continue  # never built: no edge carries anything, or it renames a tensor
        yield from (f"{form[0]}, {form[1]} to width {form[2]}: {said}" for said in _of_form(*form, uncounted, seed))
        families.setdefault(largest_form(op, decisions), []).append(form)
    for host, forms in families.items():
        if len(forms) > 1:
            yield from _of_sharing(host, forms, torch.Generator().manual_seed(seed))


def _of_form(op: Any, shape: Shape, width: int | None, uncounted: int, seed: int) -> Iterator[str]:
    out = op.output_shape(shape, width)
    with torch.device("meta"):
        made = [build(op, shape, out, Norm()) for _ in range(2)]
        with FlopCounterMode(display=False) as counter:
            delivered = tuple(made[0].eval()(torch.empty(1, *shape)).shape[1:])
    params, macs = sum(p.numel() for p in made[0].parameters()), counter.get_total_flops() // 2 + uncounted
    if delivered != tuple(out):
        yield f"its module delivers {delivered}, output_shape() states {out}"
    if op.params(shape, out) != params:
        yield f"its module has {params} parameters, params() states {op.params(shape, out)}"
    if op.macs(shape, out) != macs:
        yield f"its module costs {macs} MACs, macs() states {op.macs(shape, out)}"
    one, same = (initialised(module, torch.Generator().manual_seed(seed)).state_dict() for module in made)
    for name, tensor in one.items():
        if not torch.equal(tensor, same[name]):
            yield f"the same generator gave {name!r} other initial values"


def _of_sharing(host: Any, forms: list[tuple[Any, Shape, int | None]], generator: torch.Generator) -> Iterator[str]:
    shape = max((shape for _, shape, _ in forms), key=lambda each: each[0])
    out = host.output_shape(shape, max((width for _, _, width in forms if width is not None), default=None))
    shared = Shared(host, _made(host, shape, out, generator), shape, out, Norm())
    for op, small, width in forms:
        leaving = op.output_shape(small, width)
        alone, x = _made(op, small, leaving, generator), torch.rand(4, *small, generator=generator)
        with torch.no_grad():
            for name, tensor in tensors_of(alone).items():
                tensor.copy_(shared.tensors(op, small, leaving)[name])
        for training in (True, False):
            shared.module.train(training)
            y = alone.train(training)(x)
            if not torch.allclose(shared.run(op, x, leaving), y, 1e-5, 1e-5):
                yield f"{op}, {small} to {leaving}: on a part of the weights of {host} it computes something else"
        for name, tensor in tensors_of(alone).items():
            if not torch.allclose(shared.tensors(op, small, leaving)[name], tensor):
                yield f"{op}, {small} to {leaving}: what it writes to {name!r} is lost"


def _made(op: Any, shape: Shape, out: Shape, generator: torch.Generator) -> nn.Module:
    with torch.device("meta"):
        module = build(op, shape, out, Norm())
    return initialised(module, generator)
