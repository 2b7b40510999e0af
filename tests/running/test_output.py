"""Output folders: one description, one process, and nothing of anybody else's touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from naslab.errors import OutputError
from naslab.running import check_folder, claimed_folder

MINE = {"seeds": 3, "widths": (4, 8)}


def test_a_folder_says_what_it_is_for(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    assert not check_folder(folder, MINE, "spec.json", "search")
    assert not folder.exists()
    with claimed_folder(folder, MINE, "spec.json", "search"):
        assert json.loads((folder / "spec.json").read_text()) == {"seeds": 3, "widths": [4, 8]}
    assert check_folder(folder, MINE, "spec.json", "search")


def test_the_lock_is_free_again(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            claimed_folder(tmp_path, MINE, "spec.json", "search"),
            pytest.raises(OutputError, match="in use"),
            claimed_folder(tmp_path, MINE, "spec.json", "search"),
        ):
            pass


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"spec.json": '{"seeds": 4, "widths": [4, 8]}'}, "holds another search: seeds was 4 there and is 3 now"),
        ({"spec.json": "{"}, "is damaged"),
        ({"spec.json": "[]"}, "is damaged"),
        ({"thesis.tex": "precious"}, r"is not empty \(thesis.tex\) and holds no search"),
    ],
)
def test_other_folders_are_left_as_they_are(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(OutputError, match=said), claimed_folder(tmp_path, MINE, "spec.json", "search"):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file"), claimed_folder(tmp_path / "file", MINE, "spec.json", "search"):
        pass


def test_a_folder_in_which_nothing_came_about_is_free_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), claimed_folder(folder, {"a": 1}, "thing.json", "thing"):
        raise ZeroDivisionError
    with pytest.raises(FileExistsError), claimed_folder(folder, {"b": 2}, "other.json", "other"):
        (folder / "result").mkdir() or (folder / "result").mkdir()
    with pytest.raises(OutputError, match="holds no thing"):
        check_folder(folder, {"a": 1}, "thing.json", "thing")
    assert check_folder(folder, {"b": 2}, "other.json", "other")
