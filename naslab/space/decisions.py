"""Architectures as tuples of decisions: which there are, draws, moves. Nothing of networks here."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue, UnknownName
from naslab.space.choice import Architecture, Choice, Decision, Path, Range
from naslab.space.conditions import Conditions
from naslab.space.moves import Moves
from naslab.space.rules import Automaton, IndexedRule, Rule
from naslab.space.validity import Elimination, enumerate_valid


class DecisionSpace:
    """A set of tuples, one entry per decision.

    Args:
        name: The name of the space in messages and results.
        decisions: In the order in which an architecture lists them, but for the ranges, which come last.
        paths: By name, the options that lead to each place of a decision.
        rules: Which combinations of options are valid; by default all are. They are about choices, in normal form.

    Attributes:
        name: Its name.
        decisions_in_order: All decisions: choices, then ranges.
        choices: The choices, in the order in which an architecture lists their options.
        ranges: The ranges, whose numbers an architecture lists after the options.
        sizes: The number of options of each choice.
        rules: The rules.
        conditions: When each decision is active.
        indexed_rules: The rules by position, as what is drawn must keep them before it is normalised.

    Raises:
        InvalidSpace: A decision stands in an option of itself, a rule is about what is no choice, or the rules leave
            nothing.
    """

    listed = False
    """Whether it holds nothing but architectures that are listed: see :func:`naslab.space.listed`."""

    def __init__(
        self,
        name: str,
        decisions: Sequence[Decision],
        paths: Mapping[str, Sequence[Path]],
        rules: Sequence[Rule | Automaton] = (),
    ) -> None:
        self.name, self.rules = name, tuple(rules)
        self.choices: tuple[Choice, ...] = tuple(each for each in decisions if isinstance(each, Choice))
        self.ranges: tuple[Range, ...] = tuple(each for each in decisions if isinstance(each, Range))
        self.sizes: tuple[int, ...] = tuple(len(choice.options) for choice in self.choices)
        self.decisions_in_order: tuple[Decision, ...] = (*self.choices, *self.ranges)
        self._position = {each.name: i for i, each in enumerate(self.decisions_in_order)}
        idle = (*(0 for _ in self.choices), *(each.low for each in self.ranges))
        values = (*self.sizes, *(int(each.size) if each.integer else 1 for each in self.ranges))
        self.conditions = Conditions({each: paths[each] for each in self._position}, values, idle)
        of_choices = {choice.name: i for i, choice in enumerate(self.choices)}
        self._rules = [IndexedRule(rule, of_choices, self.sizes) for rule in self.rules]
        self.indexed_rules = self._rules  # of what is drawn, before it is normalised
        if self.conditions:
            drawn = map(self.conditions.before_normalising, self.rules)
            self.indexed_rules = [IndexedRule(rule, of_choices, self.sizes) for rule in drawn]
        if not self.size:
            raise InvalidSpace(f"the rules of space {name!r} leave no valid architecture")

    @cached_property
    def size(self) -> int | float:
        """The number of architectures: ``math.inf`` where a range is not of whole numbers."""
        endless = any(not each.integer for each in self.ranges)
        if not self.rules and not self.conditions:
            return math.inf if endless else prod(self.conditions.values)
        return math.inf if endless and self._networks.total else self._networks.total

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether a tuple is an architecture of this space, in normal form."""
        if len(architecture) != len(self.decisions_in_order):
            return False
        for option, size in zip(architecture, self.sizes, strict=False):  # every evaluation comes here
            if not 0 <= option < size:
                return False
        if self.ranges and not all(map(_within, self.ranges, architecture[len(self.sizes) :])):
            return False
        if self.conditions and self.conditions.normal(architecture) != architecture:
            return False
        return not self._rules or all(rule.holds(architecture) for rule in self._rules)

    def architecture(self, values: Sequence[Any]) -> Architecture:
        """Option indices and numbers (a list from JSON, say) as an architecture, in Python's own numbers.

        Args:
            values: One per decision, in normal form.

        Raises:
            InvalidArchitecture: Wrong length, an option that does not exist, a number out of its range, an inactive
                entry that is not at rest, or a combination that a rule forbids.
        """
        try:
            listed = tuple(values)
            options = tuple(operator.index(option) for option in listed[: len(self.sizes)])
            numbers = tuple(
                r.clamped(v) if _within(r, v) else v for r, v in zip(self.ranges, listed[len(options) :], strict=False)
            )
        except TypeError:
            kind = "option numbers" if not self.ranges else "option numbers and values of ranges"
            wanted = f"{len(self.decisions_in_order)} {kind}, one per choice of space {self.name!r}"
            raise InvalidArchitecture(f"{values!r} is not a list of {wanted}") from None
        architecture = (*options, *numbers, *listed[len(options) + len(numbers) :])
        if self.is_valid(architecture):
            return architecture
        raise InvalidArchitecture(f"{architecture}{self._fault(architecture)}")

    def normal(self, architecture: Architecture) -> Architecture:
        """The normal form: inactive entries hold option 0 or the lower bound of their range."""
        return self.conditions.normal(architecture)

    def active(self, architecture: Architecture) -> tuple[str, ...]:
        """Names of the decisions that matter in an architecture; a momentum does not where AdamW is taken."""
        return tuple(
            each.name
            for each, on in zip(self.decisions_in_order, self.conditions.active(architecture), strict=True)
            if on
        )

    def architectures(self) -> Iterator[Architecture]:
        """All architectures; the last choice varies fastest, then the last range of whole numbers.

        Raises:
            InvalidValue: A range is not of whole numbers, so that there is no end to them.
        """
        if any(each.size == math.inf for each in self.ranges):
            raise InvalidValue(f"the architectures of {self.name!r} can't be listed: it has ranges of real numbers")
        listed = self._listed()
        if not self.ranges:
            return listed
        lows = [int(each.low) for each in self.ranges]
        n = len(self.sizes)
        return ((*a[:n], *(low + step for low, step in zip(lows, a[n:], strict=True))) for a in listed)

    def combinations(self) -> Iterator[tuple[int, ...]]:
        """All combinations of options that a draw may give before it is normalised; the last choice varies fastest."""
        if not self.rules:
            return itertools.product(*map(range, self.sizes))
        return enumerate_valid(self.sizes, self.indexed_rules)

    @property
    def first(self) -> Architecture:
        """The first architecture, with every range at its lower bound: an example."""
        return (*next(self._listed())[: len(self.sizes)], *(each.low for each in self.ranges))

    def sample(self, rng: np.random.Generator, *, over: Literal["decisions", "networks"] = "decisions") -> Architecture:
        """A random valid architecture.

        Args:
            rng: The generator.
            over: ``"decisions"``: each decision uniform (a range on its scale) under the rules, then normalised: a
                depth of two layers is as likely as one of four. ``"networks"``: every architecture as likely as any
                other (up to the values of ranges of real numbers). Without conditions both are the same.

        Raises:
            InvalidValue: ``over`` is neither.
        """
        if over not in ("decisions", "networks"):
            raise InvalidValue(f"over {UnknownName(over, ['decisions', 'networks'])}")
        if over == "networks" and (self.conditions or self.ranges):
            return self._sampled_network(rng)
        if self.rules:
            options = self._elimination.sample(rng)
        else:
            uniform = rng.random(len(self.sizes)).tolist()
            options = tuple([int(u * size) for u, size in zip(uniform, self.sizes, strict=True)])
        if not self.ranges:
            return self.conditions.normal(options)
        places = rng.random(len(self.ranges)).tolist()
        numbers = [each.from_unit(place) for each, place in zip(self.ranges, places, strict=True)]
        return self.conditions.normal((*options, *numbers))

    def _sampled_network(self, rng: np.random.Generator) -> Architecture:
        drawn, n = self._networks.sample(rng), len(self.sizes)
        numbers = [
            int(each.low) + step if each.integer else each.from_unit(rng.random())
            for each, step in zip(self.ranges, drawn[n:], strict=True)
        ]
        return self.conditions.normal((*drawn[:n], *numbers))

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The valid architectures one move away: one active decision changed, or two choices changed together where the
        rules forbid each change alone (moving an input of a DARTS node, for instance).

        Choices that become active take option 0, ranges their middle; an active range moves by .05 and .2 of its scale
        in both directions. Where decisions are conditional this is not symmetric.
        """
        return self._moves.neighbors(architecture)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the neighbours; the architecture itself where it has none.

        A range that is drawn moves by a normal draw with a standard deviation of .2 of its scale instead.
        """
        return self._moves.mutate(architecture, rng)

    def choice_columns(self, architectures: Sequence[Architecture] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """``(n, choices)``: the options of architectures, without their ranges, for NumPy code."""
        n = len(self.sizes)
        if isinstance(architectures, np.ndarray):
            return architectures[:, :n].astype(np.int64)
        return np.asarray([a[:n] for a in architectures], np.int64).reshape(len(architectures), n)

    @cached_property
    def _elimination(self) -> Elimination:
        return Elimination(self.sizes, self.indexed_rules)

    @cached_property
    def _networks(self) -> Elimination:
        """Over normal forms; whole numbers count as options."""
        return Elimination(self.conditions.values, self._normal_rules)

    @cached_property
    def _normal_rules(self) -> list[IndexedRule]:
        rules = [*self.rules, *self.conditions.normal_forms()]
        return [IndexedRule(rule, self._position, self.conditions.values) for rule in rules]

    def __getstate__(self) -> dict[str, Any]:
        large = ("_elimination", "_networks", "_normal_rules")  # and soon made
        return {name: value for name, value in vars(self).items() if name not in large}

    @cached_property
    def _moves(self) -> Moves:
        return Moves(self)

    def _listed(self) -> Iterator[tuple[int, ...]]:
        """All normal forms, whole numbers as steps above their lower bounds."""
        if not self.rules and not self.conditions:
            return itertools.product(*map(range, self.conditions.values))
        return enumerate_valid(self.conditions.values, self._normal_rules)

    def _fault(self, architecture: Architecture) -> str:
        """In words, what makes a tuple no architecture."""
        if len(architecture) != len(self.decisions_in_order):
            return f" has {len(architecture)} entries; space {self.name!r} has {len(self.decisions_in_order)} choices"
        for choice, option in zip(self.choices, architecture, strict=False):
            if not 0 <= option < len(choice.options):
                return f": choice {choice.name!r} has options 0 to {len(choice.options) - 1}, not {option}"
        for each, value in zip(self.ranges, architecture[len(self.sizes) :], strict=True):
            if not _within(each, value):
                whole = "whole numbers from " if each.integer else "numbers from "
                return f": range {each.name!r} has {whole}{each.low} to {each.high}, not {value!r}"
        for i, (value, normal) in enumerate(zip(architecture, self.normal(architecture), strict=True)):
            if value != normal:
                name = self.decisions_in_order[i].name
                return f": {name!r} is not active there, so its entry is {normal}, not {value}; see space.normal()"
        broken = next(rule.words for rule in self._rules if not rule.holds(architecture))
        return f" breaks the rule of space {self.name!r} on {broken}"


def _within(each: Range, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(each.low <= value <= each.high) and not (each.integer and value != int(value))
