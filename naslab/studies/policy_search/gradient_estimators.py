"""The study of gradient estimators: bias and variance of REINFORCE, Gumbel-softmax, straight-through and RELAX.

Three choices of five options; the function is a quadratic one, which is defined on relaxed codes, too. All 125
combinations are enumerated, so that the gradient is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from naslab.analysis.contents import Section
from naslab.analysis.report import write_page
from naslab.analysis.style import Style, figure_of, new_axes, palette, style
from naslab.evaluators.threads import one_thread
from naslab.optimizers.policy.estimators import (
    ControlVariate,
    Function,
    gumbel_softmax,
    reinforce,
    relax,
    straight_through,
    variance_loss,
)
from naslab.running import Progress, seed_sequence
from naslab.studies.base import Outcome, environment, in_processes

CHOICES, OPTIONS = 3, 5
TEMPERATURES = (0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0)
POLICIES: Mapping[str, float] = {"uniform policy": 0.0, "decided policy": 1.5}
"""Standard deviations of the logits."""
START = 0.5
"""The first value of a temperature that is learnt."""
TRAINING, BATCH, RATE = 600, 100, 0.01
SAMPLES = 100_000
GUMBEL, STRAIGHT = "Gumbel-softmax", "straight-through"
PLAIN, BASELINE = "REINFORCE", "REINFORCE, mean as baseline"
RELAX, RELAX_F = "RELAX, network alone", "RELAX, f and network"
METHODS = (GUMBEL, STRAIGHT, RELAX, RELAX_F, PLAIN, BASELINE)
LEARNT = "learnt temperature"


@dataclass(frozen=True)
class Work:
    """What is measured: a method at a temperature.

    Attributes:
        policy: A name of :data:`POLICIES`.
        method: Which estimator.
        temperature: Fixed; None for methods without one, and for RELAX with a learnt one.
        samples: How many gradients are drawn.
    """

    policy: str
    method: str
    temperature: float | None
    samples: int


@dataclass(frozen=True, eq=False)
class Toy:
    """A policy and a function on it: ``f(x) = -|Wx - t|^2 / 4`` with normal W of shape (4, 15) and t."""

    logits: Tensor
    weights: Tensor
    target: Tensor

    def function(self, codes: Tensor) -> Tensor:
        return -(codes.flatten(-2) @ self.weights.T - self.target).square().mean(dim=-1)

    def gradient(self) -> tuple[Tensor, float]:
        """The gradient of ``E f(b)`` and ``E f(b)``, over all combinations."""
        log_p = torch.log_softmax(self.logits, dim=-1)
        options = torch.eye(OPTIONS, dtype=torch.float64)
        codes = torch.stack([options[list(c)] for c in itertools.product(range(OPTIONS), repeat=CHOICES)])
        weighted = (codes * log_p).sum(dim=(1, 2)).exp() * self.function(codes)
        return (weighted[:, None, None] * (codes - log_p.exp())).sum(dim=0), float(weighted.sum())


def toy(policy: str) -> Toy:
    """The same function for all policies."""
    rng = np.random.default_rng(seed_sequence("gradient estimators"))
    weights, target = rng.standard_normal((4, CHOICES * OPTIONS)), rng.standard_normal(4)
    logits = POLICIES[policy] * rng.standard_normal((CHOICES, OPTIONS))
    return Toy(*map(torch.from_numpy, (logits, weights, target)))


def measure(work: Work) -> dict[str, Any]:
    """Bias and variance relative to the gradient's length, with 95 % intervals (normal approximations).

    Bias: ``|E g - gradient| / |gradient|``; what the mean's own noise adds is subtracted from the squared distance.
    Where no bias is seen, its interval begins at zero. Variance: of a single sample, summed over the entries, divided
    by ``|gradient|^2``.
    """
    with one_thread():
        of = toy(work.policy)
        gradient, _ = of.gradient()
        rng = np.random.default_rng(seed_sequence(*map(str, (work.policy, work.method, work.temperature))))
        sample = _sampler(work, of, rng)
        drawn = torch.cat([sample(min(20_000, work.samples - i)) for i in range(0, work.samples, 20_000)])
    rows = drawn.flatten(1).numpy()
    n, truth = len(rows), gradient.flatten().numpy()
    length = float(truth @ truth)
    error, covariance = rows.mean(axis=0) - truth, np.cov(rows.T) / n
    squared = error @ error - np.trace(covariance)
    spread = 1.96 * np.sqrt(4 * error @ covariance @ error + 2 * np.trace(covariance @ covariance))
    biases = np.sqrt(np.maximum([squared, squared - spread, squared + spread], 0.0) / length)
    deviations = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1) / length
    variance, half = deviations.mean(), 1.96 * deviations.std() / np.sqrt(n)
    values = [*biases.tolist(), float(variance), float(variance - half), float(variance + half)]
    names = [f"{what}{end}" for what in ("bias", "variance") for end in ("", " low", " high")]
    learnt = getattr(sample, "temperature", None)
    return {**dict(zip(names, values, strict=True)), LEARNT: learnt}


class _RelaxSampler:
    """RELAX with a control variate that was trained for the policy, on other draws than those that judge it."""

    def __init__(self, work: Work, of: Toy, rng: np.random.Generator) -> None:
        self.of, self.rng = of, rng
        known: Function | None = of.function if work.method == RELAX_F else None
        self.control = ControlVariate(of.logits.shape, rng, temperature=work.temperature or START, function=known)
        self.control.log_temperature.requires_grad_(work.temperature is None)
        adam = torch.optim.Adam(self.control.parameters(), RATE)
        for _ in range(TRAINING):
            adam.zero_grad()
            variance_loss(self._gradients(BATCH)).backward()  # type: ignore[no-untyped-call]
            adam.step()
        self.temperature = self.control.log_temperature.exp().item()

    def __call__(self, count: int) -> Tensor:
        return self._gradients(count).detach()

    def _gradients(self, count: int) -> Tensor:
        of = self.of
        return relax(of.logits, _noise(self.rng, count), _noise(self.rng, count), of.function, self.control)


def _sampler(work: Work, of: Toy, rng: np.random.Generator) -> Callable[[int], Tensor]:
    """A function that draws as many gradients as it is asked for."""
    if work.method in (RELAX, RELAX_F):
        return _RelaxSampler(work, of, rng)
    if work.temperature is None:
        baseline = of.gradient()[1] if work.method == BASELINE else 0.0
        return lambda count: reinforce(of.logits, _noise(rng, count), of.function, baseline)
    estimator, temperature = {GUMBEL: gumbel_softmax, STRAIGHT: straight_through}[work.method], work.temperature
    return lambda count: estimator(of.logits, _noise(rng, count), of.function, temperature)


def _noise(rng: np.random.Generator, count: int) -> Tensor:
    return torch.from_numpy(rng.random((count, CHOICES, OPTIONS)))


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: a table, a figure for each policy and a page."""
    work = [
        Work(policy, method, temperature, SAMPLES)
        for policy in POLICIES
        for method, temperatures in (
            *((method, (None,)) for method in (PLAIN, BASELINE)),
            *((method, TEMPERATURES) for method in (GUMBEL, STRAIGHT)),
            *((method, (*TEMPERATURES, None)) for method in (RELAX, RELAX_F)),
        )
        for temperature in temperatures
    ]
    found = in_processes(measure, work, workers, progress, out / "results.jsonl")
    results = pd.DataFrame(
        [
            {"policy": w.policy, "estimator": w.method, "temperature": _temperature(w, f), "learnt": _learnt(w), **f}
            for w, f in zip(work, found, strict=True)
        ]
    ).drop(columns=LEARNT)
    section = Section("Bias and variance")
    section.says += [_sentence(policy, results[results["policy"] == policy]) for policy in POLICIES]
    with style():
        for policy in POLICIES:
            _draw(section, policy, results[results["policy"] == policy])
    section.add(
        "estimators", "Every estimator at every temperature", results,
        f"{SAMPLES:,} gradients each; relative to the length of the gradient (bias) and its square (variance); 95 % "
        "intervals, normal approximations. Where the interval of the bias begins at 0, no bias is seen.",
    )  # fmt: skip
    page = write_page(
        [section], out / "report", title, "naslab reproduce gradient-estimators", environment("torch"),
        [" ".join(description.split())],
    )  # fmt: skip
    return Outcome([(title, results)], page)


def _temperature(work: Work, found: Mapping[str, float | None]) -> float:
    value = found[LEARNT] if work.temperature is None else work.temperature
    return float("nan") if value is None else value


def _learnt(work: Work) -> str:
    return "yes" if work.temperature is None and work.method in (RELAX, RELAX_F) else ""


def _sentence(policy: str, results: pd.DataFrame) -> str:
    biases, variances = [], []
    for name, rows in ((name, results[results["estimator"] == name]) for name in METHODS):
        if name in (GUMBEL, STRAIGHT):
            biases.append(f"{name} {rows['bias'].min():.2f} to {rows['bias'].max():.2f}")
        else:
            usual = rows[(rows["learnt"] == "yes") | rows["temperature"].isna()]
            variances.append(f"{name} {usual['variance'].iloc[0]:.3g}")
    return (
        f"{policy}: bias over the temperatures: {', '.join(biases)}. Variance of the unbiased, temperatures learnt: "
        f"{', '.join(variances)}."
    )


def _draw(section: Section, policy: str, results: pd.DataFrame) -> None:
    """Two panels of one figure over the same temperatures."""
    looks = palette(METHODS)
    below = new_axes(height=4.6, top=2.55)
    above = figure_of(below).add_axes((below.get_position().x0, 0.54, below.get_position().width, 0.4))
    for ax, what in ((above, "bias"), (below, "variance")):
        for method, look in looks.items():
            _line(ax, results[results["estimator"] == method], what, look, method)
        ax.set(xscale="log", ylabel=f"{what}, relative")
    above.set(title=policy, ylim=(-0.03, None))
    below.set(yscale="log", xlabel="temperature")
    above.legend(frameon=False, fontsize=6)
    section.draw(
        f"estimators-{policy}", f"Bias and variance against temperature: {policy}", below,
        f"{SAMPLES:,} gradients per point; bars: 95 % intervals. Open points: RELAX with a learnt temperature. "
        f"REINFORCE has no temperature. RELAX: trained on {TRAINING} batches of {BATCH} for this policy.",
    )  # fmt: skip


def _line(ax: Any, rows: pd.DataFrame, what: str, look: Style, label: str) -> None:
    free = rows["temperature"].isna()
    if free.all():
        ax.axhline(rows[what].iloc[0], color=look.colour, ls=look.line, lw=1, label=label)
        return
    for part, fill in ((rows[rows["learnt"] == ""], look.colour), (rows[rows["learnt"] == "yes"], "white")):
        bars = np.abs(part[[f"{what} low", f"{what} high"]].to_numpy() - part[[what]].to_numpy()).T
        line = look.line if fill == look.colour else "none"
        ax.errorbar(
            part["temperature"], part[what], bars, color=look.colour, ls=line, marker=look.marker, mfc=fill, lw=1,
            label=label if fill == look.colour else None,
        )  # fmt: skip
