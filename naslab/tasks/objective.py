"""Objectives: what a search optimises, by the names of metrics and costs, each with its direction and unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from naslab.errors import InvalidValue, UnknownMetric
from naslab.files import clipped

DIRECTIONS = ("max", "min")


@dataclass(frozen=True)
class Objective:
    """A number that is told of an architecture, and which way is better.

    Attributes:
        name: ``"score"``, a cost (``"params"``), or a metric that evaluations report (``"latency_ms"``).
        direction: ``"max"`` where higher is better, or ``"min"``.
        unit: Such as ``"ms"``; ``""`` for a plain number.

    Raises:
        InvalidValue: Another direction.
    """

    name: str
    direction: str = "max"
    unit: str = ""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise InvalidValue(f"direction {self.direction!r} of {self.name!r}. Allowed: 'max' or 'min'")

    def __str__(self) -> str:
        return f"{self.name}:{self.direction}"

    @property
    def sign(self) -> int:
        """+1 or -1: multiplied by it, a value is better when it is higher."""
        return 1 if self.direction == "max" else -1

    @classmethod
    def of_cost(cls, name: str) -> Objective:
        """A cost: the lower the better."""
        return cls(name, "min", "s" if name.endswith("_seconds") else "")


SCORE = Objective("score")
"""What every evaluation tells, higher is better."""


def parse_objectives(texts: Iterable[str], known: Mapping[str, Objective]) -> tuple[Objective, ...]:
    """What is to be optimised, the score first.

    Args:
        texts: Names; ``"-name"`` (or ``"name:min"``) and ``"name:max"`` state a direction. A metric that the task does
            not declare needs one.
        known: The score, costs and metrics of the task.

    Raises:
        UnknownMetric: A name without a direction that is neither a cost nor a declared metric.
        InvalidValue: A direction that does not exist, a name given twice, or another first objective than the score.
    """
    if isinstance(texts, str):
        raise InvalidValue(f"objectives={texts!r}: give a list, such as ['score', 'params']")
    found = tuple(_parsed(text, known) for text in texts)
    names = [each.name for each in found]
    if found[:1] != (SCORE,):
        raise InvalidValue(
            f"objectives {clipped(','.join(map(str, texts)))}: the first is 'score', higher is better: the result of a "
            "search is its best by that, and it is judged by the truth. Example: score,params"
        )
    if len(set(names)) < len(names):
        raise InvalidValue(f"objective {next(n for n in names if names.count(n) > 1)!r} is named twice; name each once")
    return found


def _parsed(text: str, known: Mapping[str, Objective]) -> Objective:
    name, colon, direction = text.strip().partition(":")
    if name.startswith("-") and not colon:
        name, direction = name[1:], "min"
    if not direction and not colon:
        if name not in known:
            undeclared = f"a metric that evaluations report undeclared is written {name}:min or {name}:max"
            raise UnknownMetric(name, known, see=f"docs/objectives.md; {undeclared}")
        return known[name]
    return Objective(name, direction, known[name].unit if name in known else "")
