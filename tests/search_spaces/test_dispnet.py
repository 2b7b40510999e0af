"""AutoDispNet's space against its public code: counts, networks written by hand, and a search on stereograms."""

from __future__ import annotations

import ast
from math import comb

import numpy as np
import pytest
import torch
from compiled import assert_costs_are_those_of_modules, assert_paths_run_as_extracted, batch, close, seeded, shaken
from torch.nn import functional

import naslab
from naslab.compiler import compile_network, compile_supernet
from naslab.errors import InvalidArchitecture, InvalidValue, UnknownName
from naslab.search_spaces.dispnet import KINDS, OPERATIONS, PUBLISHED, dispnet
from naslab.space import Recipe
from naslab.tasks.dense import disparity
from naslab.testing import check_search_space

FIELDS = {word.arg: ast.literal_eval(word.value) for word in ast.parse(PUBLISHED, mode="eval").body.keywords}


@pytest.fixture(scope="module")
def space():
    return dispnet()


@pytest.fixture(scope="module")
def small():
    """One cell of each kind, and a second up-sampling cell, whose first input is smaller than the others."""
    return dispnet((2, 8, 16), channels=2, encoder_cells=2, decoder_cells=2)


def samples(space, n: int):
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


# ---- what there is -----------------------------------------------------------------------------------------------


def test_cells_have_the_published_operations_and_inputs(space):
    """Three nodes with two inputs each, but for the first of the up-sampling cell, which takes all four."""
    normal = comb(2, 2) * comb(3, 2) * comb(4, 2) * 9**6
    reduction = comb(2, 2) * comb(3, 2) * comb(4, 2) * 7**6
    upsampling = 9**4 * comb(5, 2) * 9**2 * comb(6, 2) * 9**2
    assert space.size == normal * reduction * upsampling
    assert [len(c.options) for c in space.choices] == [10] * 9 + [8] * 9 + [10] * 15


def test_the_published_genotype_is_read_and_written(space):
    a = space.from_string(f"genotype = {PUBLISHED}")
    decisions = space.decisions(a)
    taken = {name: OPERATIONS[option] for name, option in decisions.items() if option}
    for kind, first in KINDS.items():
        numbers = [4, 2, 2] if kind == "upsample" else [2, 2, 2]
        nodes = [v for v, n in zip(range(first, first + 3), numbers, strict=True) for _ in range(n)]
        listed = {f"{kind}/{u}->{v}": name for v, (name, u) in zip(nodes, FIELDS[kind], strict=True)}
        assert {name: op for name, op in taken.items() if name.startswith(kind)} == listed
    assert space.from_string(space.to_string(a)) == a
    for b in samples(space, 20):
        assert space.from_string(space.to_string(b)) == b


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "not a genotype such as Genotype(normal="),
        (PUBLISHED.replace(", upsample=", ", normal="), "not a genotype"),
        (PUBLISHED.replace("upsample", "up"), "the fields normal, reduce, upsample"),
        (PUBLISHED.replace(", ('dil_conv_5x5', 4)", ""), "upsample is not a list of 8 pairs"),
        (PUBLISHED.replace("5x5', 4)", "5x5', 6)"), "upsample cell, node 6: input 6; allowed: 0 to 5"),
        (PUBLISHED.replace("5x5', 4)", "5x5', 2)"), "upsample cell, node 6: input 2 twice"),
        (PUBLISHED.replace("reduce=[('sep", "reduce=[('dil"), "reduce cell, node 2: operation"),
    ],
)  # fmt: skip
def test_bad_genotypes_are_refused_in_one_line(space, bad, said):
    with pytest.raises(InvalidArchitecture) as error:
        space.from_string(bad)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": 0}, "channels=0: at least 1"),
        ({"decoder_cells": 7}, "halved 6 times, so at most 6"),
        ({"input_shape": (6, 64, 100)}, "multiples of 64"),
    ],
)
def test_networks_that_do_not_fit_are_refused(options, said):
    with pytest.raises(InvalidValue, match=said):
        dispnet(**options)


def test_keys_see_every_cell_and_not_the_numbers_of_nodes(space):
    a = space.from_string(PUBLISHED)
    for old, new in (
        ("conv_5x5', 1", "conv_3x3', 1"),
        ("'skip_connect', 1", "'conv_1x1', 1"),
        ("5x5', 4)])", "3x3', 4)])"),
    ):
        assert space.canonical(space.from_string(PUBLISHED.replace(old, new, 1))) != space.canonical(a)
    first, second = "('sep_conv_3x3', 0), ('sep_conv_5x5', 1)", "('max_pool_3x3', 0), ('avg_pool_3x3', 1)"
    listed = (f"[{x}, {y}, ('skip_connect', 0), ('skip_connect', 1)]" for x, y in ((first, second), (second, first)))
    start, end = PUBLISHED.index("["), PUBLISHED.index(", reduce")
    one, other = (space.from_string(PUBLISHED[:start] + cell + PUBLISHED[end:]) for cell in listed)
    assert one != other
    assert space.canonical(one) == space.canonical(other)


# ---- networks ----------------------------------------------------------------------------------------------------


def published_params(channels: int, encoder: int, decoder: int, image: int, stem: int = 2) -> int:
    """Parameters of the public ``DispNetSGenotype`` with the published genotype, counted from its code."""

    def conv(x: int, y: int, kernel: int) -> int:
        return kernel**2 * x * y + y

    def op(name: str, c: int, halves: bool) -> int:
        kernel = int(name[-1]) if "conv" in name else 0
        if name.startswith("sep"):
            return 2 * (kernel**2 * c + conv(c, c, 1))
        if name.startswith("dil"):
            return kernel**2 * c + conv(c, c, 1)
        return conv(c, c, 3) if name == "skip_connect" and halves else kernel and conv(c, c, kernel)

    c, halves = channels, False
    stems = [stem * c, 2 * stem * c]
    total = conv(image, stems[0], 7) + conv(stems[0], stems[1], 5)
    s0 = s1 = stems[1]
    store = [image, *stems]
    for i in range(encoder):
        before, halves = halves, i % 2 == 0
        c *= 1 + halves
        total += conv(s0, c, 3 if before else 1) + conv(s1, c, 1)
        total += sum(op(name, c, halves and u < 2) for name, u in FIELDS["reduce" if halves else "normal"])
        s0, s1 = s1, 3 * c
        store += [s1] if halves else []
    total, s0, level = total + conv(s1, 1, 3), s1, len(store) - 1
    for i in range(decoder):
        c //= 2
        total += conv(s0, c, 4 if i else 1) + conv(s1, c, 1) + 2 * conv(c, c, 4)
        total += conv(1, c, 1) + conv(store[level - 1 - i], c, 1)
        total += sum(op(name, c, False) for name, _ in FIELDS["upsample"])
        s0, s1 = s1, 3 * c
        total += conv(s1, 1, 3)
    return total


@pytest.mark.parametrize(("channels", "encoder", "decoder"), [(18, 7, 4), (42, 7, 4), (4, 2, 2), (4, 3, 4)])
def test_parameters_are_those_of_the_public_network(channels, encoder, decoder):
    space = dispnet((6, 64, 64), channels, encoder, decoder)
    a = space.from_string(PUBLISHED)
    assert space.cost(a).params == published_params(channels, encoder, decoder, 6)


def test_sizes_are_those_of_the_public_network(space):
    shapes = space.shapes(space.from_string(PUBLISHED))[0]
    assert shapes["encoder7"] == (3 * 288, 1, 2)
    assert [shapes[f"decoder{i}"] for i in (1, 2, 3, 4)] == [
        (3 * width, 2**i, 2 ** (i + 1)) for i, width in enumerate((144, 72, 36, 18), start=1)
    ]
    assert shapes["disparity"] == (1, 64, 128)


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 2))


@pytest.mark.slow
def test_costs_of_fifty_networks_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 50))


@pytest.mark.slow
def test_it_conforms(small):
    check_search_space(small, samples=10)


def test_paths_of_the_supernet_are_the_networks_taken_from_it(small):
    assert_paths_run_as_extracted(small, samples(small, 2))


def test_both_forms_of_a_mixture_are_equal_and_train(small):
    mixed = compile_supernet(small, "mixed", generator=seeded()).double()
    weights = {c.name: torch.full((len(c.options),), 0.1, dtype=torch.float64) for c in small.choices}
    out = mixed(batch(small, 2), {name: weight.requires_grad_() for name, weight in weights.items()})
    assert out.shape == (2, 1, 8, 16)
    close(mixed.view("categorical")(batch(small, 2), weights), out)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*mixed.parameters(), *weights.values()))


def test_a_network_computes_what_the_public_one_does(small):
    """As ``refine_net.py`` and ``genotype_cell.py`` say, but for what the module's docstring names."""
    network = shaken(compile_network(small, small.from_string(PUBLISHED))).eval()
    part, given = network.get_submodule, batch(small)

    def cell(name: str, kind: str, states: list[torch.Tensor]) -> torch.Tensor:
        pairs, count = iter(FIELDS[kind]), len(states)
        for v in range(count, count + 3):
            edges = [next(pairs) for _ in range(count if v == count == 4 else 2)]
            total = torch.zeros(())
            for op, u in edges:
                keeps = op == "skip_connect" and not (kind == "reduce" and u < 2)
                total = total + (states[u] if keeps else part(f"{name}/{u}->{name}/{v}")(states[u]))
            states.append(total)
        return torch.cat(states[count:], 1)

    def larger(x: torch.Tensor, factor: int = 2) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    stem1 = functional.leaky_relu(part("images->stem1").conv(given), 0.1)
    stem2 = part("stem1->stem2")(stem1)
    one = cell("encoder1", "reduce", [part("stem2->encoder1/0")(stem2), part("stem2->encoder1/1")(stem2)])
    reduced = part("stem2->encoder2/0")
    assert (reduced.conv.kernel_size, reduced.conv.stride) == ((3, 3), (2, 2))
    two = cell("encoder2", "normal", [reduced(stem2), part("encoder1->encoder2/1")(one)])
    predicted = part("encoder2->encoder2/prediction").conv(two)
    before, last, name = two, two, "encoder2"
    for number, (support, features) in enumerate((("stem2", stem2), ("stem1", stem1)), start=1):
        own = f"decoder{number}"
        s0 = part(f"encoder2->{own}/before")(before)
        s1 = part(f"{name}->{own}/last")(last)
        states = [
            part(f"{own}/before->{own}/0")(s0),
            part(f"{own}/last->{own}/1")(s1),
            part(f"{name}/prediction->{own}/2")[1](larger(predicted)),
            part(f"{support}->{own}/3")(features),
        ]
        before, last, name = last, cell(own, "upsample", states), own
        predicted = part(f"{own}->{own}/prediction").conv(last)
    close(network(given), larger(predicted))


def test_a_picture_shows_a_cell(space):
    ax = space.draw(space.from_string(PUBLISHED))
    texts = [text.get_text() for text in ax.texts]
    assert sorted(texts) == sorted([*map(str, range(7)), *(name for name, _ in FIELDS["upsample"])])
    with pytest.raises(UnknownName, match=r"'up'\. Known: normal"):
        space.draw(space.from_string(PUBLISHED), cell="up")


# ---- a search ----------------------------------------------------------------------------------------------------


def test_a_search_trains_networks_on_stereograms_and_is_judged_by_test_errors(tmp_path):
    task = disparity("dispnet/random-dots", Recipe(epochs=1, batch=128, learning_rate=1e-2, optimizer="adam"))
    assert (task.unit, task.direction) == ("pixels", "min")
    limited = task.constrained(naslab.Constraint.parse({"params": 20_000}))
    result = naslab.search(limited, "regularized-evolution", budget=2, seed=0)
    scores = [step.evaluation.score for step in result.trace.steps]
    assert max(scores) < 0 < result.truth
    assert result.architecture == result.trace.steps[int(np.argmax(scores))].query.architecture
    assert task.problem.space.cost(result.architecture).params <= 20_000
