"""The modules of naslab's own operations, one file per family as in :mod:`naslab.ops`.

Importing this package registers every builder with :func:`naslab.compiler.primitives.build`. Nothing else lives here:
modules and their builders, no graph and no training.
"""

from naslab.compiler.builders import (
    activations,
    attention,
    blocks,
    composites,
    convolutions,
    dense,
    dropout,
    embeddings,
    excitation,
    normalisations,
    pooling,
    recurrent,
)

__all__ = [
    "activations",
    "attention",
    "blocks",
    "composites",
    "convolutions",
    "dense",
    "dropout",
    "embeddings",
    "excitation",
    "normalisations",
    "pooling",
    "recurrent",
]
