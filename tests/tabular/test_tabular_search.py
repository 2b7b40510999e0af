"""A whole search on a table: what it leaves, who stands beside the found network, and that it is reproducible."""

from __future__ import annotations

import html
import json
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from own_tables import QUICK, write_table

import naslab
from naslab.cli import run_command
from naslab.errors import InvalidValue, OutputError
from naslab.tabular.plan import plan_search
from naslab.tabular.search import run_search

NAMES = ["found", "best constant width", "random feasible", "best random feasible", "boosted trees"]


def files_of(folder) -> dict[str, bytes]:
    """All but what holds measured times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".seconds", ".pt2") and path.name != ".lock"
    }  # fmt: skip


def test_what_is_left(classified):
    frame = classified.frame
    assert frame["network"].tolist() == NAMES
    networks = frame[:-1]
    assert (networks["params"] <= 60).all()
    space = naslab.search_space("mlp", in_features=6, out_features=2, depth=2, widths=QUICK["widths"])
    for widths, params in zip(networks["widths"], networks["params"], strict=True):
        assert space.cost(space.from_string(widths)).params == params
    constant = frame["widths"][1].split("-")
    assert len(set(constant)) == 1
    assert (frame["test low"] <= frame["test"]).all()
    assert (frame["test"] <= frame["test high"]).all()
    assert frame["found is better by"][1:].tolist() == pytest.approx((frame["test"][0] - frame["test"][1:]).tolist())
    about = json.loads((classified.folder / "model.json").read_text())
    saved = frame[frame["saved"] == "yes"].iloc[0]
    assert about["widths"] == saved["widths"]
    assert about["settings"]["constraint"] == {"params": 60.0}
    assert about["params"] == saved["params"]
    page = html.unescape((classified.folder / "report" / "report.html").read_text())
    for said in (
        "The found network and its references",
        "Validation score against parameters",
        *NAMES,
        "Limit: params",
        "Columns of the table",
        "3: colour = blue, colour = green, colour = red",
    ):
        assert said in page


def test_the_saved_network_has_the_test_score(classified):
    """Its predictions of the test rows, which the table's own rows are among, give the score that is shown for it."""
    plan = plan_search(classified.folder.parent / "table.csv", "target", max={"params": 60}, **QUICK)
    network = classified.model.network
    for rows, shown in ((plan.task.test, "test"), (plan.task.problem.validation, "validation")):
        right = network(torch.from_numpy(rows.x)).argmax(1).numpy() == rows.y
        (saved,) = np.flatnonzero(classified.frame["saved"] == "yes")
        assert classified.frame[shown][saved] == pytest.approx(100 * right.mean())


@pytest.mark.parametrize("which", ["classified", "measured"])
def test_the_best_of_all_that_were_trained_is_saved(which, request):
    result = request.getfixturevalue(which)
    trained = pd.read_csv(result.folder / "report" / "tables" / "trained.csv")
    sign = result.model.objective.sign
    best = trained[sign * trained["validation"] == (sign * trained["validation"]).max()]
    assert result.model.about["params"] == best["params"].min()
    assert result.model.about["widths"] in set(best["widths"].astype(str))
    row = result.frame.set_index("network").loc[result.model.about["group"]]
    assert (row["saved"], row["widths"]) == ("yes", result.model.about["widths"])
    assert (result.frame["saved"] == "yes").sum() == 1


def test_a_reference_that_is_better_than_the_found_network_is_saved(tmp_path, monkeypatch):
    """The search is made to propose the smallest network alone."""
    monkeypatch.setattr("naslab.tabular.references.proposals", lambda recorded: [(0, 0)])
    result = naslab.search_csv(
        write_table(tmp_path / "t.csv", rows=300, kind="regression"), "target", out=tmp_path / "o",
        widths=(1, 16), depth=2, budget=40, optimizer="random", max={"params": 900},
    )  # fmt: skip
    assert result.frame["widths"][0] == "1-1"
    assert result.model.about["group"] != "found"
    assert result.frame["validation"][result.frame["saved"] == "yes"].item() > result.frame["validation"][0]
    network = result.model.network
    assert sum(p.numel() for p in network.parameters()) == result.model.about["params"] > 30


def test_a_number_is_learnt(measured):
    frame = measured.frame
    assert (frame["test"] > 0).all()  # an error is shown as it is
    assert measured.scores == "rmse (lower is better)"
    spread = measured.model.target.scale
    assert frame["test"][0] < 0.6 * spread
    assert frame["found is better by"][4] == pytest.approx(frame["test"][4] - frame["test"][0])


def test_the_same_search_gives_the_same_bytes(classified, tmp_path):
    shutil.copy(classified.folder.parent / "table.csv", tmp_path / "table.csv")
    again = naslab.search_csv(tmp_path / "table.csv", "target", out=tmp_path / "out", max={"params": 60}, **QUICK)
    ours, theirs = files_of(again.folder), files_of(classified.folder)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if ours[name] != theirs[name]]
    assert different == ["report/report.html"]  # it names the folder


def test_the_command_on_the_page_is_this_search(classified, capsys):
    """Given again it finds the finished search, so it is the same to the last setting."""
    plan = plan_search(classified.folder.parent / "table.csv", "target", max={"params": 60}, **QUICK)
    command = plan.command(classified.folder)
    assert command in html.unescape((classified.folder / "report" / "report.html").read_text())
    assert run_command(shlex.split(command)[1:]) == 0
    assert "best constant width" in capsys.readouterr().out


def test_the_command_keeps_what_was_said_of_columns(classified, tmp_path):
    options = {"max": {"params": 60}, "drop": ["x"], "types": {"gaps": "numeric"}, "coerce": True, **QUICK}
    plan = plan_search(classified.folder.parent / "table.csv", "target", **options)
    words = shlex.split(plan.command(tmp_path / "o"))
    assert [words[words.index(name) + 1] for name in ("--drop", "--types")] == ["x", "gaps=numeric"]
    assert "--coerce" in words


def test_a_finished_search_is_read_and_not_run(classified, monkeypatch):
    before = files_of(classified.folder)
    monkeypatch.setattr("naslab.tabular.search._run", lambda *_: pytest.fail("ran again"))
    again = naslab.search_csv(
        classified.folder.parent / "table.csv", "target", out=classified.folder, max={"params": 60}, **QUICK
    )
    pd.testing.assert_frame_equal(again.frame, classified.frame)
    assert files_of(classified.folder) == before


def test_an_interrupted_search_ends_as_if_it_had_not_been(classified, tmp_path):
    table = tmp_path / "table.csv"
    shutil.copy(classified.folder.parent / "table.csv", table)
    plan = plan_search(table, "target", max={"params": 60}, **QUICK)

    class Stop(KeyboardInterrupt):
        pass

    def stop(done: int, total: int, last: str) -> None:
        if done >= 25:
            raise Stop

    with pytest.raises(Stop):
        run_search(plan, tmp_path / "out", stop)
    (trace,) = (tmp_path / "out").rglob("*.jsonl")
    assert 20 < len(trace.read_text().splitlines()) < 30
    ended = run_search(plan, tmp_path / "out")
    pd.testing.assert_frame_equal(ended.frame, classified.frame)


def test_progress_reaches_its_end(tmp_path):
    plan = plan_search(write_table(tmp_path / "t.csv"), "target", widths=(2, 4), depth=1, budget=40, max={"params": 99})
    told: list[tuple[int, int, str]] = []
    run_search(plan, tmp_path / "out", lambda *what: told.append(what))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0][:2] == (1, told[-1][1])
    assert told[-1][0] == told[-1][1]
    assert {last for _, _, last in told} >= {"searching", "2", "4", "done"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max": {"params": 50}}, "constraint: params was 60.0 there and is 50.0 now"),
        ({"seed": 1}, "seed was 0 there and is 1 now"),
        ({"optimizer": "random"}, "optimizer"),
    ],
)
def test_a_folder_serves_one_search(classified, change, said):
    before = files_of(classified.folder)
    with pytest.raises(OutputError) as raised:
        naslab.search_csv(
            classified.folder.parent / "table.csv", "target", out=classified.folder,
            **{"max": {"params": 60}, **QUICK, **change},
        )  # fmt: skip
    assert "holds another search" in str(raised.value)
    assert said in str(raised.value)
    assert files_of(classified.folder) == before


def test_a_table_that_changed_is_another_search(classified):
    table = classified.folder.parent / "table.csv"
    content = table.read_text()
    try:
        table.write_text(content + "0.5,0.5,red,no\n")
        with pytest.raises(OutputError, match="holds another search: csv_sha256"):
            naslab.search_csv(table, "target", out=classified.folder, max={"params": 60}, **QUICK)
    finally:
        table.write_text(content)


def test_other_folders_are_left_alone(tmp_path):
    table = write_table(tmp_path / "table.csv")
    with pytest.raises(OutputError, match=r"is not empty \(table.csv\)"):
        naslab.search_csv(table, "target", out=tmp_path, **QUICK)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file"):
        naslab.search_csv(table, "target", out=tmp_path / "file", **QUICK)
    with pytest.raises(InvalidValue):
        naslab.search_csv(table, "target", out=tmp_path / "never", max={"params": 1}, **QUICK)
    assert not (tmp_path / "never").exists()


def test_a_task_of_a_table_can_be_compared(tmp_path):
    """The task is one like any other: its truth retrains and scores on the test rows."""
    task = plan_search(write_table(tmp_path / "t.csv"), "target", widths=(2, 4), depth=1, budget=40).task
    results = naslab.compare([task], ["tabnas", "random"], budget=30, seeds=1, out=tmp_path / "runs")
    assert results.frame["truth"].between(50, 100).all()
