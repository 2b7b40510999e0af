"""The table for a paper, the sentence on top, and the checklist."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from toy_runs import comparison, info

from naslab.analysis import practice, tables
from naslab.analysis.formats import to_csv, to_latex, to_markdown, to_text
from naslab.analysis.paper import finding, paper, statistics

TASKS = [info("toy/a"), info("toy/b", unit=""), info("toy/c")]


def rng():
    return np.random.default_rng(0)


def parts(data):
    found = statistics(data)
    return paper(data, found), finding(data, found), found.tests


def test_the_best_rank_is_first_and_cells_are_mean_and_spread():
    data = comparison(TASKS, ["a", "b", "c"], 8)  # each is about one better than the one before
    table, _, _ = parts(data)
    assert table.frame["optimizer"].tolist() == ["c", "b", "a"]
    assert table.frame["average rank"].is_monotonic_increasing
    truths = data.truths("toy/a", "c")
    assert table.frame["toy/a (%)"].iloc[0] == pytest.approx(truths.mean())
    assert table.frame["toy/a (%) ± sd"].iloc[0] == pytest.approx(truths.std(ddof=1))
    text = to_text(table.frame)
    assert list(text.columns) == ["optimizer", "toy/a (%)", "toy/b", "toy/c (%)", "average rank [95 %]", "n"]
    assert text["toy/a (%)"].iloc[0] == f"{truths.mean():.2f} ± {truths.std(ddof=1):.2f}"
    assert "toy/a (%) ± sd" in to_csv(table.frame).splitlines()[0]


def test_bold_are_the_best_and_those_not_told_from_it():
    ends = [90.0, 95.0, 95.1]  # the first far behind, the others alike
    data = comparison(TASKS, ["a", "b", "c"], 8, truth=lambda place, seed, r: ends[place] + r.normal())
    table, _, tests = parts(data)
    bold = table.bold.set_index(table.frame["optimizer"])
    for task in data.tasks:
        name = f"{task} ({data.tasks[task].unit})".removesuffix(" ()")
        assert bold[name].to_dict() == {"a": False, "b": True, "c": True}
        own = tests[(tests["task"] == task) & (tests["a"] == "b") & (tests["b"] == "c")]
        assert own["better"].item() == tables.NONE_SHOWN
    assert re.search(r"\\textbf\{9\d\.\d\d \$\\pm\$ \d\.\d\d\}", to_latex(table.frame, table.bold))
    assert "**9" in to_markdown(table.frame, table.bold)
    assert r"\textbf" not in to_latex(table.frame)


def test_nothing_is_bold_where_nothing_is_tested():
    table, said, _ = parts(comparison(TASKS, ["a", "b"], 3))
    assert not table.bold.to_numpy().any()
    assert "Nothing is bold" in table.says
    assert said == "Too few runs to tell 2 strategies apart: 3 on each task, and the test takes 5."


def test_a_run_without_a_result_turns_the_table_to_interquartile_means():
    data = comparison(TASKS, ["a", "b"], 8, infeasible=[("toy/a", "b", 0)])
    table, _, _ = parts(data)
    row = tables.final_quality(data, rng()).query("task == 'toy/b' and optimizer == 'a'").iloc[0]
    shown = table.frame.set_index("optimizer").loc["a"]
    assert (shown["toy/b"], shown["toy/b low"]) == (row["IQM"], row["IQM low"])
    assert table.says.startswith("Interquartile mean")
    assert table.says.endswith("Without a result: 1 no feasible, of 48 runs.")


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([90, 92, 94], r"^c has the best average rank, 1\.0 \[.*\] among 3, over 3 tasks with 8 runs each, and is "
                       r"better than both others \(p Holm < 0\.001; its runs win \d\d.* % of the time\)\.$"),
        ([90, 95, 95.1], r"and is better than a \(.*\); no difference is shown from [bc]\.$"),
        ([95, 95, 95], r"(has|share) the best average rank.*, but no difference is shown from (both others|[abc])"),
    ],
    ids=["all", "one", "none"],
)  # fmt: skip
def test_the_sentence_says_who_and_how_sure(ends, said):
    data = comparison(TASKS, ["a", "b", "c"], 8, truth=lambda place, seed, r: ends[place] + 0.5 * r.normal())
    assert re.search(said, parts(data)[1])


def test_the_sentence_has_nothing_to_say_of_one_or_of_missing_runs():
    assert "nothing to compare" in parts(comparison(TASKS, ["a"], 8))[1]
    gone = [(task.id, "a", 0) for task in TASKS]
    assert "can't be ranked" in parts(comparison(TASKS, ["a", "b"], 8, missing=gone))[1]
    one = parts(comparison(TASKS[:1], ["a", "b"], 8))[1]
    assert re.match(r"b has the best interquartile mean test accuracy, 9\d\.\d\d %, on toy/a with 8 runs each", one)


def test_the_checklist_says_what_the_records_say():
    def answers(data, environment):
        return practice.checklist(data, "naslab compare", environment).set_index("item")["answer"]

    good = answers(comparison(TASKS, ["random", "b"], 8), {"torch": "2.13"})
    bad = answers(comparison([info(optimum=None)], ["a", "b"], 1), {"torch": "2.12 and 2.13"})
    numbers = practice.checklist(comparison(TASKS, ["a"], 1), "", {}).set_index("practice")["item"]
    assert list(numbers.index) == [str(number) for number in range(1, 15)]
    # The paper's numbers: ablations 5, protocol 6, baselines 8, confounding factors 11, end-to-end time 13.
    words = {"5": "ablated", "6": "same budget", "8": "Random search", "11": "confound", "13": "whole method"}
    assert all(word in numbers[number] for number, word in words.items())
    random = "Random search and random sampling are among the strategies"
    assert (good[random], bad[random]) == (practice.PARTLY, practice.NO)
    assert good["Runs are repeated, with their seeds and their spread"] == practice.YES
    assert bad["Runs are repeated, with their seeds and their spread"] == practice.NO
    assert bad["Hardware, library versions and run time do not confound"] == practice.PARTLY
    depth = "Tabular or surrogate benchmarks are used for depth, and real trainings beside them"
    assert (good[depth], bad[depth]) == (practice.PARTLY, practice.NO)
    assert practice.OPEN in set(good)


ODD = [r"a_b{c}[d=50%,e=#1]", r"~/my files/x^2\y&z.py:Mine$", "a≤b", "x---y"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tmp_path: Path) -> None:
    table, _, _ = parts(comparison(TASKS, ["plain", *ODD], 8))
    head = [r"\documentclass{article}", r"\usepackage[paperwidth=900mm]{geometry}", r"\usepackage{booktabs}"]
    body = [r"\begin{document}", to_latex(table.frame, table.bold), r"\end{document}"]
    (tmp_path / "paper.tex").write_text("\n".join([*head, *body]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-1000:]
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")


@pytest.mark.parametrize("name", ODD)
def test_the_latex_is_what_a_compiler_takes(name):
    """Without a TeX: environments, braces and cells are counted, and what TeX would act upon is escaped."""
    data = comparison(TASKS, ["plain", name], 8)
    table, _, _ = parts(data)
    lines = to_latex(table.frame, table.bold).splitlines()
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[0])[1]
    assert lines[1] == r"\toprule"
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    rows = [line for line in lines if line.endswith(r" \\")]
    assert len(rows) == len(lines) - 5 == 1 + len(table.frame)
    for row in rows:
        bare = re.sub(
            r"\\(textbackslash|textasciitilde|textasciicircum|textbf|pm|leq)\b(\{\})?|\\[_{}%#&$]|\{\[\}|\{\]\}",
            "",
            row,
        )
        assert row.replace(r"\&", "").count(" & ") == len(columns) - 1
        assert not set(bare.removesuffix(r" \\")) & set("\\_%#^~")
        assert "--" not in bare  # TeX would draw one dash
        assert bare.count("$") % 2 == 0
        assert bare.count("{") == bare.count("}")
