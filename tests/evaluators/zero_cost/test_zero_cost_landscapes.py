"""Answers to small changes, against formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from plain_networks import convolutional, gradients, images, known, outputs, perceptron, score, together, vectors
from torch import Tensor, nn

from naslab.evaluators.zero_cost.options import Options

pytestmark = pytest.mark.usefixtures("global_randomness")


@pytest.mark.parametrize("which", ["running", "batch"])
def test_zen_by_hand(which: str) -> None:
    network, (x, y) = convolutional(), images()
    found = known(network, x, y, options=Options(variances=which))
    noise = found.gaussian("zen/input")
    changed = noise + 0.01 * found.gaussian("zen/change")
    with found.drawn("normal", "zen").installed():
        # Each is followed by a normalisation.
        received = [outputs(network, each, nn.Conv2d) for each in (noise, changed)]
        before, after = outputs(network, noise, nn.ReLU)[-1], outputs(network, changed, nn.ReLU)[-1]
    expected = math.log(float((before - after).abs().sum(dim=(1, 2, 3)).mean()))
    for first, second in zip(*received, strict=True):
        variances = [float(first[:, channel].var(unbiased=False)) for channel in range(first.shape[1])]
        if which == "running":  # as a normalisation of PyTorch keeps it
            kept = nn.BatchNorm2d(first.shape[1], dtype=first.dtype)
            kept(first), kept(second)
            assert kept.running_var is not None
            variances = kept.running_var.tolist()
        expected += math.log(math.sqrt(sum(variances) / len(variances)))
    assert together(found, "zen")["zen"] == pytest.approx(expected, rel=1e-9)
    if which == "running":
        assert score("zen", network, x) == pytest.approx(expected, rel=1e-9)  # the default


class Scaled(nn.Module):
    """The same network; what the first normalisation receives, or the features, are multiplied."""

    def __init__(self, inside: float = 1.0, outside: float = 1.0) -> None:
        super().__init__()
        self.network, self.inside, self.outside = convolutional(), inside, outside
        self.network[1].eps = self.network[4].eps = 1e-12

    def forward(self, x: Tensor) -> Tensor:
        features = self.network[1:6](self.inside * self.network[0](x))
        return self.network[6:](self.outside * features)  # type: ignore[no-any-return]


@pytest.mark.parametrize("scaled", [Scaled(inside=50.0), Scaled(outside=50.0)], ids=["inside", "outside"])
def test_zen_grows_by_the_logarithm_of_a_scale_even_if_it_is_normalised_away(scaled: nn.Module) -> None:
    x, options = images()[0], Options(variances="batch")
    found, plain = (together(known(each, x, None, options=options), "zen")["zen"] for each in (scaled, Scaled()))
    assert found == pytest.approx(plain + math.log(50), rel=1e-9)


def test_zen_of_a_perceptron_looks_at_the_last_layer_s_input() -> None:
    network, (x, y) = perceptron(), vectors()
    found = known(network, x, y)
    noise = found.gaussian("zen/input")
    with found.drawn("normal", "zen").installed():
        both = [outputs(network, each, nn.ReLU)[-1] for each in (noise, noise + 0.01 * found.gaussian("zen/change"))]
    expected = math.log(float((both[0] - both[1]).abs().sum(dim=1).mean()))
    assert score("zen", network, x) == pytest.approx(expected, rel=1e-9)


def test_zico_by_hand() -> None:
    network, (x, y) = convolutional(), images()
    expected = 0.0
    for one, other in zip(gradients(network, x[:4], y[:4]), gradients(network, x[4:], y[4:]), strict=True):
        both = torch.stack([one, other]).flatten(1)
        ratios = both.abs().mean(dim=0) / both.std(dim=0, unbiased=False)
        expected += math.log(float(ratios.sum()))
    assert score("zico", network, x, y) == pytest.approx(expected, rel=1e-9)


def test_zico_leaves_out_gradients_that_do_not_vary() -> None:
    x, y = (torch.cat([part, part]) for part in images(4))
    network = convolutional()
    assert score("zico", network, x, y) == 0.0  # two equal batches: nothing varies
    assert score("zico", network, *images(8)) > 0


def test_gradsign_by_hand() -> None:
    network, (x, y) = convolutional(), images(5)
    signs = [torch.cat([g.sign().flatten() for g in gradients(network, x[i : i + 1], y[i : i + 1])]) for i in range(5)]
    expected = float(torch.stack(signs).sum(dim=0).abs().sum())
    assert 0 < expected < 5 * len(signs[0])
    assert score("gradsign", network, x, y) == expected
