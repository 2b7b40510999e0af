"""Progress, said in lines."""

from __future__ import annotations

from naslab.cli import console


def test_the_time_that_is_left_goes_by_the_pace_of_the_part_that_is_under_way(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress("runs") as tick:
        for done, at in ((600, 10.0), (700, 20.0), (1000, 50.0), (0, 60.0), (100, 90.0), (200, 120.0)):
            now[0] = at
            tick(done, 1000, "")
    left = [line.split(", ")[1] for line in capsys.readouterr().err.splitlines()]
    assert left == ["0 s left", "30 s left", "0 s left", "0 s left", "270 s left", "240 s left"]
