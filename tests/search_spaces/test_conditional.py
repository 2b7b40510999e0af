"""Networks and supernets of spaces whose decisions stand inside options."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import assert_costs_are_those_of_modules, assert_paths_run_as_extracted, batch, close, seeded, shaken
from toy_spaces import CONDITIONAL

from naslab import SearchSpace, compile_network, compile_supernet
from naslab.errors import InvalidValue
from naslab.space import Architecture


def drawn(space: SearchSpace, count: int = 50) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng, over="networks") for _ in range(count)]


@pytest.mark.parametrize("name", CONDITIONAL)
def test_costs_are_those_of_the_modules(name: str) -> None:
    space = CONDITIONAL[name]()
    assert_costs_are_those_of_modules(space, drawn(space))


@pytest.mark.parametrize("name", ["deep", "stage"])
def test_categorical_extracted_and_alone_are_one(name: str) -> None:
    space = CONDITIONAL[name]()
    assert_paths_run_as_extracted(space, drawn(space))
    supernet = shaken(compile_supernet(space, "categorical", generator=seeded(), affine=True, track_running_stats=True))
    x = batch(space)
    for architecture in drawn(space, 5):
        alone = compile_network(space, architecture).double()
        alone.load_state_dict(supernet.extract(architecture).state_dict())
        close(alone.eval()(x), supernet.eval()(x, architecture))


def test_a_supernet_of_a_joint_space_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"Choice\('rate'\): a supernet sees networks alone"):
        compile_supernet(CONDITIONAL["trained"]())
