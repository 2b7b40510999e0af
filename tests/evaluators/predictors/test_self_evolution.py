"""Self-evolution, against its equations and against plain training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.graph_networks import GCN
from naslab.evaluators.predictors.nao import NAO
from naslab.evaluators.predictors.neural import Validation
from naslab.evaluators.predictors.self_evolution import Constrained, Evolution, on_scale
from naslab.evaluators.predictors.targets import transform
from naslab.evaluators.predictors.tnasp import TNASP
from naslab.evaluators.predictors.training import Training

SPACE = naslab.search_space("nasbench201")


def drawn(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    architectures = [SPACE.sample(rng) for _ in range(count)]
    return architectures, np.array([float(sum(option == 3 for option in a) + a[3] / 10) for a in architectures])


def constrained(alpha: float = 0.5, batch: int = 4) -> Constrained:
    outputs = torch.tensor([0.5, -0.5, 1.0, 2.0])
    return Constrained(
        lambda inputs: outputs[inputs[0]], (torch.arange(4),), alpha, batch, 0.1, 0.2, torch.Generator().manual_seed(0)
    )


def test_off_it_is_plain_training_to_the_bit(monkeypatch):
    architectures, scores = drawn(30)
    held = Validation(*drawn(20, seed=1))
    settings = {"target": "raw", "epochs": 3, "round_epochs": 2, "round_rate": 1e-3}
    evolved = TNASP(SPACE, rounds=2, alpha=0.0, multiplier_rate=0.0, **settings)
    evolved.fit(architectures, scores, rng=np.random.default_rng(0), validation=held)

    def longer(self, after=None):
        for epoch in range(3):
            self.epoch(self.schedule.rate(epoch))
        for _ in range(4):
            self.epoch(1e-3)

    monkeypatch.setattr(Training, "run", longer)
    plain = TNASP(SPACE, **settings)
    plain.fit(architectures, scores, rng=np.random.default_rng(0))
    assert all(torch.equal(a, b) for a, b in zip(evolved.model.parameters(), plain.model.parameters(), strict=True))


def test_on_it_is_not():
    architectures, scores = drawn(30)
    held = Validation(*drawn(20, seed=1))
    means = []
    for alpha in (0.0, 0.5):
        made = GCN(SPACE, epochs=1, rounds=1, alpha=alpha, round_epochs=1, round_rate=1e-2)
        made.fit(architectures, scores, rng=np.random.default_rng(0), validation=held)
        means.append(made.predict(architectures).mean)
    assert np.abs(means[0] - means[1]).max() > 1e-4


def test_the_first_residual_is_minus_the_error():
    terms = constrained()
    terms.constrain(torch.tensor([0.0, 1.0, 2.0, 3.0]), 0.7)
    assert terms.targets.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert terms.residuals().tolist() == pytest.approx([-0.7])


def test_a_step_is_equations_12_and_13():
    terms = constrained()
    first, second = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 1.0, 1.0, -1.0])
    terms.constrain(first, 0.7)
    terms.constrain(second, 0.2)
    start, weights = (
        torch.tensor([0.2, 0.8, 1.5, 2.0], requires_grad=True),
        torch.tensor([0.3, -0.4], requires_grad=True),
    )
    terms.targets, terms.multipliers = start.detach().clone(), weights.detach().clone()
    outputs = torch.tensor([0.5, -0.5, 1.0, 2.0])
    distances = torch.stack([(first - start).square().mean(), (second - start).square().mean()])
    lagrangian = 0.5 * (outputs - start).square().mean() + (weights * (distances - torch.tensor([0.7, 0.2]))).mean()
    lagrangian.backward()
    assert terms.loss().item() == pytest.approx(0.5 * (outputs - start).square().mean().item())
    terms.update()
    # A step of a target is in units of its own entry: the mean over four gives a quarter of the gradient.
    torch.testing.assert_close(terms.targets, (start - 0.1 * 4 * start.grad).detach())
    torch.testing.assert_close(terms.multipliers, (weights + 0.2 * weights.grad).detach())


def test_a_multiplier_rises_while_its_constraint_is_exceeded():
    terms = constrained(alpha=0.0)
    terms.constrain(torch.zeros(4), 0.5)
    terms.targets = torch.full((4,), 2.0)
    assert terms.loss() is None
    terms.update()
    assert terms.multipliers.item() > 0
    before = terms.targets.clone()
    terms.update()
    assert (terms.targets.abs() < before.abs()).all()  # and then draws the targets back


def test_a_batch_of_validation_rows_is_unbiased():
    whole, batches = constrained(batch=4), constrained(batch=2)
    for terms in (whole, batches):
        terms.constrain(torch.zeros(4), 0.5)
        terms.targets = torch.tensor([1.0, 2.0, -1.0, 0.0])
    whole.loss()
    whole.update()
    start, moves = torch.tensor([1.0, 2.0, -1.0, 0.0]), []
    for _ in range(400):
        batches.targets, batches.multipliers = start.clone(), torch.zeros(1)
        batches.loss()
        batches.update()
        moves.append(batches.targets - start)
    torch.testing.assert_close(torch.stack(moves).mean(dim=0), whole.targets - start, atol=0.03, rtol=0)


def test_validation_labels_enter_through_their_errors_alone():
    architectures, scores = drawn(30)
    others, labels = drawn(20, seed=1)
    made = GCN(SPACE, target="raw", epochs=1, rounds=1, round_epochs=1, round_rate=1e-3)
    made.fit(architectures, scores, rng=np.random.default_rng(0), validation=Validation(others, labels))
    first = made.predict(architectures).mean
    plain = GCN(SPACE, target="raw", epochs=1)
    plain.fit(architectures, scores, rng=np.random.default_rng(0))
    known = plain.predict(others).mean
    wanted = on_scale(labels, scores, "raw")
    # Other labels at the same distance: mirrored at the prediction, on the targets' scale and back.
    slope, shift = np.polyfit(wanted, labels, 1)
    mirrored = Validation(others, slope * (2 * known - wanted) + shift)
    made.fit(architectures, scores, rng=np.random.default_rng(0), validation=mirrored)
    np.testing.assert_allclose(made.predict(architectures).mean, first, atol=1e-5)


def test_further_scores_on_the_scale_of_the_known():
    known = np.array([50.0, 90.0, 80.0, 70.0])
    for target in ("raw", "log-error", "rank"):
        np.testing.assert_allclose(on_scale(known, known, target), transform(known, target), atol=1e-12)
    assert on_scale(np.array([60.0]), known, "raw").item() == pytest.approx((60 - known.mean()) / known.std())
    ranks = transform(known, "rank")
    assert on_scale(np.array([75.0, 99.0, 0.0]), known, "rank") == pytest.approx(
        [(ranks[2] + ranks[3]) / 2, ranks[1], ranks[0]]
    )


@pytest.mark.parametrize("kind", [TNASP, GCN, NAO])
def test_without_validation_it_is_refused(kind):
    made = kind(SPACE, rounds=1)
    with pytest.raises(InvalidValue, match="self-evolution without validation architectures"):
        made.fit(*drawn(5), rng=np.random.default_rng(0))


@pytest.mark.parametrize("changed", [{"alpha": -1.0}, {"epochs": 0}, {"learning_rate": 0.0}, {"rounds": -1}])
def test_constants_that_make_no_sense_are_refused(changed):
    with pytest.raises(InvalidValue, match="Allowed"):
        Evolution(**changed)
