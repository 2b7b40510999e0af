"""How a choice is decided when a supernet runs: one option, a mixture of all, or a mixture of a few."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from naslab.errors import InvalidValue, UnknownName
from naslab.space import Choice


class Sparse(NamedTuple):
    """A mixture of which only some options run.

    Attributes:
        weights: ``(K,)``, one per option; they need not sum to one.
        active: The options that run.
        inactive: What becomes of the others: ``"drop"`` ignores them; ``"scalar"`` adds their weight as a number, so
            that a hard decision passes gradients to weights that are zero (GDAS; Dong & Yang 2019, equation 7).
        hard: Whether the weights are exactly 1 for the only active option and exactly 0 for all others, which are added
            as numbers. Whoever makes the decision knows; to look would be to wait for the device.
    """

    weights: Tensor
    active: tuple[int, ...]
    inactive: Literal["drop", "scalar"] = "drop"
    hard: bool = False


Decision: TypeAlias = int | Tensor | Sparse
"""An option index; ``(K,)`` weights, with which every option runs; or a :class:`Sparse` mixture."""


class Term(NamedTuple):
    """One summand of a mixture over a site's options.

    Attributes:
        option: Position among the options (the last choice of the site's scope varies fastest).
        weight: Weight of the option; None means 1.
        runs: Whether the option runs; otherwise its weight is added as a number.
    """

    option: int
    weight: Tensor | None
    runs: bool


def terms(decisions: Sequence[Decision], sizes: Sequence[int]) -> Iterator[Term]:
    """The summands of a site that depends on several choices: weights multiply, an option runs if all its parts run."""
    for index in itertools.product(*(_relevant(d, size) for d, size in zip(decisions, sizes, strict=True))):
        weight: Tensor | None = None
        runs = True
        for decision, k in zip(decisions, index, strict=True):
            if isinstance(decision, int):
                continue
            factor = decision.weights[k] if isinstance(decision, Sparse) else decision[k]
            weight = factor if weight is None else weight * factor
            runs = runs and not (isinstance(decision, Sparse) and k not in decision.active)
        yield Term(position(index, sizes), weight, runs)


def checked(decisions: Mapping[str, Decision] | Sequence[Decision], choices: Sequence[Choice]) -> dict[str, Decision]:
    """Decisions by choice name.

    Args:
        decisions: By name, or one per choice in the space's order.
        choices: The space's choices.

    Raises:
        InvalidValue: A choice lacks its decision, or a decision has the wrong shape or names no option.
    """
    names = [choice.name for choice in choices]
    if not isinstance(decisions, Mapping):
        try:
            given = list(decisions)
        except TypeError:
            raise InvalidValue(f"{decisions!r} are no decisions: give one per choice ({', '.join(names)})") from None
        if len(given) != len(names):
            raise InvalidValue(f"{len(given)} decisions for {len(names)} choices: {', '.join(names)}")
        decisions = dict(zip(names, given, strict=True))
    for name in decisions:
        if name not in names:
            raise InvalidValue(f"a decision for choice {UnknownName(name, names)}")
    found: dict[str, Decision] = {}
    for choice in choices:
        if choice.name not in decisions:
            raise InvalidValue(f"no decision for choice {choice.name!r}; needed: {', '.join(names)}")
        found[choice.name] = _checked(choice, decisions[choice.name])
    return found


def _checked(choice: Choice, decision: Decision) -> Decision:
    size = len(choice.options)
    if not isinstance(decision, Tensor | Sparse):
        try:
            decision = operator.index(decision)  # NumPy's integers too
        except TypeError:
            raise InvalidValue(
                f"choice {choice.name!r}: {decision!r} is no index, weight vector or Sparse decision"
            ) from None
        if not 0 <= decision < size:
            raise InvalidValue(f"choice {choice.name!r} has options 0 to {size - 1}, not {decision}")
        return decision
    weights = decision.weights if isinstance(decision, Sparse) else decision
    if not isinstance(weights, Tensor):
        raise InvalidValue(f"choice {choice.name!r}: {weights!r} is no weight vector")
    if tuple(weights.shape) != (size,):
        raise InvalidValue(f"choice {choice.name!r} takes weights of shape ({size},), not {tuple(weights.shape)}")
    if isinstance(decision, Sparse):
        active = decision.active
        if not active or not all(0 <= k < size for k in active) or len(set(active)) < len(active):
            raise InvalidValue(
                f"choice {choice.name!r}: active={active}; it names options from 0 to {size - 1}, each once"
            )
        if decision.inactive not in ("drop", "scalar"):
            raise InvalidValue(f"choice {choice.name!r}: inactive={decision.inactive!r}; allowed: 'drop', 'scalar'")
        if decision.hard and (len(active) > 1 or decision.inactive != "scalar"):
            raise InvalidValue(
                f"choice {choice.name!r}: hard, active={active}, inactive={decision.inactive!r}; a hard decision has "
                "one active option, and inactive='scalar'"
            )
    return decision


def hard_option(decision: Decision) -> int | None:
    """The only option that runs, where its weight is exactly 1 and all others are numbers, exactly 0; else None."""
    return decision.active[0] if isinstance(decision, Sparse) and decision.hard else None


def _relevant(decision: Decision, size: int) -> Sequence[int]:
    if isinstance(decision, int):
        return (decision,)
    if isinstance(decision, Sparse) and decision.inactive == "drop":
        return decision.active
    return range(size)


def position(index: Sequence[int], sizes: Sequence[int]) -> int:
    """The position of a combination of options among all; the last choice varies fastest."""
    return sum(k * prod(sizes[i + 1 :]) for i, k in enumerate(index))
