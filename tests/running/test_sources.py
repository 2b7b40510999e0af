"""Transfer: what a strategy may read of other tasks, and what is said of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from toy_tasks import ToyReward, run_naslab, store_table, toy_space, traces

import naslab
from naslab.analysis.carried_out import read_elsewhere
from naslab.errors import InvalidValue, PluginError, UnknownTask
from naslab.tasks import Problem, Source, Task
from naslab.tasks.sources import fits

TARGET, OTHER = "nasbench201/cifar10", "nasbench201/cifar100"


class Reads(naslab.AskTell):
    """Random search that reads three rewards of each source before every ask."""

    def __init__(self, problem: Problem, rng: Any, *, sources: str = "") -> None:
        super().__init__(problem, rng)

    def ask(self) -> Any:
        for source in self.problem.sources:
            for _ in range(3):
                source.read(source.space.sample(self.rng), self.rng)
        return self.problem.sample(self.rng)

    def tell(self, architecture: Any, evaluation: Any) -> None:
        pass


class ReadsAnything(Reads):
    any_space = True


class DeclaresNothing(naslab.AskTell):
    def ask(self) -> Any:
        assert self.problem.sources == ()
        return self.problem.sample(self.rng)

    def tell(self, architecture: Any, evaluation: Any) -> None:
        pass


def own_task(*sources: Source) -> Task:
    problem = Problem(toy_space(), sources=sources)
    return Task("toy", problem, ToyReward, ToyReward())


def test_what_is_read_is_counted_and_its_seconds_are_not_charged() -> None:
    reward = ToyReward()
    source = Source("before", toy_space(), reward)
    result = naslab.search(own_task(source), Reads, budget=7)
    assert result.trace.header["reads"] == {"before": {}}
    expected = math.fsum(1.0 + architecture[0] for architecture in reward.asked)
    assert result.trace.end is not None
    assert result.trace.end["reads"] == {"before": {"evaluations": 21, "seconds": expected}}
    assert [step.evaluation.seconds for step in result.trace.steps] == [
        1.0 + step.query.architecture[0] for step in result.trace.steps
    ]
    assert source.evaluations == 0  # every run counts its own


def test_who_declares_nothing_can_read_nothing() -> None:
    result = naslab.search(own_task(Source("before", toy_space(), ToyReward())), DeclaresNothing, budget=3)
    assert "reads" not in result.trace.header
    assert result.trace.end is not None
    assert "reads" not in result.trace.end


def test_a_comparison_records_sources_and_grows(stored_task: str, tmp_path: Path) -> None:
    source = "pocket-mlp/segments"
    names = [f"{__name__}:ReadsAnything[sources={source}]", "random"]
    naslab.compare([stored_task], names, budget=5, seeds=1, out=tmp_path / "grown")
    grown = naslab.compare([stored_task], names, budget=5, seeds=2, out=tmp_path / "grown")
    naslab.compare([stored_task], names, budget=5, seeds=2, out=tmp_path / "whole")
    assert traces(tmp_path / "grown") == traces(tmp_path / "whole")
    header = json.loads(list(traces(tmp_path / "whole").values())[-1].splitlines()[0])
    assert header["reads"] == {source: dict(naslab.task(source).source)}
    assert grown.spec["optimizers"][0]["reads"] == header["reads"]
    assert grown.frame["source evaluations"].tolist()[:2] == [15, 15]
    assert grown.frame["source seconds"].isna().tolist() == [False, False, True, True]
    table = read_elsewhere(grown.data)
    assert table[["n", "evaluations", "source evaluations"]].values.tolist() == [[2, 5, 15]]


def test_the_same_numbers_under_another_name_are_the_target(stored_task: str, naslab_cache: Path) -> None:
    store_table(naslab_cache / "tables" / "renamed", "renamed", shift=3.0)  # with the same truth
    with pytest.raises(InvalidValue, match=r"source 'renamed/toy' is what is searched .*recorded numbers"):
        naslab.search(stored_task, "portfolio-evolution[sources=renamed/toy]", budget=3)


@pytest.mark.parametrize(
    ("target", "sources", "error", "message"),
    [
        (TARGET, TARGET, InvalidValue, "is what is searched"),
        ("pocket-mlp/segments@live", "pocket-mlp/segments", InvalidValue, "is what is searched"),
        (TARGET, "nasbench201/cifar1", UnknownTask, "Did you mean 'nasbench201/cifar10'"),
        (TARGET, "pocket-mlp/mnist", InvalidValue, r"over another space \('mlp', not 'nasbench201'\)"),
        (TARGET, "pocket-cell/mnist@live", InvalidValue, "can't be read: its rewards are not recorded"),
        (TARGET, f"{OTHER}+{OTHER}", InvalidValue, "named twice"),
        (TARGET, f"{OTHER}+", InvalidValue, "names an empty task"),
        (TARGET, "", InvalidValue, "give sources=TASK"),
    ],
)
def test_bad_sources_are_refused_in_one_line(target, sources, error, message, tmp_path: Path) -> None:
    with pytest.raises(error, match=message) as refused:
        naslab.search(target, f"portfolio-evolution[sources={sources}]", budget=3, out=tmp_path)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_the_target(tmp_path: Path) -> None:
    optimizer, out = f"portfolio-evolution[sources={TARGET}]", str(tmp_path / "out")
    done = run_naslab("compare", TARGET, "--optimizers", optimizer, "--budget", "3", "--out", out)
    assert done.returncode == 2
    assert f"source {TARGET!r} is what is searched" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_strategy_may_say_that_it_reads_any_space() -> None:
    result = naslab.search(TARGET, f"{__name__}:ReadsAnything[sources=pocket-mlp/mnist]", budget=2)
    assert result.trace.end is not None
    assert result.trace.end["reads"]["pocket-mlp/mnist"]["evaluations"] == 6


def test_a_space_with_the_same_decisions_fits() -> None:
    cell, pocket = (naslab.task(each).problem.space for each in (TARGET, "pocket-cell/mnist"))
    assert fits(cell, pocket)
    assert not fits(cell, naslab.search_space("mlp"))


def test_what_a_source_lacks_is_refused() -> None:
    class Careless(Reads):
        def ask(self) -> Any:
            self.problem.sources[0].read((9, 9, 9), self.rng)

    with pytest.raises(PluginError, match=r"\(9, 9, 9\) is no architecture of the source 'before'"):
        naslab.search(own_task(Source("before", toy_space(), ToyReward())), Careless, budget=3)
