"""What a run may spend."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.errors import InvalidValue
from naslab.files import clipped, read_number


@dataclass(frozen=True)
class Budget:
    """How much a run may spend.

    Attributes:
        amount: More than zero.
        unit: ``"s"`` for seconds on the common clock, ``"evaluations"`` for a number of queries, ``"epochs"`` for
            passes of a gradient search over its training rows.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str | int | float | Budget) -> Budget:
        """``"12000s"`` are seconds, ``"50epochs"`` epochs, ``100`` or ``"100"`` evaluations.

        Raises:
            InvalidValue: Anything else, or nothing to spend.
        """
        if isinstance(text, Budget):
            return text
        written = str(text).strip()
        suffix = next((each for each in ("epochs", "s") if written.endswith(each)), "")
        unit = suffix or "evaluations"
        amount = read_number(written.removesuffix(suffix)) or 0.0
        if amount <= 0 or (unit != "s" and amount != int(amount)):
            raise InvalidValue(
                f"budget {clipped(written)}: give evaluations (such as 100) or seconds (such as 12000s), above 0; a "
                "gradient search also takes epochs (50epochs)"
            )
        return cls(amount, unit)

    def __str__(self) -> str:
        # Exact, because a resumed comparison is checked against this text.
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount}" if self.unit == "evaluations" else f"{amount}{self.unit}"
