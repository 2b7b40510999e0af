"""Stand-ins of CIFAR-10's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def stand_in(folder: Path, per_file: int = 4, seed: int = 0) -> Path:
    """Files as CIFAR-10's binary version has them, of random pixels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        labels, pixels = rng.integers(10, size=per_file), rng.integers(256, size=(per_file, 3072))
        records = np.concatenate([labels[:, None], pixels], axis=1).astype(np.uint8)
        (folder / name).write_bytes(records.tobytes())
    return folder
