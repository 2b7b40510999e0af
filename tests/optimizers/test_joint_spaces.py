"""Every strategy on a space with conditions, ranges and a recipe: it runs and resumes, or refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslab import search
from naslab.errors import InvalidValue
from naslab.optimizers import optimizer_spec
from naslab.registry import entries
from naslab.running import trace_path
from naslab.testing import toy_tasks

SEARCH_EVERYTHING = {
    "local-search",
    "optuna-gp",
    "optuna-nsgaii",
    "optuna-tpe",
    "random",
    "regularized-evolution",
}
TASK = toy_tasks()["joint"]


@pytest.mark.parametrize("name", sorted(entries("optimizers")))
def test_a_strategy_searches_it_all_or_says_what_it_cannot(name: str, tmp_path: Path) -> None:
    budget = "1s" if optimizer_spec(name).unit == "epochs" else 25
    if name not in SEARCH_EVERYTHING:
        with pytest.raises(InvalidValue, match=r"^(Range|Choice)\('\w+'\): ") as error:
            search(TASK, name, budget=budget, out=tmp_path)
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())
        return
    whole = search(TASK, name, budget=budget, out=tmp_path)
    space, asked = TASK.problem.space, [step.query.architecture for step in whole.trace.steps]
    assert len(asked) == 25
    assert all(map(space.is_valid, asked))
    assert len({tuple(space.active(a)) for a in asked}) > 1
    path = trace_path(tmp_path, TASK.id, name, 0)
    content = path.read_bytes()
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:12]))
    search(TASK, name, budget=budget, out=tmp_path)
    assert path.read_bytes() == content
