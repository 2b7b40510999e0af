"""Rules of a search space, as data: which combinations of options are valid.

A :class:`Rule` lists the combinations that it allows. An :class:`Automaton` counts: "at most 9 of these 21 edges" would
be a list of 695,860 combinations and is an automaton of ten states. It reads the choices one after the other; what
it has read so far is its state (the *regular* constraint of Pesant 2004, "A regular language membership constraint for
finite sequences of variables"). A list is an automaton that reads everything in one step, so that whoever asks a rule
(:mod:`naslab.space.validity`, decision diagrams) knows one form: :class:`IndexedRule`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace, UnknownName

REFUSED = -1
"""The state from which nothing leads to an accepted end."""


@dataclass(frozen=True)
class Reading:
    """What an automaton reads in one step.

    Attributes:
        scope: Names of choices.
        symbols: The combinations of their options (one index per name) that are read as symbol 1, those read as 2, and
            so on. All others are read as symbol 0.
    """

    scope: tuple[str, ...]
    symbols: tuple[frozenset[tuple[int, ...]], ...]


@dataclass(frozen=True)
class Automaton:
    """A constraint on a sequence of choices that needs no more memory than a state.

    :func:`at_most`, :func:`at_least`, :func:`exactly` and :func:`at_most_in_a_row` make the usual ones.

    Attributes:
        readings: What is read, step by step. A choice may be read in several steps.
        moves: By state, then by symbol: the next state, or :data:`REFUSED`. It begins in state 0.
        accepting: The states in which it may end.
        words: The constraint in words, for messages.
    """

    readings: tuple[Reading, ...]
    moves: tuple[tuple[int, ...], ...]
    accepting: frozenset[int]
    words: str = ""

    @property
    def scope(self) -> tuple[str, ...]:
        """Names of the choices that it reads, each once."""
        return tuple(dict.fromkeys(name for reading in self.readings for name in reading.scope))


@dataclass(frozen=True)
class Rule:
    """A constraint on choices: only these combinations of options are allowed in this scope.

    Args:
        scope: Names of choices.
        allowed: Combinations of option indices, one index per name in ``scope``.
    """

    scope: tuple[str, ...]
    allowed: frozenset[tuple[int, ...]]

    moves = ((REFUSED, 0),)
    accepting = frozenset({0})
    words = ""

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The one step in which the list is read."""
        return (Reading(self.scope, (self.allowed,)),)


def at_most(count: int, scope: Sequence[str], options: Collection[int]) -> Automaton:
    """At most ``count`` of these choices take one of these options.

    Args:
        count: 0 or more.
        scope: Names of choices.
        options: Option indices, for every choice the same.
    """
    moves = tuple((i, i + 1 if i < count else REFUSED) for i in range(_counted(count) + 1))
    return _over_one(scope, options, moves, range(count + 1), f"at most {count}")


def at_least(count: int, scope: Sequence[str], options: Collection[int]) -> Automaton:
    """At least ``count`` of these choices take one of these options; arguments as of :func:`at_most`."""
    moves = tuple((i, min(i + 1, count)) for i in range(_counted(count) + 1))
    return _over_one(scope, options, moves, [count], f"at least {count}")


def exactly(count: int, scope: Sequence[str], options: Collection[int]) -> Automaton:
    """Exactly ``count`` of these choices take one of these options; arguments as of :func:`at_most`."""
    moves = tuple((i, i + 1 if i < count else REFUSED) for i in range(_counted(count) + 1))
    return _over_one(scope, options, moves, [count], f"exactly {count}")


def at_most_in_a_row(count: int, scope: Sequence[str], options: Collection[int]) -> Automaton:
    """Never more than ``count`` neighbours in this sequence of choices take one of these options; arguments as of
    :func:`at_most`.
    """
    moves = tuple((0, i + 1 if i < count else REFUSED) for i in range(_counted(count) + 1))
    return _over_one(scope, options, moves, range(count + 1), f"at most {count} in a row")


def tabulated(scope: Sequence[str], valid: npt.NDArray[np.bool_], words: str = "") -> Automaton:
    """Exactly these combinations of options, as an automaton: beginnings with the same valid ends are one state.

    For rules with too many combinations to be listed, of which a computation can tell each. The states are those of a
    reduced ordered decision diagram (Bryant 1986, "Graph-based algorithms for Boolean function manipulation").

    Args:
        scope: Names of choices.
        valid: One axis per choice, one entry per option: whether the combination is valid.
        words: The constraint in words, for messages.
    """
    layers: list[npt.NDArray[np.int64]] = []  # from the last choice to the first: (states, options) -> state after it
    after = valid.astype(np.int64).ravel()  # 0: nothing that begins so is valid
    for size in reversed(valid.shape):
        rows = after.reshape(-1, size)
        kinds = rows[:, 0]
        for column in rows.T[1:]:
            kinds = np.unique(kinds * (int(column.max()) + 1) + column, return_inverse=True)[1]
        _, first, after = np.unique(kinds, return_index=True, return_inverse=True)
        layers.append(rows[first])
        refused = ~layers[-1].any(axis=1)
        number = np.where(refused, 0, np.cumsum(~refused))
        layers[-1], after = layers[-1][~refused], number[after]
    moves: list[tuple[int, ...]] = []
    for layer in reversed(layers):
        following = np.where(layer > 0, len(moves) + len(layer) + layer - 1, REFUSED)
        blank = (REFUSED,) * (max(valid.shape) - layer.shape[1])
        moves += [(*row, *blank) for row in following.tolist()]
    readings = tuple(
        Reading((name,), tuple(frozenset({(option,)}) for option in range(1, size)))
        for name, size in zip(scope, valid.shape, strict=True)
    )
    return Automaton(readings, (*moves, (REFUSED,) * max(valid.shape)), frozenset({len(moves)}), words)


def _counted(count: int) -> int:
    if count < 0:
        raise InvalidSpace(f"a rule that counts {count} choices; allowed: 0 or more")
    return count


def _over_one(
    scope: Sequence[str],
    options: Collection[int],
    moves: tuple[tuple[int, ...], ...],
    accepting: Collection[int],
    words: str,
) -> Automaton:
    """An automaton that reads one choice per step, as symbol 1 where it takes one of the options."""
    counted = frozenset((option,) for option in options)
    readings = tuple(Reading((name,), (counted,)) for name in scope)
    listed = " or ".join(str(option) for option in sorted(options))
    return Automaton(readings, moves, frozenset(accepting), f"{words} with option {listed}")


@dataclass(frozen=True, eq=False)
class Transition:
    """One step of an indexed rule.

    Attributes:
        scope: Positions of the choices that are read.
        table: ``(states before, options of each choice)``: the state after the step, or :data:`REFUSED`.
        after: The number of states after the step.
    """

    scope: tuple[int, ...]
    table: npt.NDArray[np.int32]
    after: int


class IndexedRule:
    """A rule of a space, by positions of choices, with as few states as possible: one at the start, one at the end.

    A state is any but :data:`REFUSED` exactly if some options of the choices not yet read lead to an accepted end.

    Args:
        rule: The rule.
        position: Of each choice in an architecture.
        sizes: Number of options of each choice.

    Attributes:
        transitions: The steps.
        scope: Positions of all choices that the rule reads.

    Raises:
        InvalidSpace: The rule speaks of choices or options that do not exist.
    """

    def __init__(self, rule: Rule | Automaton, position: Mapping[str, int], sizes: Sequence[int]) -> None:
        self.words = f"{_some(rule.scope)}{f': {rule.words}' * bool(rule.words)}"
        scopes = [_positions(reading.scope, position) for reading in rule.readings]
        self.scope = tuple(dict.fromkeys(i for scope in scopes for i in scope))
        _check(rule)
        moves = np.array(rule.moves)
        steps = []
        for reading, scope in zip(rule.readings, scopes, strict=True):
            steps.append(moves[:, _symbols(reading, [sizes[i] for i in scope])])
        self.transitions = tuple(map(Transition, scopes, *_smallest(steps, rule.accepting)))

    def holds(self, architecture: Sequence[Any]) -> bool:
        """Whether an architecture keeps the rule."""
        state = 0
        for step in self.transitions:
            state = int(step.table[(state, *[architecture[i] for i in step.scope])])
            if state == REFUSED:
                return False
        return True

    def hold(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which rows of ``(N, choices)`` keep the rule."""
        state = np.zeros(len(rows), np.int64)
        for step in self.transitions:
            reached = step.table[(state, *(rows[:, i] for i in step.scope))]
            state = np.where(state == REFUSED, REFUSED, reached)
        return np.asarray(state != REFUSED)


def _check(rule: Rule | Automaton) -> None:
    if not rule.readings:
        raise InvalidSpace("a rule reads no choice; give it at least one, or leave it out")
    states, symbols = len(rule.moves), len(rule.moves[0]) if rule.moves else 0
    named = {*rule.accepting, *(state for row in rule.moves for state in row if state != REFUSED)}
    if not states or any(len(row) != symbols for row in rule.moves) or not named <= set(range(states)):
        raise InvalidSpace(
            f"an automaton of {states} state{'s' * (states != 1)} moves by {rule.moves} and accepts "
            f"{sorted(rule.accepting)}; give each state as many moves, to states from 0 on or to {REFUSED}"
        )
    for reading in rule.readings:
        if len(reading.symbols) >= symbols:
            raise InvalidSpace(
                f"a rule reads {_some(reading.scope)} as symbols 0 to {len(reading.symbols)}; its states move by "
                f"{symbols} symbols"
            )


def _smallest(
    steps: Sequence[npt.NDArray[np.int64]], accepting: Collection[int]
) -> tuple[list[npt.NDArray[np.int32]], list[int]]:
    """Tables of the automaton with the fewest states for each step, and how many there are after each.

    States that are not reached are left out. Going backwards, those from which the same readings are accepted become
    one, and those from which none is are refused.
    """
    states = len(steps[0])
    reached = [np.array([0])]
    for step in steps:
        following = np.unique(step[reached[-1]])
        reached.append(following[following != REFUSED])
    number = np.full(states + 1, REFUSED)  # of each state after a step; the last entry is that of REFUSED
    number[list(accepting)] = 0
    tables: list[npt.NDArray[np.int32]] = []
    counts: list[int] = []
    after = 1
    for step, before in zip(reversed(steps), reversed(reached[:-1]), strict=True):
        rows = {int(state): number[step[state]] for state in before}
        different = {row.tobytes(): row for row in rows.values() if (row != REFUSED).any()}
        place = {content: i for i, content in enumerate(different)}
        number = np.full(states + 1, REFUSED)
        for state, row in rows.items():
            number[state] = place.get(row.tobytes(), REFUSED)
        tables.append(np.array(list(different.values()) or [np.full(step.shape[1:], REFUSED)], np.int32))
        counts.append(after)
        after = len(tables[-1])
    return tables[::-1], counts[::-1]


def _positions(scope: Sequence[str], position: Mapping[str, int]) -> tuple[int, ...]:
    for name in scope:
        if name not in position:
            raise InvalidSpace(f"a rule speaks of choice {UnknownName(name, position)}")
    if len(set(scope)) < len(scope):
        raise InvalidSpace(f"a rule names a choice twice: {', '.join(scope)}")
    return tuple(position[name] for name in scope)


def _symbols(reading: Reading, sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """The symbol as which each combination of options is read."""
    symbols = np.zeros(sizes, np.int64)
    for number, combinations in enumerate(reading.symbols, start=1):
        for each in combinations:
            if len(each) != len(sizes) or not all(0 <= o < size for o, size in zip(each, sizes, strict=True)):
                raise InvalidSpace(f"a rule on {_some(reading.scope)} names {each}; give one existing option of each")
            symbols[each] = number
    return symbols


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:7])} and {len(names) - 7} more"
