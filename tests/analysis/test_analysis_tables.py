import csv
import io

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from toy_runs import comparison, info

from naslab.analysis import tables, tradeoff
from naslab.analysis.data import ResultsData, TaskInfo
from naslab.analysis.formats import DASH, defused, to_csv, to_latex, to_markdown, to_text
from naslab.analysis.statistics import FriedmanNemenyi, holm, widening
from naslab.errors import InvalidValue, UnknownMetric, UnknownName

THREE = [info("toy/a"), info("toy/b"), info("toy/c")]
TWO = THREE[:2]


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
    assert (a["n"], a["missing"], a["no feasible"], a["failed share"]) == (1, 1, 2, pytest.approx(2 / 3))
    assert np.isnan([a["mean"], a["sd"], a["median"], a["IQM"], a["IQM low"], a["mean regret"]]).all()


FAILING = [("toy/a", "b", seed) for seed in (0, 2, 3)]  # b is the better one where it ends with anything


def test_a_strategy_that_fails_in_three_of_four_seeds_is_the_worst(rng):
    data = comparison([info()], ["a", "b", "c"], 4, infeasible=FAILING, truth=lambda place, *_: 80.0 + place % 2)
    ranks = tables.ranks(data, rng)
    assert ranks["optimizer"].tolist()[-1] == "b"
    assert row(ranks, optimizer="b")["toy/a"] == 3
    said = tables.conclusions(data, tables.significance(data, rng))[0]
    assert said.startswith("toy/a: a and c share the best interquartile mean")
    quality = row(tables.final_quality(data, rng), optimizer="b")
    assert quality["failed share"] == 0.75
    assert np.isnan([quality["mean"], quality["median"], quality["IQM"], quality["mean regret"]]).all()
    assert tables.over_tasks(comparison(THREE, ["a", "b"], 4, infeasible=FAILING), rng)[
        "IQM regret"
    ].isna().tolist() == [
        False,
        True,
    ]


def test_one_failed_run_of_many_counts_as_the_worst(rng):
    data = comparison([info()], ["b"], 8, infeasible=[("toy/a", "b", 0)], truth=lambda _, seed, __: 80.0 + seed)
    quality = tables.final_quality(data, rng).iloc[0]
    assert quality["IQM"] == np.mean([82, 83, 84, 85])  # the failed one and 81, 86 and 87 are cut away
    assert quality["median"] == 83.5
    assert np.isnan(quality["mean"])


def test_a_strategy_whose_runs_are_missing_is_not_ranked(rng):
    data = comparison([info()], ["a", "b", "c"], 6, missing=FAILING, truth=lambda place, *_: 80.0 + place % 2)
    tests = tables.significance(data, rng)
    assert tables.conclusions(data, tests) == ["toy/a: can't be ranked, b lacks 3 of 6 runs."]
    assert tables.ranks(data, rng).empty
    assert tests["better"].tolist() == ["runs missing", "none shown", "runs missing"]
    assert tests["P(a > b)"].isna().tolist() == [True, False, True]
    pairs = tables.improvement(data, rng)
    assert pairs["better"].tolist() == ["runs missing", "none shown", "runs missing"]
    assert "runs missing between a and b, b and c" in tables.headline(data, pairs)


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


def test_regret_over_tasks_averages_figures_of_tasks(rng):
    data = comparison(THREE, ["a", "b"], 5)
    b = row(tables.over_tasks(data, rng), optimizer="b")
    regrets = [100 - data.truths(task.id, "b") for task in THREE]
    assert b["IQM regret"] == pytest.approx(np.mean([stats.trim_mean(each, 0.25) for each in regrets]))
    assert b["mean regret"] == pytest.approx(np.mean(regrets))
    assert (b["n"], b["regret in"]) == (15, "%")
    assert b["IQM regret low"] < b["IQM regret"] < b["IQM regret high"]


def test_regret_over_tasks_is_in_units_of_random_search(rng):
    def truth(place, seed, _):
        return 100.0 - (2.0 - place) * (1 + seed)

    tasks = [info("toy/a"), info("toy/b", unit="", direction="min", optimum=100.0)]
    data = comparison(tasks[:1], ["random", "b"], 5, truth=truth)
    other = comparison(tasks[1:], ["random", "b"], 5, truth=lambda *args: 200.0 - truth(*args))
    frames = [pd.concat([getattr(data, name), getattr(other, name)]) for name in ("frame", "anytime")]
    both = ResultsData(*frames, {task.id: task for task in tasks}, ["random", "b"], data.seeds)
    found = tables.over_tasks(both, rng)
    assert found["IQM regret"].tolist() == pytest.approx([1, 0.5])  # medians 6 and 3 from the optimum
    assert set(found["regret in"]) == {"median of random"}


def test_what_is_better_on_every_task_has_the_smaller_regret_over_tasks(rng):
    # Pooled, the interquartile mean of local search cuts its bad task away, and that of evolution does not.
    regrets = {
        "evolution": {"toy/a": [0.9, 1.0, 1.1, 1.2, 1.2, 1.3], "toy/b": [2.5, 2.6, 2.7, 2.8, 2.9, 3.0]},
        "local-search": {"toy/a": [1.2, 1.3, 1.3, 1.4, 1.4, 1.5], "toy/b": [1.5, 1.5, 3.2, 3.4, 3.5, 99.0]},
    }
    names = list(regrets)
    for optimizers in (names, ["random", *names]):
        data = comparison(TWO, optimizers, 6, truth=lambda *_: 90.0)
        for name, tasks in regrets.items():
            for task, values in tasks.items():
                rows = (data.frame["task"] == task) & (data.frame["optimizer"] == name)
                data.frame.loc[rows, "truth"] = 100 - np.array(values)
                data.frame.loc[rows, "regret"] = values
        pooled = [stats.trim_mean(np.concatenate(list(tasks.values())), 0.25) for tasks in regrets.values()]
        alone = [[stats.trim_mean(values, 0.25) for values in tasks.values()] for tasks in regrets.values()]
        assert pooled[1] < pooled[0], "pooled, local search is first"
        assert all(a < b for a, b in zip(*alone, strict=True)), "evolution is better on each"
        found = tables.over_tasks(data, rng).set_index("optimizer")["IQM regret"]
        assert found["evolution"] < found["local-search"]


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
    for few in (1, 4):
        single = tables.significance(comparison([info()], ["a", "b"], few), rng)
        assert single["better"].item() == "too few runs"
        assert single["p"].isna().all()
    assert np.isnan(tables.significance(comparison([info()], ["a", "b"], 1), rng)["P(a > b) low"].item())
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
    assert "2 tasks on which no run is missing" in str(tables.friedman(gap))


def test_friedman_ranks_means_over_seeds_and_failures_last():
    data = comparison(THREE, list("abc"), 5, infeasible=[(t.id, "c", s) for t in THREE for s in range(5)])
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
    for _ in range(500):
        firsts = []
        for task in data.tasks:
            runs = [data.scores(task, name) for name in "ab"]
            iqms = [stats.trim_mean(each, 0.25) for each in runs]
            again = [stats.trim_mean(rng.choice(each, 12), 0.25) for each in runs]
            a, b = (iqm + widening([12]) * (drawn - iqm) for iqm, drawn in zip(iqms, again, strict=True))
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
        "toy/a: b and c share the best interquartile mean test accuracy (85.45 %, n = 10); significantly better than "
        "a; no difference shown from c."
    ]
    assert tables.headline(data, tables.improvement(data, rng)) == (
        "Over the runs (van Elteren's test, stratified by task, Holm over 3 pairs): b is better than a (p < 0.001, "
        "P(better) = 1.00); c is better than a (p < 0.001, P(better) = 1.00); no difference shown between b and c."
    )
    many = comparison([info()], list("abcde"), 6, truth=lambda *_: 80.0)
    assert tables.headline(many, tables.improvement(many, rng)).endswith("no difference shown in 10 of 10 pairs.")
    few = comparison([info()], ["a", "b"], 4, truth=truth)
    assert (
        "too few runs (fewer than 5) to test it against a" in tables.conclusions(few, tables.significance(few, rng))[0]
    )
    assert "too few runs to test who is better" in tables.headline(few, tables.improvement(few, rng))
    data = comparison([info()], ["a"], 1, infeasible=[("toy/a", "a", 0)])
    assert tables.conclusions(data, tables.significance(data, rng)) == ["toy/a: no run ended with an architecture."]
    data = comparison([info()], ["a"], 1, truth=truth)
    assert tables.conclusions(data, tables.significance(data, rng)) == [
        "toy/a: a has the best interquartile mean test accuracy (80.00 %, n = 1)."
    ]


def test_the_rank_of_one_seed_has_no_interval(rng):
    ranks = tables.ranks(comparison(THREE, list("abc"), 1), rng)
    assert ranks[["average rank low", "average rank high"]].isna().all(axis=None)
    assert tables.ranks(comparison(THREE, list("abc"), 4), rng)["average rank low"].isna().all()
    assert tables.ranks(comparison(THREE, list("abc"), 5), rng)["average rank low"].notna().all()


def test_the_same_results_in_another_order_share_a_rank(rng):
    results = [0.1, 0.2, 0.3, 0.7, 0.15]
    orders = [results, results[::-1], [*results[2:], *results[:2]]]
    data = comparison(THREE, list("abc"), 5, truth=lambda place, seed, _: orders[place][seed] + (1e-15 if place else 0))
    assert tables.mean_scores(data).nunique(axis=1).tolist() == [1, 1, 1]
    ranks = tables.ranks(data, rng)
    assert ranks[["toy/a", "toy/b", "toy/c", "average rank"]].to_numpy().tolist() == [[2, 2, 2, 2]] * 3
    assert (tables.significance(data, rng)["P(a > b)"] == 0.5).all()


def test_holm_is_over_all_tasks_and_pairs(rng):
    data = comparison(THREE, ["a", "b"], 6, truth=lambda place, seed, _: 80.0 + place + seed / 3)
    tests = tables.significance(data, rng)
    assert tests["p Holm"].tolist() == pytest.approx(list(holm(tests["p"])))
    assert (tests["p"] < 0.05).all()
    assert tests["p Holm"].iloc[0] > tests["p"].iloc[0]


def test_the_headline_rarely_finds_what_is_not_there():
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(60):
        data = comparison(TWO, list("abc"), 9, truth=lambda *_: 80.0 + rng.normal())
        wrong += tables.improvement(data, np.random.default_rng(0))["better"].isin(list("abc")).any()
    assert wrong / 60 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


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
