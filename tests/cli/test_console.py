"""Progress, said in lines."""

from __future__ import annotations

import pandas as pd

from naslab.running import progress_bar


def test_the_time_that_is_left_goes_by_the_pace_of_the_part_that_is_under_way(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    with progress_bar.progress("runs") as tick:
        for done, at in ((600, 10.0), (700, 20.0), (1000, 50.0), (0, 60.0), (100, 90.0), (200, 120.0)):
            now[0] = at
            tick(done, 1000, "")
    left = [line.split(", ")[1] for line in capsys.readouterr().err.splitlines()]
    assert left == ["0 s left", "30 s left", "0 s left", "0 s left", "270 s left", "240 s left"]


def test_a_wide_table_is_broken_into_parts_that_fit(capsys):
    from naslab.cli.console import print_wide

    tasks = [f"nasbench201/task-number-{n} (%)" for n in range(6)]
    frame = pd.DataFrame({"optimizer": ["regularized-evolution", "random"]} | {task: [91.23, 90.0] for task in tasks})
    for task in tasks:
        frame[f"{task} ± sd"] = 0.25
    bold = pd.DataFrame(False, index=frame.index, columns=frame.columns)
    bold.loc[0, tasks[3]] = True
    assert not print_wide(frame, bold)  # no terminal: a star for bold type
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("random") for line in lines) == 2
    shown = " ".join(lines)
    assert (shown.count("91.23 ± 0.25"), shown.count("91.23 ± 0.25*")) == (6, 1)
