"""The architectures of a space within limits: how probable they are under a factorised policy, and draws from them.

TabNAS (Yang et al. 2022) learns by rejection: it draws from independent softmaxes, one per choice, skips what exceeds
the limit and corrects by an estimate of the probability P(V) of not being skipped. Costs are sums of small tables over
the choices, so none of this has to be estimated: see :mod:`naslab.feasibility.diagram`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue, UnknownMetric, UnknownName
from naslab.feasibility.diagram import EXCLUDED, Diagram, Floats, Probabilities
from naslab.feasibility.diagram_building import Additive, Steps, TooLarge, build_diagram, least_sum
from naslab.feasibility.enumerated import ENUMERABLE, Enumerated
from naslab.feasibility.networks import best_networks
from naslab.feasibility.sampled import TRIES, Sampled
from naslab.space import (
    METRICS,
    REFUSED,
    Architecture,
    CostModel,
    CostPerArchitecture,
    Factor,
    SearchSpace,
    Transition,
    rounding,
)

if TYPE_CHECKING:
    from torch import Tensor

Logits: TypeAlias = Sequence[Floats]
"""One array per choice; its softmax is the policy for that choice."""
Backend: TypeAlias = Literal["auto", "exact", "bounds", "enumerate", "monte-carlo"]
BACKENDS = ("auto", "exact", "bounds", "enumerate", "monte-carlo")
Members: TypeAlias = Diagram | Enumerated | Sampled

FEW = 10_000
"""Costs that have to be computed architecture by architecture are, by default, for at most so many."""
EXACT_NODES, BOUNDS_NODES = 1 << 17, 40_000


class Feasibility:
    """The valid architectures of a space within limits, under a factorised policy.

    Args:
        space: The search space.
        limits: The largest allowed value of each limited cost: ``{"params": 41153}``; all limits hold at once.
        backend: ``"exact"``: a decision diagram. ``"bounds"``: two diagrams, of a superset and of a subset of the
            feasible architectures, where one is too large; draws and the most probable architectures are still exact.
            ``"enumerate"``: all architectures one by one. ``"monte-carlo"``: TabNAS' estimates from ``samples`` new
            draws per question; its draws are exact, by rejection. ``"auto"``: exact where it fits, else bounds.
        additive: Further costs as sums of factors, such as a fitted latency table.
        measured: Further costs by architecture, such as a measured latency: those need ``"enumerate"`` or
            ``"monte-carlo"``.
        samples: Number of draws per estimate.
        rng: Draws for the estimates; by default always with the same seed.

    Attributes:
        backend: The back end in use.

    Raises:
        InvalidValue: The space has ranges.
        UnknownMetric: A limit on a cost that is neither the cost model's nor in ``additive``.
        UnknownName: There is no such back end.
        InvalidValue: No architecture is within the limits; or the back end asked for does not fit into memory.
    """

    def __init__(
        self,
        space: SearchSpace,
        limits: Mapping[str, float],
        backend: Backend = "auto",
        *,
        additive: Mapping[str, Sequence[Factor]] | None = None,
        measured: Mapping[str, Mapping[Architecture, float]] | None = None,
        samples: int = 3072,
        rng: np.random.Generator | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise UnknownName(backend, BACKENDS)
        if samples < 1:
            raise InvalidValue(f"samples={samples}. Allowed: 1 or more")
        space.require_choices("the probability of feasible draws")
        self.space, self.limits = space, dict(limits)
        model = space.cost_model
        self._derived = model if isinstance(model, CostPerArchitecture) else None
        factors = {metric: tuple(terms) for metric, terms in (additive or {}).items()}
        if not isinstance(model, CostPerArchitecture):
            factors = {**model.factors, **factors}
        self._measured = {metric: values for metric, values in (measured or {}).items() if metric in limits}
        for metric in limits:
            if metric not in factors and metric not in self._measured and not (self._derived and metric in METRICS):
                raise UnknownMetric(metric, [*factors, *(measured or {})])
        self._model = CostModel(factors)
        if self._derived and not factors.keys() | self._measured.keys() >= limits.keys():
            backend = self._without_tables(backend)
        self.backend: str
        self._inner: Members
        self._outer: Members
        if backend == "monte-carlo":
            self.backend = backend
            self._inner = self._outer = Sampled(self._is_member, samples, rng or np.random.default_rng(0))
            return
        by_rows = self._measured or (backend == "auto" and space.listed)
        self.backend, self._inner, self._outer = self._built("enumerate" if by_rows else backend)
        if not self._outer.paths:
            raise InvalidValue(f"no architecture of {space.name!r} has {self.description}; {self._smallest()}")
        if not self._inner.paths:  # the superset may hold nothing but what exceeds a limit
            self.sample([np.zeros(size) for size in space.sizes], np.random.default_rng(0))

    @property
    def description(self) -> str:
        """The limits in words."""
        return ", ".join(f"{metric} <= {maximum:,.10g}" for metric, maximum in self.limits.items())

    def is_feasible(self, architectures: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which rows of ``(N, choices)`` are within the limits."""
        rows = np.asarray(architectures)
        within = np.ones(len(rows), np.bool_)
        for metric, maximum in self.limits.items():
            within &= self._costs(metric, rows) <= maximum + self._rounding(metric)
        return within

    def fraction(self) -> float:
        """The share of all combinations of options that is feasible; with bounds, the middle of the bracket."""
        return float(np.exp(self.log_probability([np.zeros(size) for size in self.space.sizes])))

    def bracket(self, logits: Logits) -> tuple[float, float]:
        """A lower and an upper bound on log P(V). Equal unless the back end is ``"bounds"``: exact, or one estimate."""
        p = _softmax(logits)
        high = self._outer.log_probability(p)
        return high if self._inner is self._outer else self._inner.log_probability(p), high

    @overload
    def log_probability(self, logits: Logits) -> float: ...
    @overload
    def log_probability(self, logits: Sequence[Tensor]) -> Tensor: ...

    def log_probability(self, logits: Logits | Sequence[Tensor]) -> float | Tensor:
        """log P(V), where P(V) is the probability that a draw is feasible. Its gradient is :meth:`gradient`.

        For PyTorch tensors the result is a tensor that can be differentiated once.
        """
        if not isinstance(logits[0], np.ndarray):
            from naslab.feasibility.differentiable import differentiable

            return differentiable(self.with_gradient, cast("Sequence[Tensor]", logits))
        low, high = self.bracket(cast(Logits, logits))
        return high if low == high else float(np.log((np.exp(low - high) + 1) / 2) + high)

    def gradient(self, logits: Logits) -> list[Floats]:
        """The gradient of log P(V) with respect to the logits: marginals minus probabilities."""
        return self.with_gradient(logits)[1]

    def with_gradient(self, logits: Logits) -> tuple[float, list[Floats]]:
        """log P(V) and its gradient, both from the same draws if estimated; with bounds, both of the superset."""
        p = _softmax(logits)
        value, marginals = self._outer.marginals(p)
        return value, [m - each for m, each in zip(marginals, p, strict=True)]

    def marginals(self, logits: Logits) -> list[Floats]:
        """The distribution of each choice given that the draw is feasible; with bounds, that of the superset."""
        return self._outer.marginals(_softmax(logits))[1]

    def entropy(self, logits: Logits) -> float:
        """Entropy of the policy given that the draw is feasible, in nats."""
        p = _softmax(logits)
        log_probability, marginals = self._outer.marginals(p)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.where(m > 0, m * np.log(each), 0.0) for m, each in zip(marginals, p, strict=True)]
        return float(log_probability - sum(log.sum() for log in logs))

    def sample(self, logits: Logits, rng: np.random.Generator, count: int = 1) -> npt.NDArray[np.int64]:
        """``(count, choices)``: independent draws from the policy given that they are feasible, exact in all back ends.

        A choice that is not active is drawn, too, and then put at rest. With bounds a draw from the superset that is
        not feasible is drawn again.

        Raises:
            InvalidValue: None of a million draws in a row was feasible, or the policy gives all that are the
                probability 0.
        """
        p = _softmax(logits)
        drawn = self._outer.sample(p, rng, count)
        if self.backend != "bounds":
            return self._normal(drawn)
        failures, missing = 0, np.flatnonzero(~self.is_feasible(drawn))
        while len(missing):
            again = self._outer.sample(p, rng, len(missing) if failures < 100 else 4096)
            kept = again[self.is_feasible(again)][: len(missing)]
            drawn[missing[: len(kept)]] = kept
            missing, failures = missing[len(kept) :], 0 if len(kept) else failures + len(again)
            if failures >= TRIES:
                raise InvalidValue(
                    f"none of {failures:,} draws from {self.space.name!r} has {self.description}; {self._smallest()}"
                )
        return self._normal(drawn)

    def top(self, logits: Logits, count: int) -> list[Architecture]:
        """The most probable feasible architectures, best first: of all, or with Monte-Carlo of its draws."""
        return list(islice(self._ranked(logits), count))

    def most_probable(self, logits: Logits) -> Architecture:
        """The most probable feasible architecture.

        Raises:
            InvalidValue: The policy gives all of them the probability 0; or, with Monte-Carlo, none was drawn.
        """
        for architecture in self._ranked(logits):
            return architecture
        none_drawn = "none of the draws is feasible. Fix: backend='exact'"
        raise InvalidValue(none_drawn if self.backend == "monte-carlo" else EXCLUDED)

    def _is_member(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which rows are valid and within the limits."""
        member = np.ones(len(rows), np.bool_)
        for rule in self.space.indexed_rules:
            member &= rule.hold(rows)
        member[member] = self.is_feasible(rows[member])
        return member

    def _ranked(self, logits: Logits) -> Iterator[Architecture]:
        """The feasible architectures, the most probable first."""
        p = _softmax(logits)
        kept = (
            (architecture, log_probability)
            for architecture, log_probability in self._outer.best(p)
            if self.backend != "bounds" or self.is_feasible([architecture])[0]
        )
        return best_networks(self.space.conditions, kept, p)

    def _normal(self, drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if not self.space.conditions:
            return drawn
        return np.array([self.space.normal(tuple(row)) for row in drawn.tolist()], np.int64).reshape(drawn.shape)

    def _built(self, backend: Backend) -> tuple[str, Members, Members]:
        """The back end in use, a subset and a superset of the feasible architectures: the same where it is exact."""
        sizes = self.space.sizes
        if backend == "enumerate":
            if prod(sizes) > ENUMERABLE and not self.space.listed:
                raise InvalidValue(f"{prod(sizes):,} architectures are too many to enumerate. Allowed: {ENUMERABLE:,}")
            rows = np.array(list(self.space.combinations()), np.int64)
            listed = Enumerated(rows[self.is_feasible(rows)])
            return backend, listed, listed
        limits, rules = self._tables()
        if backend in ("auto", "exact"):
            try:
                exact = build_diagram(sizes, limits, rules, max_nodes=EXACT_NODES)
            except TooLarge:
                if backend == "exact":
                    raise InvalidValue(
                        f"the exact diagram of {self.description} has layers of more than {EXACT_NODES:,} nodes. "
                        "Fix: backend='bounds'"
                    ) from None
            else:
                return "exact", exact, exact
        inner = build_diagram(sizes, limits, rules, max_nodes=BOUNDS_NODES, merge="subset")
        outer = build_diagram(sizes, limits, rules, max_nodes=BOUNDS_NODES, merge="superset")
        return "bounds", inner, outer

    def _tables(self) -> tuple[list[Additive], list[Steps]]:
        """A limit on a sum stays one. A limit on a maximum becomes rules, since each of its terms must be within it."""
        limits, rules = [], _rules(self.space)
        for metric, maximum in self.limits.items():
            tables = [(factor.scope, factor.table) for factor in self._model.factors[metric]]
            if metric == "peak_bytes":
                rules += [[_within(scope, table, maximum)] for scope, table in tables]
            else:
                limits.append(Additive(tuple(tables), maximum + self._rounding(metric)))
        return limits, rules

    def _rounding(self, metric: str) -> float:
        exact = metric in self._measured or metric not in self._model.factors
        return 0.0 if exact else rounding(self._model.factors[metric])

    def _without_tables(self, backend: Backend) -> Backend:
        """The back end where widths are derived and a limit is on a cost that follows from them."""
        if backend in ("exact", "bounds"):
            raise InvalidValue(
                f"backend={backend!r}: the widths of {self.space.name!r} are derived from whole architectures, so its "
                "costs are no sum of tables. Allowed: 'enumerate', 'monte-carlo', 'auto'"
            )
        if backend == "auto":
            return "enumerate" if self.space.listed or prod(self.space.sizes) <= FEW else "monte-carlo"
        return backend

    def _costs(self, metric: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """One cost of many architectures."""
        if metric in self._measured:
            normal = self.space.normal
            return np.array([self._measured[metric][normal(tuple(row))] for row in rows.tolist()])
        if metric not in self._model.factors and self._derived:
            return self._derived.values(metric, [self.space.normal(tuple(row)) for row in rows.tolist()])
        return self._model.values(metric, rows)

    def _smallest(self) -> str:
        """The least that each limited cost can be."""
        least = []
        for metric in self.limits:
            if metric in self._measured:
                low = min(self._measured[metric][a] for a in self.space.architectures())
                least.append(f"{metric}={low:,.10g}")
            elif metric not in self._model.factors:
                low = self._costs(metric, np.array(list(self.space.architectures()))).min()
                least.append(f"{metric}={low:,.10g}")
            elif metric != "peak_bytes":
                terms = tuple((factor.scope, factor.table) for factor in self._model.factors[metric])
                low = least_sum(self.space.sizes, Additive(terms, 0), self._tables()[1])
                least.append(f"{metric}={low:,.10g}")
        words = f"the smallest there is: {', '.join(least)}"
        return words + (", but not at once" if len(least) > 1 else "")


def largest(space: SearchSpace, metric: str, factors: Sequence[Factor]) -> float:
    """The largest cost of the valid architectures; for ``peak_bytes`` only an upper bound if there are rules."""
    if metric == "peak_bytes":
        return float(max(factor.table.max() for factor in factors))
    negated = Additive(tuple((factor.scope, -factor.table) for factor in factors), 0)
    return -least_sum(space.sizes, negated, _rules(space))


def _rules(space: SearchSpace) -> list[Steps]:
    return [rule.transitions for rule in space.indexed_rules]


def _within(scope: tuple[int, ...], table: npt.NDArray[Any], maximum: float) -> Transition:
    """A table that must not exceed a maximum, as the only step of a rule."""
    return Transition(scope, np.where(table <= maximum, 0, REFUSED).astype(np.int32)[None], 1)


def _softmax(logits: Logits) -> Probabilities:
    shifted = [np.exp(each - each.max()) for each in logits]
    return [each / each.sum() for each in shifted]
