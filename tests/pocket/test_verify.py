"""Rebuilding rows of a shipped table: what is the same passes, and one wrong number is found."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_pocket import TINY
from toy_tasks import contents

from naslab.cli import run_command
from naslab.errors import InvalidTable, InvalidValue
from naslab.pocket import verify
from naslab.pocket.verify import Verification, verify_table
from naslab.tables.packaged import pocket
from naslab.tables.packaged.pocket import read_archive, write_archive

POINT = 100 / 1030  # percentage points of one test row


@pytest.fixture
def shipped(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive, as if it came with the package."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(pocket, "_FOLDER", folder)
    return Path(shutil.copy(archive, folder))


@pytest.fixture
def altered(shipped: Path) -> Path:
    """The same with one row in which both seeds got 18 test rows fewer right at the end."""
    header, arrays = read_archive(shipped)
    arrays["right"][4, 2, -1] -= 18
    write_archive(shipped, header, arrays)
    return shipped


def verify_command(count: int | str) -> int:
    return run_command(["table", "build", TINY.name, "--verify", str(count)])


def between_seeds(archive: Path) -> float:
    """Mean absolute difference of the two seeds, in points."""
    final = read_archive(archive)[1]["right"][:, 2, -1].astype(float)
    return float(np.abs(final[:, 0] - final[:, 1]).mean()) * POINT


@pytest.mark.slow
@pytest.mark.usefixtures("shipped")
def test_an_untouched_table_passes(cache: Path, capsys: Any) -> None:
    before = contents(cache)
    assert verify_command(5) == 0
    out, err = capsys.readouterr()
    assert out == "5 of 5 rows are identical to the shipped table, in every epoch and split.\n"
    assert err.splitlines()[-1].startswith("5/5 rows")
    assert contents(cache) == before


def test_an_altered_row_is_found(altered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "machine", lambda: "abacus")
    seen: list[tuple[int, int]] = []
    outcome = verify_table(TINY, 9, seed=1, progress=lambda done, total, _: seen.append((done, total)))
    tolerance = pytest.approx(between_seeds(altered) / 4)
    assert outcome == Verification(9, 8, False, pytest.approx(2 * POINT), tolerance)  # 18 of 9 rows, on average
    assert outcome.passed is (between_seeds(altered) / 4 >= 2 * POINT)
    assert dataclasses.replace(outcome, same_machine=True).passed is False
    assert seen == sorted(seen)
    assert seen[-1] == (9, 9)


@pytest.mark.slow
@pytest.mark.usefixtures("altered")
def test_an_altered_row_ends_the_command_with_1(capsys: Any) -> None:
    assert verify_command(9) == 1
    assert capsys.readouterr().out.splitlines() == [
        "8 of 9 rows are identical to the shipped table, in every epoch and split.",
        "NOT reproduced.",
    ]


ELSEWHERE = (
    "Machine or versions differ from the build's. Test accuracy differs by 0.25 points on average; "
    "allowed: {:.2f}, a quarter of what two seeds differ by"
)


@pytest.mark.parametrize(
    ("outcome", "code", "lines"),
    [
        (Verification(9, 8, True, 0.1, 0.5), 1, ["NOT reproduced."]),
        (Verification(9, 8, False, 0.25, 0.5), 0, [ELSEWHERE.format(0.5)]),
        (Verification(9, 8, False, 0.25, 0.125), 1, [ELSEWHERE.format(0.125), "NOT reproduced."]),
    ],
)
def test_the_outcome_is_said_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, outcome: Verification, code: int, lines: list[str]
) -> None:
    monkeypatch.setattr(verify, "verify_table", lambda *_, **options: outcome)
    assert verify_command(9) == code
    said, *rest = capsys.readouterr().out.splitlines()
    assert said == "8 of 9 rows are identical to the shipped table, in every epoch and split."
    assert rest == lines


@pytest.mark.parametrize(
    ("identical", "same_machine", "difference", "passed"),
    [(9, True, 0.0, True), (8, True, 0.1, False), (0, False, 0.5, True), (8, False, 0.6, False), (9, False, 0, True)],
)
def test_what_passes(identical: int, same_machine: bool, difference: float, passed: bool) -> None:
    assert Verification(9, identical, same_machine, difference, tolerance=0.5).passed is passed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pocket-cell/mnist", "pocket-mlp/mnist", "pocket-mlp/segments"])
def test_a_row_of_a_shipped_table_is_rebuilt(name: str) -> None:
    assert verify_table(name, 1).passed


# ---- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("count", [0, -1, 10])
def test_a_number_of_rows_that_there_is_not(capsys: Any, count: int) -> None:
    assert verify_command(count) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"InvalidValue: --verify {count}. Allowed: 1 to 9 rows\n")
    with pytest.raises(InvalidValue, match=f"verify {count}"):
        verify_table(TINY.name, count)


def test_a_table_that_is_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(pocket, "_FOLDER", tmp_path)
    assert verify_command(3) == 2
    assert capsys.readouterr().err == (
        "InvalidTable: this installation has no table of 'pocket-mlp/tiny'. Fix: pip install --force-reinstall naslab\n"
    )


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": 3}, "the shipped table of 'pocket-mlp/tiny' was built with seeds=2, and now it is 3"),
        ({"recipe": dataclasses.replace(TINY.recipe, epochs=3)}, "was built with recipe.epochs=2, and now it is 3"),
        ({"block": 5}, "was built with block=4, and now it is 5"),
        ({"dataset": "mnist-8x8"}, "was built with dataset='segments', and now it is 'mnist-8x8'"),
    ],
)
def test_another_recipe(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        verify_table(dataclasses.replace(TINY, **change), 3)
    assert said in str(caught.value)


def test_a_damaged_table_is_named(shipped: Path) -> None:
    shipped.write_bytes(shipped.read_bytes()[:-100])
    with pytest.raises(InvalidTable, match=r"pocket-mlp-tiny\.npz' is damaged"):
        verify_table(TINY, 3)
