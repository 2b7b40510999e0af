"""NAS-Bench-Macro's JSON file, written as the authors' script writes it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import naslab
from naslab.errors import InvalidTable
from naslab.registry import search_space
from naslab.tables.importers.from_nasbench_macro import import_nasbench_macro


def representative(digits: str) -> str:
    """Identities behind a stage's first layer moved to the stage's end, as in ``collect_benchmark.py``."""
    found = ""
    for start, end in ((0, 2), (2, 5), (5, 8)):
        first, *rest = digits[start:end]
        others = [digit for digit in rest if digit != "0"]
        found += first + "".join(others).ljust(len(rest), "0")
    return found


@pytest.fixture(scope="module")
def records() -> dict[str, Any]:
    space = search_space("nasbench-macro")
    found = {}
    for number, digits in enumerate(map("".join, itertools.product("012", repeat=8))):
        if representative(digits) == digits:
            accuracies = [80 + number / 1000, 81 + number / 1000, 82 + number / 1000]
            cost = space.cost(space.from_string(digits))
            mean = sum(accuracies) / 3
            found[digits] = {
                "test_acc": accuracies, "mean_acc": mean, "std": 0.8, "params": cost.params, "flops": cost.macs
            }  # fmt: skip
    for digits in map("".join, itertools.product("012", repeat=8)):
        found[digits] = found[representative(digits)]
    return found


def test_all_networks_and_shared_trainings(tmp_path: Path, records: dict[str, Any]) -> None:
    (tmp_path / "macro.json").write_text(json.dumps(records))
    table = import_nasbench_macro(tmp_path / "macro.json", "macro")
    assert (len(table), table.duplicates) == (6561, 6561 - 3969)
    assert table.header.protocol == "test-only"
    assert table.untimed == ["cifar10"]
    space = search_space("nasbench-macro")
    a = space.from_string("02012100")
    assert table.values("cifar10/accuracy/test")[table.row(a)].tolist() == records["02012100"]["test_acc"]
    assert table.mean("cifar10/params")[table.row(a)] == space.cost(a).params
    task = naslab.task("macro/cifar10")
    assert "test-only protocol" in task.metric
    assert task.problem.space.size == 6561


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(test_acc=[80.0, 81.0]), "'00000000': test_acc is \\[80.0, 81.0\\], not a list of three"),
        (lambda r: r.update(test_acc=[80.0, "81", 82.0]), "test_acc has '81'"),
        (lambda r: r.update(test_acc=[80.0, 101.0, 82.0]), "test_acc has 101.0; allowed: from 0 to 100"),
        (lambda r: r.update(test_acc=[80.0, float("nan"), 82.0]), "test_acc has nan"),
        (lambda r: r.update(mean_acc=80.0), "mean_acc is 80.0, but the mean of its trainings 81.0000"),
        (lambda r: r.update(params=1.5), "params is 1.5; allowed: a whole number"),
        (lambda r: r.pop("flops"), "flops is None"),
        (lambda r: r.pop("test_acc"), "more records than architectures|has more|test_acc is None|stands twice"),
    ],
)
def test_a_wrong_record_is_named(
    tmp_path: Path, cache: Path, records: dict[str, Any], change: Callable[[Any], object], said: str
) -> None:
    record = {**records["00000000"]}
    change(record)
    (tmp_path / "macro.json").write_text(json.dumps({"00000000": record}))
    with pytest.raises(InvalidTable, match=said) as caught:
        import_nasbench_macro(tmp_path / "macro.json", "macro")
    assert "\n" not in str(caught.value)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"00000000": 1, "00000000": {"test_acc": 1}, "00000000": {"test_acc": 1}}', "one of them stands twice"),
        ('{"0000000x": {"test_acc": []}}', "'0000000x': '0000000x': allowed are 8 digits"),
        ("[]", "no object of architectures"),
        ("{", "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, cache: Path, content: str, said: str) -> None:
    (tmp_path / "macro.json").write_text(content)
    with pytest.raises(InvalidTable, match=said):
        import_nasbench_macro(tmp_path / "macro.json", "macro")
    with pytest.raises(InvalidTable, match="can't be read"):
        import_nasbench_macro(tmp_path / "absent.json", "macro")
    assert not cache.exists()
