"""A second objective that is a metric of one's own evaluator: searched, limited, plotted, in the frame; and tables."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pytest
from toy_tasks import ToyReward, height, toy_task, traces

import naslab
from naslab.analysis import report
from naslab.analysis.contents import Section
from naslab.errors import InvalidValue, OutputError, UnknownMetric, UnknownOptimizer, UnknownTask
from naslab.evaluators import Evaluation, Evaluator
from naslab.running import trace_path
from naslab.running.results import Results
from naslab.space import Architecture
from naslab.tasks import Objective, Task

METRICS = {"latency_ms": Objective("latency_ms", "min", "ms"), "robustness": Objective("robustness", "max", "%")}
OPTIMIZERS = ["random", "mo-regularized-evolution[population=8]", "optuna-nsgaii[population=8]"]


def latency(architecture: Architecture) -> float:
    return 2.0 + sum(architecture)


class Device(Evaluator):
    """Measures what only it knows: latency and robustness."""

    def evaluate(self, architecture: Architecture, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        metrics = {"latency_ms": latency(architecture), "robustness": 50.0 + 5.0 * architecture[0]}
        return Evaluation(height(architecture), 1.0, metrics)


def device_task() -> Task:
    one = toy_task(ToyReward())
    return dataclasses.replace(one, reward=Device, problem=dataclasses.replace(one.problem, metrics=METRICS))


def front(points: dict[Any, tuple[float, ...]]) -> set[Any]:
    """What no other point beats; higher is better. By the definition."""
    return {
        a
        for a, p in points.items()
        if not any(all(x >= y for x, y in zip(q, p, strict=True)) and q != p for q in points.values())
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_searched(name: str) -> None:
    found = naslab.search(device_task(), name, budget=250, objectives=["score", "latency_ms", "robustness"])
    space = device_task().problem.space
    every = {a: (height(a), -latency(a), 5.0 * a[0]) for a in space.architectures()}
    best = front(every)
    assert len(best) > 4
    members = found.front()
    assert {every[m.architecture] for m in members} == {every[a] for a in best}
    assert members[0].architecture == found.architecture == max(every, key=height)
    assert members[0].values == {"score": 10.0, "latency_ms": latency(found.architecture), "robustness": 60.0}
    assert [m.values["score"] for m in members] == sorted((m.values["score"] for m in members), reverse=True)
    assert found.trace.header["objectives"] == ["score:max", "latency_ms:min", "robustness:max"]


def test_more_pressure_on_the_second_objective_than_without_it() -> None:
    def mean_latency(objectives: list[str]) -> float:
        steps = [
            s
            for seed in range(5)
            for s in naslab.search(
                device_task(), "mo-regularized-evolution[population=10]", budget=100, seed=seed, objectives=objectives
            ).trace.steps[50:]
        ]
        return float(np.mean([s.evaluation.metrics["latency_ms"] for s in steps]))

    assert mean_latency(["score", "latency_ms"]) < mean_latency(["score"]) - 0.3
    assert mean_latency(["score", "latency_ms:max"]) > mean_latency(["score"]) + 0.3


@pytest.mark.parametrize("name", [*OPTIMIZERS, "regularized-evolution", "local-search", "optuna-tpe"])
def test_it_is_limited(name: str, tmp_path: Path) -> None:
    limit = {"latency_ms": 4.0}
    found = naslab.search(device_task(), name, budget=60, max=limit, out=tmp_path)
    feasible = {a: height(a) for a in device_task().problem.space.architectures() if latency(a) <= 4.0}
    assert found.architecture in feasible
    assert found.score == max(feasible.values())
    assert [s.feasible for s in found.trace.steps] == [latency(s.query.architecture) <= 4 for s in found.trace.steps]
    assert not all(s.feasible for s in found.trace.steps)
    assert all(m.values.keys() == {"score"} and latency(m.architecture) <= 4 for m in found.front())


@pytest.mark.parametrize("name", ["regularized-evolution", "mo-regularized-evolution[population=10]"])
def test_evolution_turns_away_from_what_exceeds_it(name: str) -> None:
    def share(limits: dict[str, float]) -> float:
        runs = [naslab.search(device_task(), name, budget=100, seed=seed, max=limits).trace for seed in range(5)]
        late = [latency(step.query.architecture) <= 4 for trace in runs for step in trace.steps[50:]]
        return float(np.mean(late))

    assert share({"latency_ms": 4.0}) > share({}) + 0.05


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return naslab.compare(
        [device_task()],
        ["random", "optuna-nsgaii[population=8]"],
        seeds=4,
        budget=40,
        out=tmp_path_factory.mktemp("compared"),
        objectives=["score", "latency_ms", "robustness"],
        max={"latency_ms": 6.0},
    )


def test_it_is_in_the_frames(compared: Results) -> None:
    frame, steps = compared.frame, compared.steps()
    space = device_task().problem.space
    assert frame["latency_ms"].tolist() == [latency(space.from_string(name)) for name in frame["architecture"]]
    assert {"robustness", "params", "infeasible"} <= set(frame)
    assert len(steps) == 2 * 4 * 40
    first = steps[(steps["optimizer"] == "random") & (steps["seed"] == 1)]
    assert first["clock"].tolist() == list(range(1, 41))
    assert (first["feasible"] == (first["latency_ms"] <= 6)).all()
    assert (~first["feasible"]).sum() == frame.set_index(["optimizer", "seed"]).loc[("random", 1), "infeasible"]


def test_it_is_plotted(compared: Results) -> None:
    for measure, label, falls in (("latency_ms", "latency_ms (ms)", False), ("robustness", "robustness (%)", True)):
        axes = compared.plot_tradeoff(measure)
        assert axes.get_xlabel() == label
        assert bool(axes.xaxis_inverted()) is falls
        (line,) = [each for each in axes.lines if each.get_gid() == "series-0-front"]
        assert np.all(np.diff(line.get_ydata()) >= 0)
    with pytest.raises(UnknownMetric, match="Did you mean 'latency_ms'"):
        compared.plot_tradeoff("latency")


def test_its_front_is_read_again(compared: Results) -> None:
    again = Results(compared.folder, {"toy": next(iter(compared.tasks.values()))})
    one = again.front("toy", "random", 2)
    assert list(one.columns) == ["architecture", "score", "latency_ms", "robustness"]
    steps = again.steps()
    own = steps[(steps["optimizer"] == "random") & (steps["seed"] == 2) & steps["feasible"]]
    points = {row.architecture: (row.score, -row.latency_ms, row.robustness) for row in own.itertuples()}
    assert set(one["architecture"]) == front(points)
    whole = again.front("", "random")
    assert len(whole) >= len(one)
    with pytest.raises(UnknownTask, match="Did you mean 'toy'"):
        again.front("tay", "random")
    with pytest.raises(UnknownOptimizer, match="Did you mean 'random'"):
        again.front("toy", "randm")
    with pytest.raises(OutputError, match="no run of 'random' on toy with seed 9"):
        again.front("toy", "random", 9)


def test_the_report_has_a_section_only_where_there_are_several(
    compared: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Section] = []
    monkeypatch.setattr(report, "write_page", lambda content, *rest, **options: written.extend(content))
    compared.report()
    (section,) = [each for each in written if each.title == "Several objectives"]
    assert [item.name for item in section.items] == ["fronts", "attained-latency_ms-toy", "attained-robustness-toy"]
    assert "latency_ms (lower is better), robustness (higher is better)" in section.says[0]
    assert "the best front seen" in section.says[0]  # of all architectures, only evaluations could tell
    exceeded = 1 - compared.steps().groupby("optimizer", sort=False)["feasible"].mean()
    assert section.items[0].frame["violations"].tolist() == pytest.approx(exceeded.tolist())
    plain = naslab.compare([toy_task()], ["random"], seeds=2, budget=10, out=tmp_path)
    written.clear()
    plain.report()
    assert written
    assert "Several objectives" not in [each.title for each in written]
    assert plain.fronts().empty
    assert list(plain.front("toy", "random", 0).columns) == ["architecture", "score"]


def test_nothing_is_written_of_the_score_alone(tmp_path: Path) -> None:
    for out, objectives in (("one", []), ("two", ["score"])):
        naslab.compare(
            [toy_task()], ["random", "optuna-nsgaii"], seeds=2, budget=12, out=tmp_path / out, objectives=objectives
        )
    one, two = (traces(tmp_path / out) for out in ("one", "two"))
    assert one == two
    assert not any(b"objectives" in content for content in one.values())
    assert "objectives" not in json.loads((tmp_path / "one/comparison.json").read_text())


def test_a_comparison_keeps_its_objectives(stored_task: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"budget": 12, "out": tmp_path, "objectives": ["score", "latency_seconds"]}
    first = naslab.compare([stored_task], OPTIMIZERS, seeds=2, **arguments)
    before = traces(tmp_path)
    assert naslab.compare([stored_task], OPTIMIZERS, seeds=2, workers=2, **arguments).data.fronts is not None
    assert traces(tmp_path) == before
    again, steps = Results(tmp_path), first.steps()
    assert set(steps["fidelity"]) == {None}  # the task's own
    assert (steps["latency_seconds"] < 0.01).all()
    assert again.command.endswith(f"--objectives score:max,latency_seconds:min --out {tmp_path}")
    assert again.fronts().equals(first.fronts())
    with pytest.raises(OutputError, match="objectives was"):
        naslab.compare([stored_task], OPTIMIZERS, seeds=2, **{**arguments, "objectives": ["score", "params"]})


def test_an_objective_that_no_evaluation_reports_ends_the_run_at_once(tmp_path: Path) -> None:
    reward = ToyReward()
    with pytest.raises(UnknownMetric, match="'energy' of 'an evaluation'"):
        naslab.search(toy_task(reward), "random", budget=40, objectives=["score", "-energy"])
    assert len(reward.asked) == 1
    with pytest.raises(InvalidValue, match="give a list"):
        naslab.compare([toy_task()], ["random"], budget=5, out=tmp_path, objectives="score,params")


def test_only_the_highest_fidelity_is_on_the_front(stored_task: str) -> None:
    class Both(naslab.AskTell):
        """Every architecture after one epoch, then the first after nine."""

        def ask(self) -> Any:
            place = self.count = getattr(self, "count", -1) + 1
            every = list(self.space.architectures())
            return naslab.Query(every[place], 1) if place < 27 else naslab.Query(every[0], 9) if place == 27 else None

        def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
            pass

    found = naslab.search(stored_task, Both, budget=100, objectives=["score", "latency_seconds"])
    assert [m.architecture for m in found.front()] == [(0, 0, 0)]


@pytest.mark.parametrize("raises", [False, True])
def test_failures_are_on_no_front_and_exceed_no_limit(raises: bool) -> None:
    class Broken(Device):
        def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
            if architecture[1]:
                return super().evaluate(architecture, **rest)
            if raises:
                raise RuntimeError("out of order")
            return Evaluation(math.inf, 1.0, {"latency_ms": 0.0})

    one = dataclasses.replace(device_task(), reward=Broken)
    for name in OPTIMIZERS:
        found = naslab.search(one, name, budget=60, objectives=["score", "latency_ms"], max={"latency_ms": 6})
        assert found.front()
        assert all(m.architecture[1] for m in found.front())
        for step in found.trace.steps:
            a = step.query.architecture
            assert step.feasible is (a[1] == 0 or latency(a) <= 6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_with_several_workers(name: str, tmp_path: Path) -> None:
    results = naslab.compare(
        [device_task()], [name], seeds=1, budget=250, out=tmp_path, simulate_workers=4,
        objectives=["score", "latency_ms"],
    )  # fmt: skip
    steps, space = results.steps(), device_task().problem.space
    assert steps["worker"].tolist() == [0, 1, 2, 3] * 62 + [0, 1]
    assert steps["clock"].tolist() == [1.0 + i // 4 for i in range(250)]
    every = {space.to_string(a): (height(a), -latency(a)) for a in space.architectures()}
    found = results.front("", name, 0)
    assert {every[a] for a in found["architecture"]} == {every[a] for a in front(every)}


@pytest.mark.parametrize(
    ("task_id", "others"), [("nasbench201/cifar10", ["params", "latency_seconds"]), ("pocket-mlp/segments", ["macs"])]
)
def test_on_tables_fronts_are_judged_by_the_exact_one(task_id: str, others: list[str], tmp_path: Path) -> None:
    """The exact front, hypervolume, IGD+ and epsilon by moocore, from the table's own columns and the traces' lines."""
    results = naslab.compare(
        [task_id], ["random", "mo-regularized-evolution[population=10]"], seeds=3, budget=40, out=tmp_path,
        objectives=["score", *others],
    )  # fmt: skip
    one = naslab.task(task_id)
    truths = {a: v for a, v in one.truth.values.items() if math.isfinite(v)}
    every = {a: np.array([-truths[a], *(one.problem.cost(c, a) for c in others)]) for a in truths}  # lower is better
    points = np.array(list(every.values()))
    corner = np.array([np.median(points[:, 0]), *points[:, 1:].max(axis=0)])
    unit = points.min(axis=0) - corner
    exact = np.unique(moocore.filter_dominated(points), axis=0)
    assert np.array_equal(-results.data.exact[task_id].points[::-1] + 0.0, exact + 0.0)
    target = (exact[(exact < corner).all(axis=1)] - corner) / -unit
    frame = results.fronts()
    assert frame["best hypervolume"].tolist() == pytest.approx([moocore.hypervolume(target, ref=[0.0] * len(unit))] * 2)
    for row in frame.itertuples():
        found = {"hypervolume": [], "IGD+": [], "epsilon": []}
        for seed in range(3):
            path = trace_path(tmp_path, task_id, str(row.optimizer), seed)
            lines = [json.loads(line) for line in path.read_text().splitlines()[1:-1]]
            told = {}  # of several evaluations of one architecture its best score
            for line in lines:
                a = tuple(line["architecture"])
                told[a] = max(line["score"], told.get(a, -math.inf))
            costs = {a: (-score, *every[a][1:]) for a, score in told.items()}
            kept = moocore.is_nondominated(np.array(list(costs.values())), keep_weakly=True)
            members = [a for a, keep in zip(costs, kept, strict=True) if keep]
            own = np.vstack([(np.array([every[a] for a in members]) - corner) / -unit, np.zeros(len(unit))])
            found["hypervolume"].append(moocore.hypervolume(own, ref=[0.0] * len(unit)))
            found["IGD+"].append(moocore.igd_plus(own, target))
            found["epsilon"].append(moocore.epsilon_additive(own, ref=target))
        means = frame[frame["optimizer"] == row.optimizer][[*found]].iloc[0].to_numpy(float)
        assert means == pytest.approx([np.mean(values) for values in found.values()])
