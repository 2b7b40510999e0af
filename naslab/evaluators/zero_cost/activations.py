"""Proxies that look at how differently a network treats different rows: codes of its ReLUs, correlations of gradients
and of feature maps."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.devices import array, normal_like, number, numbers
from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.options import options_of
from naslab.evaluators.zero_cost.recorder import Recorder
from naslab.evaluators.zero_cost.shared import Pass

_SMALL = 1e-5


def naswot(known: Pass) -> float:
    """The log-determinant of the Hamming kernel of ReLU codes (Mellor et al. 2021, "NAS without Training").

    The kernel counts in how many ReLU inputs two rows have the same sign. As in the authors' code, only ReLUs count
    that a gradient reaches: dead branches are left out. Others (NASLib, NAS-Bench-Suite-Zero) count all: :func:`nwot`.
    If two rows have the same code, the score is the worst. The
    paper's batch has 128 rows.
    """
    pairs = zip(_agreements(known, "naswot"), known.reached, strict=True)
    return _log_determinant([each for each, reached in pairs if reached], known)


def nwot(known: Pass) -> float:
    """:func:`naswot` with all ReLUs, dead branches included: NASLib's and NAS-Bench-Suite-Zero's version."""
    return _log_determinant(_agreements(known, "nwot"), known)


def jacob_cov(known: Pass) -> float:
    """The first version of NASWOT (Mellor et al. 2020; Abdelfattah et al. 2021): correlations of input gradients.

    With eigenvalues v of the matrix of correlations between rows of the Jacobian: minus the sum of
    ``log(v + 1e-5) + 1 / (v + 1e-5)``. The paper's batch has 256 rows.
    """
    if not known.connected:
        return WORST
    correlations = _correlations(array(known.jacobian.double()))
    if not np.isfinite(correlations).all():
        return WORST
    values = np.linalg.eigvalsh(correlations) + _SMALL
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(-(np.log(values) + 1 / values).sum())


def epe_nas(known: Pass) -> float:
    """The size of correlations between input gradients within classes (Lopes et al. 2021, "EPE-NAS").

    Each class that occurs has the sum of ``log(|correlation| + 1e-5)`` between its rows; the score is the sum of the
    absolute values of these sums. With more than 100 classes each sum is divided by the class's number of rows, and the
    score is the sum of the differences between all pairs of classes, divided by the number of classes.
    """
    if not known.connected or known.y is None:
        return WORST
    jacobian, labels = array(known.jacobian.double()), array(known.y)
    many = known.forward.logits.shape[1] > 100
    sums = []
    for label in np.unique(labels):
        rows = jacobian[labels == label]
        if many and len(rows) == 1:
            continue  # as in public code
        found = float(np.log(np.abs(_correlations(rows)) + _SMALL).sum())
        sums.append(found / len(rows) if many else found)
    values = np.array(sums)
    if not many:
        return float(np.abs(values).sum())
    return float(np.abs(values[:, None] - values[None, :]).sum() / len(values)) if len(values) else WORST


def swap(known: Pass) -> float:
    """How many different patterns the ReLUs show across rows (Peng et al. 2024, "SWAP-NAS").

    A neuron's pattern says for which rows its output is above zero; neurons of all ReLUs are pooled. Weights are
    standard normal and at most 16 rows are looked at, as in the authors' code. Deviations: one draw of the weights
    instead of the mean of 32; not regularised by size (the regulariser's centre and width are tuned to a space).
    """
    rows = known.x[:16]
    recorder = Recorder(_patterns)
    values = known.drawn("normal", "swap")
    with values.installed(), torch.no_grad(), recorder:
        known.network(rows)
    if not recorder.relus:
        raise InvalidValue(_NO_RELU.format("swap"))
    shown = torch.zeros(2 ** len(rows), dtype=torch.bool, device=rows.device)
    for patterns in recorder.relus:
        shown[patterns] = True
    return number(shown.sum()) if known.connected else WORST


def meco(known: Pass) -> float:
    """The smallest eigenvalues of correlations between channels (Jiang et al. 2023, "MeCo").

    Summed over the outputs of every layer, normalisation, ReLU and pooling, for one input: standard normal noise of
    64 x 64 pixels, the default of the authors' code. With ``size=0`` (of
    :class:`~naslab.evaluators.zero_cost.options.Options`) it is the first row of the batch, as in the authors'
    correlation study; correlations of 64 channels over 8 x 8 pixels are singular, so that a third of the maps of
    NAS-Bench-201 then count nothing. A correlation that is undefined (a constant channel) is 0, as in their code.

    Deviation: the authors' hooks count the output of a module again for every module that it is the last part of.
    """
    size = options_of(known).size
    x, network = known.x[:1], known.network
    if size:
        x = normal_like(x.new_empty((1, x.shape[1], size, size)), known.generator("meco"))
    recorder = Recorder(maps=_smallest_eigenvalue)
    try:
        with known.values.installed(), torch.no_grad(), recorder:
            network(x)
    except RuntimeError:
        if not size or "build" not in known.context:
            raise
        recorder = Recorder(maps=_smallest_eigenvalue)  # zeros inside the network have another size
        network = known.context["build"](shape=tuple(x.shape[1:]))
        network.load_state_dict(known.network.state_dict())
        with torch.no_grad(), recorder:
            network.train()(x)
    smallest = numbers(each for each in recorder.maps if each is not None)
    return sum(each for each in smallest if math.isfinite(each)) if known.connected else WORST


def _agreements(known: Pass, name: str) -> list[Tensor]:
    if not known.forward.agreements:
        raise InvalidValue(_NO_RELU.format(name))
    return known.forward.agreements


_NO_RELU = "proxy '{}' looks at the codes of ReLUs, and the network has none. Fix: leave it out"


def _log_determinant(agreements: list[Tensor], known: Pass) -> float:
    if not agreements or not known.connected:
        return WORST
    kernel = array(torch.stack(agreements).double().sum(dim=0))
    others = kernel - np.diag(np.full(len(kernel), np.inf))
    if (others.max(axis=1) >= kernel.diagonal()).any():
        return WORST
    sign, value = np.linalg.slogdet(kernel)
    return float(value) if sign > 0 else WORST


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Correlations of the rows; NaN for a row of equal numbers."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(rows))


def _patterns(out: Tensor) -> Tensor:
    """For every neuron the rows at which it is above zero, as the bits of a number (at most 16: exact in float32)."""
    return (2.0 ** torch.arange(len(out), dtype=out.dtype, device=out.device) @ out.flatten(1).sign()).long()


def _smallest_eigenvalue(out: Tensor) -> Tensor | None:
    """Of the correlations between channels; None for what is no image."""
    if out.dim() != 4:
        return None
    centred = out[0].flatten(1).double()
    centred = centred - centred.mean(dim=1, keepdim=True)
    norms = centred.norm(dim=1)
    centred = torch.where(norms[:, None] > 0, centred / norms.clamp_min(1e-300)[:, None], 0.0)
    smallest: Tensor = torch.linalg.eigvalsh(centred @ centred.T)[0]
    return smallest
