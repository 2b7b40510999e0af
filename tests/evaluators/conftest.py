"""A watch over everybody's randomness."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch


@pytest.fixture
def global_randomness() -> Iterator[None]:
    """Nothing draws from a global generator, or leaves it changed."""

    def states() -> tuple[bytes, bytes, object]:
        return torch.get_rng_state().numpy().tobytes(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002

    before = states()
    yield
    assert states() == before
