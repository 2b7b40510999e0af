"""NAS-Bench-Graph's four layers of a graph network: their links and operations (Qin et al. 2022, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from naslab.errors import InvalidValue
from naslab.space import Architecture, Choice, PlainSpace

LINKS = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""Where each layer reads: 0 is the input, 1 the first layer."""
OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
PROTEINS = ("gcn", "sage", "arma", "fc", "skip")
"""Those that were trained on the dataset proteins."""


def nas_bench_graph(operations: Literal["all", "proteins"] = "all") -> NASBenchGraph:
    """Nine ways to link four layers, and an operation for each: 59,049 tuples, 26,206 networks (2,021 on proteins).

    A layer reads one other or the input; what nobody reads is the output. naslab has no operations on graphs: there is
    no network to compile, count or train, only its numbers.

    Args:
        operations: ``"all"`` nine, or the five that were trained on ``"proteins"``.

    Raises:
        InvalidValue: Neither of these.
    """
    known = {"all": OPERATIONS, "proteins": PROTEINS}
    if operations not in known:
        raise InvalidValue(f"operations={operations!r}. Allowed: {', '.join(known)}")
    return NASBenchGraph(known[operations])


class NASBenchGraph(PlainSpace):
    """Tuples of links and operations, with the benchmark's notion of when two are the same network."""

    def __init__(self, operations: Sequence[str]) -> None:
        links = Choice("links", tuple("".join(map(str, each)) for each in LINKS))
        layers = [Choice(f"op{place}", tuple(operations)) for place in (1, 2, 3, 4)]
        super().__init__([links, *layers], name="nas-bench-graph")
        self._operations = tuple(operations)

    def canonical(self, architecture: Architecture) -> str:
        """A key that two tuples share exactly if the benchmark takes them for one network.

        Layers are a tree, whose branches have no order. A ``skip`` is left out where another layer reads it, where it
        alone reads its source, or where it reads the input; elsewhere it carries its source to the output.
        """
        links, *chosen = self.architecture(architecture)
        source = dict(enumerate(LINKS[links], start=1))
        name = {place: self._operations[option] for place, option in enumerate(chosen, start=1)}
        while (idle := next((place for place in source if _is_idle(place, source, name)), None)) is not None:
            above = source.pop(idle)
            source = {place: above if each == idle else each for place, each in source.items()}
        return _written(0, source, name)


def _is_idle(place: int, source: dict[int, int], name: dict[int, str]) -> bool:
    if name[place] != "skip":
        return False
    is_read, readers = place in source.values(), list(source.values()).count(source[place])
    return is_read or readers == 1 or source[place] == 0


def _written(place: int, source: dict[int, int], name: dict[int, str]) -> str:
    """The layers above a place, nested and sorted."""
    above = [f"{name[each]}{_written(each, source, name)}" for each, below in source.items() if below == place]
    return f"({','.join(sorted(above))})" if above else ""
