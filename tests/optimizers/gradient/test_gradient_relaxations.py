"""What is run for a distribution over options, and what its gradient is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gradient_toys import linear_space
from scipy import stats

import naslab
from naslab.compiler.decisions import Sparse
from naslab.errors import UnknownName
from naslab.optimizers.gradient.relaxations import (
    RELAXATIONS,
    Fair,
    HardGumbel,
    TwoPath,
    _gates,
    new_relaxation,
    relaxed_draw,
    zero_options,
)

LOGITS = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64)
VALUES = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_mixture_is_the_probabilities_and_a_sum_has_weights_of_one():
    p = torch.softmax(LOGITS, 0)
    assert new_relaxation("softmax").decide([p], generator())[0][0] is p
    assert new_relaxation("plain").decide([p], generator())[0][0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_a_hard_draw_runs_one_option_with_the_gradient_of_the_relaxed_one(temperature):
    hard = HardGumbel()
    hard.temperature = temperature
    for seed in range(5):
        logits = LOGITS.clone().requires_grad_()
        ((decision,),) = hard.decide([torch.softmax(logits, 0)], generator(seed))
        assert isinstance(decision, Sparse)
        assert decision.inactive == "scalar"
        (drawn,) = decision.active
        assert decision.weights.detach().numpy() == pytest.approx(np.eye(3)[drawn], abs=1e-12)
        (found,) = torch.autograd.grad((decision.weights * VALUES).sum(), logits)
        twin = LOGITS.clone().requires_grad_()
        relaxed = relaxed_draw(torch.softmax(twin, 0), temperature, generator(seed))
        assert int(relaxed.argmax()) == drawn
        (expected,) = torch.autograd.grad((relaxed * VALUES).sum(), twin)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["hard-gumbel", "sampled"])
def test_draws_follow_the_probabilities(name):
    relaxation, p, rng = new_relaxation(name), torch.softmax(LOGITS, 0), generator(3)
    counts = np.zeros(3)
    for _ in range(3000):
        ((decision,),) = relaxation.decide([p], rng)
        counts[decision.active[0] if isinstance(decision, Sparse) else decision] += 1
    assert stats.chisquare(counts, 3000 * p.numpy()).pvalue > 1e-3


def test_temperatures_fall_as_published():
    gdas, snas = HardGumbel(), new_relaxation("gumbel-softmax")
    for relaxation in (gdas, snas):
        relaxation.set_progress(0.5)
    assert gdas.temperature == pytest.approx((10 + 0.1) / 2)  # linear
    assert snas.temperature == pytest.approx(np.sqrt(1.0 * 0.03))  # exponential


def test_a_two_path_gate_is_unbiased_within_its_pair():
    """Over what may be drawn, the expected gradient is that of the expected output of the two: by enumeration."""
    for pair in itertools.permutations(range(3), 2):
        logits = LOGITS.clone().requires_grad_()
        p = torch.softmax(logits, 0)
        shares = p[list(pair)] / p[list(pair)].sum()
        (expected,) = torch.autograd.grad((shares * VALUES[list(pair)]).sum(), logits, retain_graph=True)
        found = torch.zeros(3, dtype=torch.float64)
        for drawn in (0, 1):
            output = (_gates(shares, drawn) * VALUES[list(pair)]).sum()
            assert output == VALUES[pair[drawn]]
            found += shares[drawn].detach() * torch.autograd.grad(output, logits, retain_graph=True)[0]
        torch.testing.assert_close(found, expected)


def test_two_paths_run_one_of_two_and_keep_their_mass():
    two, rng, p = TwoPath(), generator(1), torch.softmax(LOGITS, 0)
    pairs = set()
    for _ in range(200):
        ((decision,),) = two.decide([p], rng)
        assert decision.inactive == "drop"
        assert len(set(decision.active)) == 2
        gates = decision.weights.detach()
        assert sorted(gates.tolist()) == [0, 0, 1]
        assert int(gates.argmax()) in decision.active
        pairs.add(frozenset(decision.active))
        after = LOGITS + torch.tensor([0.5, 0.3, -1.0])
        (put_right,) = two.corrected([LOGITS], [after])
        both = list(decision.active)
        torch.testing.assert_close(put_right[both].logsumexp(0), LOGITS[both].logsumexp(0))
        torch.testing.assert_close(put_right[both].diff(), after[both].diff())
        (other,) = {0, 1, 2} - set(both)
        assert put_right[other] == LOGITS[other]
    assert len(pairs) == 3


def test_only_operations_that_are_no_connection_are_zero():
    assert zero_options(linear_space()) == [{0}, {0}, {0}]
    assert (
        zero_options(naslab.search_space("mlp", in_features=2, out_features=2, widths=((1, 2), (3, 4)))) == [set()] * 2
    )


@pytest.mark.parametrize("form", ["categorical", "mixed"])
def test_where_zero_is_drawn_the_gate_teaches_nothing(form):
    gates = new_relaxation("all-paths")
    gates.space, gates.form = linear_space(), form
    certain = [
        torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0])
    ]
    ((nothing, *others),) = gates.decide(certain, generator())
    if form == "categorical":
        assert nothing == 0
    else:
        assert (nothing.tolist(), nothing.requires_grad) == ([1, 0, 0], False)
    for option, decision in enumerate(others, start=1):
        weights = decision.weights if form == "categorical" else decision
        assert weights.requires_grad
        assert weights.tolist() == np.eye(3)[option].tolist()


def test_fair_runs_every_option_once_in_a_step():
    p = [torch.ones(3) / 3, torch.ones(3) / 3, torch.ones(2) / 2]
    seen = set()
    for seed in range(30):
        paths = Fair().decide(p, generator(seed))
        assert len(paths) == 3
        for choice in (0, 1):
            assert sorted(path[choice] for path in paths) == [0, 1, 2]
        assert {path[2] for path in paths} == {0, 1}
        seen.add(tuple(map(tuple, paths)))
    assert len(seen) > 20


def test_uniform_paths_are_uniform():
    rng, counts = generator(5), np.zeros((3, 2))
    for _ in range(3000):
        ((first, second),) = new_relaxation("uniform").decide([LOGITS, LOGITS[:2]], rng)
        counts[first, second] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_unknown_relaxations_name_the_nearest():
    with pytest.raises(UnknownName, match="hard-gumbel"):
        new_relaxation("hard-gumble")
    assert set(RELAXATIONS) >= {"softmax", "gumbel-softmax", "hard-gumbel", "two-path", "uniform", "fair", "plain"}
