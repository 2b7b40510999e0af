"""Gradient estimators: what is unbiased, by enumeration; the law of z~; what flows where."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from naslab.optimizers.policy import estimators
from naslab.optimizers.policy.estimators import ABSENT, ControlVariate

SAMPLES = 100_000
LIMIT = 4.5
"""Standard errors. The tests together look at about a hundred entries: by chance one exceeds it in 0.1 % of seeds."""

ONE = [
    torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64),
    torch.tensor([[1.0, -0.5, 0.3]], dtype=torch.float64),
    torch.tensor([[3.0, 0.0, -1.0]], dtype=torch.float64),
]
TWO = torch.tensor([[0.3, -0.5, 1.0], [0.2, -0.7, ABSENT]], dtype=torch.float64)
NAMES = ["even", "tilted", "decided", "two choices"]
each_policy = pytest.mark.parametrize("logits", [*ONE, TWO], ids=NAMES)


def noise(logits: Tensor, seed: int, samples: int = SAMPLES) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((samples, *logits.shape)))


def worth(codes: Tensor) -> Tensor:
    """Not linear, so that relaxed codes mean something else; choices interact."""
    rates = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    first = (codes[..., 0, :] * rates).sum(-1)
    second = (codes[..., -1, :] * rates.flip(0)).sum(-1)
    return torch.sin(2 * first) + first * second + 3.0


def combinations(logits: Tensor) -> list[tuple[float, Tensor]]:
    """Every one-hot code with its probability, written out."""
    found = []
    sizes = [int((row > ABSENT).sum()) for row in logits]
    for options in itertools.product(*map(range, sizes)):
        code, probability = torch.zeros_like(logits), 1.0
        for row, option in enumerate(options):
            code[row, option] = 1.0
            probability *= float(torch.exp(logits[row, option]) / torch.exp(logits[row, : sizes[row]]).sum())
        found.append((probability, code))
    return found


def expectation(logits: Tensor) -> float:
    return sum(probability * float(worth(code)) for probability, code in combinations(logits))


def true_gradient(logits: Tensor) -> np.ndarray:
    """Of the enumerated expectation, by central differences."""
    gradient = np.zeros(tuple(logits.shape))
    for entry in itertools.product(*map(range, logits.shape)):
        if logits[entry] > ABSENT:
            up, down = logits.clone(), logits.clone()
            up[entry] += 1e-5
            down[entry] -= 1e-5
            gradient[entry] = (expectation(up) - expectation(down)) / 2e-5
    return gradient


def deviations(gradients: Tensor, logits: Tensor) -> np.ndarray:
    """Standard errors between the mean of samples and the truth, of the options that exist."""
    mean, error = gradients.mean(dim=0), gradients.std(dim=0) / len(gradients) ** 0.5
    exists = (logits > ABSENT).numpy()
    return ((mean.numpy() - true_gradient(logits)) / np.where(exists, error.numpy(), 1.0))[exists]


def untrained(logits: Tensor, scale: float = 1.0) -> ControlVariate:
    """Random output weights: a control variate that has nothing to do with f."""
    control = ControlVariate(logits.shape, np.random.default_rng(0))
    with torch.no_grad():
        control.output += scale * torch.from_numpy(np.random.default_rng(1).standard_normal(11))
    return control


def trained(logits: Tensor, steps: int = 150, **options) -> ControlVariate:
    control = ControlVariate(logits.shape, np.random.default_rng(0), **options)
    adam = torch.optim.Adam(control.parameters(), 0.03)
    for step in range(steps):
        u, v = noise(logits, 10_000 + step, 200), noise(logits, 20_000 + step, 200)
        adam.zero_grad()
        estimators.variance_loss(estimators.relax(logits, u, v, worth, control)).backward()
        adam.step()
    return control


def relaxed(logits: Tensor, control: Callable[[Tensor], Tensor]) -> Tensor:
    return estimators.relax(logits, noise(logits, 1), noise(logits, 2), worth, control).detach()


@each_policy
@pytest.mark.parametrize("baseline", [0.0, 3.0])
def test_reinforce_is_unbiased(logits, baseline):
    assert np.abs(deviations(estimators.reinforce(logits, noise(logits, 1), worth, baseline), logits)).max() < LIMIT


@pytest.mark.parametrize("logits", [ONE[1], TWO], ids=[NAMES[1], NAMES[3]])
@pytest.mark.parametrize("kind", ["untrained", "trained", "trained with f"])
def test_relax_is_unbiased_whatever_the_control_variate(logits, kind):
    made = {
        "untrained": lambda: untrained(logits),
        "trained": lambda: trained(logits),
        "trained with f": lambda: trained(logits, function=worth),
    }
    assert np.abs(deviations(relaxed(logits, made[kind]()), logits)).max() < LIMIT


@pytest.mark.parametrize("estimator", [estimators.gumbel_softmax, estimators.straight_through])
def test_the_relaxed_estimators_are_biased_and_the_same_samples_show_it(estimator):
    gradients = estimator(TWO, noise(TWO, 1), worth, 0.7)
    assert np.abs(deviations(gradients, TWO)).max() > 20


def test_relax_without_the_term_of_the_conditional_draw_is_biased():
    """What the limit above would notice: z~ that is not a function of the logits."""

    def frozen(z: Tensor) -> Tensor:
        calls.append(z)
        return control(z if len(calls) == 1 else z.detach() + 0 * z)

    control, calls = untrained(TWO, scale=10.0), []
    assert np.abs(deviations(relaxed(TWO, control), TWO)).max() < LIMIT
    assert np.abs(deviations(relaxed(TWO, frozen), TWO)).max() > 10


def test_a_trained_control_variate_lowers_the_variance_below_that_of_the_best_constant():
    constant = estimators.reinforce(TWO, noise(TWO, 1), worth, expectation(TWO)).var(dim=0).sum()
    plain = estimators.reinforce(TWO, noise(TWO, 1), worth).var(dim=0).sum()
    learnt = relaxed(TWO, trained(TWO)).var(dim=0).sum()
    assert learnt < constant < plain


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_gumbel_softmax_is_the_gradient_at_the_relaxed_code(temperature):
    uniform = noise(TWO, 3, 5)
    gradients = estimators.gumbel_softmax(TWO, uniform, worth, temperature)

    def value(logits: np.ndarray, sample: int) -> float:
        z = logits - np.log(-np.log(uniform[sample].numpy()))
        weights = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
        return float(worth(torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))))

    for sample, entry in itertools.product(range(5), [(0, 0), (0, 2), (1, 1)]):
        up, down = TWO.numpy().copy(), TWO.numpy().copy()
        up[entry] += 1e-6
        down[entry] -= 1e-6
        slope = (value(up, sample) - value(down, sample)) / 2e-6
        assert float(gradients[(sample, *entry)]) == pytest.approx(slope, abs=1e-6)


def test_straight_through_takes_the_slope_at_the_hard_code():
    """Of a linear function both have the same gradient; of another one it is that of its tangent at b."""
    uniform, w = noise(TWO, 4, 50), torch.tensor([[1.0, -2.0, 4.0], [3.0, 0.5, 0.0]], dtype=torch.float64)

    def linear(codes: Tensor) -> Tensor:
        return (codes * w).sum(dim=(-2, -1))

    both = [e(TWO, uniform, linear, 0.5) for e in (estimators.gumbel_softmax, estimators.straight_through)]
    torch.testing.assert_close(*both)
    squared = estimators.straight_through(TWO, uniform, lambda codes: linear(codes) ** 2, 0.5)
    hard = estimators.chosen(estimators.perturbed(torch.log_softmax(TWO, -1), uniform))
    torch.testing.assert_close(squared, 2 * linear(hard)[:, None, None] * both[1])


def test_draws_have_the_probabilities_and_the_largest_entry_is_gumbel():
    log_p = torch.log_softmax(TWO, dim=-1)
    z = estimators.perturbed(log_p, noise(TWO, 5))
    shares = estimators.chosen(z).mean(dim=0)
    errors = (shares - log_p.exp()) / (log_p.exp() * (1 - log_p.exp()) / SAMPLES).sqrt().clamp_min(1e-12)
    assert errors.abs().max() < LIMIT
    for row in (0, 1):
        assert stats.kstest(z[:, row].max(dim=-1).values.numpy(), stats.gumbel_r.cdf).pvalue > 1e-3


@pytest.mark.parametrize("logits", ONE, ids=NAMES[:3])
def test_the_conditional_draw_has_the_law_of_those_that_led_to_b(logits):
    """By rejection: of unconditional draws those with this argmax; every entry, and every difference of two."""
    log_p = torch.log_softmax(logits, dim=-1)
    z = estimators.perturbed(log_p, noise(logits, 6))
    for option in range(3):
        hard = torch.zeros_like(logits)
        hard[0, option] = 1.0
        kept = z[z.argmax(dim=-1)[:, 0] == option][:, 0].numpy()
        given = estimators.perturbed_given(log_p, hard.expand(20_000, 1, 3), noise(logits, 7 + option, 20_000))
        drawn = given[:, 0].numpy()
        assert (drawn.argmax(axis=1) == option).all()
        for i in range(3):
            assert stats.ks_2samp(drawn[:, i], kept[:, i]).pvalue > 1e-3
            j = (i + 1) % 3
            assert stats.ks_2samp(drawn[:, i] - drawn[:, j], kept[:, i] - kept[:, j]).pvalue > 1e-3


def test_one_gradient_by_hand():
    """A linear control variate: all three terms are written out, derivatives of z~ with b and v held included."""
    logits, w = ONE[1], np.array([0.7, -1.1, 0.4])
    u, v = noise(logits, 8, 20), noise(logits, 9, 20)
    control_weights = torch.from_numpy(w)
    gradients = estimators.relax(logits, u, v, worth, lambda z: (z[..., 0, :] * control_weights).sum(-1)).detach()
    p = np.exp(logits[0].numpy()) / np.exp(logits[0].numpy()).sum()
    for got, first, second in zip(gradients[:, 0].numpy(), u[:, 0].numpy(), v[:, 0].numpy(), strict=True):
        chosen = int((np.log(p) - np.log(-np.log(first))).argmax())
        code = np.eye(3)[chosen]
        times = -np.log(second) / p
        given = np.where(code > 0, -np.log(-np.log(second)), -np.log(times - np.log(second[chosen])))
        moves = np.where(code > 0, 0.0, times / (times - np.log(second[chosen])))  # of z~_i with log p_i
        score, value = code - p, float(worth(torch.from_numpy(code)[None]))
        through_z, through_given = w - p * w.sum(), w * moves - p * (w * moves).sum()
        np.testing.assert_allclose(got, (value - w @ given) * score + through_z - through_given, atol=1e-12)


def test_the_variance_loss_squares_before_it_averages():
    """Squaring the mean over samples would measure the variance of a batch's mean."""
    gradients = torch.tensor([[[1.0, -1.0]], [[-1.0, 1.0]], [[3.0, -3.0]]])
    assert float(estimators.variance_loss(gradients)) == pytest.approx(11 / 3)
    assert float(gradients.mean(dim=0).square().mean()) == pytest.approx(1.0)


def test_the_loss_reaches_every_parameter_of_the_control_variate():
    control = untrained(TWO)
    estimators.variance_loss(estimators.relax(TWO, noise(TWO, 1, 50), noise(TWO, 2, 50), worth, control)).backward()
    for name, parameter in control.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_a_control_variate_starts_at_zero_or_at_f():
    z = estimators.perturbed(torch.log_softmax(TWO, -1), noise(TWO, 1, 9))
    alone = ControlVariate(TWO.shape, np.random.default_rng(0))
    assert (alone(z) == 0).all()
    known = ControlVariate(TWO.shape, np.random.default_rng(0), temperature=0.25, function=worth)
    torch.testing.assert_close(known(z), worth(torch.softmax(z / 0.25, dim=-1)))
    plain = estimators.reinforce(TWO, noise(TWO, 1, 9), worth)
    torch.testing.assert_close(estimators.relax(TWO, noise(TWO, 1, 9), noise(TWO, 2, 9), worth, alone).detach(), plain)


def test_options_that_do_not_exist_are_never_drawn_and_have_no_gradient():
    control = untrained(TWO)
    gradients = [
        estimators.reinforce(TWO, noise(TWO, 1), worth),
        estimators.gumbel_softmax(TWO, noise(TWO, 1), worth, 0.1),
        estimators.straight_through(TWO, noise(TWO, 1), worth, 0.1),
        relaxed(TWO, control),
    ]
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert (gradient[:, 1, 2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_extreme_noise_gives_numbers(dtype, extreme):
    """Uniforms may be 0, and round to 1 in single precision."""
    logits = TWO.to(dtype)
    control = untrained(TWO).to(dtype)
    u = torch.full((4, 2, 3), extreme, dtype=dtype)
    u[1:] = noise(TWO, 3, 3).to(dtype)

    def value(codes: Tensor) -> Tensor:
        return worth(codes.double()).to(dtype)

    gradient = estimators.relax(logits, u, u.flip(0), value, control)
    estimators.variance_loss(gradient).backward()
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in control.parameters())


def test_a_single_sample_needs_no_leading_dimension():
    u, v, control = noise(TWO, 1, 1), noise(TWO, 2, 1), untrained(TWO)
    torch.testing.assert_close(
        estimators.relax(TWO, u[0], v[0], worth, control), estimators.relax(TWO, u, v, worth, control)[0]
    )
