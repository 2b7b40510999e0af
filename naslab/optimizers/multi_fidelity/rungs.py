"""The fidelities at which trials are compared, in whole numbers, and how many trials of a bracket reach each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators import Fidelity

KINDS = ("hyperband", "hpbandster")


def rungs(
    fidelities: Sequence[Fidelity],
    eta: int,
    *,
    lowest: int | None = None,
    highest: int | None = None,
    anchor: Literal["lowest", "highest"] = "lowest",
) -> tuple[int, ...]:
    """The rungs from a lowest to a highest number of epochs.

    Anchored at the lowest they are r, r*eta, r*eta^2, ... below R, and R; anchored at the highest, as in HpBandSter,
    R, R/eta, R/eta^2, ... down to r. Each is rounded up to a fidelity that the task has. Where R is r times a power of
    eta both are the same. Everything is computed in integers: the logarithm of 1/243 to the base 3 is -4.999999, by
    which HpBandSter loses the sixth rung from 1 to 243.

    Args:
        fidelities: What the task offers (:attr:`naslab.tasks.Problem.fidelities`).
        eta: The factor between rungs.
        lowest: r; by default the smallest number offered.
        highest: R; by default the largest.
        anchor: Which end stays as it is, where they are not a power of eta apart.

    Returns:
        At least two numbers of epochs, rising.

    Raises:
        InvalidValue: ``eta`` is below 2; fidelities are names, which have no order; an end is not among the fidelities,
            or the lowest is not below the highest; or there are fewer than two rungs.
    """
    if eta < 2:
        raise InvalidValue(f"eta={eta}: at least 2, the factor by which every rung is more thorough than the one below")
    named = [each for each in fidelities if not isinstance(each, int)]
    if named:
        raise InvalidValue(
            f"fidelities {', '.join(map(repr, named))} are names, which have no order; rungs are numbers of epochs"
        )
    offered = sorted(each for each in fidelities if isinstance(each, int))
    if len(offered) < 2:
        has = f"only {offered[0]} epochs" if offered else "no fidelities"
        raise InvalidValue(f"the task offers {has}: rungs need at least two numbers of epochs to choose from")
    low, high = offered[0] if lowest is None else lowest, offered[-1] if highest is None else highest
    for name, end in (("lowest", low), ("highest", high)):
        if end not in offered:
            nearest = min(offered, key=lambda each: abs(each - end))
            raise InvalidValue(f"{name}={end} is no fidelity of the task; the nearest is {nearest}")
    if low >= high:
        raise InvalidValue(f"lowest={low} is not below highest={high}: rungs rise from the one to the other")
    wanted = _from_highest(low, high, eta) if anchor == "highest" else _from_lowest(low, high, eta)
    found = tuple(sorted({next(each for each in offered if each >= least) for least in wanted}))
    if len(found) < 2:
        raise InvalidValue(f"eta={eta} leaves one rung, {found[0]}, between {low} and {high}: take a smaller eta")
    return found


def _from_lowest(low: int, high: int, eta: int) -> list[int]:
    found = []
    while low < high:
        found.append(low)
        low *= eta
    return [*found, high]


def _from_highest(low: int, high: int, eta: int) -> list[int]:
    found, factor = [], 1
    while low * factor <= high:
        found.append(-(-high // factor))  # rounded up
        factor *= eta
    return found


def brackets(rungs: Sequence[int], eta: int, kind: str = "hyperband") -> tuple[tuple[int, ...], ...]:
    """How many trials each bracket evaluates at each of its rungs; a bracket of k rungs has the k highest.

    With S rungs, the bracket of s + 1 rungs begins with ceil(S / (s + 1) * eta^s) trials (``"hyperband"``, Li et al.
    2018) or floor(S / (s + 1)) * eta^s of them (``"hpbandster"``, Falkner et al. 2018), and an eta-th part, rounded
    down, of those at its first rung reaches its second, and so on; HpBandSter lets at least one through.

    Args:
        rungs: As :func:`rungs` gives them.
        eta: The factor between rungs.
        kind: ``"hyperband"`` or ``"hpbandster"``.

    Returns:
        The brackets, the one of all rungs first.

    Raises:
        InvalidValue: There is no such kind.
    """
    if kind not in KINDS:
        raise InvalidValue(f"brackets {UnknownName(kind, KINDS)}")
    count, found = len(rungs), []
    for s in reversed(range(count)):
        begins = -(-count * eta**s // (s + 1)) if kind == "hyperband" else count // (s + 1) * eta**s
        found.append(tuple(max(begins // eta**i, 1) for i in range(s + 1)))
    return tuple(found)
