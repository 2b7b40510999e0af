"""Published mobile networks, counted to the unit; and the notation of their blocks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import naslab
from naslab import compile_network
from naslab.errors import NaslabError
from naslab.search_spaces.block_strings import Block, mobile_network, read_blocks
from naslab.search_spaces.inference_memory import peak_activations
from naslab.search_spaces.published_mobile import NETWORKS, published_network

# Weights, biases, scales and shifts; multiply-accumulates of convolutions, linear layers and gates.
COUNTS = {
    "mobilenetv2": (3_504_872, 300_774_272),
    "mobilenetv2-1.4": (6_108_776, 582_195_824),
    "mobilenetv2-0.35": (1_677_128, 59_285_808),
    "mobilenetv3-large": (5_483_032, 216_589_760),
    "mobilenetv3-small": (2_542_856, 56_510_400),
    "mnasnet-a1": (3_887_038, 311_579_072),
    "mnasnet-b1": (4_383_312, 314_415_872),
    "mnasnet-small": (2_030_264, 68_339_184),
    "proxylessnas-mobile": (4_080_512, 320_427_584),
    "proxylessnas-mobile14": (6_857_568, 580_883_408),
    "proxylessnas-cpu": (4_361_648, 439_243_864),
    "proxylessnas-gpu": (7_119_848, 465_260_160),
    "fbnet-a": (4_304_584, 244_452_664),
    "fbnet-b": (4_801_368, 291_004_424),
    "fbnet-c": (5_570_664, 378_136_224),
    "single-path-nas": (4_421_616, 333_467_072),
    "mcunet-in0": (749_840, 6_364_224),
    "mcunet-in1": (636_232, 12_790_096),
    "mcunet-in2": (729_392, 67_287_200),
    "mcunet-in3": (737_408, 81_785_520),
    "mcunet-in4": (1_732_640, 125_874_400),
    "mcunet-proxylessnas-0.3": (754_280, 38_282_216),
    "mcunet-mobilenetv2-0.35": (750_280, 23_499_152),
}


def test_every_network_has_a_count() -> None:
    assert set(COUNTS) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_have_their_counts(name: str) -> None:
    space = published_network(name)
    cost = space.cost(())
    assert (space.size, space.name) == (1, name)
    assert (cost.params, cost.macs) == COUNTS[name]


QUICK = ("mobilenetv3-small", "mnasnet-small", "fbnet-a")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NETWORKS]
)
def test_and_so_do_their_modules(name: str) -> None:
    small = published_network(name, num_classes=10, input_shape=(3, 32, 32))
    network = compile_network(small, ()).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == small.cost(()).params
    classifier = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    assert small.cost(()).params + 990 * (classifier.in_features + 1) == COUNTS[name][0]


@pytest.mark.parametrize(("name", "params", "macs"), [("fbnet-b", 4.76667, 291.102), ("fbnet-c", 5.52542, 378.233)])
def test_fbnets_own_numbers_count_weights_alone_and_the_pooling(name: str, params: float, macs: float) -> None:
    """facebookresearch/mobile-vision prints millions: no biases, no normalisations; one operation per pooled number."""
    space = published_network(name)
    network = compile_network(space, (), generator=torch.Generator().manual_seed(0))
    weights = sum(p.numel() for p in network.parameters() if p.dim() > 1)
    pooled = torch.Size(space.shapes(())[0]["head"]).numel()
    assert round(weights / 1e6, 5) == params
    assert round((space.cost(()).macs + pooled) / 1e6, 3) == macs


def test_blocks_are_read_word_by_word() -> None:
    assert read_blocks("r3 k5s2e2.5 40 se.25 noskip; skip; k3s2 8 se hard-swish g2 pool") == [
        Block(5, 2, 2.5, 40, 3, "mnasnet", 1, "noskip"),
        Block(3, 2, None, 8, 1, "mobilenetv3", 2, "pool", "hard-swish"),
    ]


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ("", "block '' of '': not a block such as those of 'k3s1e1 16; "),
        ("k3s1e1", "not a block such as"),
        ("k3s3e1 16", "not a block such as"),
        ("r0 k3s1e1 16", "not a block such as"),
        ("r999999999999 k3s1e1 16", "not a block such as"),
        ("k3s1e1 16 see", "block 'k3s1e1 16 see': word 'see'. Did you mean 'se'?"),
        ("k3s1e1 16 g3", "groups 3 does not divide 32 features"),
        ("k3s1e" + "1" * 10_000 + " 16", "not a block such as"),
    ],
)
def test_what_is_no_block_is_one_line(blocks: str, said: str) -> None:
    with pytest.raises(NaslabError) as error:
        mobile_network(blocks, input_shape=(3, 32, 32))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 0}, "width=0: a multiplier of all widths, above 0"),
        ({"width": "half"}, "width='half': a multiplier"),
        ({"activation": "rellu"}, "activation 'rellu'. Did you mean 'relu'?"),
    ],
)
def test_options_that_make_no_network_are_one_line(options: dict, said: str) -> None:
    with pytest.raises(NaslabError) as error:
        mobile_network("k3s1e1 16", **options)
    assert said in str(error.value)


def test_an_unknown_network_is_told_the_nearest() -> None:
    with pytest.raises(NaslabError, match=r"'mnasnet-a2'\. Did you mean 'mnasnet-a1'"):
        published_network("mnasnet-a2")


# ---- memory ------------------------------------------------------------------------------------------------------

PEAKS = {  # apart, in place; SRAM in kB that the authors measured with TinyEngine
    "mcunet-in0": (46_080, 46_080, None),  # these two spend memory on speed
    "mcunet-in1": (92_160, 92_160, None),
    "mcunet-in2": (332_800, 204_800, 242),
    "mcunet-in3": (340_736, 247_808, 293),
    "mcunet-proxylessnas-0.3": (247_808, 247_808, 292),
    "mcunet-mobilenetv2-0.35": (311_040, 290_304, 308),
    "mcunet-in4": (422_400, 409_600, 456),
}


@pytest.mark.parametrize("name", PEAKS)
def test_peak_memory_is_that_of_mcunets_code(name: str) -> None:
    space = published_network(name)
    assert peak_activations(space, (), in_place=False) == PEAKS[name][0]
    assert peak_activations(space, ()) == PEAKS[name][1]


def test_in_place_the_measured_order_comes_out_and_apart_it_does_not() -> None:
    measured = {
        name: sram for name, (_, _, sram) in PEAKS.items() if sram and name != "mcunet-in3"
    }  # a tie with another
    order = sorted(measured, key=measured.__getitem__)
    assert sorted(order, key=lambda name: peak_activations(published_network(name), ())) == order
    assert sorted(order, key=lambda name: peak_activations(published_network(name), (), in_place=False)) != order
    for name, sram in measured.items():
        assert 17 < sram - PEAKS[name][1] / 1000 < 47


def test_a_residual_connection_counts_however_it_is_written() -> None:
    """Inside of a bottleneck, or as an edge beside it as in MnasNet's space."""
    options = {"input_shape": (3, 32, 32), "num_classes": 2}
    space = naslab.search_space("mnasnet", blocks=((64, 1, 3), (24, 2, 2)), **options)
    for skip, kept in (("", 64), (" pool", 64), (" noskip", 0)):
        blocks = f"r3 k3s1e6 64{skip}; r1 k3s2 24"
        written = mobile_network(blocks, activation="relu", head=None, **options)
        expected = max(64 + 6 * 64, 6 * 64 + 1 + kept) * 16 * 16
        assert peak_activations(written, ()) == expected
        assert peak_activations(space, space.from_string(blocks)) == expected
