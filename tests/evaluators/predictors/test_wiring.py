"""Which operation stands where and what is alive, against the resolved graph."""

from __future__ import annotations

import numpy as np
import pytest
from predictor_spaces import drawn, spaces

from naslab.evaluators.predictors.wiring import IDENTITY, STRUCTURE, ZERO, Wiring

SPACES = spaces()
by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@by_space
def test_operations_are_those_of_the_resolved_graph(space):
    wiring = Wiring(space)
    architectures = drawn(space, 20)
    for graph, cell in zip(space.cells, wiring.cells, strict=True):
        operations = cell.operations(wiring.options(architectures))
        for architecture, row in zip(architectures, operations, strict=True):
            resolved = space._resolved(graph, space.decisions(architecture))
            for edge, operation in zip(cell.edges, row, strict=True):
                if edge.place is None:
                    assert STRUCTURE[operation] in ("part", "concatenation")
                    continue
                op = resolved.edges[edge.place]["op"]
                expected = ZERO if op.is_zero else IDENTITY if op.is_identity else None
                assert operation == expected or (
                    expected is None
                    and wiring.vocabulary[operation] == op.label(resolved.nodes[edge.place[1]].get("width"))
                )


@by_space
def test_an_edge_is_alive_on_a_path_without_zeros(space):
    wiring = Wiring(space)
    architectures = drawn(space, 30)
    alive_somewhere = dead_somewhere = False
    for graph, cell in zip(space.cells, wiring.cells, strict=True):
        live = cell.live(cell.operations(wiring.options(architectures)))
        for architecture, row in zip(architectures, live, strict=True):
            resolved = space._resolved(graph, space.decisions(architecture))
            resolved.remove_edges_from([(u, v) for u, v, op in list(resolved.edges(data="op")) if op.is_zero])
            sources = [node for node in graph if not graph.in_degree(node)]
            sink = next(node for node in graph if not graph.out_degree(node))
            after = set().union(*(_reachable(resolved, source) for source in sources))
            before = _reachable(resolved.reverse(), sink)
            for edge, alive in zip(cell.edges, row, strict=True):
                if edge.place is not None:
                    u, v = edge.place
                    assert alive == (resolved.has_edge(u, v) and u in after and v in before)
                    alive_somewhere |= bool(alive)
                    dead_somewhere |= not alive
    assert alive_somewhere
    assert dead_somewhere or space.name in ("depth", "nested", "widths", "mlp", "space")


def _reachable(graph, start):
    found, stack = {start}, [start]
    while stack:
        for node in graph.successors(stack.pop()):
            if node not in found:
                found.add(node)
                stack.append(node)
    return found


def test_a_choice_of_an_option_that_was_not_taken_is_not_looked_up():
    cell = Wiring(SPACES["nested"]).cells[0]
    edge = next(edge for edge in cell.edges if len(edge.scope) == 3)
    # op is identity, convolution (which looks up its kernel), inverted bottleneck (which looks up its expansion)
    assert edge.reads[0, 0, 0].tolist() == [True, False, False]
    assert edge.reads[1, 0, 0].tolist() == [True, True, False]
    assert edge.reads[2, 0, 0].tolist() == [True, False, True]


def test_kinds_leave_widths_out():
    wiring = Wiring(SPACES["mlp"])
    kinds = {kind for kind, name in zip(wiring.kinds, wiring.vocabulary, strict=True) if name not in STRUCTURE}
    assert kinds == {"Linear()", "ReLU()"}
    assert {name for name, mixes in zip(wiring.vocabulary, wiring.mixes, strict=True) if mixes} == {
        f"Linear() to {width}" for width in (4, 8, 16, 32, 10)
    }
    assert not wiring.repeated
    assert Wiring(SPACES["nasbench201"]).repeated


def test_no_architecture_is_a_table_without_rows():
    wiring = Wiring(SPACES["odd"])
    assert wiring.options([]).shape == (0, len(SPACES["odd"].choices))
    assert np.issubdtype(wiring.options([]).dtype, np.integer)
