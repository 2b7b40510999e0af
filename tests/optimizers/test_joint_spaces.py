"""Every strategy on a space with conditions, ranges and a recipe: it runs and resumes, or refuses in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from naslab import search
from naslab.errors import InvalidValue
from naslab.optimizers import optimizer_spec
from naslab.registry import entries
from naslab.running import trace_path
from naslab.tasks import Source
from naslab.testing import ToyReward, toy_tasks

SEARCH_EVERYTHING = {
    "asha", "bohb", "dehb", "freeze-thaw", "hyperband", "local-search", "mo-regularized-evolution", "optuna-gp",
    "optuna-nsgaii", "optuna-tpe", "optuna-tpe-pruned", "pasha",
    "portfolio-bohb", "portfolio-evolution", "prior-evolution", "prior-random",
    "random", "regularized-evolution", "successive-halving",
}  # fmt: skip
PLAIN = toy_tasks()["joint"]
SOURCE = Source("toy/elsewhere", PLAIN.problem.space, ToyReward())
PLAIN = replace(PLAIN, problem=replace(PLAIN.problem, sources=(SOURCE,)))
RUNGS = replace(PLAIN, problem=replace(PLAIN.problem, fidelities=(1, 3, 9), fidelity=9))
NAMES = sorted(entries("optimizers"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "optuna-gp" else name for name in NAMES],
)
def test_a_strategy_searches_it_all_or_says_what_it_cannot(name: str, tmp_path: Path) -> None:
    continues = getattr(optimizer_spec(name).factory, "continues", False) or name == "bohb-nb201"
    task = RUNGS if continues else PLAIN
    budget = "1s" if optimizer_spec(name).unit == "epochs" else 25
    if name not in SEARCH_EVERYTHING:
        with pytest.raises(InvalidValue, match=r"^(Range|Choice)\('\w+'\): |choices alone") as error:
            search(task, name, budget=budget, out=tmp_path)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())
        return
    whole = search(task, name, budget=budget, out=tmp_path)
    space, asked = task.problem.space, [step.query.architecture for step in whole.trace.steps]
    assert len(asked) == 25
    assert all(map(space.is_valid, asked))
    assert len({tuple(space.active(a)) for a in asked}) > 1
    path = trace_path(tmp_path, task.id, name, 0)
    content = path.read_bytes()
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:12]))
    search(task, name, budget=budget, out=tmp_path)
    assert path.read_bytes() == content
