"""The loop: what counts, what is charged, what resumes, what is reproducible."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import toy_tasks
from toy_tasks import MeasuredReward, ToyReward, toy_task

import naslab
from naslab.errors import OutputError, PluginError
from naslab.evaluators import Evaluation, Evaluator, stopwatch
from naslab.running import TrialGenerator, seed_sequence, session, trace_path
from naslab.space import Architecture
from naslab.tasks import Constraint, Task

LARGE = (3, 2, 2)


class Scripted(naslab.AskTell):
    """Asks what it is given, then ends."""

    script: ClassVar[Sequence[Any]] = ()

    def __init__(self, problem: naslab.Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self.waiting = list(self.script)
        self.heard: list[tuple[Architecture, float]] = []

    def ask(self) -> Any:
        return self.waiting.pop(0) if self.waiting else None

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self.heard.append((architecture, evaluation.score))


def asking(*script: Any) -> type[Scripted]:
    return type("Asking", (Scripted,), {"script": script})


class Endless(naslab.AskTell):
    """The same architecture for ever."""

    def ask(self) -> Architecture:
        return (2, 0, 0)  # charged 3 seconds

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass


# ---- budgets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "recorded", "evaluated"),
    [
        (1, 1, 1),
        (7, 7, 7),
        ("9s", 3, 4),  # exactly fits: counts; the next would end at 12
        ("10s", 3, 4),
        ("11.999s", 3, 4),
        ("12s", 4, 5),
        ("2.5s", 0, 1),
    ],
)
def test_what_ends_past_the_budget_does_not_count(tmp_path: Path, budget: Any, recorded: int, evaluated: int) -> None:
    reward = ToyReward()
    result = naslab.search(toy_task(reward), Endless, budget=budget, out=tmp_path)
    assert len(reward.asked) == evaluated
    assert len(result.trace.steps) == recorded
    assert sum(step.evaluation.seconds for step in result.trace.steps) == 3.0 * recorded
    assert result.trace.end == {
        "reason": "budget",
        "best": [2, 0, 0] if recorded else None,
        "evaluations": recorded,
    }
    assert result.architecture == ((2, 0, 0) if recorded else None)


def test_what_does_not_count_is_not_told() -> None:
    told = []

    class Listening(Endless):
        def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
            told.append(architecture)

    naslab.search(toy_task(ToyReward()), Listening, budget="10s")
    assert len(told) == 3


def test_an_optimizer_may_end_early() -> None:
    result = naslab.search(toy_task(ToyReward()), asking((0, 0, 0), (1, 0, 0)), budget=10)
    assert result.trace.end == {"reason": "finished", "best": [1, 0, 0], "evaluations": 2}


def test_a_budget_in_seconds_needs_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Free(ToyReward):
        def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
            return Evaluation(1.0, 0.0)

    monkeypatch.setattr(session, "MOST_FREE", 50)
    with pytest.raises(PluginError, match="'toy' charges nothing: give the budget in evaluations"):
        naslab.search(toy_task(Free()), Endless, budget="10s")
    assert len(naslab.search(toy_task(Free()), Endless, budget=60).trace.steps) == 60


@pytest.mark.parametrize("seconds", [-1.0, math.nan, -math.inf])
def test_a_time_that_is_no_time_is_refused(seconds: float) -> None:
    class Wrong(ToyReward):
        def evaluate(self, architecture: Architecture, **rest: Any) -> Evaluation:
            return Evaluation(1.0, seconds)

    with pytest.raises(PluginError, match=f"Wrong charged {seconds} s for"):
        naslab.search(toy_task(Wrong()), Endless, budget=3, on_failure="raise")
    found = naslab.search(toy_task(Wrong()), Endless, budget=3)
    assert [step.evaluation.seconds for step in found.trace.steps] == [0.0] * 3
    assert all(step.evaluation.failed.startswith("no number: Wrong charged") for step in found.trace.steps)


# ---- incumbents and limits -------------------------------------------------------------------------------------------


def test_incumbents_only_get_better() -> None:
    scores = {(0, 0, 0): 1.0, (1, 0, 0): math.nan, (2, 0, 0): 1.0, (3, 0, 0): math.inf, (0, 1, 0): 2.0}
    order = [(1, 0, 0), (0, 0, 0), (2, 0, 0), (3, 0, 0), (0, 1, 0), (0, 0, 0)]
    result = naslab.search(toy_task(ToyReward(scores.__getitem__)), asking(*order), budget=10)
    assert [step.incumbent for step in result.trace.steps] == [False, True, False, False, True, False]
    assert (result.architecture, result.score) == ((0, 1, 0), 2.0)


def test_nothing_finite_means_nothing_found() -> None:
    result = naslab.search(toy_task(ToyReward(lambda a: math.nan)), Endless, budget=3)
    assert (result.architecture, result.score, result.truth, result.name) == (None, None, None, "")
    assert len(result.trace.steps) == 3


def limited(reward: Evaluator | None = None, **limits: float) -> Task:
    return toy_task(reward).constrained(Constraint.parse(limits))


def test_infeasible_asks_are_evaluated_and_charged_and_never_incumbents(tmp_path: Path) -> None:
    reward = ToyReward()
    one = limited(reward, params=25)
    small, large = (0, 0, 0), LARGE
    assert one.problem.is_feasible(small)
    assert not one.problem.is_feasible(large)
    result = naslab.search(one, asking(large, small, large), budget="100s", out=tmp_path)
    assert reward.asked == [large, small, large]
    assert [s.feasible for s in result.trace.steps] == [False, True, False]
    assert [s.incumbent for s in result.trace.steps] == [False, True, False]
    assert [s.evaluation.seconds for s in result.trace.steps] == [4.0, 1.0, 4.0]
    assert result.architecture == small
    lines = trace_path(tmp_path, "toy", result.trace.header["optimizer"]["name"], 0).read_text().splitlines()
    assert ['"feasible":false' in line for line in lines] == [False, True, False, True, False]


def test_only_infeasible_asks_find_nothing() -> None:
    assert naslab.search(limited(params=25), asking(LARGE, LARGE), budget=5).architecture is None


@pytest.mark.parametrize("name", ["random", "regularized-evolution", "local-search"])
@pytest.mark.parametrize("limits", [{"params": 25}, {"params": 40, "macs": 20}, {"params": 15}])
def test_who_asks_only_for_feasible_architectures(name: str, limits: dict[str, float]) -> None:
    one = limited(**limits)
    feasible = {a for a in one.problem.space.architectures() if one.problem.is_feasible(a)}
    assert 0 < len(feasible) < 36
    for seed in range(3):
        result = naslab.search(one, name, budget=40, seed=seed)
        assert {s.query.architecture for s in result.trace.steps} <= feasible
        assert result.architecture in feasible


@pytest.mark.parametrize("name", ["reinforce", "optuna-tpe", "optuna-nsgaii"])
def test_who_may_ask_for_others_returns_only_feasible_ones(name: str) -> None:
    one = limited(params=25)
    for seed in range(3):
        result = naslab.search(one, name, budget=40, seed=seed)
        asked = {s.query.architecture for s in result.trace.steps}
        assert any(not one.problem.is_feasible(a) for a in asked)
        assert result.architecture is not None
        assert one.problem.is_feasible(result.architecture)


# ---- what an optimizer may not ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [(0, 0), (0, 0, 0, 0), (4, 0, 0), (-1, 0, 0), (0.5, 0, 0), [0, 0, 0], np.array([0, 0, 0]), 7, "000", (),
     (math.nan, 0, 0), (None, 0, 0), ("0", 0, 0)],
)  # fmt: skip
def test_an_invalid_ask_is_refused_in_one_line(asked: Any) -> None:
    reward = ToyReward()
    with pytest.raises(PluginError) as caught:
        naslab.search(toy_task(reward), asking(asked), budget=5)
    assert reward.asked == []
    assert "\n" not in str(caught.value)
    assert "Asking" in str(caught.value)
    if not any(isinstance(x, str) or x is None for x in (asked if isinstance(asked, tuple) else ())):
        assert "no architecture of 'mlp'; example: (0, 0, 0)" in str(caught.value)


def test_rules_are_kept() -> None:
    rule = naslab.Rule(("width1", "width2"), frozenset({(0, 0), (2, 0)}))
    with pytest.raises(PluginError, match="no architecture of 'toy'"):
        naslab.search(toy_task(rules=[rule]), asking((1, 0, 0)), budget=5)


def test_numpys_integers_are_welcome(tmp_path: Path) -> None:
    cases = [tuple(np.array([2, 0, 1])), (np.uint8(1), 0, 0), (True, 0, 0)]

    class Best(Scripted):
        script = cases

        def best(self) -> Architecture:
            return tuple(np.array([1, 1, 1]))

    for resumed in (False, True):
        result = naslab.search(toy_task(ToyReward()), Best, budget=10, out=tmp_path)
        assert [s.query.architecture for s in result.trace.steps] == [(2, 0, 1), (1, 0, 0), (1, 0, 0)], resumed
    lines = [json.loads(line) for line in trace_path(tmp_path, "toy", _label(Best), 0).read_text().splitlines()]
    assert [line["architecture"] for line in lines[1:-1]] == [[2, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert lines[-1]["end"]["best"] == [1, 1, 1]


def _label(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@pytest.mark.parametrize(
    ("answer", "message"),
    [((9, 9, 9), r"best\(\) returned \(9, 9, 9\), which is no architecture"), (LARGE, "does not keep params <= 25")],
)
def test_best_must_be_a_feasible_architecture(answer: Architecture, message: str) -> None:
    kind = type("Wrong", (Endless,), {"best": lambda self: answer})
    with pytest.raises(PluginError, match=message):
        naslab.search(limited(params=25), kind, budget=3)


def test_a_strategy_that_breaks_is_named() -> None:
    class Broken(Endless):
        def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
            raise ZeroDivisionError("mine")

    with pytest.raises(PluginError, match="Broken' failed on toy, seed 5: ZeroDivisionError: mine") as caught:
        naslab.search(toy_task(), Broken, budget=3, seed=5)
    assert "test_loop.py" in caught.value.details
    assert "loop.py" not in caught.value.details.replace("test_loop.py", "")


# ---- resuming --------------------------------------------------------------------------------------------------------


def cut(path: Path, steps: int) -> bytes:
    """Leave the header and so many evaluations of a trace; returns what it was."""
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[: 1 + steps]))
    return whole


@pytest.mark.parametrize("name", ["random", "regularized-evolution", "local-search", "reinforce", "optuna-tpe"])
@pytest.mark.parametrize("done", [0, 1, 7, 19, 20])
@pytest.mark.parametrize("budget", [20, "1000s"])
def test_resuming_evaluates_nothing_again(tmp_path: Path, name: str, done: int, budget: Any) -> None:
    if budget == "1000s" and name != "local-search":
        budget = "36s"
    first, second = ToyReward(noise=0.1), ToyReward(noise=0.1)
    naslab.search(toy_task(first), name, budget=budget, out=tmp_path)
    path = trace_path(tmp_path, "toy", name, 0)
    recorded = len(path.read_bytes().splitlines()) - 2
    done = min(done, recorded)
    whole = cut(path, done)
    naslab.search(toy_task(second), name, budget=budget, out=tmp_path)
    assert path.read_bytes() == whole
    assert second.asked == first.asked[done:]


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    naslab.search(toy_task(), "random", budget=5, out=tmp_path)
    reward = ToyReward()
    assert len(naslab.search(toy_task(reward), "random", budget=5, out=tmp_path).trace.steps) == 5
    assert reward.asked == []


def test_a_strategy_that_does_not_repeat_itself_is_found_out(tmp_path: Path) -> None:
    class Moody(naslab.AskTell):
        asked: ClassVar[Iterator[int]] = iter(range(100))

        def ask(self) -> Architecture:
            return (next(self.asked) % 4, 0, 0)

        def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
            pass

    naslab.search(toy_task(), Moody, budget=6, out=tmp_path)
    path = trace_path(tmp_path, "toy", _label(Moody), 0)
    cut(path, 3)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"evaluation 1 of the recorded run was \(0, 0, 0\), but Moody now asks"):
        naslab.search(toy_task(), Moody, budget=6, out=tmp_path)
    assert path.read_bytes() == before


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Half a second of processor time passes between any two looks at the clock."""
    looks = [0]

    def process_time() -> float:
        looks[0] += 1
        return looks[0] * 0.5

    monkeypatch.setattr(stopwatch.time, "process_time", process_time)
    return looks


@pytest.mark.parametrize("done", [0, 1, 4, 6])
@pytest.mark.usefixtures("ticking")
def test_measured_seconds(tmp_path: Path, done: int) -> None:
    first, second = MeasuredReward(), MeasuredReward()
    result = naslab.search(toy_task(first), "random", budget="6s", out=tmp_path)
    path = trace_path(tmp_path, "toy", "random", 0)
    side = path.with_name(path.name + ".seconds")
    assert [s.evaluation.seconds for s in result.trace.steps] == [1.0] * 6
    assert len(first.asked) == 7
    assert b"seconds" not in path.read_bytes()
    assert side.read_text().splitlines()[:-1] == ["1.0"] * 6
    whole = cut(path, done)
    naslab.search(toy_task(second), "random", budget="6s", out=tmp_path)
    assert second.asked == first.asked[done:]  # the clock stands where it stood
    assert path.read_bytes() == whole
    assert side.read_text().splitlines()[:-1] == ["1.0"] * 6


@pytest.mark.usefixtures("ticking")
def test_asking_is_measured_too() -> None:
    class Thoughtful(Endless):
        asking_seconds = 1000.0  # a price, for clocks that measure nothing

        def ask(self) -> Architecture:
            stopwatch.time.process_time(), stopwatch.time.process_time()  # so long it takes
            return super().ask()

    result = naslab.search(toy_task(MeasuredReward()), Thoughtful, budget="5s")
    assert [step.evaluation.seconds for step in result.trace.steps] == [2.0, 2.0]


def test_a_tables_clock_adds_the_price_of_asking(tmp_path: Path) -> None:
    class Priced(Endless):
        def ask(self) -> Architecture:
            self.asking_seconds = 2.0 - self.asking_seconds  # 2, 0, 2, 0...
            return super().ask()

    expected = [5.0, 3.0, 5.0, 3.0]
    result = naslab.search(toy_task(), Priced, budget="20s", out=tmp_path)
    assert [step.evaluation.seconds for step in result.trace.steps] == expected
    whole = cut(trace_path(tmp_path, "toy", _label(Priced), 0), 2)
    naslab.search(toy_task(), Priced, budget="20s", out=tmp_path)
    assert trace_path(tmp_path, "toy", _label(Priced), 0).read_bytes() == whole


@pytest.mark.usefixtures("ticking")
def test_the_clock_is_restored_from_the_side_file(tmp_path: Path) -> None:
    naslab.search(toy_task(MeasuredReward()), "random", budget="4s", out=tmp_path)
    path = trace_path(tmp_path, "toy", "random", 0)
    cut(path, 3)
    path.with_name(path.name + ".seconds").write_text("1.25\n0.25\n0.5\n")  # 2 s were spent: two evaluations are left
    result = naslab.search(toy_task(MeasuredReward()), "random", budget="4s", out=tmp_path)
    assert [s.evaluation.seconds for s in result.trace.steps] == [1.25, 0.25, 0.5, 1.0, 1.0]


def test_a_measured_trace_is_the_same_whatever_it_took(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        naslab.search(toy_task(MeasuredReward()), "regularized-evolution", budget=30, out=tmp_path / name)
        written.append(trace_path(tmp_path / name, "toy", "regularized-evolution", 0).read_bytes())
    assert written[0] == written[1]


# ---- randomness ------------------------------------------------------------------------------------------------------


def test_what_an_evaluation_draws_depends_on_its_number_alone() -> None:
    greedy, modest = TrialGenerator(seed_sequence("run")), TrialGenerator(seed_sequence("run"))
    for step in range(600):
        rng = greedy.next()
        first = rng.random()
        rng.integers(10, size=step % 7, dtype=np.uint32)
        rng.normal(size=step % 5)
        assert modest.next().random() == first


def test_evaluations_draw_independently() -> None:
    generator = TrialGenerator(seed_sequence("run"))
    draws = np.array([generator.next().random(4) for _ in range(4000)])
    assert len(np.unique(draws)) == draws.size
    assert abs(draws.mean() - 0.5) < 0.01
    assert np.abs(np.corrcoef(draws, rowvar=False) - np.eye(4)).max() < 0.06
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.06


@pytest.mark.parametrize("changed", [("task", "a", 1), ("task", "b", 0), ("other", "a", 0), ("task", "a\n0", "")])
def test_every_part_of_the_key_makes_another_seed(changed: tuple[Any, ...]) -> None:
    original, other = seed_sequence("task", "a", 0), seed_sequence(*changed)
    assert original.generate_state(4).tolist() == seed_sequence("task", "a", 0).generate_state(4).tolist()
    assert original.generate_state(4).tolist() != other.generate_state(4).tolist()


def test_seeds_and_names_make_different_runs() -> None:
    def asked(name: str, seed: int) -> list[Architecture]:
        steps = naslab.search(toy_task(), name, budget=15, seed=seed).trace.steps
        return [s.query.architecture for s in steps]

    runs = [asked("random", 0), asked("random", 1), asked("regularized-evolution", 0),
            asked("regularized-evolution[population=10]", 0), asked("regularized-evolution[sample=3]", 0)]  # fmt: skip
    assert all(a != b for i, a in enumerate(runs) for b in runs[:i])
    assert asked("random", 1) == runs[1]


REPEAT = """
import hashlib, sys, naslab
from pathlib import Path
for name in sys.argv[2:]:
    naslab.search("{task}", name, budget=25, seed=2, out=sys.argv[1], max={{"params": 30}})
files = sorted(p for p in Path(sys.argv[1]).rglob("*") if p.is_file())
print(hashlib.sha256(b"".join(str(p.relative_to(sys.argv[1])).encode() + p.read_bytes() for p in files)).hexdigest())
"""


def test_the_same_bytes_under_another_hash_seed(
    stored_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["random", "regularized-evolution", "local-search", "reinforce", "optuna-tpe", "optuna-nsgaii"]
    hashes = set()
    for hash_seed in ("0", "4242"):
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        arguments = [sys.executable, "-c", REPEAT.format(task=stored_task), str(tmp_path / hash_seed), *names]
        hashes.add(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
        assert len(list((tmp_path / hash_seed).glob("runs/*/*/2.jsonl"))) == len(names)
    assert len(hashes) == 1


# ---- fidelities ------------------------------------------------------------------------------------------------------


class SuccessiveHalving(naslab.AskTell):
    """Jamieson & Talwalkar 2016: a third of each round goes on to the next fidelity."""

    def __init__(self, problem: naslab.Problem, rng: np.random.Generator, *, first: int = 9, keep: int = 3) -> None:
        super().__init__(problem, rng)
        self.keep = keep
        self.waiting = [problem.sample(rng) for _ in range(first)]
        self.scores: list[tuple[float, Architecture]] = []
        self.round = 0

    def ask(self) -> naslab.Query | None:
        if not self.waiting:
            self.round += 1
            if self.round == len(self.problem.fidelities):
                return None
            survivors = sorted(self.scores, reverse=True)[: max(1, len(self.scores) // self.keep)]
            self.waiting, self.scores = [a for _, a in survivors], []
        return naslab.Query(self.waiting[0], self.problem.fidelities[self.round])

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        self.scores.append((evaluation.score, self.waiting.pop(0)))


def test_successive_halving_on_a_table(stored_task: str, tmp_path: Path) -> None:
    one = naslab.task(stored_task)
    result = naslab.search(one, SuccessiveHalving, budget="10000s", out=tmp_path)
    steps = result.trace.steps
    assert [s.query.fidelity for s in steps] == [1] * 9 + [3] * 3 + [9]
    assert result.trace.end is not None
    assert result.trace.end["reason"] == "finished"
    full = {a: 90.0 + 9.0 * row for row, a in enumerate(toy_tasks.ROWS)}
    for step in steps:
        assert step.evaluation.seconds == pytest.approx(full[step.query.architecture] * step.query.fidelity / 9)
    for before, after in pairwise((steps[:9], steps[9:12], steps[12:])):
        best = sorted(before, key=lambda s: (s.evaluation.score, s.query.architecture), reverse=True)
        assert [s.query.architecture for s in after] == [s.query.architecture for s in best[: len(after)]]
    # The one trained longest is returned, whatever scores the shorter trainings had.
    assert result.architecture == steps[-1].query.architecture
    assert steps[9].incumbent
    assert steps[12].incumbent
    path = trace_path(tmp_path, one.id, _label(SuccessiveHalving), 0)
    for done in range(13):
        whole = cut(path, done)
        naslab.search(one, SuccessiveHalving, budget="10000s", out=tmp_path)
        assert path.read_bytes() == whole


def test_a_thorough_evaluation_beats_a_better_sketchy_one(stored_task: str) -> None:
    one = naslab.task(stored_task)
    truth = {a: one.reward().evaluate(a, fidelity=9, rng=np.random.default_rng(0)).score for a in toy_tasks.ROWS}
    ranked = sorted(toy_tasks.ROWS, key=truth.__getitem__)
    worst, best = ranked[0], ranked[-1]
    query = naslab.Query
    result = naslab.search(one, asking(query(best, 1), query(worst, 9), query(best, 3), best), budget=9)
    assert [s.incumbent for s in result.trace.steps] == [True, True, False, False]
    assert result.architecture == worst
    # None means the task's default, which is 3 here.
    result = naslab.search(one, asking(query(worst, 3), best, query(worst)), budget=9)
    assert [s.incumbent for s in result.trace.steps] == [True, True, False]


def test_finalists_are_evaluated_uncharged_and_decide_what_is_returned(stored_task: str) -> None:
    one = naslab.task(stored_task)
    truth = {a: one.reward().evaluate(a, fidelity=9, rng=np.random.default_rng(0)).score for a in toy_tasks.ROWS}
    ranked = sorted(toy_tasks.ROWS, key=truth.__getitem__)

    class Finals(asking(ranked[-1])):  # type: ignore[misc]
        def finalists(self) -> list[naslab.Query]:
            return [naslab.Query(ranked[place], 9) for place in (0, 9, 4)]

    result = naslab.search(one, Finals, budget=5)
    assert [tuple(each["architecture"]) for each in result.trace.end["finalists"]] == [ranked[0], ranked[9], ranked[4]]
    assert result.architecture == ranked[9]  # at the highest fidelity, which ranks above what was asked for
    assert result.trace.end["evaluations"] == len(result.trace.steps) == 1


@pytest.mark.parametrize("fidelity", [2, 200, "full", 0, -1])
def test_an_unknown_fidelity_is_refused(stored_task: str, fidelity: Any) -> None:
    with pytest.raises(PluginError, match=f"asks for the fidelity {fidelity!r}. Allowed on .*: 1, 3, 9"):
        naslab.search(stored_task, asking(naslab.Query((0, 0, 0), fidelity)), budget=3)


def test_fidelities_of_nats_tss(nats_tss: str) -> None:
    one = naslab.task(f"{nats_tss}/cifar10")
    assert one.problem.fidelity == 12
    assert set(one.problem.fidelities) >= {12, 200}
    result = naslab.search(one, SuccessiveHalving, budget="100000s")
    short = [s.evaluation.seconds for s in result.trace.steps if s.query.fidelity == 12]
    whole = one.reward().evaluate(result.trace.steps[0].query.architecture, fidelity=200, rng=np.random.default_rng(0))
    assert short
    assert short[0] == pytest.approx(whole.seconds * 12 / 200)
    thorough = [s for s in result.trace.steps if s.query.fidelity == 200]
    assert len(thorough) == 3
    assert result.architecture == max(thorough, key=lambda s: s.evaluation.score).query.architecture
