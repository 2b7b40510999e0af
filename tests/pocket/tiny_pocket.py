"""A benchmark that is built in a second: nine perceptrons in three blocks, two seeds, two epochs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from naslab.pocket.benchmarks import Pocket
from naslab.pocket.build import save_array, trained_file
from naslab.pocket.work import time_block, train_block
from naslab.space import Recipe

WIDTHS = (2, 4, 8)
TINY = Pocket(
    name="pocket-mlp/tiny",
    space="mlp",
    options={"in_features": 18, "out_features": 7, "depth": 2, "widths": WIDTHS},
    dataset="segments",
    recipe=Recipe(epochs=2, batch=32, learning_rate=3e-3, optimizer="adamw", weight_decay=1e-2),
    seeds=2,
    block=4,
    coarseness=1,
)
TRAININGS = [(block, seed) for seed in (1, 2) for block in range(3)]
UNITS = len(TRAININGS) + 3

COMMAND = """
import sys
sys.path.insert(0, {folder!r})
from naslab.cli import main
from naslab.pocket.benchmarks import POCKETS
from tiny_pocket import TINY
POCKETS[TINY.name] = TINY
main()
"""


def build_folder(cache: Path) -> Path:
    return cache / "builds" / "pocket-mlp-tiny"


def do_units(folder: Path) -> None:
    """All units of work of a build, one after the other in this process; a build that finds them only collects them."""
    folder.mkdir(parents=True)
    (folder / "calibration.json").write_text(json.dumps(0.125))
    for block in range(len(TINY.blocks)):
        save_array(folder / f"timed-{block:05d}.npy", time_block(TINY, block))
    for block, seed in TRAININGS:
        save_array(trained_file(folder, block, seed), train_block(TINY, block, seed))


def start_building(*arguments: str) -> subprocess.Popen[str]:
    """``naslab table build pocket-mlp/tiny`` as a process of its own, in a group of its own as a terminal has it."""
    code = COMMAND.format(folder=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", code, "table", "build", TINY.name, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
