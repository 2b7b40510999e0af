"""The conformance checks: built-ins pass them, and each defect is found."""

import math
import random

import networkx as nx
import numpy as np
import pytest

import naslab
from naslab.evaluators import Evaluation, Evaluator
from naslab.ops import Linear
from naslab.registry import entries
from naslab.testing import ConformanceError, ToyReward, check_evaluator, check_optimizer, check_search_space, toy_tasks

SLOW = {
    *("optuna-gp", "optuna-tpe", "zero-cost-warm-up", "predictor-guided", "bananas", "nasbowl", "tnasp", "freeze-thaw"),
    # put together of the same parts as others here
    *(
        "portfolio-bohb",
        "enas",
        "smooth-darts-adv",
        "smooth-darts-rs",
        "flops-darts",
        "gdas",
        "one-shot-drop-path",
        "fairnas",
        "pc-darts",
        "darts-v2",
        "area",
        "mnasnet-reinforce",
        "naswot",
        "one-shot",
        "optuna-tpe-pruned",
        "pasha",
        "prior-random",
        "proxylessnas",
        "relax",
        "robust-darts",
        "rsps",
        "setn",
        "snas",
        "spos",
        "successive-halving",
        "tunas",
        "zero-cost-moves",
    ),
}


@pytest.mark.parametrize("name", sorted(set(entries("optimizers")) - SLOW))
def test_built_in_optimizers_conform(name):
    check_optimizer(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slow_built_in_optimizers_conform(name):
    check_optimizer(name)


class Sound(naslab.AskTell):
    """Random search as a stranger would write it."""

    def ask(self):
        return self.problem.sample(self.rng)

    def tell(self, architecture, evaluation):
        pass


def test_a_class_at_module_level_conforms():
    check_optimizer(Sound)


class Invalid(Sound):
    def ask(self):
        return (99,) * len(self.space.sizes)


class GlobalState(Sound):
    def ask(self):
        random.random()
        return super().ask()


class Unseeded(Sound):
    def ask(self):
        return self.problem.sample(np.random.default_rng())


class HashOrder(Sound):
    """Depends on the order of a set of strings, which a fresh process changes."""

    def ask(self):
        names = list({choice.name for choice in self.space.choices} | {"a", "b", "c", "d", "e", "f", "g"})
        for _ in range(1 + 100 * names.index("a") + 10 * names.index("b") + names.index("c")):
            architecture = super().ask()
        return architecture


class Fragile(Sound):
    def tell(self, architecture, evaluation):
        int(evaluation.score)


class Mutating(Sound):
    def ask(self):
        self.problem.__dict__["fidelity"] = 5
        return super().ask()


class Infeasible(Sound):
    def ask(self):
        return max(self.space.architectures(), key=lambda a: self.problem.cost("params", a))

    def best(self):
        return self.ask()


class Forgetful(Sound):
    """Counts its own calls on the class: state that a resumed run does not have."""

    calls = 0

    def ask(self):
        type(self).calls += 1
        if type(self).calls % 7 == 0:
            super().ask()
        return super().ask()


@pytest.mark.parametrize(
    ("optimizer", "complaint"),
    [
        (Invalid, "no architecture of"),
        (GlobalState, "draws from random"),
        (Unseeded, "another trace"),
        (HashOrder, "fresh process gave another trace"),
        (Fragile, "failed on toy/broken"),
        (Mutating, "the problem was changed"),
        (Infeasible, "params <= 400"),
        (Forgetful, "another trace"),
    ],
)
def test_defects_of_optimizers_are_found(optimizer, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_optimizer(optimizer)


@pytest.mark.parametrize("name", ["nasbench201", "pocket-cell", "nats-size", "mlp"])
def test_built_in_spaces_conform(name):
    check_search_space(naslab.search_space(name), samples=10)


@pytest.mark.parametrize("name", ["plain", "rules"])
def test_toy_spaces_conform(name):
    check_search_space(toy_tasks()[name].problem.space, samples=20)


class WrongStrings(naslab.SearchSpace):
    def to_string(self, architecture):
        return super().to_string((0, *architecture[1:]))


class LopsidedNeighbors(naslab.SearchSpace):
    def neighbors(self, architecture):
        return [a for a in super().neighbors(architecture) if a > architecture]


@pytest.mark.parametrize(
    ("space", "complaint"), [(WrongStrings, "written from"), (LopsidedNeighbors, "other way round|no neighbour")]
)
def test_defects_of_spaces_are_found(space, complaint):
    graph = nx.DiGraph()
    graph.add_node("x", shape=(3,))
    graph.add_node("h", width=naslab.Choice("width", (2, 4, 8)))
    graph.add_edge("x", "h", op=Linear())
    with pytest.raises(ConformanceError, match=complaint):
        check_search_space(space(graph))


def test_evaluators_conform():
    task = naslab.task("nasbench201/cifar10")
    check_evaluator(task.reward(), task.problem.space)
    check_evaluator(ToyReward(), task.problem.space)


class OwnRandomness(Evaluator):
    def evaluate(self, architecture, *, fidelity=None, rng):
        return Evaluation(float(np.random.default_rng().normal()), 1.0)


class NegativeTime(Evaluator):
    def evaluate(self, architecture, *, fidelity=None, rng):
        return Evaluation(0.0, -1.0)


class NoEvaluation(Evaluator):
    def evaluate(self, architecture, *, fidelity=None, rng):
        return 0.5


@pytest.mark.parametrize(
    ("evaluator", "complaint"),
    [(OwnRandomness, "same generator"), (NegativeTime, "charges -1"), (NoEvaluation, "not an Evaluation")],
)
def test_defects_of_evaluators_are_found(evaluator, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        check_evaluator(evaluator(), naslab.search_space("mlp"))


def test_the_broken_toy_is_broken():
    reward, rng = toy_tasks()["broken"].reward(), np.random.default_rng(0)
    scores = [reward.evaluate((0, 0, 0), rng=rng).score for _ in range(100)]
    assert 0 < sum(not math.isfinite(score) for score in scores) < 50
