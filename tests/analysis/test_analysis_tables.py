import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from toy_runs import comparison, info

from naslab.analysis import tables, tradeoff
from naslab.analysis.data import ResultsData, TaskInfo
from naslab.analysis.formats import DASH, defused, to_csv, to_latex, to_markdown, to_text
from naslab.analysis.statistics import FriedmanNemenyi
from naslab.errors import InvalidValue, UnknownMetric, UnknownName

THREE = [info("toy/a"), info("toy/b"), info("toy/c")]


def row(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_final_quality_by_hand(rng):
    data = comparison([info()], ["a", "b"], 6, truth=lambda place, seed, _: 90.0 + place + seed)
    frame = tables.final_quality(data, rng)
    b = row(frame, optimizer="b")
    assert (b["n"], b["mean"], b["median"], b["mean regret"]) == (6, 93.5, 93.5, 6.5)
    assert b["sd"] == pytest.approx(np.std([91, 92, 93, 94, 95, 96], ddof=1))
    assert b["IQM"] == stats.trim_mean([91, 92, 93, 94, 95, 96], 0.25)
    assert b["IQM low"] < b["IQM"] < b["IQM high"]
    assert b["metric"] == "test accuracy (%)"


def test_final_quality_counts_what_is_missing_and_uses_what_is_there(rng):
    data = comparison(
        [info()], ["a", "b"], 4, missing=[("toy/a", "a", 0)], infeasible=[("toy/a", "a", 2), ("toy/a", "a", 3)]
    )
    a = row(tables.final_quality(data, rng), optimizer="a")
    assert (a["n"], a["missing"], a["no feasible"]) == (1, 1, 2)
    assert a["mean"] == data.truths("toy/a", "a")[0]
    assert np.isnan([a["sd"], a["IQM low"]]).all()


def test_runs_that_no_row_mentions_are_missing():
    data = comparison([info()], ["a"], 3)
    short = ResultsData(data.frame.iloc[:2], data.anytime, data.tasks, ["a", "b"], [0, 1, 2])
    assert tables.absent(short).to_numpy().tolist() == [
        ["toy/a", "a", "missing", 1, "2"],
        ["toy/a", "b", "missing", 3, "0-2"],
    ]


def test_absent_runs_are_named_by_ranges():
    data = comparison([info()], ["a"], 9, missing=[("toy/a", "a", seed) for seed in (1, 2, 3, 6)])
    assert tables.absent(data)["seeds"].item() == "1-3, 6"


def test_regret_over_tasks_pools_runs(rng):
    data = comparison(THREE, ["a", "b"], 5)
    frame = tables.over_tasks(data, rng)
    pooled = np.concatenate([100 - data.truths(task.id, "b") for task in THREE])
    assert row(frame, optimizer="b")["IQM regret"] == pytest.approx(stats.trim_mean(pooled, 0.25))
    assert row(frame, optimizer="b")["n"] == 15


def test_regret_over_tasks_is_empty_where_it_means_nothing(rng):
    assert tables.over_tasks(comparison([info()], ["a"], 3), rng).empty
    assert tables.over_tasks(comparison([info(), info("toy/b", unit="")], ["a"], 3), rng).empty
    assert tables.over_tasks(comparison([info(), info("toy/b", optimum=None)], ["a"], 3), rng).empty
    gap = comparison([info(), info("toy/b")], ["a"], 2, missing=[("toy/b", "a", 0), ("toy/b", "a", 1)])
    assert np.isnan(tables.over_tasks(gap, rng)["IQM regret"].item())


def test_significance_in_both_directions(rng):
    def truth(place, seed, _):
        return 80.0 + 5 * place + 0.1 * seed

    for direction, winner in (("max", "b"), ("min", "a")):
        task = info(direction=direction, optimum=None)
        frame = tables.significance(comparison([task], ["a", "b"], 10, truth=truth), rng)
        assert frame["better"].item() == winner
        assert frame["P(a > b)"].item() == (1 if winner == "a" else 0)


def test_significance_of_equal_values_one_seed_and_one_optimizer(rng):
    equal = tables.significance(comparison([info()], ["a", "b"], 5, truth=lambda *_: 90.0), rng)
    assert equal[["P(a > b)", "p", "better"]].to_numpy().tolist() == [[0.5, 1.0, "none shown"]]
    single = tables.significance(comparison([info()], ["a", "b"], 1), rng)
    assert single["better"].item() == "not tested"
    assert single["p"].isna().all()
    assert tables.significance(comparison([info()], ["a"], 5), rng).empty


def test_a_run_without_a_feasible_result_loses_every_comparison(rng):
    lost = [("toy/a", "b", seed) for seed in range(10)]
    data = comparison([info()], ["a", "b"], 10, infeasible=lost)
    assert tables.significance(data, rng)["better"].item() == "a"
    assert tables.improvement(data, rng)["P(a > b)"].item() == 1


def test_improvement_skips_tasks_that_one_side_did_not_run(rng):
    data = comparison(THREE, ["a", "b"], 3, missing=[("toy/b", "a", seed) for seed in range(3)])
    assert tables.improvement(data, rng)["tasks"].item() == 2


def test_friedman_says_why_there_is_none():
    assert "there are 2 optimizers" in str(tables.friedman(comparison(THREE, ["a", "b"], 3)))
    assert "there is one task" in str(tables.friedman(comparison([info()], list("abc"), 3)))
    assert "there are 2 tasks" in str(tables.friedman(comparison(THREE[:2], list("abc"), 3)))
    gap = comparison(THREE, list("abc"), 1, missing=[("toy/b", "c", 0)])
    assert "2 tasks on which every optimizer has runs" in str(tables.friedman(gap))


def test_friedman_ranks_means_over_seeds_and_failures_last():
    data = comparison(THREE, list("abc"), 4, infeasible=[(t.id, "c", s) for t in THREE for s in range(4)])
    result = tables.friedman(data)
    assert isinstance(result, FriedmanNemenyi)
    assert result.ranks["c"] == 3
    ranks = tables.ranks(data, np.random.default_rng(0))
    assert row(ranks, optimizer="c")[list(tables.AVERAGE_RANK)].tolist() == [3, 3, 3]
    assert list(ranks["optimizer"]) == ["b", "a", "c"]


def test_the_interval_of_an_average_rank_is_that_of_resampled_runs():
    def truth(place, seed, rng):
        return 80.0 + 0.3 * place + rng.normal()

    data = comparison(THREE, ["a", "b"], 12, truth=truth)
    ranks = tables.ranks(data, np.random.default_rng(0)).set_index("optimizer")
    rng, drawn = np.random.default_rng(1), []
    for _ in range(3000):
        firsts = []
        for task in data.tasks:
            a, b = (rng.choice(data.scores(task, name), 12).mean() for name in "ab")
            firsts.append(1 if a > b else 2)
        drawn.append(np.mean(firsts))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert ranks.loc["a", "average rank low"] == pytest.approx(low, abs=1 / 3)
    assert ranks.loc["a", "average rank high"] == pytest.approx(high, abs=1 / 3)
    assert ranks["average rank low"].sum() == pytest.approx(3 * 2 - ranks["average rank high"].sum(), abs=0.01)
    assert (ranks["average rank low"] < ranks["average rank high"]).all()


def test_conclusions_say_who_and_whether(rng):
    def truth(place, seed, _):
        return 80.0 + (5 if place else 0) + 0.1 * seed

    data = comparison([info()], ["a", "b", "c"], 10, truth=truth)
    assert tables.conclusions(data, tables.significance(data, rng)) == [
        "toy/a: b has the best mean test accuracy (85.45 %, n = 10); significantly better than a; "
        "no difference shown from c."
    ]
    data = comparison([info()], ["a"], 1, infeasible=[("toy/a", "a", 0)])
    assert tables.conclusions(data, tables.significance(data, rng)) == ["toy/a: no run ended with an architecture."]
    data = comparison([info()], ["a"], 1, truth=truth)
    assert tables.conclusions(data, tables.significance(data, rng)) == [
        "toy/a: a has the best mean test accuracy (80.00 %, n = 1)."
    ]


def test_pareto_front_by_hand():
    scores, costs = np.array([1.0, 3, 2, 3, 3]), np.array([1.0, 2, 2, 2, 3])
    assert tradeoff.pareto_front(scores, costs).tolist() == [0, 1]


def test_hypervolume_by_hand():
    scores, costs = np.array([1.0, 3.0, 9.0]), np.array([1.0, 2.0, 5.0])
    assert tradeoff.hypervolume(scores, costs, (0.0, 4.0)) == 3 * 1 + 2 * 2  # the third is beyond the corner
    assert tradeoff.hypervolume(np.array([]), np.array([]), (0.0, 4.0)) == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 8)), max_size=12))
def test_hypervolume_counts_dominated_cells(pairs):
    scores, costs = (np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    cells = {(x, y) for x in range(9) for y in range(9) if any(s > y and c <= x for s, c in pairs)}
    assert tradeoff.hypervolume(scores, costs, (0.0, 9.0)) == len(cells)


def test_tradeoff_points_and_summary():
    data = comparison([info()], ["a", "b"], 8, truth=lambda place, seed, _: 90.0 + seed % 4)
    found = tradeoff.points(data, "toy/a", "params")
    assert found["runs"].sum() == 16
    assert found.loc[found["optimizer"] == "a", "front"].all()
    summary = tradeoff.summary(data, "params")
    assert row(summary, optimizer="a")["hypervolume"] > row(summary, optimizer="b")["hypervolume"] > 0
    # costs 1e5 ... 5e5 and truths 90 ... 93, each a tenth further out
    assert summary["reference cost"].unique() == pytest.approx([5.4e5])
    assert summary["reference truth"].unique() == pytest.approx([89.7])


def test_tradeoff_where_lower_is_better_and_where_all_are_equal():
    lower = comparison([info(direction="min", optimum=0.0)], ["a"], 8, truth=lambda _, seed, __: 5.0 - seed % 4)
    assert tradeoff.points(lower, "toy/a", "params")["front"].all()
    equal = comparison([info()], ["a", "b"], 1, truth=lambda *_: 90.0)
    equal.frame["params"] = 7.0
    assert tradeoff.summary(equal, "params")["hypervolume"].tolist() == pytest.approx([1, 1])
    nothing = comparison([info()], ["a", "b"], 1, infeasible=[("toy/a", "b", 0)])
    assert tradeoff.summary(nothing, "params")["hypervolume"].isna().tolist() == [False, True]


def test_unknown_names_are_refused():
    data = comparison([info()], ["a"], 2, costs=False)
    with pytest.raises(UnknownMetric):
        tradeoff.points(data, "toy/a", "params")
    with pytest.raises(UnknownName, match="Did you mean 'toy/a'"):
        data.task("toy/b")


def test_damaged_results_are_refused():
    good = comparison([info()], ["a"], 2)

    def rebuilt(frame=good.frame, anytime=good.anytime, optimizers=("a",)):
        return ResultsData(frame, anytime, good.tasks, list(optimizers), good.seeds)

    with pytest.raises(InvalidValue, match="without 'truth'"):
        rebuilt(frame=good.frame.drop(columns="truth"))
    with pytest.raises(InvalidValue, match="listed twice: task 'toy/a', optimizer 'a', seed 1"):
        rebuilt(frame=pd.concat([good.frame, good.frame.iloc[1:]]))
    with pytest.raises(InvalidValue, match="not part of this comparison"):
        rebuilt(optimizers=["b"])
    with pytest.raises(InvalidValue, match="without a finite truth"):
        rebuilt(frame=good.frame.assign(truth=np.nan))
    with pytest.raises(InvalidValue, match="status"):
        rebuilt(frame=good.frame.assign(status="done"))
    with pytest.raises(InvalidValue, match="results of nothing"):
        rebuilt(optimizers=[])
    for changed in ({"direction": "up"}, {"budget_unit": "h"}, {"budget": 0}):
        facts = {
            "id": "t", "metric": "m", "unit": "", "direction": "max", "optimum": None, "budget": 1,
            "budget_unit": "s", "constraint": "",
        }  # fmt: skip
        with pytest.raises(InvalidValue, match="Allowed"):
            TaskInfo(**{**facts, **changed})


FRAME = pd.DataFrame(
    {
        "name": ["a|b_c", "50% & $x$ {y} ~^#\\<>"],
        "n": [1000, 2],
        "IQM": [93.123, np.nan],
        "IQM low": [93.0, np.nan],
        "IQM high": [93.5, np.nan],
        "p": [0.0001, 0.5],
        "delta": [-0.01234, 0.5],
    }
)


def test_text_is_rounded_and_intervals_are_folded():
    text = to_text(FRAME)
    assert list(text.columns) == ["name", "n", "IQM [95 %]", "p", "delta"]
    assert text.iloc[0].tolist() == ["a|b_c", "1,000", "93.12 [93.00, 93.50]", "<0.001", "\N{MINUS SIGN}0.012"]
    assert text.iloc[1].tolist()[2] == DASH


def test_markdown_is_escaped_and_aligned():
    lines = to_markdown(FRAME).splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert r"a\|b\_c" in lines[2]
    assert len(lines) == 4


def test_latex_is_escaped_and_has_booktabs_rules():
    text = to_latex(FRAME)
    assert text.startswith("\\begin{tabular}{lrrrr}\n\\toprule\n")
    assert r"50\% \& \$x\$ \{y\} \textasciitilde{}\textasciicircum{}\#\textbackslash{}\textless{}\textgreater{}" in text
    assert r"{[}93.00, 93.50{]}" in text
    assert "$-$0.012" in text
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_csv_has_all_digits():
    rows = list(csv.DictReader(io.StringIO(to_csv(FRAME))))
    assert float(rows[0]["IQM"]) == 93.123
    assert rows[1]["IQM low"] == ""
    assert rows[1]["name"] == FRAME["name"][1]


def test_an_empty_table_is_still_a_table():
    empty = FRAME.iloc[:0]
    assert len(to_markdown(empty).splitlines()) == 2
    assert "\\midrule\n\\bottomrule" in to_latex(empty)


def test_another_optimizer_changes_nobodys_numbers():
    alone, more = comparison(THREE, ["a", "b"], 6), comparison(THREE, ["a", "b", "c"], 6)
    for function in (tables.final_quality, tables.over_tasks, tables.improvement, tables.significance):
        one, two = (function(data, np.random.default_rng(2)) for data in (alone, more))
        two = two[~(two == "c").any(axis=1)].reset_index(drop=True)
        adjusted = ["p Holm", "better"]  # for the number of tests: they may change
        pd.testing.assert_frame_equal(
            one.drop(columns=adjusted, errors="ignore"), two[one.columns].drop(columns=adjusted, errors="ignore")
        )


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "+", "-a"])
def test_a_text_that_a_spreadsheet_would_run_is_defused(text):
    frame = pd.DataFrame({text: [text, None], "n": [-1.0, 2.0], "kind": pd.Categorical([text, "a"])})
    read = pd.read_csv(io.StringIO(to_csv(frame), newline=""), keep_default_na=False)
    assert read.to_numpy().tolist() == [[f"'{text}", -1.0, f"'{text}"], ["", 2.0, "a"]]
    assert read.columns[0] == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+2.5e3", "-.5", "a=1", "", "'=1", "—"])
def test_other_texts_are_written_as_they_are(text):
    assert defused(text) == text
