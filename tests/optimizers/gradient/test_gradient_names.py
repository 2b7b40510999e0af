"""What a strategy's name promises: the settings and steps of the paper, or of the code that its authors released."""

from __future__ import annotations

import copy
import math
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from gradient_toys import rows, toy_task
from torch import nn
from torch.func import functional_call
from torch.nn import functional

import naslab
from naslab.errors import InvalidValue, UnknownName
from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.enas import Controller
from naslab.optimizers.gradient.relaxations import new_relaxation
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.updates import unrolled_step
from naslab.tasks import Problem

TASK = toy_task()


def built(name="darts", problem=TASK.problem, seed=0, **options):
    listed = ",".join(f"{key}={value}" for key, value in {"epochs": 4, "batch": 16, **options}.items())
    return optimizer_spec(f"{name}[{listed}]").build(problem, np.random.default_rng(seed))


def settings(name):
    return optimizer_spec(name).describe()["hyperparameters"]


# ---- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nesterov", "weight_decay"),
    [
        ("robust-darts", False, 3e-4),
        ("smooth-darts-rs", False, 3e-4),
        ("smooth-darts-adv", False, 3e-4),
        ("pc-darts", False, 5e-4),
        ("spos", False, 4e-5),
        ("proxylessnas", True, 4e-5),
        ("darts", True, 5e-4),
        ("darts[nesterov=false]", False, 5e-4),
    ],
)
def test_momentum_and_decay_are_those_of_the_released_code(name, nesterov, weight_decay):
    (group,) = optimizer_spec(name).build(toy_task().problem, np.random.default_rng(0)).weight_optimizer.param_groups
    assert (group["nesterov"], group["weight_decay"]) == (nesterov, weight_decay)


def test_robust_darts_is_second_order_and_regularises_tenfold_up_to_three_hundredths(monkeypatch):
    assert settings("robust-darts")["update"] == "second-order"
    monkeypatch.setattr("naslab.optimizers.gradient.stopping.Eigenvalue._measured", lambda self, search: 1.0)
    search, seen = built("robust-darts", stopping="adaptive-l2", epochs=40), [3e-4]
    for _ in range(3):
        search.stopping.values, search.stopping.kept = [1.0] * 12, [search.learnt()] * 7
        search.stopping.risen(search)
        seen.append(search.weight_decay)
    assert seen == pytest.approx([3e-4, 3e-3, 3e-2, 3e-2])


def test_proxylessnas_warms_up_on_a_schedule_of_its_own():
    search = built("proxylessnas", epochs=160, warm_up=40)
    rates = []
    for search.epoch in range(160):
        rates.append(search.rate())
    assert [rates[i] for i in (0, 20, 40, 100)] == pytest.approx([0.05, 0.025, 0.025, 0.0125])
    assert rates[39] == pytest.approx(0.05 * (1 + math.cos(math.pi * 39 / 40)) / 2)
    assert rates[159] == pytest.approx(0.025 * (1 + math.cos(math.pi * 119 / 120)) / 2)
    usual = settings("proxylessnas")
    assert (usual["epochs"], usual["warm_up"], usual["warm_up_rate"]) == (160, 40, 0.05)
    other = built("pc-darts", epochs=160, warm_up=40, partial=1)  # without a rate of its own: one schedule
    other.epoch = 80
    assert other.rate() == pytest.approx((0.025 + 0.001) / 2)
    with pytest.raises(InvalidValue, match="warm_up_rate=-1"):
        built(warm_up_rate=-1.0)


@pytest.mark.parametrize(
    ("name", "first"),
    [(n, "weights") for n in ("gdas", "setn", "proxylessnas", "darts[order=weights-first]")]
    + [(n, "logits") for n in ("darts", "darts-v2", "snas", "robust-darts", "gdas[order=logits-first]")],
)
def test_a_step_begins_as_published(name, first, monkeypatch):
    base, _, inner = name.rstrip("]").partition("[")
    search, seen = built(base, warm_up=0, **dict([inner.split("=")] if inner else [])), []
    train, learn = search._train, search.update.update
    monkeypatch.setattr(search, "_train", lambda *batch: (seen.append("weights"), train(*batch))[1])
    monkeypatch.setattr(search.update, "update", lambda *args: (seen.append("logits"), learn(*args))[1])
    search.step()
    assert seen == [first, *{"weights", "logits"} - {first}] * search.steps


def test_logits_that_come_second_learn_at_the_new_weights():
    search = built(order="weights-first", architecture_decay=0.0)
    search.steps, search.optimizer = 1, torch.optim.SGD(search.model.architecture, lr=1.0)
    batches = copy.deepcopy(search.held_batches)
    before = [each.detach().clone().requires_grad_() for each in search.model.logits]
    search.step()
    x, y = batches.next()
    loss = functional.cross_entropy(search.model.supernet(x, [torch.softmax(each, 0) for each in before]), y)
    for old, new, g in zip(before, search.model.logits, torch.autograd.grad(loss, before), strict=True):
        torch.testing.assert_close(old.detach() - new.detach(), g)
    with pytest.raises(UnknownName, match="weights-first"):
        built(order="weights")


def test_the_published_rows_of_nas_bench_201_are_made_in_their_scripts_order():
    listed = tomllib.loads(Path("experiments/nasbench201_search.toml").read_text())["weight_sharing"]["rows"]
    orders = {row: settings(optimizer)["order"] for row, optimizer in listed.items() if row not in ("RSPS", "ENAS")}
    first = "weights-first"
    assert orders == {"DARTS-V1": first, "DARTS-V2": "logits-first", "GDAS": first, "SETN": first}


# ---- the step that second order unrolls ------------------------------------------------------------------------------


def second_order(update, clip=5.0, **options):
    search = OneShotSearch(
        TASK.problem, np.random.default_rng(0), batch=16, architecture_decay=0.0, learning_rate=0.3, update=update,
        unroll="taken", clip=clip, **options,
    )  # fmt: skip
    search.model.supernet.double()
    with torch.no_grad():
        for i, logits in enumerate(search.model.logits):
            logits.data = torch.tensor([0.2, -0.1 * i, 0.5], dtype=torch.float64)
    search.optimizer = torch.optim.SGD(search.model.architecture, lr=1.0)  # so that a step is the gradient
    x, y = batch(9)
    search.model.loss([[torch.softmax(each, 0).detach() for each in search.model.logits]], x, y, "mixed").backward()
    search.weight_optimizer.step()  # so that there is a momentum
    return search


def batch(seed):
    drawn = rows(16, seed)
    return torch.from_numpy(drawn.x).double(), torch.from_numpy(drawn.y)


@pytest.mark.parametrize("clip", [5.0, 0.05])
def test_the_step_unrolled_can_be_the_one_that_is_taken(clip):
    search = second_order("second-order", clip)
    twin, sgd = copy.deepcopy((search.model.supernet, search.weight_optimizer.state_dict()))
    optimizer = torch.optim.SGD(twin.parameters(), 0.3, momentum=0.9, nesterov=True, weight_decay=5e-4)
    optimizer.load_state_dict(sgd)
    gradients = [torch.randn_like(w) for w in twin.parameters()]
    for w, g in zip(twin.parameters(), gradients, strict=True):
        w.grad = g.clone()
    nn.utils.clip_grad_norm_(twin.parameters(), clip)
    optimizer.step()
    xi, found = unrolled_step(search.weight_optimizer, search.model.weights, gradients, clip)
    assert xi == 0.3
    for ours, w in zip(found, twin.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), w.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip", [5.0, 0.05])  # the gradient's norm is between the two
@pytest.mark.parametrize(("update", "tolerance"), [("second-order-exact", 1e-10), ("second-order", 1e-4)])
def test_second_order_through_the_step_that_is_taken(update, tolerance, clip):
    """Against ``w - xi (d + mu (mu m + d))``, ``d = clipped g + decay w``, differentiated twice by hand."""
    search = second_order(update, clip)
    held, train = batch(1), batch(0)
    logits = [each.detach().clone().requires_grad_() for each in search.model.logits]
    weights = {name: w.detach().clone().requires_grad_() for name, w in search.model.supernet.named_parameters()}

    def loss(at, x, y):
        mixture = [torch.softmax(each, 0) for each in logits]
        return functional.cross_entropy(functional_call(search.model.supernet, at, (x, mixture)), y)

    g = torch.autograd.grad(loss(weights, *train), list(weights.values()), create_graph=True)
    norm = torch.cat([each.flatten() for each in g]).norm()
    assert 0.05 < norm < 5
    moved = {}
    for (name, w), parameter, each in zip(weights.items(), search.model.weights, g, strict=True):
        d = each * (clip / (norm + 1e-6) if norm > clip else 1.0) + 5e-4 * w
        m = search.weight_optimizer.state[parameter]["momentum_buffer"]
        moved[name] = w - 0.3 * (d + 0.9 * (0.9 * m + d))
    expected = torch.autograd.grad(loss(moved, *held), logits)
    before = [each.detach().clone() for each in search.model.logits]
    search.update.update(search.learner(), train, held)
    for old, new, by_hand in zip(before, search.model.logits, expected, strict=True):
        assert (old - new.detach() - by_hand).abs().max() < tolerance * by_hand.abs().max()


def test_an_unknown_step_to_unroll_is_refused():
    with pytest.raises(UnknownName, match="taken"):
        built(unroll="take")


# ---- gates -----------------------------------------------------------------------------------------------------------


def test_gates_on_all_paths_are_unbiased():
    """The expected gradient over the draws is that of the expected output: by enumeration."""
    logits = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64, requires_grad=True)
    values, gates = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), new_relaxation("all-paths")
    p = torch.softmax(logits, 0)
    (expected,) = torch.autograd.grad((p * values).sum(), logits, retain_graph=True)
    gradients, counts = {}, Counter()
    for seed in range(300):
        ((decision,),) = gates.decide([p], torch.Generator().manual_seed(seed))
        assert (decision.active, decision.inactive) == ((0, 1, 2), "drop")
        drawn = int(decision.weights.argmax())
        assert decision.weights.detach().tolist() == np.eye(3)[drawn].tolist()
        (gradients[drawn],) = torch.autograd.grad((decision.weights * values).sum(), logits, retain_graph=True)
        counts[drawn] += 1
    torch.testing.assert_close(sum(float(p[k].detach()) * g for k, g in gradients.items()), expected)
    assert [counts[k] / 300 for k in range(3)] == pytest.approx(p.tolist(), abs=0.1)


@pytest.mark.parametrize("relaxation", ["all-paths", "two-path"])
def test_a_choice_whose_zero_is_drawn_learns_nothing(relaxation):
    assert settings("proxylessnas")["relaxation"] == "all-paths"
    space, seen = TASK.problem.space, set()
    for seed in range(12):
        search = built("proxylessnas", warm_up=0, relaxation=relaxation, architecture_rate=0.1)
        search.step()  # so that Adam has something to go on with
        search.generator.manual_seed(seed)
        (decisions,) = search.relaxation.decide(search.model.probabilities(), torch.Generator().manual_seed(seed))
        drawn = [each if isinstance(each, int) else int(each.weights.argmax()) for each in decisions]
        before = [each.detach().clone() for each in search.model.logits]
        search.steps, search.order = 1, "logits-first"
        search.step()
        for choice, option, old, new in zip(space.choices, drawn, before, search.model.logits, strict=True):
            if option == 0 or choice.name == "x->b":  # what nothing feeds or reads learns nothing, either
                assert torch.equal(old, new.detach()) == (option == 0)
                seen.add(option == 0)
    assert seen == {True, False}


# ---- ENAS ------------------------------------------------------------------------------------------------------------


def test_enas_rate_falls_and_rises_again_without_a_restart():
    search = built("enas", epochs=30)
    rates = []
    for search.epoch in range(30):
        rates.append(search.rate())
    assert [rates[i] for i in (0, 5, 10, 15, 20)] == pytest.approx([0.05, 0.02525, 0.0005, 0.02525, 0.05])
    assert rates[11:20] == pytest.approx(rates[9:0:-1])


def test_five_tensors_of_enas_controller_begin_small():
    space = naslab.search_space("nasbench201")
    controller = Controller(space, torch.Generator().manual_seed(0))
    reach = {name: float(p.detach().abs().max()) for name, p in controller.named_parameters()}
    small = {"first", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "embeddings.0.weight", "heads.0.weight"}
    assert {name for name, most in reach.items() if most <= 0.1} == small
    assert all(most <= 32**-0.5 for most in reach.values())


# ---- what is derived -------------------------------------------------------------------------------------------------


def scored(monkeypatch, value):
    seen = []
    monkeypatch.setattr(OneShotSearch, "score", lambda self, a: (seen.append(a), value(a))[1])
    return seen


def test_evolution_scores_1050_different_candidates(monkeypatch):
    seen = scored(monkeypatch, lambda a: -sum((option - 3) ** 2 for option in a))
    space = naslab.search_space("mlp", in_features=6, out_features=2, widths=tuple(range(1, 11)), depth=5)
    limit = naslab.tasks.Constraint.parse({"params": float(np.median([space.cost(a).params for a in draws(space)]))})
    problem = Problem(space, limit, train=TASK.problem.train, validation=TASK.problem.validation)
    best = built("spos", problem).best()
    assert len(seen) == len(set(seen)) == 50 + 20 * 50
    assert all(problem.is_feasible(a) for a in seen)
    assert best == max(seen, key=lambda a: -sum((option - 3) ** 2 for option in a))


def draws(space):
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(200)]


def test_evolution_ends_with_the_last_candidate_of_a_small_space(monkeypatch):
    seen = scored(monkeypatch, lambda a: 0.0)
    built("spos").best()
    assert sorted(seen) == sorted(TASK.problem.space.architectures())


@pytest.mark.parametrize("name", ["rsps", "spos", "enas"])
def test_ties_are_drawn(name, monkeypatch):
    scored(monkeypatch, lambda a: 1.0)
    found = Counter(built(name, seed=seed).best() for seed in range(40))
    assert len(found) > 10  # of 27
    assert found[0, 0, 0] <= 6


def test_of_equally_good_ones_setn_takes_the_most_probable(monkeypatch):
    scored(monkeypatch, lambda a: 1.0)
    search = built("setn")
    with torch.no_grad():
        for logits in search.model.logits:
            logits.copy_(torch.tensor([0.0, 1.0, 2.5]))
    assert search.best() == (2, 2, 2)


def test_edges_have_a_say_where_a_space_weighs_them():
    space = naslab.search_space("darts", num_classes=2, input_shape=(3, 8, 8), channels=4, cells=3)
    data = [rows(16, seed, features=192) for seed in (0, 1)]
    train, held = (type(each)(each.x.reshape(16, 3, 8, 8), each.y) for each in data)
    search = built("pc-darts", Problem(space, train=train, validation=held), batch=8, warm_up=1)
    weakest = {}
    with torch.no_grad():
        for group, logits in zip(search.model._groups, search.model.edge_logits, strict=True):
            logits.copy_(-5.0 * torch.arange(len(logits)))  # the first two are the strongest
            weakest |= dict.fromkeys(group[2:])
    decisions = space.decisions(search.best())
    assert {name for name, option in decisions.items() if option == 0} == set(weakest)


def test_where_a_space_does_not_weigh_edges_their_weights_change_nothing():
    search = built("pc-darts", partial=1, warm_up=1)
    shares = []
    with torch.no_grad():
        for logits in search.model.edge_logits:
            logits.copy_(torch.tensor([4.0, -4.0]))
    for choice, p in zip(TASK.problem.space.choices, search.model.probabilities(), strict=True):
        shares.append(p.detach() * search.model.edge_weights().get(choice.name, torch.tensor(1.0)).detach())

    def probability(a):
        return math.prod(float(share[k]) for share, k in zip(shares, a, strict=True))

    assert search.best() == max(TASK.problem.space.architectures(), key=probability)
