"""From graphs to PyTorch: :func:`compile_network` for one architecture, :func:`compile_supernet` for all at once.

This package turns operations into modules and networks into ``torch.fx`` graphs. It never trains anything.
"""

from naslab.compiler import builders as builders  # importing it registers them
from naslab.compiler.choice_ops import CategoricalOp, MixedOp
from naslab.compiler.decisions import Sparse
from naslab.compiler.drop_path import DropPath
from naslab.compiler.network import compile_network
from naslab.compiler.primitives import Norm, build
from naslab.compiler.supernet import Supernet, compile_supernet

__all__ = [
    "CategoricalOp",
    "DropPath",
    "MixedOp",
    "Norm",
    "Sparse",
    "Supernet",
    "build",
    "compile_network",
    "compile_supernet",
]
