"""``naslab correlate`` and ``naslab.correlate``."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import toy_tasks
from scipy import stats

import naslab
from naslab.cli import run_command
from naslab.errors import InvalidValue, OutputError, UnknownHyperparameter

TOTAL = "correlation_plugins:Total"


def test_evaluators_are_judged_by_the_truth(stored_task):
    found = naslab.correlate(stored_task, f"params,{TOTAL}", "all")
    task = naslab.task(stored_task)
    truth = [task.true_value(a) for a in toy_tasks.ROWS]
    sums = [sum(a) for a in toy_tasks.ROWS]
    params = [task.problem.space.cost(a).params for a in toy_tasks.ROWS]
    table = found.statistics.pivot(index="evaluator", columns="statistic", values="value")
    assert table.loc["params", "Spearman"] == pytest.approx(stats.spearmanr(params, truth).statistic)
    expected = stats.kendalltau(sums, truth).statistic
    assert table.loc[TOTAL, "Kendall tau-b"] == pytest.approx(expected, abs=0.1)  # its noise breaks ties
    assert found.matrix.index.tolist() == ["params", TOTAL, "test accuracy"]
    assert found.bias.set_index("evaluator").loc["params", "Spearman"] == pytest.approx(1)
    assert found.population == "all 27 architectures"
    assert found.label == "test accuracy (%)"


def test_a_truth_of_which_less_is_better_is_turned(naslab_cache):
    toy_tasks.store_table(naslab_cache / "tables" / "toyerrors", name="toyerrors", direction="min")
    errors = naslab.correlate("toyerrors/toy", "params", "all").statistics["value"][0]
    table = toy_tasks.store_table(naslab_cache / "tables" / "toyagain", name="toyagain")
    right = naslab.correlate(f"{table.name}/toy", "params", "all").statistics["value"][0]
    assert errors == pytest.approx(-right)


def test_another_evaluator_can_be_the_reference(stored_task):
    found = naslab.correlate(stored_task, [TOTAL, "reward[epochs=9]"], 20, reference="params", seed=4)
    assert found.reference == "params"
    assert found.truth.tolist() == found.params.tolist()
    assert found.trainings is None
    assert found.ceiling.empty
    assert "--reference params --seed 4" in found.command


def test_the_noise_of_trainings_bounds_what_can_be_reached():
    found = naslab.correlate("pocket-mlp/segments", "reward[epochs=20]", 40)
    assert found.trainings.shape == (40, 3)
    assert found.trainings.mean(axis=1) == pytest.approx(found.truth)
    ceiling = found.ceiling.set_index(["evaluator", "statistic"])["value"]
    assert 0.8 < ceiling["another training", "Spearman"] < ceiling["any predictor", "Spearman"] <= 1


def test_a_reward_from_the_truths_own_trainings_is_said_to_be_no_news():
    found = naslab.correlate("nasbench201/cifar10", "reward,naswot", 5)
    assert any("its agreement is no news" in note for note in found.notes)
    assert any("Gaussian noise" in note for note in found.notes)
    pocket = naslab.correlate("pocket-mlp/segments", "reward,naswot", 5)
    assert pocket.notes == ("Untrained networks were shown a batch of the task's training rows.",)
    blind = naslab.correlate("pocket-mlp/segments", "reward,params,synflow", 5)
    assert blind.notes == ()


def test_the_page_shows_every_table_and_the_scores(stored_task, tmp_path):
    found = naslab.correlate(stored_task, f"params,naswot,{TOTAL}", "all", out=tmp_path / "out")
    page = found.report(tmp_path / "page")
    text = page.read_text()
    for word in ("all 27 architectures", "Precision at k", "bootstrap over architectures", "Gaussian noise", TOTAL):
        assert word in text
    scores = pd.read_csv(tmp_path / "page" / "scores.csv")
    assert scores.columns.tolist() == ["architecture", "params", "naswot", TOTAL, "test accuracy"]
    assert len(scores) == 27
    assert (found.sharing["params"], found.sharing["naswot"]) == (2, 2)  # one pass
    assert "precision at 10%" in text  # of three
    assert "precision at 5%" not in text  # of one
    assert "Left out, because k would be one architecture or none: at 1%, at 5%." in text
    for name in ("agreement", "matrix", "tau-by-top", "ranks-naswot"):
        assert (tmp_path / "page" / "figures" / f"{name}.svg").stat().st_size > 1000


def test_a_shared_pass_is_divided_among_its_scores_and_duplicates_are_counted(tmp_path):
    found = naslab.correlate("pocket-cell/mnist", "synflow,naswot,snip", 20)
    assert found.sharing == {"synflow": 3, "naswot": 3, "snip": 3}
    assert len(set(found.seconds.values())) == 1  # a third each
    space = naslab.task("pocket-cell/mnist").problem.space
    keys = [space.canonical(space.from_string(each)) for each in found.scores.index]
    assert found.duplicates == len(keys) - len(set(keys)) > 0
    text = found.report(tmp_path).read_text()
    assert f"Duplicates: {found.duplicates} of the 20" in text
    assert "have an equal part of its seconds each" in text
    assert re.search(r"orders 20 architectures best by .*: Spearman.s correlation 0\.\d\d \[", html.unescape(text))


def test_the_command_prints_the_table_and_continues(stored_task, tmp_path, capsys):
    arguments = ["correlate", stored_task, "--architectures", "12", "--out", str(tmp_path / "out"), "--evaluators"]
    assert run_command([*arguments, "params"]) == 0
    assert "12 drawn from 27 architectures" in capsys.readouterr().out
    assert run_command([*arguments, "params,snip"]) == 0
    assert "snip" in capsys.readouterr().out
    assert run_command([*arguments, "params", "--seed", "5"]) == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), "holds another correlation study: seed" in said) == (1, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architectures": "many"}, "a whole number from 3, or all"),
        ({"architectures": 28}, "28 of 27 architectures"),
        ({"workers": 0}, "workers=0"),
        ({"reference": "zero-cost/all"}, "Allowed: one"),
        ({"evaluators": "params,"}, "write NAME"),
    ],
)
def test_what_makes_no_sense_writes_nothing(stored_task, tmp_path, options, message):
    with pytest.raises(InvalidValue, match=message):
        naslab.correlate(stored_task, **{"evaluators": "params", "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_images_of_ones_own_are_for_tasks_without_rows(tmp_path):
    with pytest.raises(InvalidValue, match="has rows of its own"):
        naslab.correlate("pocket-cell/mnist", "params", 5, data=tmp_path)
    rng = np.random.default_rng(0)
    for batch in range(1, 6):
        record = rng.integers(0, 256, (30, 3073), np.uint8)
        record[:, 0] %= 10
        (tmp_path / f"data_batch_{batch}.bin").write_bytes(record.tobytes())
    noise = naslab.correlate("nasbench201/cifar10", "fisher[batch=8]", 3)
    images = naslab.correlate("nasbench201/cifar10", "fisher[batch=8]", 3, data=tmp_path, out=tmp_path / "out")
    assert images.scores.to_numpy().tolist() != noise.scores.to_numpy().tolist()
    assert images.notes == ("Untrained networks were shown a batch of the task's training rows.",)
    with pytest.raises(OutputError, match="source"):
        naslab.correlate("nasbench201/cifar10", "fisher[batch=8]", 3, out=tmp_path / "out")


def test_what_predictors_learned_from_is_the_same_and_judges_nobody(tmp_path):
    names = ["ridge[labels=12]", "kernel-ridge[labels=12,gamma=0.5]", "params"]
    found = naslab.correlate("pocket-mlp/segments", names, 2000, out=tmp_path)
    lines = [path.read_text().splitlines()[1] for path in sorted(tmp_path.glob("scores/*ridge*.jsonl"))]
    one, other = (json.loads(line)["learned"] for line in lines)
    assert one == other
    assert 1 < len(one) <= 12
    inside = {naslab.task("pocket-mlp/segments").problem.space.to_string(tuple(a)) for a in one}
    assert not inside & set(found.scores.index)
    left_out = 2000 - len(found.truth)
    assert 0 < left_out <= len(one)
    assert f"Left out, because an evaluator learned from them: {left_out} of the architectures." in found.notes
    again = naslab.correlate("pocket-mlp/segments", names, 2000, out=tmp_path)  # from the files
    assert again.scores.equals(found.scores)


def test_predictors_that_learned_from_everything_judge_nothing(stored_task):
    with pytest.raises(InvalidValue, match="are left to be judged"):
        naslab.correlate(stored_task, "ridge[labels=1000]", "all")


def test_what_making_an_evaluator_took_stands_beside_its_scores(tmp_path):
    found = naslab.correlate("pocket-mlp/segments", "kernel-ridge[labels=20],params", 30)
    assert found.making["kernel-ridge[labels=20]"] > 0
    found.making["kernel-ridge[labels=20]"] = 12.5  # seconds once
    assert "12.5" in found.report(tmp_path).read_text()


def test_an_option_of_another_proxy_is_refused():
    with pytest.raises(InvalidValue, match="steps is an option of early-loss, which is not asked for: naswot"):
        naslab.correlate("pocket-mlp/segments", "naswot[steps=4]", 5)


def test_an_option_that_a_predictor_does_not_have_is_refused(stored_task):
    with pytest.raises(UnknownHyperparameter, match="gama"):
        naslab.correlate(stored_task, "kernel-ridge[gama=1]", "all")
