"""Graph convolutions, against matrices written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import naslab
from naslab.evaluators.predictors.bonas import Embedder, GlobalNodeNetwork
from naslab.evaluators.predictors.ctnas import Comparator
from naslab.evaluators.predictors.graph_networks import GCN, GCNNetwork, normalised, one_hot
from naslab.evaluators.predictors.layers import Dropout, built
from naslab.evaluators.predictors.operation_graphs import operation_graphs
from naslab.evaluators.predictors.wiring import Wiring

TOKENS = torch.tensor([[1, 3, 2, 4]])
ADJACENCY = torch.tensor([[[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]]).float()
FEATURES = torch.empty(1, 0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gcn() -> GCNNetwork:
    return built(lambda: GCNNetwork(5, 0, Dropout(0.0, generator()), width=3, layers=2, regressor=4), generator())


def networks() -> dict[str, torch.nn.Module]:
    bonas = built(lambda: GlobalNodeNetwork(5, 0), generator()).eval()
    comparator = built(lambda: Comparator(5, 0, width=6, layers=2), generator())
    return {"gcn": gcn().eval(), "bonas": bonas, "ctnas": comparator}


def test_gcn_is_the_formula():
    """Wen et al. 2020, equation 2: each direction's adjacency with self-loops, rows of sum one."""
    net = gcn()
    a = ADJACENCY[0].numpy() + np.eye(4)
    onward, back = a.T / a.T.sum(1, keepdims=True), a / a.sum(1, keepdims=True)
    x = np.eye(4)[[0, 2, 1, 3]]
    for convolution in net.convolutions:
        both = x @ convolution.both.weight.detach().numpy().T
        x = (np.maximum(onward @ both[:, :3], 0) + np.maximum(back @ both[:, 3:], 0)) / 2
    expected = x.mean(axis=0) @ net.first.weight.detach().numpy().T @ net.last.weight.detach().numpy().T
    np.testing.assert_allclose(net(TOKENS, ADJACENCY, FEATURES).detach().numpy(), expected, atol=1e-6)


def test_bonas_reads_the_node_that_takes_in_all_others():
    net = built(lambda: Embedder(5, width=3, layers=2), generator()).eval()
    taken = np.eye(5)
    taken[:4, :4] += ADJACENCY[0].numpy().T
    taken[4, :4] = 1
    x = np.eye(5)[[0, 2, 1, 3, 4]]
    for layer in net.layers:
        x = taken @ x @ layer.weight.detach().numpy() + layer.bias.detach().numpy()
        x = np.maximum(x / np.sqrt(1 + 1e-5), 0)  # untrained batch normalisation in evaluation mode
    np.testing.assert_allclose(net(TOKENS, ADJACENCY, FEATURES).detach().numpy()[0], x[4], atol=1e-6)


def test_ctnas_is_the_linear_layer_on_both_embeddings():
    net = built(lambda: Comparator(5, 0, width=6, layers=2), generator())
    other = torch.tensor([[1, 2, 2, 3]])

    def embedded(tokens):
        a = ADJACENCY[0].T + torch.eye(4)
        x = net.embedding.weight[tokens[0]]
        for layer in net.layers:
            x = torch.relu(a / a.sum(1, keepdim=True) @ (x @ layer.weight.T + layer.bias) + x)
        return x.mean(dim=0)

    both = torch.cat([net.last.weight[0], net.last.weight[1]]) @ torch.cat([embedded(TOKENS), embedded(other)])
    expected = both + net.last.bias.sum()
    found = net(TOKENS, ADJACENCY, FEATURES)[0, 0] + net(other, ADJACENCY, FEATURES)[0, 1]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", networks())
def test_nodes_may_be_listed_in_any_order(name):
    net, expected = networks()[name], None
    for order in itertools.permutations(range(4)):
        found = net(TOKENS[:, order], ADJACENCY[:, order][:, :, order], FEATURES)
        expected = found if expected is None else expected
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", networks())
def test_padding_does_not_change_the_prediction(name):
    net = networks()[name]
    tokens = torch.tensor([[1, 0, 3, 2, 0, 4]])
    adjacency = torch.zeros(1, 6, 6)
    places = torch.tensor([0, 2, 3, 5])
    adjacency[:, places[:, None], places] = ADJACENCY
    torch.testing.assert_close(net(tokens, adjacency, FEATURES), net(TOKENS, ADJACENCY, FEATURES))


def test_padding_is_no_part_of_batch_statistics():
    nets = [built(lambda: GlobalNodeNetwork(5, 0), generator()).train() for _ in range(2)]
    wide = torch.nn.functional.pad(ADJACENCY, (0, 2, 0, 2))
    nets[0](TOKENS, ADJACENCY, FEATURES)
    nets[1](torch.nn.functional.pad(TOKENS, (0, 2)), wide, FEATURES)
    for one, other in zip(*(net.buffers() for net in nets), strict=True):
        torch.testing.assert_close(one, other)


def test_the_data_s_direction_matters():
    for net in networks().values():
        found, reverse = net(TOKENS, ADJACENCY, FEATURES), net(TOKENS, ADJACENCY.transpose(1, 2), FEATURES)
        assert not torch.allclose(found, reverse, atol=1e-5)


def test_isomorphic_cells_have_one_prediction_where_graphs_are_simplified():
    space = naslab.search_space("nasbench201")
    rng = np.random.default_rng(0)
    cells = [space.sample(rng) for _ in range(600)]
    made = GCN(space, simplified=True, epochs=1, learning_rate=0.01)
    made.fit(cells[:50], range(50), rng=rng)
    means = made.predict(cells).mean
    by_key: dict[str, list[float]] = {}
    for cell, mean in zip(cells, means, strict=True):
        by_key.setdefault(space.canonical(cell), []).append(mean)
    assert sum(len(group) > 1 for group in by_key.values()) > 50
    assert max(max(group) - min(group) for group in by_key.values()) < 1e-5
    assert len({round(group[0], 7) for group in by_key.values()}) > 0.9 * len(by_key)


def test_what_networks_read_is_the_line_graph():
    space = naslab.search_space("nasbench201")
    cells = [(3, 1, 2, 0, 4, 3), (1, 1, 1, 1, 1, 1)]
    made = GCN(space)
    tokens, adjacency = made._inputs(cells)
    graphs = operation_graphs(Wiring(space), cells)
    assert (tokens.numpy() == graphs.tokens).all()
    # Reference section 2.3: input to edges 01, 02 and 03; each edge to those that leave its head; 12 follows 01.
    names = ["in", "01", "02", "12", "03", "13", "23", "out"]
    follows = [(a, b) for i, a in enumerate(names) for j, b in enumerate(names) if adjacency[0, i, j]]
    expected = "in-01 in-02 in-03 01-12 01-13 02-23 12-23 03-out 13-out 23-out"
    assert sorted(follows) == sorted(tuple(pair.split("-")) for pair in expected.split())


def test_helpers():
    assert normalised(torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])).tolist() == [[[0.25, 0.75], [0.0, 0.0]]]
    assert one_hot(torch.tensor([0, 2, 1]), 3).tolist() == [[0, 0], [0, 1], [1, 0]]
