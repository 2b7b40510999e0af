"""The space of encoders: sizes and counts, shared weights, keys, a search through shared weights and a live one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from compiled import assert_costs_are_those_of_modules, batch, close, seeded, shaken
from torch import Tensor

import naslab
from naslab import Recipe, SearchSpace, compile_network
from naslab.compiler import compile_supernet
from naslab.datasets.catalogue import load_dataset
from naslab.errors import InvalidSpace, InvalidValue
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.training import TrainingEvaluator
from naslab.search_spaces.transformer import transformer
from naslab.testing import check_search_space

SPACES: dict[str, dict[str, Any]] = {
    "image": {},
    "sequence": {"input_shape": (5, 12), "patch": 3, "ratios": (1.5, 3)},
    "tokens": {"input_shape": (1, 12), "vocabulary": 9, "depths": (2, 4), "classes": 3},
}
TINY = {"input_shape": (3, 224, 224), "classes": 1000, "patch": 16, "depths": (12, 13, 14), "widths": (192, 216, 240)}
AUTOFORMER_TI = transformer(**TINY, heads=(3, 4), ratios=(3.5, 4), head_size=64)  # type: ignore[arg-type]


def inputs(space: SearchSpace, name: str) -> Tensor:
    if name != "tokens":
        return batch(space)
    return torch.randint(0, 9, (3, 1, 12), generator=seeded(7)).double()


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (transformer(), 3 * (9 + 81 + 729)),
        (transformer(depths=(2,)), 3 * 81),
        (transformer(**SPACES["sequence"]), 3 * (6 + 36 + 216)),
        (AUTOFORMER_TI, 3 * (4**12 + 4**13 + 4**14)),
    ],
    ids=str,
)
def test_sizes(space: SearchSpace, size: int) -> None:
    assert space.size == size


def test_autoformers_space_holds_the_tiny_vision_transformer() -> None:
    """ViT-Ti/16 has 5,717,416 parameters (timm), of which a class token and its position are 2 x 192."""
    layers = ";".join(f"heads{i}=3;ratio{i}=4" for i in range(1, 13))
    architecture = AUTOFORMER_TI.from_string(f"width=192;depth=12;{layers}")
    assert AUTOFORMER_TI.cost(architecture).params == 5_717_416 - 2 * 192


@pytest.mark.parametrize("name", SPACES)
def test_it_is_a_space_like_others(name: str) -> None:
    space = transformer(**SPACES[name])
    check_search_space(space, samples=15)
    rng = np.random.default_rng(1)
    drawn = [space.sample(rng) for _ in range(20)]
    if name != "tokens":
        assert_costs_are_those_of_modules(space, drawn)
    supernet = shaken(compile_supernet(space, "categorical", generator=seeded(), affine=True, track_running_stats=True))
    x = inputs(space, name)
    for architecture in drawn[:8]:
        extracted = supernet.extract(architecture)
        alone = compile_network(space, architecture).double()
        assert sum(parameter.numel() for parameter in alone.parameters()) == space.cost(architecture).params
        alone.load_state_dict(extracted.state_dict())
        close(alone.eval()(x), supernet.eval()(x, architecture))
        close(extracted.eval()(x), supernet(x, architecture))


def test_a_small_encoder_is_what_its_formula_says() -> None:
    """Pre-norm: x + attention(norm(x)), x + feed-forward(norm(x)), as PyTorch's own layer computes it."""
    space = transformer(input_shape=(6, 5), patch=1, depths=(1,), widths=(8,), heads=(2,), ratios=(2,), head_size=4)
    network = shaken(compile_network(space, space.first, generator=seeded())).eval()
    layer = torch.nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", norm_first=True, batch_first=True, dtype=torch.float64, device="meta"
    ).to_empty(device="cpu")
    own = dict(network.get_submodule("layer0->layer1").named_parameters())
    names = {
        "norm1": "0.0.0",
        "self_attn.in_proj_": "0.0.1.project",
        "self_attn.out_proj": "0.0.1.join",
        "norm2": "1.0.0",
        "linear1": "1.0.1.expand",
        "linear2": "1.0.1.project",
    }
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            stem = next(each for each in names if name.startswith(each))
            parameter.copy_(own[f"{names[stem]}.{'weight' if name.endswith('weight') else 'bias'}"])
    x = torch.randn(3, 6, 5, dtype=torch.float64, generator=seeded(1))
    parts = dict(network.named_parameters())
    patches = parts["x->patches.weight"][:, :, 0] @ x + parts["x->patches.bias"][:, None]
    tokens = layer.eval()((patches + parts["patches->layer0.weight"]).transpose(1, 2))
    last = torch.nn.functional.layer_norm(
        tokens, (8,), parts["layer1->features.0.weight"], parts["layer1->features.0.bias"]
    )
    expected = last.mean(1) @ parts["features->logits.weight"].T + parts["features->logits.bias"]
    close(network(x), expected)


def test_what_is_not_there_is_no_decision() -> None:
    space = transformer()
    architecture = space.from_string("width=24;depth=1;heads1=4;ratio1=2")
    assert architecture == (1, 0, 2, 1, 0, 0, 0, 0)
    assert space.active(architecture) == ("width", "depth", "heads1", "ratio1")
    assert space.to_string(architecture) == "width=24;depth=1;heads1=4;ratio1=2"
    assert space.canonical(architecture) != space.canonical(space.from_string("width=24;depth=1;heads1=2;ratio1=2"))


def test_a_picture_shows_what_is_there() -> None:
    space = transformer()
    axes = space.draw(space.from_string("width=24;depth=2;heads1=4;ratio1=2;heads2=1;ratio2=4"))
    words = [text.get_text() for text in axes.texts]
    assert words[::2] == ["patches", "4 heads\nx 2", "1 head\nx 4", "linear"]
    assert words[1::2] == ["24\n4", "24\n4", "24\n4", "10"]
    assert axes.patches[1].get_height() < axes.patches[2].get_height()


def test_the_mixed_form_is_refused_in_one_line() -> None:
    with pytest.raises(InvalidSpace, match=r"its widths depend on 'width'.*use choices='categorical'$"):
        compile_supernet(transformer(), "mixed")
    mixed = compile_supernet(transformer(widths=(16,)), "mixed", generator=seeded())
    weights = {
        choice.name: torch.full((len(choice.options),), 1 / len(choice.options)) for choice in mixed.space.choices
    }
    assert mixed(torch.randn(2, 1, 8, 8, generator=seeded()), weights).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"depths": (3, 2)}, InvalidValue, "give each once, in increasing order"),
        ({"depths": ()}, InvalidValue, "depths=(). Allowed: whole numbers above 0, at least one"),
        ({"heads": (0,)}, InvalidValue, "heads=(0,). Allowed: whole numbers above 0, at least one"),
        ({"ratios": (-1,)}, InvalidValue, "ratios=(-1,). Allowed: numbers above 0, at least one"),
        ({"depths": (10**6,)}, InvalidValue, "give a whole number of at most 1,000"),
        ({"patch": 3}, InvalidSpace, "a patch of 3 does not divide 8"),
    ],
)
def test_what_is_no_space_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        transformer(**arguments)


def test_a_search_trains_on_real_images() -> None:
    """Digits of 8 by 8 pixels: a few trainings from scratch, under a limit."""
    rows = load_dataset("mnist-8x8")
    space = transformer(widths=(16, 24), depths=(1, 2), patch=4)
    recipe = Recipe(epochs=4, batch=32, learning_rate=1e-2, optimizer="adamw", weight_decay=1e-2)
    task = naslab.Task(
        "mnist-8x8/transformer",
        naslab.Problem(space, train=rows.train, validation=rows.validation),
        reward=lambda: TrainingEvaluator(space, rows.train, rows.validation, recipe),
        truth=TrainingEvaluator(space, rows.train, rows.test, recipe),
        metric="test accuracy",
        unit="%",
    )
    found = naslab.search(task, "regularized-evolution[population=2,sample=2]", budget=3, seed=0, max={"params": 9000})
    assert found.architecture is not None
    assert found.truth is not None
    assert space.cost(found.architecture).params <= 9000
    assert found.truth > 40


def test_a_search_through_shared_weights() -> None:
    """Of the categorical form: widths and depths share weights, too."""
    rows = load_dataset("mnist-8x8")
    space = transformer(widths=(16, 24), depths=(1, 2), patch=4)
    recipe = Recipe(epochs=6, batch=32, learning_rate=1e-2, optimizer="adamw")
    task = naslab.Task(
        "mnist-8x8/shared",
        naslab.Problem(space, train=rows.train, validation=rows.validation),
        reward=lambda: OneShot(space, rows.train, rows.validation, recipe),
        truth=TrainingEvaluator(space, rows.train, rows.test, replace(recipe, epochs=1)),
        metric="test accuracy",
        unit="%",
    )
    shared = naslab.search(task, "random", budget=96, seed=0)
    assert shared.architecture is not None
    assert shared.score > 50  # of one batch
