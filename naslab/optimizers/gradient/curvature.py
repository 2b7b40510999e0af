"""The curvature of the validation loss in the architecture's logits."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from naslab.compiler.devices import array, moved
from naslab.compiler.supernet import Supernet, compile_supernet
from naslab.optimizers.gradient.base import SharedWeightsSearch
from naslab.optimizers.gradient.model import Model
from naslab.optimizers.gradient.updates import Batch

DENSE = 12


def curvature_of(search: SharedWeightsSearch) -> Curvature:
    """For the supernets of a search."""
    return Curvature(
        compile_supernet(
            search.space,
            "mixed",
            affine=search.affine,
            track_running_stats=search.ranking.statistics != "batch",
            partial_channels=search.partial,
            fast=False,
            device=search.problem.device,
        )
    )


class Curvature:
    """The dominant eigenvalue of the Hessian of the validation loss of the mixture in the logits.

    RobustDARTS (Zela et al. 2020, section 4): it grows when DARTS is about to collapse. Hessian times vector comes
    from differentiating twice, the largest eigenvalue from Lanczos' method (scipy), or for small matrices from a
    symmetric solver.

    Args:
        plain: A supernet of the same space and settings as the one trained, in mixed form, that can be differentiated
            twice (``fast=False``); only its structure is used, not its weights.
    """

    def __init__(self, plain: Supernet) -> None:
        self.plain = plain

    def eigenvalue(self, model: Model, batch: Batch, start: Tensor) -> float:
        """The largest eigenvalue on one batch, in training mode; running statistics stay what they were.

        Args:
            model: Its weights and logits are used.
            batch: Validation rows.
            start: ``(sum K,)``, on the CPU: where Lanczos' method begins.
        """
        x, y = batch
        tensors = {name: value.detach() for name, value in model.supernet.named_parameters()}
        tensors |= {name: value.clone() for name, value in model.supernet.named_buffers()}  # a forward pass moves them
        leaves = [each.detach().clone().requires_grad_() for each in model.logits]
        shares = [torch.softmax(each, dim=0) for each in leaves]
        edges = model.edge_weights()
        fixed = edges and {name: weight.detach() for name, weight in edges.items()}
        loss = functional.cross_entropy(functional_call(self.plain.train(), tensors, (x, shares, fixed)), y)
        gradient = torch.cat(torch.autograd.grad(loss, leaves, create_graph=True))

        def times(vector: np.ndarray) -> np.ndarray:
            along = (gradient @ moved(torch.from_numpy(vector).to(gradient.dtype), gradient.device)).sum()
            found = torch.autograd.grad(along, leaves, retain_graph=True)
            return array(torch.cat(found).double())

        size = len(gradient)
        if size <= DENSE:
            rows = np.stack([times(row) for row in np.eye(size)])
            return float(np.linalg.eigvalsh((rows + rows.T) / 2)[-1])
        operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
        found = eigsh(operator, k=1, which="LA", v0=start.double().numpy(), tol=1e-2, return_eigenvectors=False)
        return float(found[0])
