"""Genotypes as DARTS writes them: ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``. Parsed, never evaluated."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from naslab.errors import InvalidArchitecture, UnknownName

Pair: TypeAlias = tuple[str, int]
"""The name of an operation, and the number of the node that it reads."""


def fields_of(string: str, fault: str) -> dict[str, Any]:
    """The fields of a genotype; a pasted line that ends in one is read, too (``DARTS_V2 = Genotype(...)``).

    Args:
        string: A call of ``Genotype`` with keywords.
        fault: The message where it is none.

    Raises:
        InvalidArchitecture: It is none.
    """
    try:
        pasted = string[string.index("Genotype(") : string.rfind(")") + 1]
        call = ast.parse(pasted.replace("range(2, 6)", "[2, 3, 4, 5]"), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"):
            raise InvalidArchitecture(fault)
        pairs = [(keyword.arg or "", ast.literal_eval(keyword.value)) for keyword in call.keywords]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # InvalidArchitecture is a ValueError
        raise InvalidArchitecture(fault) from None
    fields = dict(pairs)
    if call.args or len(fields) != len(pairs):
        raise InvalidArchitecture(fault)
    return fields


def are_pairs(value: object, number: int) -> bool:
    """Whether a value is a list of so many pairs of an operation and an input."""
    return isinstance(value, list) and len(value) == number and all(map(_is_pair, value))


def put(
    decisions: dict[str, int], where: str, choices: Mapping[int, str], pairs: Sequence[Pair], operations: Sequence[str]
) -> None:
    """Decide the edges into a node.

    Args:
        decisions: Option indices by the name of the choice, 0 where there is no edge; changed.
        where: The node in messages.
        choices: The choice of the edge from each input.
        pairs: The edges that there are, each from another input.
        operations: What may be named, ``none`` (option 0) first.

    Raises:
        InvalidArchitecture: No such operation or input, or an input twice.
    """
    for name, source in pairs:
        if name not in operations[1:]:
            raise InvalidArchitecture(f"{where}: operation {UnknownName(name, operations[1:])}")
        if source not in choices:
            raise InvalidArchitecture(f"{where}: input {source}; allowed: {min(choices)} to {max(choices)}")
        if decisions[choices[source]]:
            raise InvalidArchitecture(f"{where}: input {source} twice; its inputs differ")
        decisions[choices[source]] = operations.index(name)


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and list(map(type, value)) == [str, int]
