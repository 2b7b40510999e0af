"""How searches by gradients rank, stop and end, what they pay for, and ENAS' controller."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from gradient_toys import linear_space, rows, toy_task
from torch.nn import functional

import naslab
from naslab.compiler.primitives import BatchNorm
from naslab.errors import InvalidValue, TrainingFailed, UnknownName
from naslab.ops import Conv, Identity, PooledLinear, Zero
from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.curvature import Curvature
from naslab.optimizers.gradient.enas import Controller, Drawn
from naslab.optimizers.gradient.penalties import ExpectedCost
from naslab.optimizers.gradient.sampled_updates import _judged
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.stopping import Eigenvalue
from naslab.optimizers.gradient.strategies import DARTS
from naslab.optimizers.gradient.updates import Learner
from naslab.space import Choice
from naslab.tasks import Problem
from naslab.testing import toy_trainings

TASK = toy_task()


def built(name="darts", problem=TASK.problem, seed=0, **options):
    settings = {"epochs": 4, "batch": 16, **options}
    listed = ",".join(f"{key}={value}" for key, value in settings.items())
    return optimizer_spec(f"{name}[{listed}]").build(problem, np.random.default_rng(seed))


def image_problem(width=3) -> Problem:
    """Two edges of convolutions with batch normalisation on 4x4 images."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("x", shape=(2, 4, 4))
    graph.add_nodes_from(("a", "b"), width=width)
    graph.add_node("y", width=2)
    graph.add_edge("x", "a", op=Choice("x->a", (Conv(kernel=1), Conv(kernel=3))))
    graph.add_edge("a", "b", op=Choice("a->b", (Zero(), Identity(), Conv(kernel=3))))
    graph.add_edge("b", "y", op=PooledLinear())
    space = naslab.SearchSpace(graph, name="images")
    flat = [rows(64, seed, features=32) for seed in (0, 1)]
    train, held = (type(each)(each.x.reshape(64, 2, 4, 4), each.y) for each in flat)
    return Problem(space, train=train, validation=held)


# ---- ranking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [3, Choice("width", (2, 4))], ids=["operations", "widths"])
def test_recalibration_is_that_of_the_path_alone_and_leaves_no_trace(width):
    problem = image_problem(width)
    search = built("rsps", problem, statistics="recalibrated")
    search.step()
    before = {name: value.clone() for name, value in search.model.supernet.state_dict().items()}
    for architecture in problem.space.architectures():
        network = search.model.supernet.extract(architecture)
        for norm in (each for each in network.modules() if isinstance(each, BatchNorm)):
            norm.momentum = None
            norm.reset_running_stats()
        x, y = torch.from_numpy(problem.validation.x), torch.from_numpy(problem.validation.y)
        with torch.no_grad():
            network.train()(torch.from_numpy(problem.train.x))
            right = (network.eval()(x).argmax(1) == y).double().mean()
        assert search.score(architecture) == pytest.approx(100 * float(right))
    after = search.model.supernet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(each.momentum == 0.1 for each in search.model.supernet.modules() if isinstance(each, BatchNorm))


def test_running_statistics_say_something_else_than_those_of_the_rows():
    problem = image_problem()
    scores = {}
    for statistics in ("batch", "running", "recalibrated"):
        search = built("rsps", problem, statistics=statistics, epochs=2, learning_rate=0.2)
        search.step()
        scores[statistics] = [search.score(a) for a in problem.space.architectures()]
    assert len(set(map(tuple, scores.values()))) == 3


# ---- what is paid ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["params", "macs"])
def test_the_expected_cost_is_that_of_all_architectures(metric):
    space = naslab.search_space("mlp", in_features=6, out_features=2, widths=(2, 4, 8), depth=2)
    cost = ExpectedCost(space, metric)
    p = [torch.softmax(torch.randn(3, generator=torch.Generator().manual_seed(i)), 0) for i in range(2)]
    expected = sum(float(p[0][i] * p[1][j]) * getattr(space.cost((i, j)), metric) for i, j in np.ndindex(3, 3))
    largest = getattr(space.cost((2, 2)), metric)
    assert float(cost(p)) == pytest.approx(expected / largest, rel=1e-6)
    with pytest.raises(UnknownName, match="macs"):
        ExpectedCost(space, "mac")


def test_whoever_pays_more_derives_less():
    free, paying = (
        built("flops-darts", penalty=weight, epochs=25, architecture_rate=0.1, architecture_decay=0.0)
        for weight in (0.0, 5.0)
    )
    for search in (free, paying):
        while search.step() is not None:
            pass
    macs = [TASK.problem.space.cost(search.best()).macs for search in (free, paying)]
    assert macs[1] < macs[0]


# ---- curvature and stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("dense", [12, 0])
def test_the_eigenvalue_is_that_of_the_whole_hessian(edges, dense, monkeypatch):
    monkeypatch.setattr("naslab.optimizers.gradient.curvature.DENSE", dense)
    search = built(edges=edges, learning_rate=0.3)
    search.step()
    plain = naslab.compile_supernet(TASK.problem.space, "mixed", fast=False)
    batch = (search.held_batches.x[:16], search.held_batches.y[:16])
    found = Curvature(plain).eigenvalue(search.model, batch, torch.ones(9))
    weights = search.model.edge_weights()

    def loss(flat):
        shares = [torch.softmax(each, 0) for each in torch.split(flat, 3)]
        return functional.cross_entropy(search.model.supernet(batch[0], shares, weights), batch[1])

    at = torch.cat([each.detach() for each in search.model.logits])
    step = 1e-2
    columns = []
    for i in range(9):
        ends = []
        for sign in (1, -1):
            moved = (at + sign * step * torch.eye(9)[i]).requires_grad_()
            ends.append(torch.autograd.grad(loss(moved), moved)[0])
        columns.append((ends[0] - ends[1]) / (2 * step))
    hessian = torch.stack(columns).double().numpy()
    assert found == pytest.approx(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1], rel=0.02, abs=1e-5)


def rising(monkeypatch, values):
    """Searches that measure these eigenvalues, one after another."""
    monkeypatch.setattr(Eigenvalue, "_measured", lambda self, search: values[len(self.values)])


def test_a_rise_ends_the_search_at_the_logits_of_before(monkeypatch):
    rising(monkeypatch, [1.0] * 10 + [9.0] * 20)
    search, logits = built("robust-darts", epochs=40, architecture_rate=0.1), []
    while (step := search.step()) is not None:
        logits.append([each.detach().clone() for each in search.model.logits])
        last = step
    # measured at 2, 4, ...: the mean of the last five is above 1.3 with the eleventh, in epoch 22; that of four before
    # stands for epoch 10
    assert len(logits) == 22
    assert last.metrics["eigenvalue"] == 9.0
    assert all(torch.equal(a, b) for a, b in zip(logits[21], logits[9], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(logits[20], logits[9], strict=True))


def test_without_a_rise_it_goes_to_the_end(monkeypatch):
    rising(monkeypatch, [1.0 + 0.02 * i for i in range(20)])
    search = built("robust-darts", epochs=20)
    assert sum(1 for _ in iter(search.step, None)) == 20


def test_more_weight_decay_after_going_back(monkeypatch):
    measured = iter([1.0] * 10 + [9.0] + [1.0] * 10)
    monkeypatch.setattr(Eigenvalue, "_measured", lambda self, search: next(measured))
    search = built("robust-darts", stopping="adaptive-l2", epochs=24, weight_decay=0.003)
    epochs = []
    while search.step() is not None:
        epochs.append(search.epoch)
    assert epochs == [*range(1, 22), 10, *range(11, 25)]  # back from 22 to 10
    assert search.weight_decay == pytest.approx(0.03)
    assert search.weight_optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.03)


def test_without_weight_decay_there_is_none_to_multiply(monkeypatch):
    rising(monkeypatch, [1.0] * 12 + [9.0] * 12)
    search = built("robust-darts", stopping="adaptive-l2", epochs=24, weight_decay=0.0)
    assert sum(1 for _ in iter(search.step, None)) == 24


def test_outputs_that_are_no_numbers_classify_nothing():
    search = built()
    with torch.no_grad():
        for weight in search.model.weights:
            weight.fill_(float("nan"))
    assert search.score((2, 2, 2)) == 0


def test_a_rise_before_the_tenth_epoch_is_none(monkeypatch):
    rising(monkeypatch, [1.0] * 2 + [9.0] * 20)
    assert sum(1 for _ in iter(built("robust-darts", epochs=20).step, None)) == 20


@pytest.mark.parametrize("how", ["eigenvalue", "adaptive-l2"])
def test_stopping_goes_on_from_a_state(how):
    one, other = (built("robust-darts", stopping=how, epochs=14) for _ in "ab")
    for _ in range(6):
        one.step()
    other.restore(one.state())
    assert [one.step() for _ in range(8)] == [other.step() for _ in range(8)]


# ---- derivations -----------------------------------------------------------------------------------------------------


def test_darts_own_rule_ends_searches_on_its_space():
    space = naslab.search_space("darts", num_classes=2, input_shape=(3, 8, 8), channels=2, cells=3)
    data = [rows(16, seed, features=192) for seed in (0, 1)]
    train, held = (type(each)(each.x.reshape(16, 3, 8, 8), each.y) for each in data)
    search = DARTS(Problem(space, train=train, validation=held), np.random.default_rng(0), epochs=1, batch=8)
    named = {c.name: each.softmax(0).tolist() for c, each in zip(space.choices, search.model.logits, strict=True)}
    assert search.best() == space.discretise(named)
    assert space.is_valid(search.best())


def scored(monkeypatch, value):
    monkeypatch.setattr(OneShotSearch, "score", lambda self, a: value(a))


def test_evolution_finds_what_few_draws_do_not(monkeypatch):
    space = naslab.search_space("mlp", in_features=6, out_features=2, widths=tuple(range(1, 11)), depth=5)
    scored(monkeypatch, lambda a: -sum((option - 3) ** 2 for option in a))
    task = toy_task(linear_space())
    problem = Problem(space, train=task.problem.train, validation=task.problem.validation)
    found = {how: built("spos", problem, derivation=how).best() for how in ("evolution", "sample-and-rank")}
    assert sum(abs(option - 3) for option in found["evolution"]) <= 1
    assert sum(abs(option - 3) for option in found["sample-and-rank"]) > 1


def test_searches_of_different_seeds_look_at_different_candidates():
    searches = [built("rsps", seed=seed) for seed in (0, 1)]
    drawn = [search.derivation.candidates(search, 10) for search in searches]
    assert drawn[0] != drawn[1]
    assert drawn[0] == searches[0].derivation.candidates(searches[0], 10)


def test_setn_ranks_the_most_probable(monkeypatch):
    search = built("setn")
    with torch.no_grad():
        for logits in search.model.logits:
            logits.copy_(torch.tensor([0.0, 1.0, 2.5]))
    expected = sorted(TASK.problem.space.architectures(), key=lambda a: -sum((0.0, 1.0, 2.5)[k] for k in a))
    assert search.derivation.candidates(search, 4)[0] == expected[0] == (2, 2, 2)
    assert set(search.derivation.candidates(search, 4)) == set(expected[:4])


@pytest.mark.parametrize("name", ["gdas", "snas", "proxylessnas", "darts", "setn"])
def test_numbers_that_are_none_end_the_search_with_a_word(name):
    search = built(name, warm_up=0)
    with torch.no_grad():
        search.model.logits[0].fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="fix: a lower"):
        search.step()


def test_the_best_of_five_retrained_is_returned(monkeypatch):
    scored(monkeypatch, lambda a: float(a[1]) + 10 * a[0] + 100 * a[2])
    search = built("one-shot", derivation="retrain")
    order = sorted(TASK.problem.space.architectures(), key=search.score, reverse=True)
    seen = []
    monkeypatch.setattr(
        "naslab.optimizers.gradient.derivations.compile_network",
        lambda space, a, **options: seen.append(a) or naslab.compile_network(space, a, **options),
    )
    assert search.best() in order[:5]
    assert seen == order[:5]


@pytest.mark.parametrize("options", [{"name": "enas"}, {"name": "darts", "update": "reinforce"}])
def test_rewards_move_no_statistics(options):
    search = built(problem=image_problem(), statistics="running", drop_path=0.3, **options)
    search.steps = 0
    before = [buffer.clone() for buffer in search.model.supernet.buffers()]
    generator = search.generator.get_state()
    if options["name"] == "enas":
        search.after_epoch()
    else:
        _judged(Learner(search.model, None, None, None, None), [0, 1], search.held_batches.next())
        assert torch.equal(search.generator.get_state(), generator)  # nothing was dropped
    assert all(torch.equal(a, b) for a, b in zip(before, search.model.supernet.buffers(), strict=True))


# ---- ENAS ------------------------------------------------------------------------------------------------------------


def test_the_controller_draws_with_the_probability_that_it_states():
    controller = Controller(linear_space(), torch.Generator().manual_seed(3))
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(10)  # far from uniform
        drawn, log_probability, entropy = controller(20_000, torch.Generator().manual_seed(0))
    stated = {tuple(a): float(p.exp()) for a, p in zip(drawn.tolist(), log_probability, strict=True)}
    assert sum(stated.values()) == pytest.approx(1, abs=0.01)  # all 27 are among them
    for architecture, p in stated.items():
        share = float((drawn == torch.tensor(architecture)).all(dim=1).double().mean())
        assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 20_000) ** 0.5 + 1e-4)
    # the mean of the decisions' entropies is the entropy of the whole, by the chain rule
    whole = -sum(p * np.log(p) for p in stated.values())
    assert float(entropy.mean()) == pytest.approx(whole, abs=0.03)


def test_the_controller_learns_what_works(monkeypatch):
    monkeypatch.setattr("naslab.optimizers.gradient.enas.ENAS.RATE", 0.02)
    search = built("enas", epochs=6, controller_steps=20, seed=1)
    start = search.entropy()
    for _ in range(6):
        search.step()
    assert search.entropy() < 0.9 * start
    drawn = search.draws(50, np.random.default_rng(0))
    connected = np.mean([TASK.problem.space.is_connected(a) for a in drawn])
    uniform = np.mean([TASK.problem.space.is_connected(a) for a in TASK.problem.space.architectures()])
    assert connected > uniform + 0.1


def test_the_controller_keeps_the_rules_of_a_space_or_says_that_it_can_not():
    problem = toy_trainings()["rules"].problem
    search = built("enas", problem, epochs=2, controller_steps=2)
    search.step()
    assert all(problem.space.is_valid(a) for a in search.draws(50, np.random.default_rng(0)))
    space = naslab.search_space("darts", num_classes=2, input_shape=(3, 8, 8), channels=2, cells=3)
    with pytest.raises(InvalidValue, match="keeps the rules"):
        Drawn(Controller(space, torch.Generator()), space).decide([], torch.Generator())
