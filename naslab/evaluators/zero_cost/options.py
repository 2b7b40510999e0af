"""What can be chosen about single proxies."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.zero_cost.shared import Pass

VARIANCES = ("running", "batch")
LARGEST = 1024


@dataclass(frozen=True)
class Options:
    """Options of single proxies.

    Attributes:
        variances: Of ``zen``: ``"running"``, as the authors' code, or ``"batch"``.
        size: Of ``meco``: height and width of the normal input that networks are shown, 64 as in the authors' code.
            With 0 they are shown the first row of the batch.
    """

    variances: str = "running"
    size: int = 64

    def __post_init__(self) -> None:
        if self.variances not in VARIANCES:
            raise UnknownName(self.variances, VARIANCES, of="variances")
        if not 0 <= self.size <= LARGEST:
            raise InvalidValue(f"size={self.size} of MeCo's input. Allowed: 0 (the rows' own) to {LARGEST} pixels")


def options_of(known: Pass) -> Options:
    """Those that a pass was made with."""
    found = known.context.get("options")
    return found if isinstance(found, Options) else Options()
