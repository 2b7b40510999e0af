"""Devices by name, and what crosses between them and the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import naslab
from naslab.compiler import devices
from naslab.compiler.population import stack_networks
from naslab.errors import InvalidValue
from naslab.search_spaces.mlp import mlp
from naslab.search_spaces.pocket_cell import pocket_cell


def cards(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """As if there were so many GPUs; nothing can be put on them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, device="cpu": empty(*size, device="meta"))


@pytest.mark.parametrize(
    ("name", "count", "found"),
    [
        ("cpu", 0, "cpu"),
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),
        ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
        ("meta", 0, "meta"),
    ],
)
def test_a_device_by_name(monkeypatch, name, count, found):
    cards(monkeypatch, count)
    assert devices.resolved(name) == found


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("cuda", 0, "device 'cuda' is not there: PyTorch sees no GPUs here. There is: cpu"),
        ("cuda:2", 2, "device 'cuda:2' is not there: PyTorch sees 2 GPUs here. There is: cpu, cuda:0, cuda:1"),
        ("cuad", 1, "device 'cuad'. Did you mean 'cuda'?"),
        ("cuda:first", 1, "A number goes after a colon: cuda:1"),
        ("", 1, "device ''. Known: auto, cpu, cuda."),
    ],
)
def test_a_device_that_is_not_there_is_refused_in_one_line(monkeypatch, name, count, said):
    cards(monkeypatch, count)
    with pytest.raises(InvalidValue) as caught:
        devices.resolved(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_of_another_kind_is_refused_where_it_is_not():
    with pytest.raises(InvalidValue, match=r"device 'mps' can't be used: .*Allowed: cpu, cuda, auto"):
        devices.resolved("mps")


@pytest.mark.parametrize(
    "make",
    [
        lambda device: naslab.compile_network(pocket_cell(), (3, 2, 4, 1, 3, 2), device=device),
        lambda device: naslab.compile_supernet(pocket_cell(), "mixed", device=device),
    ],
    ids=["network", "supernet"],
)
def test_what_is_compiled_is_on_its_device_alone(make):
    """Nothing is drawn there: the generator's draws are the same, whatever the device."""
    there, here = make("meta"), make("cpu")
    assert {each.device.type for each in (*there.parameters(), *there.buffers())} == {"meta"}
    assert [tuple(p.shape) for p in there.parameters()] == [tuple(p.shape) for p in here.parameters()]
    with pytest.raises(InvalidValue, match="is not there: PyTorch sees"):
        make("cuda:99")


def test_draws_are_those_of_the_cpu(monkeypatch):
    """Each way of drawing draws on the CPU and moves, so that another device sees the same numbers."""
    to: list[str] = []
    monkeypatch.setattr(devices, "moved", lambda tensor, device: to.append(str(device)) or tensor)
    there = torch.empty(2, 3, device="meta")
    drawn = [
        devices.uniform((2, 3), torch.Generator().manual_seed(1), "meta"),
        devices.normal_like(there, torch.Generator().manual_seed(1), 2.0),
    ]
    assert to == ["meta", "meta"]
    assert torch.equal(drawn[0], torch.rand(2, 3, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(drawn[1], torch.empty(2, 3).normal_(0, 2, generator=torch.Generator().manual_seed(1)))


def test_masked_widths_and_weights_pass_through_every_form_of_a_supernet():
    """A mask of widths is no part of the supernet's state: it goes where the supernet is used."""
    net = naslab.compile_supernet(mlp(4, 3, depth=2, widths=(2, 4)), device="meta")
    shares = [torch.full((len(c.options),), 0.5, device="meta", requires_grad=True) for c in net.space.choices]
    y: Tensor = net(torch.empty(5, 4, device="meta"), shares)
    y.sum().backward()
    assert y.shape == (5, 3)
    assert all(each.grad is not None for each in shares)
    assert net(torch.empty(5, 4, device="meta"), {c.name: 0 for c in net.space.choices}).shape == (5, 3)


def test_a_population_goes_where_it_is_moved():
    space, found = pocket_cell(), [(3, 2, 4, 1, 3, 2), (1, 1, 1, 1, 1, 1), (0, 0, 0, 2, 3, 4)]
    networks = [naslab.compile_network(space, a) for a in found]
    population = stack_networks(space, found, networks).to("meta")
    shape, classes = space.ends
    assert population(torch.empty(4, *shape, device="meta")).shape == (4, 3, classes)
