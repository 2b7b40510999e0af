"""The modules of naslab's own operations, one file per family as in :mod:`naslab.ops`.

Importing this package registers every builder with :func:`naslab.compiler.primitives.build`. Nothing else lives here:
modules and their builders, no graph and no training.
"""

from naslab.compiler.builders import (
    activations,
    attention,
    blocks,
    columns,
    composites,
    convolutions,
    dense,
    dropout,
    embeddings,
    excitation,
    normalisations,
    pooling,
    recurrent,
    shaking,
)

FAMILIES = (
    activations,
    attention,
    blocks,
    columns,
    composites,
    convolutions,
    dense,
    dropout,
    embeddings,
    excitation,
    normalisations,
    pooling,
    recurrent,
    shaking,
)
"""The modules of this package: importing them is what registers the builders."""
