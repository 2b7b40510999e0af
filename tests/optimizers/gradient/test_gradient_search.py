"""Searches by gradients: composed, resumed, limited."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import io

import numpy as np
import pytest
import torch
import toy_spaces
from gradient_toys import toy_task

import naslab
from naslab.errors import InvalidValue, OutputError, TrainingFailed, UnknownName
from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.perturbations import new_perturbation
from naslab.optimizers.gradient.relaxations import new_relaxation
from naslab.optimizers.gradient.sampled_updates import CONTROL_RATE
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.strategies import DARTS, GDAS, PCDARTS
from naslab.registry import entries
from naslab.running import search as run_search
from naslab.tasks import Constraint

NAMES = [e.name for e in entries("optimizers").values() if optimizer_spec(e.name).unit == "epochs"]
TASK = toy_task()


def built(strategy=DARTS, problem=TASK.problem, seed: int = 0, **options):
    return strategy(problem, np.random.default_rng(seed), **{"epochs": 4, "batch": 16, **options})


def test_there_are_the_published_strategies():
    assert set(NAMES) >= {"darts", "darts-v2", "gdas", "snas", "setn", "rsps", "fairnas", "pc-darts", "proxylessnas"}
    assert set(NAMES) >= {"smooth-darts-rs", "smooth-darts-adv", "one-shot"}


def test_defaults_of_a_strategy_are_in_its_signature():
    assert inspect.signature(GDAS).parameters["relaxation"].default == "hard-gumbel"
    assert inspect.signature(DARTS).parameters["relaxation"].default == "softmax"
    assert inspect.signature(PCDARTS).parameters["edges"].default is True
    spec = optimizer_spec("gdas[perturbation=random,epochs=3]")
    assert spec.describe()["hyperparameters"]["perturbation"] == "random"
    assert spec.describe()["hyperparameters"]["weights"] == "hard-gumbel"


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_learns_and_goes_on_from_a_state(name):
    spec = optimizer_spec(f"{name}[epochs=4,batch=16,warm_up=1,partial=1]")
    search = spec.build(TASK.problem, np.random.default_rng(1))
    steps = [search.step(), search.step()]
    kept = io.BytesIO()
    torch.save(search.state(), kept)
    steps += [search.step(), search.step()]
    assert search.step() is None
    kept.seek(0)
    again = spec.build(TASK.problem, np.random.default_rng(1))
    again.restore(torch.load(kept, weights_only=True))
    assert [again.step(), again.step(), again.step()] == [*steps[2:], None]
    assert again.best() == search.best()
    assert all(TASK.problem.space.is_valid(step.architecture) for step in steps)
    losses = [step.metrics["train_loss"] for step in steps]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["darts", "darts-v2", "gdas", "snas", "setn", "proxylessnas"])
def test_logits_find_what_works(name):
    """Without the input nothing can be told: all that leads nowhere has to lose."""
    task = toy_task()
    spec = optimizer_spec(f"{name}[epochs=30,batch=16,architecture_rate=0.05,warm_up=0,architecture_decay=0.0]")
    search = spec.build(task.problem, np.random.default_rng(0))
    start = search.model.entropy()
    while (step := search.step()) is not None:
        last = step
    assert search.model.entropy() < 0.9 * start
    assert task.problem.space.is_connected(last.architecture)


@pytest.mark.parametrize("update", ["reinforce", "relax"])
def test_rewards_of_drawn_paths_teach_and_are_resumed(update):
    options = {
        "weights": "sampled",
        "update": update,
        "epochs": 30,
        "architecture_rate": 0.05,
        "architecture_decay": 0.0,
    }
    search, again = built(**options), built(**options)
    start = search.model.entropy()
    for _ in range(10):
        search.step()
    again.restore(search.state())
    steps = [search.step() for _ in range(20)]
    assert [again.step() for _ in range(20)] == steps
    assert search.model.entropy() < 0.9 * start
    assert TASK.problem.space.is_connected(search.best())
    if update == "relax":  # one control variate learns all along: a single step moves a weight by the rate at most
        assert search.update.state()["control"]["output"].abs().max() > 5 * CONTROL_RATE


@pytest.mark.parametrize("relaxation", ["softmax", "gumbel-softmax", "hard-gumbel", "uniform"])
@pytest.mark.parametrize("perturbation", ["random", "adversarial"])
def test_any_relaxation_can_be_perturbed(relaxation, perturbation):
    search = built(weights=relaxation, perturbation=perturbation, epochs=2)
    plain = built(weights=relaxation, epochs=2)
    assert np.isfinite(search.step().metrics["train_loss"])
    if relaxation != "uniform":
        assert search.step() != plain.step()


def test_random_noise_stays_on_the_simplex_and_within_the_radius():
    noise = new_perturbation("random")
    noise.set_progress(0.0)
    p = torch.tensor([0.2, 0.3, 0.5])
    for seed in range(50):
        (found,) = noise.perturbed([p], lambda _: torch.tensor(0.0), torch.Generator().manual_seed(seed))
        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()
        assert (found - p).abs().max() < 0.03 / (1 - 3 * 0.03) + 0.03
    noise.set_progress(1.0)
    assert noise.radius == pytest.approx(0.3)


def test_the_adversary_raises_the_loss_more_than_chance_does():
    p, towards = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([1.0, 0.0, 0.0])
    gained = {}
    for name in ("random", "adversarial"):
        noise, rng = new_perturbation(name), torch.Generator().manual_seed(0)
        noise.set_progress(1.0)
        gained[name] = np.mean(
            [
                float((noise.perturbed([p], lambda each: (each[0] * towards).sum(), rng)[0] * towards).sum())
                for _ in range(50)
            ]
        )
    assert gained["adversarial"] > gained["random"] + 0.1


def projected(p):
    inside = np.clip(p, 0, 1)
    return inside / inside.sum()


def test_random_noise_is_the_formula():
    noise, p = new_perturbation("random"), torch.tensor([0.02, 0.28, 0.7])
    noise.set_progress(0.5)
    drawn = torch.rand(3, generator=torch.Generator().manual_seed(3)).numpy()
    (found,) = noise.perturbed([p], lambda _: torch.tensor(0.0), torch.Generator().manual_seed(3))
    expected = projected(p.numpy() + 0.165 * (2 * drawn - 1))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_the_adversary_is_the_formula():
    noise, p, towards = new_perturbation("adversarial"), torch.tensor([0.05, 0.25, 0.7]), torch.tensor([1.0, -2.0, 0.0])
    noise.set_progress(1.0)
    start = 0.3 * (2 * torch.rand(3, generator=torch.Generator().manual_seed(1)).numpy() - 1)
    worst = projected(p.numpy() + start)
    for _ in range(7):
        moved = worst + 2 * 0.3 / 7 * np.sign(towards.numpy()) - p.numpy()
        worst = projected(p.numpy() + np.clip(moved, -0.3, 0.3))
    (found,) = noise.perturbed([p], lambda each: (each[0] * towards).sum(), torch.Generator().manual_seed(1))
    np.testing.assert_allclose(found.numpy(), worst, atol=1e-6)
    (kept,) = noise.perturbed([p], lambda each: -(each[0] - p).square().sum(), torch.Generator().manual_seed(1))
    assert torch.equal(kept, p)  # nothing is worse than no noise


def test_where_noise_leaves_nothing_all_goes_to_the_largest():
    noise, p = new_perturbation("random"), torch.full((5,), 0.2)
    noise.set_progress(1.0)
    noise._noise = lambda p, generator: torch.tensor([-0.3, -0.25, -0.21, -0.3, -0.3])
    (found,) = noise.perturbed([p], lambda _: torch.tensor(0.0), torch.Generator())
    assert found.tolist() == [0, 0, 1, 0, 0]


def test_limits_and_rules_hold_for_what_is_derived():
    space = naslab.search_space("mlp", in_features=6, out_features=2, widths=(2, 4, 8), depth=2)
    task = toy_task(space)
    smallest = min(space.cost(a).params for a in space.architectures())
    problem = dataclasses.replace(task.problem, constraint=Constraint.parse({"params": smallest + 5}))
    for derivation in ("argmax", "sample-and-rank"):
        search = built(problem=problem, derivation=derivation)
        assert problem.is_feasible(search.step().architecture)
        assert problem.is_feasible(search.best())


def test_warm_up_leaves_the_logits():
    search = built(warm_up=2, architecture_rate=0.1)
    before = [logits.detach().clone() for logits in search.model.logits]
    assert "validation_loss" not in search.step().metrics
    assert all(torch.equal(a, b.detach()) for a, b in zip(before, search.model.logits, strict=True))
    search.step()
    assert "validation_loss" in search.step().metrics
    assert not all(torch.equal(a, b.detach()) for a, b in zip(before, search.model.logits, strict=True))


def test_edges_that_meet_are_weighted():
    search = built(edges=True)
    assert search.model.edge_weights().keys() == {"a->b", "x->b"}
    assert sum(search.model.edge_weights().values()).item() == pytest.approx(1)
    before = copy.deepcopy([each.detach() for each in search.model.edge_logits])
    search.step()
    assert not torch.equal(before[0], search.model.edge_logits[0].detach())


def test_bad_settings_are_refused():
    for options, said in (
        ({"relaxation": "sofmax"}, "softmax"),
        ({"perturbation": "radom"}, "random"),
        ({"derivation": "max"}, "argmax"),
    ):
        with pytest.raises(UnknownName, match=said):
            built(**options)
    for options in ({"batch": 65}, {"epochs": 0}, {"learning_rate": 0.0}):
        with pytest.raises(InvalidValue):
            built(**options)
    for options, said in (
        ({"warm_up": 4}, "warm_up=4, epochs=4: the logits would never learn.*Fix: warm_up=1"),
        ({"warm_up": -1}, "warm_up=-1"),
        ({"partial": 0}, "partial=0"),
        ({"relaxation": "uniform"}, "no gradient reaches the logits.*softmax, gumbel-softmax.*update=reinforce"),
        ({"relaxation": "plain", "update": "second-order"}, "no gradient reaches the logits"),
        ({"penalty": 1.0, "update": "none"}, "nothing learns from it"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"first_beta": 1.5}, "first_beta=1.5"),
    ):
        with pytest.raises(InvalidValue, match=said):
            built(**options)
    built(relaxation="uniform", update="reinforce")
    with pytest.raises(InvalidValue, match=r"no rows to train on.*--data DIR"):
        built(problem=dataclasses.replace(TASK.problem, train=None))


def test_uniform_paths_keep_the_rules_of_a_space():
    weights = new_relaxation("uniform")
    weights.space = toy_spaces.two_inputs()
    rng = torch.Generator().manual_seed(0)
    paths = [tuple(weights.decide([torch.zeros(k) for k in weights.space.sizes], rng)[0]) for _ in range(50)]
    assert all(weights.space.is_valid(path) for path in paths)
    assert len(set(paths)) > 10


def test_weights_that_are_no_numbers_end_the_search_before_its_state_is_kept(monkeypatch):
    search = built()
    search.step()
    train = OneShotSearch._train

    def broken(self, x, y):
        loss = train(self, x, y)
        with torch.no_grad():
            self.model.weights[0].fill_(float("inf"))
        return loss

    search.steps = 1
    monkeypatch.setattr(OneShotSearch, "_train", broken)
    with pytest.raises(TrainingFailed, match="a weight is not finite after epoch 2; fix: a lower learning_rate"):
        search.step()


# ---- runs ------------------------------------------------------------------------------------------------------------

OPTIMIZER = "darts[epochs=6,batch=16,architecture_rate=0.1]"


def files(folder):
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def test_a_run_cut_short_ends_as_if_it_had_not_been(tmp_path):
    whole = run_search(TASK, OPTIMIZER, budget="5epochs", out=tmp_path / "whole")
    assert len(whole.trace.steps) == 5
    assert whole.trace.end["reason"] == "budget"
    assert run_search(TASK, OPTIMIZER, budget="10epochs").trace.end["reason"] == "finished"
    run_search(TASK, OPTIMIZER, budget="5epochs", out=tmp_path / "cut")
    trace, reference = (files(tmp_path / name)["0.jsonl"] for name in ("cut", "whole"))
    lines = reference.read_bytes().splitlines(keepends=True)
    for kept, checkpoint in ((3, True), (5, True), (6, True), (4, False)):  # the checkpoint is of the fifth epoch
        trace.write_bytes(b"".join(lines[:kept]) + lines[kept][:9])
        if not checkpoint:
            files(tmp_path / "cut")["0.checkpoint"].unlink()
        run_search(TASK, OPTIMIZER, budget="5epochs", out=tmp_path / "cut")
        assert trace.read_bytes() == reference.read_bytes()


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    run_search(TASK, OPTIMIZER, budget="3epochs", out=tmp_path)
    found = files(tmp_path)
    lines = found["0.jsonl"].read_bytes().splitlines(keepends=True)
    found["0.jsonl"].write_bytes(b"".join(lines[:2]))
    kept = torch.load(found["0.checkpoint"], weights_only=True)
    torch.save({**kept, "header": kept["header"].replace('"seed": 0', '"seed": 1')}, found["0.checkpoint"])
    with pytest.raises(OutputError, match="belongs to another run: seed"):
        run_search(TASK, OPTIMIZER, budget="3epochs", out=tmp_path)
    found["0.checkpoint"].write_bytes(b"nonsense")
    with pytest.raises(OutputError, match="is no checkpoint"):
        run_search(TASK, OPTIMIZER, budget="3epochs", out=tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_checkpoint(tmp_path, monkeypatch):
    train = OneShotSearch._train
    monkeypatch.setattr(
        OneShotSearch, "_train", lambda self, x, y: torch.tensor(torch.nan) if self.epoch == 2 else train(self, x, y)
    )
    with pytest.raises(TrainingFailed, match=r"nan in epoch 3.*last good checkpoint, of epoch 2, is .*0\.checkpoint"):
        run_search(TASK, OPTIMIZER, budget="5epochs", out=tmp_path, on_failure="raise")
    assert len(files(tmp_path)["0.jsonl"].read_bytes().splitlines()) == 3
    assert run_search(TASK, OPTIMIZER, budget="5epochs", out=tmp_path).failed


def test_a_budget_in_seconds_counts_whole_epochs(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("naslab.evaluators.stopwatch.time.process_time", lambda: float(next(clock)))
    result = run_search(TASK, OPTIMIZER, budget="7s")
    # Of the three between the first and the last look at the clock, one went into saying what would be returned.
    assert [step.evaluation.seconds for step in result.trace.steps] == [2.0, 2.0, 2.0]
    three = run_search(TASK, OPTIMIZER, budget="3epochs")
    assert result.architecture == three.architecture


@pytest.mark.parametrize(("optimizer", "budget"), [("darts", 100), ("random", "10epochs")])
def test_budgets_in_the_wrong_unit_are_refused_before_anything_is_written(tmp_path, optimizer, budget):
    with pytest.raises(InvalidValue, match="works in"):
        run_search(TASK, optimizer, budget=budget, out=tmp_path / "out")
    with pytest.raises(InvalidValue, match="works in"):
        naslab.compare([TASK], [optimizer], budget=budget, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gradient_and_black_box_searches_are_compared_in_seconds(tmp_path):
    results = naslab.compare(["pocket-mlp/segments"], ["random", "darts[epochs=2]"], budget="2s", seeds=2, out=tmp_path)
    summary = results.summary()
    assert set(summary["optimizer"]) == {"random", "darts[epochs=2]"}
    assert (summary["n"] == 2).all()
    results.report()
