"""What a pickle would make Python do, found by reading its opcodes without running them.

Nine bytes can take gigabytes: an index into the memo makes the unpickler allocate a list that reaches so far, and the
length of a text is allocated before the text is read. And a key of tuples within tuples is hashed by a function that
calls itself, without a limit: the process dies of it.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable

DEEPEST = 64
"""Tuples within tuples."""
_MARK = -1
# What an opcode takes from the stack, where it leaves one plain value (nothing that is hashed element by element).
_TAKES = {"STACK_GLOBAL": 2, "REDUCE": 2, "NEWOBJ": 2, "NEWOBJ_EX": 3, "BINPERSID": 1}
_TAKES_TO_MARK = {"LIST", "DICT", "FROZENSET", "INST", "OBJ"}
_DROPS = {"APPEND": 1, "SETITEM": 2, "BUILD": 1, "POP": 1}
_DROPS_TO_MARK = {"APPENDS", "SETITEMS", "ADDITEMS", "POP_MARK"}
_KEEPS = {"PROTO", "FRAME", "STOP", "READONLY_BUFFER"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def check_bounds(data: bytes) -> None:
    """Refuse a pickle that claims more memory than its bytes can fill, or nests its tuples too deeply.

    Raises:
        ValueError: Says what; or the bytes are no whole pickle.
    """
    stack: list[int] = []  # how deeply tuples are nested in each value
    memo: dict[int, int] = {}
    most = len(data)  # whatever is memorised takes a byte at least
    for opcode, argument, _ in pickletools.genops(data):  # refuses lengths that reach past the end
        name = opcode.name
        if name in _TUPLES:
            _push_tuple(stack, _taken(stack, _TUPLES[name]))
        elif name == "TUPLE":
            _push_tuple(stack, _taken_to_mark(stack))
        elif name in _MEMORISES:
            index = _MEMORISES[name](argument, len(memo))
            if not 0 <= index <= most:
                raise ValueError(f"its memo would reach to {index:,} in a file of {most:,} bytes")
            memo[index] = stack[-1] if stack else 0
        elif name in _RECALLS:
            stack.append(memo.get(int(argument or 0), 0))
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "DUP":
            stack.append(stack[-1] if stack else 0)
        elif name in _DROPS:
            _taken(stack, _DROPS[name])
        elif name in _DROPS_TO_MARK:
            _taken_to_mark(stack)
        elif name not in _KEEPS:
            if name in _TAKES_TO_MARK:
                _taken_to_mark(stack)
            else:
                _taken(stack, _TAKES.get(name, 0))
            stack.append(0)


_MEMORISES: dict[str, Callable[[int | None, int], int]] = {
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda argument, _: int(argument or 0)),
    "MEMOIZE": lambda _, count: count,
}
_RECALLS = {"GET", "BINGET", "LONG_BINGET"}


def _push_tuple(stack: list[int], members: list[int]) -> None:
    depth = 1 + max(members, default=0)
    if depth > DEEPEST:
        raise ValueError(f"its tuples are nested more than {DEEPEST} deep")
    stack.append(depth)


def _taken(stack: list[int], count: int) -> list[int]:
    taken = stack[len(stack) - count :] if count else []
    del stack[len(stack) - count :]
    return taken


def _taken_to_mark(stack: list[int]) -> list[int]:
    taken: list[int] = []
    while stack and (depth := stack.pop()) != _MARK:
        taken.append(depth)
    return taken
