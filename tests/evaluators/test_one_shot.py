"""Shared weights: steps, warm-up, scores, resuming."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

import naslab
import naslab.optimizers.policy.tabnas
from naslab.datasets import Rows
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.table import TableTruth
from naslab.running import search
from naslab.space import Recipe
from naslab.tasks import Problem, Task
from naslab.tasks.rewards import live, shared

SPACE = naslab.search_space("mlp", in_features=4, out_features=2, widths=((2, 8, 4), (3, 6)))


def rows(count: int, seed: int) -> Rows:
    """Two classes that can be told apart."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 4)).astype(np.float32)
    return Rows(x, (x[:, 0] + x[:, 1] > 0).astype(np.int64))


TRAIN, HELD = rows(64, 0), rows(200, 1)
RECIPE = Recipe(epochs=4, batch=8, learning_rate=0.1)  # 32 steps, 8 of them warm-up


def one_shot(recipe: Recipe = RECIPE, **options) -> OneShot:
    return OneShot(SPACE, TRAIN, HELD, recipe, **options)


def test_a_step_is_a_step_of_sgd_on_the_architecture_alone():
    evaluator, rng = one_shot(warm_up=0.0), np.random.default_rng(3)
    evaluator.evaluate((1, 1), rng=rng)
    state = evaluator._state
    twin = copy.deepcopy(evaluator.supernet)
    sgd = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9, nesterov=True)
    sgd.load_state_dict(copy.deepcopy(state.optimizer.state_dict()))
    drawn = state.train_batches._waiting[0]
    x, y = torch.from_numpy(TRAIN.x)[drawn], torch.from_numpy(TRAIN.y)[drawn]
    network = evaluator.supernet.extract((2, 0))
    loss = functional.cross_entropy(network(x), y)
    found = evaluator.evaluate((2, 0), rng=rng)
    assert found.metrics == {"loss": pytest.approx(loss.item()), "warm_up": 0.0}
    sgd.param_groups[0].update(lr=RECIPE.rate(1, 32), fused=False)
    sgd.zero_grad()
    functional.cross_entropy(twin(x, (2, 0)), y).backward()
    first = next(p for n, p in twin.named_parameters() if n.startswith("x->") and n.endswith("weight"))
    assert first.grad[:4].any()  # option 2 is four units wide
    assert not first.grad[4:].any()
    sgd.step()
    for ours, by_hand in zip(evaluator.supernet.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, by_hand)


def test_the_score_is_of_the_updated_weights_on_a_batch_of_validation_rows():
    evaluator = one_shot(warm_up=0.0)
    rng = np.random.default_rng(0)
    evaluator.evaluate((1, 1), rng=rng)
    batches = evaluator._state.score_batches
    assert batches.size == 32  # four times the training batch
    drawn = batches._waiting[0]
    found = evaluator.evaluate((0, 1), rng=rng)
    network = evaluator.supernet.extract((0, 1)).eval()
    right = network(torch.from_numpy(HELD.x)[drawn]).argmax(1) == torch.from_numpy(HELD.y)[drawn]
    assert found.score == pytest.approx(100 * right.float().mean().item())


def test_all_validation_rows_without_a_step():
    evaluator, rng = one_shot(), np.random.default_rng(0)
    evaluator.evaluate((1, 1), rng=rng)
    before = [p.detach().clone() for p in evaluator.supernet.parameters()]
    found = evaluator.evaluate((0, 0), fidelity="full-validation", rng=rng)
    network = evaluator.supernet.extract((0, 0)).eval()
    right = network(torch.from_numpy(HELD.x)).argmax(1) == torch.from_numpy(HELD.y)
    assert found.score == pytest.approx(100 * right.float().mean().item())
    assert evaluator.step == 1
    assert all(torch.equal(p, old) for p, old in zip(evaluator.supernet.parameters(), before, strict=True))


def test_the_warm_up_lasts_a_quarter_and_widens_less_and_less():
    evaluator, rng = one_shot(), np.random.default_rng(0)
    assert evaluator.steps == 32
    warm = [evaluator.evaluate((0, 0), rng=rng).metrics["warm_up"] for _ in range(12)]
    assert warm == [1.0] * 8 + [0.0] * 4
    shares = []
    for step in (0, 4, 7):
        evaluator.step = step
        widened = [evaluator._widened((0, 0), rng) for _ in range(4000)]
        assert set(widened) <= {(0, 0), (1, 0), (0, 1), (1, 1)}  # the largest widths are options 1 and 1
        shares.append(np.mean(np.array(widened) == 1))
    assert shares == pytest.approx([1.0, 0.5, 0.125], abs=0.03)


def test_it_learns():
    evaluator, rng = one_shot(Recipe(epochs=120, batch=16, learning_rate=0.2)), np.random.default_rng(0)
    for _ in range(evaluator.steps):
        evaluator.evaluate(SPACE.sample(rng), rng=rng)
    assert evaluator.evaluate((1, 1), fidelity="full-validation", rng=rng).score > 90


def test_the_same_generator_gives_the_same_scores():
    def scores(seed):
        evaluator, rng = one_shot(), np.random.default_rng(seed)
        return [evaluator.evaluate(SPACE.sample(rng), rng=rng).score for _ in range(20)]

    assert scores(1) == scores(1) != scores(2)


def task() -> Task:
    truth = TableTruth({a: float(sum(a)) for a in SPACE.architectures()})
    problem = Problem(SPACE, train=TRAIN, validation=HELD)
    return Task("toy/rows", problem, lambda: None, truth, recipe=RECIPE)


@pytest.mark.parametrize("optimizer", ["tabnas", "ppo[batch=5]", "reinforce"])
def test_an_interrupted_run_resumes_to_the_same_trace(tmp_path, optimizer):
    """Shared weights are not stored: they are trained again."""
    one = shared(task(), Recipe(epochs=8, batch=8, learning_rate=0.1))
    search(one, optimizer, budget=60, seed=0, out=tmp_path / "whole")
    (whole,) = (tmp_path / "whole").rglob("*.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    cut = tmp_path / "cut" / whole.relative_to(tmp_path / "whole")
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"".join(lines[:25]) + lines[25][:7])
    cut.with_name("0.jsonl.seconds").write_bytes(whole.with_name("0.jsonl.seconds").read_bytes())
    search(one, optimizer, budget=60, seed=0, out=tmp_path / "cut")
    assert cut.read_bytes() == whole.read_bytes()


def test_strategies_do_not_learn_from_the_warm_up():
    one = shared(task(), Recipe(epochs=8, batch=8, learning_rate=0.1))
    evaluator, rng = one.reward(), np.random.default_rng(0)
    optimizer = naslab.optimizers.policy.tabnas.TabNAS(one.problem, rng)
    for step in range(20):
        asked = optimizer.ask()
        optimizer.tell(asked, evaluator.evaluate(asked, rng=rng))
        assert optimizer.policy.steps == max(0, step + 1 - 16)


def test_modes_of_a_task():
    assert shared(task()).problem.fidelities == ("step", "full-validation")
    assert shared(task()).id == "toy/rows@shared"
    assert live(task()).id == "toy/rows@live"
    with pytest.raises(UnknownName, match=r"'shard'\. Did you mean 'shared'"):
        naslab.task("nasbench201/cifar10@shard")
    with pytest.raises(InvalidValue, match="has no rows to train on"):
        naslab.task("nasbench201/cifar10@shared")


def test_bad_arguments():
    with pytest.raises(InvalidValue, match=r"weight_decay=0\.1"):
        one_shot(Recipe(epochs=1, batch=8, learning_rate=0.1, weight_decay=0.1))
    with pytest.raises(InvalidValue, match=r"mixup=0\.1"):
        one_shot(Recipe(epochs=1, batch=8, learning_rate=0.1, mixup=0.1))
    with pytest.raises(InvalidValue, match="a batch of 100 is larger than the 64 training rows"):
        one_shot(Recipe(epochs=1, batch=100, learning_rate=0.1))
    with pytest.raises(InvalidValue, match=r"warm_up=1\.0"):
        one_shot(warm_up=1.0)
    with pytest.raises(UnknownName, match="'full' of 'fidelity'"):
        one_shot().evaluate((0, 0), fidelity="full", rng=np.random.default_rng(0))


def test_finalists_are_ranked_on_all_validation_rows_when_the_budget_is_spent(tmp_path):
    one = shared(task(), RECIPE)
    result = search(one, "tabnas[selection=rerank]", budget=40, max={"params": 50}, out=tmp_path)
    again = search(one, "tabnas", budget=40, max={"params": 50})
    finalists = result.trace.end["finalists"]
    assert len(finalists) == len({tuple(each["architecture"]) for each in finalists}) > 1
    best = max(finalists, key=lambda each: each["score"])
    assert list(result.architecture) == best["architecture"]
    assert result.score == best["score"]
    assert all(
        each["score"] * len(HELD) / 100 == pytest.approx(round(each["score"] * len(HELD) / 100)) for each in finalists
    )
    assert all(SPACE.cost(tuple(each["architecture"])).params <= 50 for each in finalists)
    assert "finalists" not in again.trace.end
    with pytest.raises(InvalidValue, match="@shared"):
        search(task(), "tabnas[selection=rerank]", budget=1)
