"""What all gradient-trained predictors have in common."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from predictor_spaces import drawn, spaces
from scipy import stats

from naslab.errors import InvalidValue
from naslab.evaluators.predictors.catalogue import predictor
from naslab.evaluators.predictors.neural import NeuralPredictor, Validation
from naslab.evaluators.predictors.training import outputs_of

NAMES = ("tnasp", "neural-predictor", "nao", "bananas", "bonas", "renas", "ctnas")
SPACES = spaces()
CELL = SPACES["nasbench201"]
for _name in NAMES:  # imported now: scikit-learn's import draws from Python's generator
    predictor(_name, CELL)
CELLS, OTHERS = drawn(CELL, 40), drawn(CELL, 25, seed=1)


def worth(architecture) -> float:
    """How many 3x3 convolutions, and whether one leads straight to the output."""
    return sum(option == 3 for option in architecture) + 0.5 * (architecture[3] == 3)


SCORES = [worth(a) for a in CELLS]


def fitted(written: str, space=CELL, cells=None, scores=SCORES, seed=0, **options) -> NeuralPredictor:
    made = predictor(written, space)
    made.fit(CELLS if cells is None else cells, scores, rng=np.random.default_rng(seed), **options)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_fitting_depends_on_the_generator_alone(name, global_randomness):
    first, same, other = (fitted(f"{name}[epochs=2]", seed=s).predict(OTHERS).mean for s in (0, 0, 1))
    assert first.tolist() == same.tolist()
    assert first.tolist() != other.tolist()
    assert first.shape == (25,)
    assert np.isfinite(first).all()


@pytest.mark.parametrize(
    "written",
    [
        "tnasp[epochs=30,learning_rate=.001]",
        "neural-predictor[epochs=40,learning_rate=.001]",
        "nao[epochs=150,learning_rate=.003]",
        "bananas[epochs=60]",
        "bonas",
        "renas[epochs=60]",
        "ctnas[epochs=100,learning_rate=.001]",
    ],
    ids=NAMES,
)
def test_it_learns_which_is_better(written):
    cells, tested = drawn(CELL, 100), drawn(CELL, 200, seed=2)
    made = fitted(written, cells=cells, scores=[worth(a) for a in cells])
    tau = stats.kendalltau(made.predict(tested).mean, [worth(a) for a in tested]).statistic
    assert tau > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_predictions_do_not_depend_on_the_others_asked(name):
    made = fitted(f"{name}[epochs=2]")
    together = made.predict(OTHERS).mean
    alone = [made.predict([a]).mean[0] for a in OTHERS[:5]]
    np.testing.assert_allclose(together[:5], alone, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_features_are_learned_from(name):
    scores = np.random.default_rng(3).standard_normal(40)
    same = [CELLS[0]] * 40  # nothing else tells the rows apart
    made = fitted(f"{name}[epochs=30,learning_rate=.02]", cells=same, scores=scores, features=scores[:, None])
    asked = np.linspace(-1.5, 1.5, 25)
    tau = stats.kendalltau(made.predict(same[:25], features=asked[:, None]).mean, asked).statistic
    assert tau > 0.8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", [name for name in SPACES if name != "nasbench201"])
def test_spaces_that_nobody_thought_of_are_fitted(name, space):
    cells = drawn(SPACES[space], 12)
    means = fitted(f"{name}[epochs=1]", SPACES[space], cells, np.arange(12.0)).predict(cells).mean
    assert means.shape == (12,)
    assert np.isfinite(means).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ctnas"])
@pytest.mark.parametrize("loss", ["squared", "hinge", "bce", "absolute", "exponential"])
@pytest.mark.parametrize("target", ["raw", "rank"])
def test_losses_and_targets_are_options(name, loss, target):
    made = fitted(f"{name}[epochs=1,loss={loss},target={target}]")
    assert np.isfinite(made.predict(OTHERS).mean).all()


@pytest.mark.parametrize("name", NAMES)
def test_two_labels_are_enough(name):
    assert np.isfinite(fitted(f"{name}[epochs=1]", cells=CELLS[:2], scores=[0.0, 1.0]).predict(OTHERS).mean).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_fit_leaves_it_unfitted(name):
    made = predictor(name, CELL)
    with pytest.raises(InvalidValue, match=r"is nan, and 1 of 2 are not finite"):
        made.fit(CELLS[:2], [0.0, float("nan")], rng=np.random.default_rng(0))
    with pytest.raises(InvalidValue, match="predicts before it was fitted"):
        made.predict(CELLS)


@pytest.mark.parametrize("name", ["bananas", "bonas"])
def test_these_have_deviations(name):
    prediction = fitted(f"{name}[epochs=5]").predict(OTHERS)
    assert prediction.deviation.shape == (25,)
    assert (prediction.deviation > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_validation_chooses_the_epoch(name, monkeypatch):
    held = Validation(OTHERS, [worth(a) for a in OTHERS])
    states = []

    def scripted(self, model, inputs):
        """The second and the third epoch are perfect, the others the wrong way round."""
        states.append({key: value.clone() for key, value in model.state_dict().items()})
        return np.asarray(held.scores) * (1 if len(states) in (2, 3) else -1)

    made = predictor(f"{name}[epochs=4]", CELL)
    monkeypatch.setattr(type(made), "_scores_of", scripted)
    made.fit(CELLS, SCORES, rng=np.random.default_rng(0), validation=held)
    assert len(states) == 4
    kept = made.model.state_dict()
    equal = [all(torch.equal(kept[key], state[key]) for key in kept) for state in states]
    assert equal == [False, True, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_fit_leaves_what_was_learned(name):
    made = fitted(f"{name}[epochs=1]")
    before = made.predict(OTHERS).mean
    with pytest.raises(InvalidValue, match="there is nothing to learn from"):
        made.fit(OTHERS, [1.0] * 25, rng=np.random.default_rng(0))
    assert made.predict(OTHERS).mean.tolist() == before.tolist()


def test_validation_needs_the_features_that_training_has():
    table = np.ones((40, 1)) * np.arange(40)[:, None]
    with pytest.raises(InvalidValue, match="features of only one of training and validation"):
        fitted("neural-predictor[epochs=1]", features=table, validation=Validation(OTHERS, range(25)))
    with pytest.raises(InvalidValue, match="features of shape"):
        fitted("neural-predictor[epochs=1]", features=table[:, 0], validation=Validation(OTHERS, range(25), range(25)))


def test_large_predictions_are_those_of_small_ones(monkeypatch):
    from naslab.evaluators.predictors import neural

    made = fitted("neural-predictor[epochs=1]")
    whole = made.predict(OTHERS).mean
    monkeypatch.setattr(neural, "_ARCHITECTURES_AT_ONCE", 7)
    np.testing.assert_allclose(made.predict(OTHERS).mean, whole, atol=1e-6)


def test_tiny_numbers_are_zero_while_it_learns_and_predicts_and_not_afterwards():
    tiny, seen = torch.full((), 1e-39), []
    made = predictor("neural-predictor[epochs=1]", CELL)
    kept = made._inputs
    made._inputs = lambda *given: (seen.append(float(tiny * 1)), kept(*given))[1]
    made.fit(CELLS, SCORES, rng=np.random.default_rng(0))
    made.predict(CELLS[:3])
    assert seen == [0.0, 0.0]
    assert float(tiny * 1) > 0


def test_one_thread_is_used():
    threads = torch.get_num_threads()
    seen = []
    made = predictor("neural-predictor[epochs=1]", CELL)
    kept = made._objective
    made._objective = lambda *given: (seen.append(torch.get_num_threads()), kept(*given))[1]
    made.fit(CELLS, SCORES, rng=np.random.default_rng(0))
    assert set(seen) == {1}
    assert torch.get_num_threads() == threads


def test_outputs_follow_the_rows():
    made = fitted("tnasp[epochs=1]")
    inputs = made._tensors(OTHERS, None)
    backwards = tuple(tensor.flip(0) for tensor in inputs)
    torch.testing.assert_close(outputs_of(made.model, inputs).flip(0), outputs_of(made.model, backwards))
