"""The randomness of a run: keyed by what identifies it, and within it by trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

BLOCK = 256


def seed_sequence(*key: object) -> np.random.SeedSequence:
    """The seeds of one run, keyed by what identifies it: adding a run changes no other."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:16], "big"))


class TrialGenerator:
    """One generator, put into the state of a trial before each of its evaluations.

    The state of trial *n* depends on the run and on *n* alone: resuming needs no evaluation to be repeated, and a trial
    that goes on is trained by the same seed. A new generator per trial would cost 28 microseconds, this costs one.
    """

    def __init__(self, seeds: np.random.SeedSequence) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seeds))
        self._state = self.rng.bit_generator.state
        self._child = seeds.spawn(1)[0]
        self._states = self._draw()

    def next(self) -> np.random.Generator:
        """The generator for the next trial."""
        self._state["state"]["state"] = next(self._states)
        self.rng.bit_generator.state = self._state
        return self.rng

    def of(self, trial: int) -> np.random.Generator:
        """The generator for any trial."""
        states = np.random.PCG64(self._child).advance(2 * trial)
        high, low = states.random_raw(2).tolist()
        self._state["state"]["state"] = high << 64 | low
        self.rng.bit_generator.state = self._state
        return self.rng

    def _draw(self) -> Iterator[int]:
        rng = np.random.Generator(np.random.PCG64(self._child))
        while True:
            for high, low in rng.integers(2**64, size=(BLOCK, 2), dtype=np.uint64).tolist():
                yield high << 64 | low
