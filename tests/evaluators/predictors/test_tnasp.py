"""The Transformer predictor, against its formulas written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import naslab
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.predictors.layers import Dropout, built
from naslab.evaluators.predictors.tnasp import TNASP, TransformerNetwork

SPACE = naslab.search_space("nasbench201")
SMALL = {"width": 6, "layers": 2, "heads": 2, "head_width": 3, "hidden": 5, "regressor": 4}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(nodes: int = 3, columns: int = 0, rate: float = 0.0, flips=None) -> TransformerNetwork:
    def make() -> TransformerNetwork:
        return TransformerNetwork(5, 4, nodes, columns, Dropout(rate, generator()), flips, **SMALL)

    return built(make, generator())


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_hand(net: TransformerNetwork, tokens, positions, features):
    """One architecture: Vaswani et al. 2017 with post-norm; layer norms are the identity's scale and shift at first."""
    w = {name: value.double().numpy() for name, value in net.state_dict().items()}
    x = w["embedding.weight"][tokens]
    mapped = positions @ w["to_tokens.weight"].T + w["to_tokens.bias"]
    x = norm(x + mapped.T @ w["to_embedding.weight"].T + w["to_embedding.bias"])
    for layer in ("layers.0.", "layers.1."):
        qkv = (x @ w[layer + "query_key_value.weight"].T).reshape(4, 3, 2, 3)
        heads = []
        for head in range(2):
            q, k, v = qkv[:, 0, head], qkv[:, 1, head], qkv[:, 2, head]
            heads.append(softmax(q @ k.T / np.sqrt(3)) @ v)
        x = norm(x + np.concatenate(heads, axis=1) @ w[layer + "out.weight"].T)
        hidden = np.maximum(x @ w[layer + "expand.weight"].T + w[layer + "expand.bias"], 0)
        x = norm(x + hidden @ w[layer + "contract.weight"].T + w[layer + "contract.bias"])
    known = np.concatenate([x.mean(axis=0), features])
    return (known @ w["first.weight"].T @ w["last.weight"].T).item()


def test_forward_is_the_formula():
    net = network(columns=2)
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 5, (3, 4))
    positions, features = rng.standard_normal((3, 3, 3)), rng.standard_normal((3, 2))
    outputs = net(torch.from_numpy(tokens), torch.from_numpy(positions).float(), torch.from_numpy(features).float())
    expected = [by_hand(net, *row) for row in zip(tokens, positions, features, strict=True)]
    np.testing.assert_allclose(outputs.detach().numpy(), expected, atol=1e-5)


def test_gradients_are_those_of_differences():
    net = network().double()
    tokens, positions = torch.tensor([[1, 2, 3, 4]]), torch.randn(1, 3, 3, generator=generator(), dtype=torch.float64)
    features = torch.empty(1, 0, dtype=torch.float64)
    net(tokens, positions, features).sum().backward()
    for parameter in (net.layers[0].query_key_value.weight, net.to_tokens.weight, net.layers[1].expand.bias):
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 17):
            kept = flat[i].item()
            ends = []
            for step in (1e-5, -1e-5):
                flat[i] = kept + step
                ends.append(net(tokens, positions, features).item())
            flat[i] = kept
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient[i].item(), abs=1e-6)


def test_without_positions_the_order_of_tokens_says_nothing():
    net, features = network(nodes=0), torch.empty(1, 0)
    one, other = (net(torch.tensor([order]), features) for order in ([1, 2, 3, 4], [4, 2, 1, 3]))
    torch.testing.assert_close(one, other)
    placed = network()
    rows = torch.randn(1, 3, 3, generator=generator())
    first, second = (placed(torch.tensor([order]), rows, features) for order in ([1, 2, 3, 4], [4, 2, 1, 3]))
    assert not torch.allclose(first, second, atol=1e-4)


def test_padding_does_not_change_the_prediction():
    net, features = network(nodes=0), torch.empty(1, 0)
    short = net(torch.tensor([[3, 1, 2]]), features)
    torch.testing.assert_close(net(torch.tensor([[3, 0, 1, 2, 0, 0]]), features), short)
    beside = net(torch.tensor([[3, 0, 1, 2], [4, 4, 4, 4]]), torch.empty(2, 0))
    torch.testing.assert_close(beside[:1], short)


def test_signs_of_eigenvectors_change_while_training_only():
    net = network(flips=generator())
    rows = torch.ones(5, 3, 3)
    assert torch.equal(net.eval()._signed(rows), rows)
    drawn = torch.stack([net.train()._signed(rows) for _ in range(20)])
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert (drawn == drawn[..., :1]).all()  # one sign for a whole eigenvector


def drawn(count: int = 40):
    rng = np.random.default_rng(0)
    architectures = [SPACE.sample(rng) for _ in range(count)]
    return architectures, [float(sum(option == 3 for option in a) + a[3]) for a in architectures]


@pytest.mark.parametrize("positions", ["laplacian", "eigenvectors", "none"])
def test_what_is_cut_off_does_not_matter_where_it_is_left_out(positions):
    architectures, scores = drawn()
    made = TNASP(SPACE, positions=positions, cut=True, epochs=1)
    made.fit(architectures, scores, rng=np.random.default_rng(1))
    # Nothing arrives at node 1: what leaves it is dead. Positions still see it.
    means = made.predict([(0, 3, 1, 2, 4, 3), (0, 3, 4, 2, 1, 3)]).mean
    assert means[0] == pytest.approx(means[1], abs=1e-6)


def test_hyperparameters_that_make_no_sense_are_refused():
    with pytest.raises(UnknownName, match=r"'laplace' of 'positions'. Did you mean 'laplacian'"):
        TNASP(SPACE, positions="laplace")
    with pytest.raises(InvalidValue, match="dropout"):
        TNASP(SPACE, dropout=1.0)
    with pytest.raises(InvalidValue, match="rounds"):
        TNASP(SPACE, rounds=-1)


@pytest.mark.slow
def test_published_tau_with_78_labels(shared_data):
    """Lu et al. 2021, table 2: .539; squared loss, raw validation accuracies, tested on all. Mean of three seeds."""
    import csv
    import gzip

    from scipy import stats

    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    architectures = [SPACE.from_string(row["arch"]) for row in rows]
    validation, test = (np.array([float(row[f"cifar10/{c}200"]) for row in rows]) for c in ("valid", "test"))
    taus = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(rows))[:78]
        made = TNASP(SPACE, target="raw")
        made.fit([architectures[i] for i in chosen], validation[chosen], rng=rng)
        taus.append(stats.kendalltau(made.predict(architectures).mean, test).statistic)
    assert np.mean(taus) == pytest.approx(0.539, abs=0.03)
