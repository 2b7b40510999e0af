"""TabNAS' toy example."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from naslab.errors import InvalidValue
from naslab.studies.tabnas import toy
from naslab.studies.tabnas.toy import Variant, simulate
from naslab.studies.tabnas.toy_study import RECORDED_REPETITIONS, as_variant, recorded_variants


def recorded() -> list[tuple[Variant, dict[str, float]]]:
    """Variants and the shares that another implementation found in 400 repetitions."""
    names = ("argmax", "argmax_infeasible", "most_probable")
    lines = recorded_variants().values()
    return [(as_variant(line), {name: float(line[name]) for name in names}) for line in lines]


def test_the_networks():
    """Parameters are counted with biases; the limit is what both 3-3 and 4-2 have."""
    assert toy.PARAMS[1, 1] == toy.PARAMS[2, 0] == toy.LIMIT == 25
    assert (toy.PARAMS[0, 2], toy.PARAMS[1, 2], toy.PARAMS[2, 1]) == (23, 30, 31)
    feasible = {(toy.SIZES[i], toy.SIZES[j]) for i, j in zip(*np.nonzero(toy.FEASIBLE), strict=True)}
    assert feasible == {(2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (4, 2)}
    assert np.where(toy.FEASIBLE, toy.QUALITY, 0).argmax() == 3 * toy.OPTIMUM[0] + toy.OPTIMUM[1]


def test_marginals_are_the_conditional_distribution():
    rng = np.random.default_rng(0)
    p = toy._softmax(rng.standard_normal((5, 2, 3)))
    joint = p[:, 0, :, None] * p[:, 1, None, :]
    for repetition in range(5):
        weights = {(i, j): joint[repetition, i, j] for i in range(3) for j in range(3) if toy.FEASIBLE[i, j]}
        total = sum(weights.values())
        for layer, option in np.ndindex(2, 3):
            by_hand = sum(w for key, w in weights.items() if key[layer] == option) / total
            assert toy._marginals(joint)[repetition, layer, option] == pytest.approx(by_hand)


@pytest.mark.parametrize("correction", ["slide", "sum"])
def test_estimates_converge_to_what_they_estimate(correction):
    """The slide's to the marginals; the sum's to a mean weighted by probability once more."""
    rng = np.random.default_rng(1)
    p = toy._softmax(rng.standard_normal((1, 2, 3)))
    joint = p[:, 0, :, None] * p[:, 1, None, :]
    center, known = toy._center(Variant(correction=correction, samples=200_000), p, joint, rng)
    expected = toy._marginals(joint if correction == "slide" else joint**2)
    assert known.all()
    np.testing.assert_allclose(center, expected, atol=0.01)
    assert np.abs(toy._marginals(joint) - toy._marginals(joint**2)).max() > 0.03


def test_steps_that_teach():
    rejecting = simulate(Variant(steps=200), 500, np.random.default_rng(0))
    conditional = simulate(Variant(steps=200, conditional=True), 500, np.random.default_rng(0))
    assert (conditional.taught == 1).all()
    assert rejecting.taught.mean() < 0.6


def test_the_exact_method_finds_the_bottleneck():
    found = simulate(Variant(learning_rate=0.02, steps=2000), 1000, np.random.default_rng(0))
    assert found.most_probable.mean() >= 0.98
    assert found.argmax.mean() < 0.6  # reading it off layer by layer does not


def test_the_absolute_reward_does_not():
    for beta in (-0.5, -1.0, -1.5, -1.8, -2.0, -3.0, -5.0):
        found = simulate(Variant("absolute", beta, learning_rate=0.05), 1000, np.random.default_rng(0))
        assert found.hit.mean() < 0.36


@pytest.mark.slow
def test_all_variants_agree_with_the_recorded_shares():
    """Two-proportion tests of 4,000 repetitions against the recorded 400; none is rejected at 1 % (Holm)."""
    p_values = []
    for variant, shares in recorded():
        outcome = simulate(variant, 4000, np.random.default_rng(7))
        for name, share in shares.items():
            ours, theirs = int(getattr(outcome, name).sum()), round(share * RECORDED_REPETITIONS)
            table = [[ours, 4000 - ours], [theirs, RECORDED_REPETITIONS - theirs]]
            p_values.append((float(stats.fisher_exact(table)[1]), name, variant))
    p_values.sort(key=lambda entry: entry[0])
    rejected = [e for i, e in enumerate(p_values) if e[0] * (len(p_values) - i) < 0.01]
    assert not rejected, rejected


def test_one_variant_agrees_with_the_recorded_shares():
    variant, shares = recorded()[7]
    outcome = simulate(variant, 4000, np.random.default_rng(7))
    for name, share in shares.items():
        error = np.sqrt(share * (1 - share) * (1 / 4000 + 1 / RECORDED_REPETITIONS))
        assert abs(getattr(outcome, name).mean() - share) < 4 * error


def test_an_unknown_reward():
    with pytest.raises(InvalidValue, match="reward 'absolut'"):
        Variant("absolut")
