"""Other tasks whose rewards a strategy may read: transfer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from naslab.errors import PluginError
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.registry import called
from naslab.space import Architecture, Choice, SearchSpace


class Source:
    """The rewards of another task. Every reading is counted, and so are its seconds.

    It holds neither the other task's truth nor its test rows.

    Args:
        id: The task's id.
        space: Its space.
        evaluator: Its reward's: recorded and without a state.
        fidelities: What may be asked for, least thorough first.
        fidelity: What is asked for where none is given.
        data: What identifies its data, for the header of a trace.

    Attributes:
        evaluations: How many rewards were read.
        seconds: What finding them out took when they were recorded; None where nobody recorded that.
    """

    def __init__(
        self,
        id: str,
        space: SearchSpace,
        evaluator: Evaluator,
        fidelities: tuple[Fidelity, ...] = (),
        fidelity: Fidelity | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        self.id, self.space, self.fidelities, self.fidelity = id, space, fidelities, fidelity
        self.data = dict(data or {})
        self.evaluations = 0
        self.seconds: float | None = 0.0 if evaluator.timed else None
        self._evaluator = evaluator

    def read(
        self, architecture: Architecture, rng: np.random.Generator, fidelity: Fidelity | None = None
    ) -> Evaluation:
        """The reward of an architecture there, as a search on that task would be told it; the score may be any float.

        Args:
            architecture: Of the source's own space.
            rng: The strategy's generator: of several recorded trainings one is drawn.
            fidelity: How thoroughly.

        Raises:
            PluginError: The source has no such architecture; or its reward can't be told.
        """
        if not self.space.is_valid(architecture):
            raise PluginError(
                f"{architecture!r} is no architecture of the source {self.id!r}: ask source.space.is_valid first"
            )
        wanted = self.fidelity if fidelity is None else fidelity
        what = f"source {self.id!r} can't be read"
        found: Evaluation = called(what, self._evaluator.evaluate, architecture, fidelity=wanted, rng=rng)
        self.evaluations += 1
        if self.seconds is not None:
            self.seconds += found.seconds
        return found

    def unread(self) -> Source:
        """The same rewards, of which none was read: every run counts its own."""
        return Source(self.id, self.space, self._evaluator, self.fidelities, self.fidelity, self.data)


def fits(space: SearchSpace, other: SearchSpace) -> bool:
    """Whether the decisions of two spaces are the same, so that an architecture of one means the same in the other.

    Which of their combinations are valid may differ, and so may all that is not decided, such as the classes.
    """
    return _decisions(space) == _decisions(other)


def _decisions(space: SearchSpace) -> list[Any]:
    return [
        (each.name, each.labels or each.options) if isinstance(each, Choice) else each
        for each in space.decisions_in_order
    ]
