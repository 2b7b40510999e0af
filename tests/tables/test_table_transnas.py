"""TransNAS-Bench-101's file, written as ``torch.save`` writes it: seven tasks, two spaces."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_files import write_torch

import naslab
from naslab.errors import InvalidTable
from naslab.tables.importers.from_transnas import KINDS, TASKS

MICRO = ("64-41414-1_02_333", "64-41414-0_00_000", "64-41414-3_33_333")
MACRO = ("64-1234-basic", "64-141414-basic")
EPOCHS = {"jigsaw": 3}
NAMES = {
    "room_layout": ("loss", "neg_loss"),
    "segmentsemantic": ("loss", "acc", "mIoU"),
    "normal": ("l1_loss", "ssim"),
    "autoencoder": ("l1_loss", "ssim"),
}
INFOS = ("inference_time", "encoder_params", "model_params", "model_FLOPs", "encoder_FLOPs")


def metrics(task: str) -> list[str]:
    names = NAMES.get(task, ("top1", "top5", "loss"))
    return [f"{split}_{name}" for split in ("train", "valid", "test") for name in names] + ["time_elapsed"]


def number(space: str, row: int, task: str, metric: str, epoch: int) -> float:
    """A different one in every place."""
    places = (("micro", "macro").index(space), row, list(TASKS).index(task), metrics(task).index(metric), epoch)
    return float(sum(value * base for value, base in zip(places, (50_000, 5_000, 500, 40, 1), strict=True)))


def database(clock: Callable[[float], Any] = float) -> Any:
    def result(space: str, row: int, task: str) -> dict[str, Any]:
        length = EPOCHS.get(task, 5)
        curves = {m: [number(space, row, task, m, e) for e in range(length)] for m in metrics(task)}
        curves["time_elapsed"] = [clock(100.0 * (row + 1) * (e + 1)) for e in range(length)]
        infos = {info: float(row + 1) / 10 for info in INFOS}
        return {"encoder_str": "x", "metrics": curves, "model_info": infos, "total_epochs": length}

    return {
        "metrics_dict": {task: metrics(task) for task in TASKS},
        "info_names": list(INFOS),
        "task_list": list(TASKS),
        "data": {
            space: {arch: {task: result(space, row, task) for task in TASKS} for row, arch in enumerate(archs)}
            for space, archs in (("macro", MACRO), ("micro", MICRO))
        },
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_every_number_is_where_it_belongs(tmp_path: Path, kind: str, legacy: bool) -> None:
    file = write_torch(tmp_path / "transnas.pth", database(), legacy=legacy)
    table = KINDS[kind](file, "transnas")
    assert (table.space, list(table.tasks), table.curve) == (f"transnas-{kind}", list(TASKS), True)
    archs = MICRO if kind == "micro" else MACRO
    for task, theirs in TASKS.items():
        length = EPOCHS.get(task, 5)
        for split in ("train", "valid", "test"):
            name = f"{task}/{theirs.metric}/{split}"
            for epoch in range(length):
                expected = [number(kind, row, task, f"{split}_{theirs.theirs}", epoch) for row in range(len(archs))]
                assert table.values(name, epoch + 1)[:, 0].tolist() == expected
        assert table.charge(task).tolist() == [100.0 * (row + 1) * length for row in range(len(archs))]
        assert table.mean(f"{task}/inference_seconds").tolist() == [(row + 1) / 10 for row in range(len(archs))]
        assert table.tasks[task].truth.epochs == length
    assert len([name for name in table.columns if name.startswith("normal/")]) == 3 + 1 + len(INFOS)


def test_the_tasks_have_their_directions_and_spaces(tmp_path: Path) -> None:
    KINDS["micro"](write_torch(tmp_path / "transnas.pth", database()), "transnas")
    room, scene = naslab.task("transnas/room_layout"), naslab.task("transnas/class_scene")
    assert (room.direction, scene.direction, scene.unit) == ("min", "max", "%")
    assert scene.problem.space.ends == ((3, 256, 256), 47)
    space = scene.problem.space
    assert space.size == 3
    best, worst = (space.from_string(MICRO[row]) for row in (2, 0))
    assert scene.true_value(best) > scene.true_value(worst)
    rng = np.random.default_rng(0)
    assert room.reward().evaluate(worst, rng=rng).score == -number("micro", 0, "room_layout", "valid_loss", 4)
    assert scene.problem.cost("model_params", best) == 0.3
    assert scene.problem.fidelities == (1, 2, 3, 4, 5)


def test_times_as_texts_and_times_that_do_not_rise(tmp_path: Path) -> None:
    def text(seconds: float) -> str:
        return f"{int(seconds) // 3600:0>2}:{int(seconds) % 3600 // 60:0>2}:{int(seconds) % 60:0>2}"

    table = KINDS["macro"](write_torch(tmp_path / "a.pth", database(text)), "texts")
    assert table.charge("normal").tolist() == [500.0, 1000.0]
    content = database()
    content["data"]["macro"][MACRO[1]]["normal"]["metrics"]["time_elapsed"][3] = 1.0
    table = KINDS["macro"](write_torch(tmp_path / "b.pth", content), "per-epoch")
    assert table.untimed == ["normal"]
    assert table.provenance["without_seconds"] == "normal: the recorded time does not rise"


def put(value: object, *path: Any) -> Callable[[Any], object]:
    def change(content: Any) -> object:
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return content

    return change


RESULT = ("data", "micro", MICRO[1], "normal")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("high", *RESULT, "metrics", "valid_ssim", 2), "normal of 64-41414-0_00_000: valid_ssim has 'high'"),
        (put(float("nan"), *RESULT, "metrics", "valid_ssim", 2), "valid_ssim has nan, which is no finite number"),
        (put("1:2", *RESULT, "metrics", "time_elapsed", 2), "time_elapsed has '1:2'"),
        (put([0.1], *RESULT, "metrics", "test_ssim"), "test_ssim is 1 numbers, not a list of one number per epoch"),
        (put(None, *RESULT, "metrics", "test_ssim"), "test_ssim is None"),
        (put(None, *RESULT, "total_epochs"), "normal of 64-41414-0_00_000: total_epochs is None"),
        (put(10**9, *RESULT, "total_epochs"), "total_epochs is 1000000000"),
        (put(-1.0, *RESULT, "model_info", "model_params"), "model_params is -1.0, which is no cost"),
        (put(None, *RESULT), "'normal of '64-41414-0_00_000''|is missing"),
        (put({}, "data", "micro"), "has no architecture of the space 'micro'"),
        (put({"64-41414-9_02_333": {}}, "data", "micro"), "is not '64-41414-' and six digits"),
        (put({7: {}}, "data", "micro"), "x.pth'"),
        (put([], "data"), "'data' is \\[\\]"),
        (lambda content: [content], "'data' is missing"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_is_written(
    tmp_path: Path, cache: Path, change: Callable[[Any], object], said: str
) -> None:
    file = write_torch(tmp_path / "x.pth", change(database()))
    with pytest.raises(InvalidTable, match=said) as caught:
        KINDS["micro"](file, "transnas")
    assert "\n" not in str(caught.value)
    assert not cache.exists()


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path: Path, cache: Path, legacy: bool) -> None:
    content = {**database(), "extra": Malicious(tmp_path / "ran")}
    with pytest.raises(InvalidTable, match=r"x.pth' is refused: it names .*system"):
        KINDS["micro"](write_torch(tmp_path / "x.pth", content, legacy=legacy), "transnas")
    assert not (tmp_path / "ran").exists()
    assert not cache.exists()


@pytest.mark.parametrize("keep", [0, 1, 40, 400, -50])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_file_is_refused(tmp_path: Path, legacy: bool, keep: int) -> None:
    file = write_torch(tmp_path / "x.pth", database(), legacy=legacy)
    data = file.read_bytes()
    # The last pickle of the old form holds the keys of tensors: without it nothing is lost.
    file.write_bytes(data[: keep if keep >= 0 else len(data) + keep - 50])
    with pytest.raises(InvalidTable, match=r"x.pth' is truncated or damaged"):
        KINDS["micro"](file, "transnas")
