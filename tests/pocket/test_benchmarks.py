"""What the pocket benchmarks are: their sizes, what stands for what, and where their randomness comes from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle

import numpy as np
import pytest
from tiny_pocket import TINY

from naslab.datasets.catalogue import DATASETS
from naslab.errors import UnknownTable
from naslab.pocket.benchmarks import POCKETS, Pocket, pocket
from naslab.registry import entries
from naslab.space import Recipe
from naslab.tables.packaged.pocket import shipped

NAMES = ("pocket-cell/mnist", "pocket-mlp/mnist", "pocket-mlp/segments")


def test_cells_that_compute_the_same_are_trained_once() -> None:
    cells = pocket("pocket-cell/mnist")
    space, trained, rows = cells.search_space, cells.trained, cells.rows().tolist()
    assert (len(rows), space.size, len(trained)) == (15_625, 15_625, 5_425)
    keys = [space.canonical(a) for a in trained]
    assert len(set(keys)) == 5_425
    every = list(space.architectures())
    for i in np.random.default_rng().choice(len(every), 2_000, replace=False):
        assert keys[rows[i]] == space.canonical(every[i])


@pytest.mark.parametrize(("name", "count", "sizes"), [(NAMES[1], 8_000, (20,) * 3), (NAMES[2], 4_096, (8,) * 4)])
def test_every_perceptron_is_trained(name: str, count: int, sizes: tuple[int, ...]) -> None:
    benchmark = pocket(name)
    architectures = list(benchmark.search_space.architectures())
    assert benchmark.search_space.sizes == sizes
    assert len(architectures) == len(benchmark.trained) == count
    assert set(architectures) == set(benchmark.trained)


def test_rows_say_which_one_stands_for_an_architecture() -> None:
    perceptrons = pocket("pocket-mlp/segments")
    architectures = list(perceptrons.search_space.architectures())
    assert [perceptrons.trained[row] for row in perceptrons.rows()] == architectures
    assert perceptrons.trained != architectures  # the order of training is another one


def test_the_smallest_of_a_class_stands_for_it() -> None:
    cells = pocket("pocket-cell/mnist")
    large = sorted(cells.classes.values(), key=len)[-100:]
    assert len(large[0]) > 5
    for members in large:
        params = {a: cells.search_space.cost(a).params for a in members}
        (chosen,) = set(members) & set(cells.trained)
        assert params[chosen] == min(params.values())


@pytest.mark.parametrize("name", [*NAMES, TINY.name])
def test_blocks_are_the_architectures_cut_up(name: str) -> None:
    benchmark = pocket(name)
    assert [a for block in benchmark.blocks for a in block] == benchmark.trained
    sizes = [len(block) for block in benchmark.blocks]
    assert set(sizes[:-1]) == {benchmark.block}
    assert 1 <= sizes[-1] <= benchmark.block


@pytest.mark.parametrize("name", ["pocket-mlp/mnist", "pocket-mlp/segments"])
def test_blocks_hold_similar_shapes(name: str) -> None:
    benchmark = pocket(name)

    def padded(blocks: list[list[tuple[int, ...]]]) -> int:
        """What is computed: every layer of a block is as wide as its widest."""
        widths = benchmark.options["widths"]
        layers = [[[widths[a[i]] for a in block] for i in range(len(block[0]))] for block in blocks]
        return sum(len(layer) * max(layer) for block in layers for layer in block)

    plain = sorted(benchmark.trained)
    straight = [plain[i : i + benchmark.block] for i in range(0, len(plain), benchmark.block)]
    needed = padded([[a] for a in plain])
    assert needed < padded(benchmark.blocks) < 0.9 * padded(straight)


def test_randomness_depends_on_benchmark_architecture_and_seed_alone() -> None:
    other = dataclasses.replace(TINY, name="pocket-mlp/tony")
    weights = {TINY.weights(a, seed).initial_seed() for a in TINY.trained for seed in range(5)}
    others = {other.weights(a, seed).initial_seed() for a in TINY.trained for seed in range(5)}
    batches = {each.batches(seed).initial_seed() for each in (TINY, other) for seed in range(5)}
    assert len(weights) == len(others) == 45
    assert len(batches) == 10
    assert len(weights | others | batches) == 100
    changed = dataclasses.replace(TINY, block=2, coarseness=2, seeds=7, recipe=Recipe(9, 16, 0.1))
    assert changed.weights((0, 2), 3).initial_seed() == TINY.weights((0, 2), 3).initial_seed()
    for generator, key in (
        (TINY.weights((0, 2), 3), "pocket-mlp/tiny/3/2-8"),
        (TINY.batches(3), "pocket-mlp/tiny/3/batches"),
    ):
        digest = hashlib.sha256(key.encode()).hexdigest()
        assert generator.initial_seed() == int(digest[:16], 16) // 2


@pytest.mark.parametrize("name", [*NAMES, TINY.name])
def test_a_benchmark_is_described_by_plain_data(name: str) -> None:
    benchmark = pocket(name)
    described = benchmark.describe()
    assert json.loads(json.dumps(described)) == described
    assert Recipe(**described["recipe"]) == benchmark.recipe
    assert described["dataset_sha256"] == benchmark.data.sha256
    assert described["splits"] == [len(benchmark.data.train), len(benchmark.data.validation), len(benchmark.data.test)]
    rebuilt = Pocket(**{field.name: described.get(field.name) for field in dataclasses.fields(Pocket)} | {
        "name": described["benchmark"], "recipe": benchmark.recipe,
    })  # fmt: skip
    assert rebuilt.describe() == described


def test_what_must_stay_the_same_is_described() -> None:
    changes = {
        "name": "pocket-mlp/other",
        "space": "other",
        "options": {**TINY.options, "depth": 3},
        "dataset": "mnist",
        "recipe": dataclasses.replace(TINY.recipe, weight_decay=0.0),
        "seeds": 3,
        "block": 5,
        "coarseness": 2,
    }
    assert set(changes) == {field.name for field in dataclasses.fields(Pocket)}
    for field, value in changes.items():
        assert dataclasses.replace(TINY, **{field: value}).describe() != TINY.describe()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_the_shapes_of_data_and_space_agree(name: str) -> None:
    benchmark = pocket(name)
    options, data = benchmark.options, benchmark.data
    shape = options["input_shape"] if "input_shape" in options else (options["in_features"],)
    assert data.train.x.shape[1:] == tuple(shape)
    assert data.classes == options.get("num_classes", options.get("out_features"))


def test_every_benchmark_has_a_task_and_the_other_way_round() -> None:
    registered = {name for name in entries("tasks") if name.startswith("pocket-")}
    assert set(NAMES) == set(POCKETS) - {TINY.name}
    assert registered == {name for name in NAMES if POCKETS[name].table in shipped()}
    assert {POCKETS[name].dataset for name in NAMES} == set(DATASETS)
    for name in NAMES:
        benchmark = pocket(name)
        assert (benchmark.name, f"{benchmark.family}/{benchmark.short}") == (name, name)
        assert benchmark.table == name.replace("/", "-")


def test_an_unknown_benchmark_names_the_nearest() -> None:
    with pytest.raises(UnknownTable, match=r"'pocket-mlp/minst'\. Did you mean 'pocket-mlp/mnist'\?"):
        pocket("pocket-mlp/minst")


def test_a_benchmark_travels_as_its_definition_and_is_worked_out_once_a_process() -> None:
    known = pocket(TINY)
    assert len(known.trained) == 9
    copies = [pickle.loads(pickle.dumps(known)) for _ in range(2)]
    for copy in copies:
        assert copy == known
        assert copy is not known
        assert "trained" not in vars(copy)
        assert pocket(copy) is known
    assert pocket(dataclasses.replace(TINY, seeds=7)).seeds == 7
