"""Options as rows of numbers, from any space: all architectures at once, nothing known of any benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import Wiring
from naslab.space import Architecture

Floats = npt.NDArray[np.float64]


def one_hot(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats:
    """``(n, sum of sizes)``: one 1 per choice. Where choices are conditional, what ``space.encode`` gives."""
    if wiring.space.conditions and len(architectures):
        return np.stack([wiring.space.encode(a, "one-hot") for a in architectures])
    options = wiring.options(architectures)
    columns = [options[:, [i]] == np.arange(size) for i, size in enumerate(wiring.space.sizes)]
    return np.concatenate([np.zeros((len(options), 0)), *columns], axis=1, dtype=np.float64)


def live_one_hot(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats:
    """``(n, sum of sizes)``: one-hot, with zeros for choices that no live edge depends on, see :func:`looked_up`."""
    alive = np.repeat(looked_up(wiring, architectures), wiring.space.sizes, axis=1)
    return one_hot(wiring, architectures)[:, : alive.shape[1]] * alive


def live_numbers(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats:
    """``(n, k)``: for every choice between positive numbers (widths, kernels) its logarithm, NaN where no live edge
    depends on it.
    """
    options, alive = wiring.options(architectures), looked_up(wiring, architectures)
    columns = []
    for place, choice in enumerate(wiring.space.choices):
        if len(choice.options) > 1 and all(_is_positive(option) for option in choice.options):
            values = np.log(np.asarray(choice.options, np.float64))[options[:, place]]
            columns.append(np.where(alive[:, place], values, np.nan))
    return np.stack(columns, axis=1) if columns else np.zeros((len(options), 0))


def looked_up(wiring: Wiring, architectures: Sequence[Architecture]) -> npt.NDArray[np.bool_]:
    """``(n, choices)``: whether an edge between input and output depends on the choice.

    False if the choice's edges are all dead or zero, or if it belongs to an option that was not taken.
    """
    options = wiring.options(architectures)
    found = np.zeros(options.shape, np.bool_)
    for cell in wiring.cells:
        live = cell.live(cell.operations(options))
        for edge, alive in zip(cell.edges, live.T, strict=True):
            reads = edge.reads[tuple(options[:, i] for i in edge.scope)]
            for place, choice in enumerate(edge.scope):
                found[:, choice] |= alive & reads[..., place]
    return found


def _is_positive(option: object) -> bool:
    return isinstance(option, int | float) and not isinstance(option, bool) and option > 0
