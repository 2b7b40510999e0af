"""A build that is killed, or interrupted: what is done is kept, nobody lives on, the same command continues."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_pocket import TINY, TRAININGS, start_building
from toy_tasks import contents

from naslab.errors import OutputError
from naslab.pocket.build import build_table, trained_file

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the workers")


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def group(leader: int) -> list[int]:
    """The processes of a process group that still live."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(file.parent.name))
    return found


def test_a_killed_build_is_continued(archive: Path, folder: Path) -> None:
    undisturbed = contents(folder)
    trained = [trained_file(folder, block, seed) for block, seed in TRAININGS]
    for file in [*trained, archive]:
        file.unlink()
    running = start_building("--workers", "1")
    assert wait_for(trained[0].exists)
    running.send_signal(signal.SIGSTOP)  # so that it does not end before it is killed
    with pytest.raises(OutputError, match="is being built by another process"):
        build_table(TINY)
    assert len(group(running.pid)) >= 2
    running.kill()
    running.communicate(timeout=300)
    assert running.returncode == -signal.SIGKILL
    assert not archive.exists()
    for file in folder.glob("trained-*.npy"):
        assert file.read_bytes() == undisturbed[file.name]  # whole
    assert wait_for(lambda: not group(running.pid), 10)  # a worker does not wait for ever for its parent
    seen: list[int] = []
    assert build_table(TINY, progress=lambda done, *_: seen.append(done)) == archive
    assert seen[0] >= 1
    assert seen[-1] == len(trained) + 3
    after = contents(folder)
    assert {name: after[name] for name in undisturbed} == undisturbed
    assert all(name.endswith(".draft") for name in set(after) - set(undisturbed))


@pytest.mark.slow
def test_an_interrupted_build_ends_at_once_and_in_one_line(archive: Path, folder: Path) -> None:
    first = trained_file(folder, *TRAININGS[0])
    for file in [*folder.glob("t*.npy"), archive]:
        file.unlink()
    running = start_building("--workers", "2")
    assert wait_for(first.exists)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    started = time.monotonic()
    _, errors = running.communicate(timeout=300)
    assert time.monotonic() - started < 5
    assert running.returncode == 130
    assert errors.strip().splitlines()[-1] == "Interrupted. What is done is kept: the same command again continues."
    assert "Traceback" not in errors
    assert wait_for(lambda: not group(running.pid), 10)
    assert np.load(first).shape == (3, 2, 4)
