"""Networks in the order of their probability, where several draws give the same one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from naslab.feasibility.diagram import Probabilities
from naslab.space import Architecture, Conditions

MOST_DRAWS = 10_000


def best_networks(
    conditions: Conditions, draws: Iterator[tuple[Architecture, float]], p: Probabilities
) -> Iterator[Architecture]:
    """Architectures in normal form, the most probable first.

    The probability of an architecture is that of its active options alone: of all draws that differ in what is not
    active. An architecture that has not been seen has no draw above the last one, so it is at most as probable as that
    one divided by the largest probabilities of all that may be inactive. What is above this bound is next.

    Args:
        conditions: When choices are active.
        draws: Combinations of options and the logarithms of their probabilities, the most probable first.
        p: The probabilities of the options.

    Yields:
        Each architecture once. After 10,000 draws without a bound that tells, in the order of what was seen.
    """
    if not conditions:
        yield from (architecture for architecture, _ in draws)
        return
    with np.errstate(divide="ignore"):
        logs = [np.log(each) for each in p]
    room = -sum(float(log.max()) for log, when in zip(logs, conditions.when, strict=True) if when)
    seen: set[Architecture] = set()
    waiting: list[tuple[float, Architecture]] = []
    idle = 0
    for draw, log_probability in draws:
        while waiting and (-waiting[0][0] >= log_probability + room or idle > MOST_DRAWS):
            yield heapq.heappop(waiting)[1]
            idle = 0
        idle += 1
        architecture = conditions.normal(draw)
        if architecture not in seen:
            seen.add(architecture)
            active = conditions.active(architecture)
            terms = (float(log[option]) for log, option, on in zip(logs, architecture, active, strict=True) if on)
            heapq.heappush(waiting, (-sum(terms), architecture))
    while waiting:
        yield heapq.heappop(waiting)[1]
