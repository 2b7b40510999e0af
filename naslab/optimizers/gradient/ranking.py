"""How good an architecture is by the shared weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from naslab.compiler.devices import number
from naslab.compiler.primitives import BatchNorm
from naslab.compiler.supernet import Supernet
from naslab.errors import UnknownName
from naslab.evaluators.fitting import right_of
from naslab.optimizers.gradient.model import unmoved_statistics
from naslab.space import Architecture

STATISTICS = ("batch", "running", "recalibrated")
ROWS_AT_ONCE, RECALIBRATION_ROWS = 256, 4096

Labels = tuple[Tensor, Tensor]


class Ranking:
    """The accuracy of single paths on the same rows, so that no architecture is lucky with its batch.

    Args:
        supernet: The shared weights.
        rows: Images or features, and labels, to score on.
        train: The same of the training rows, for recalibration.
        statistics: Which ones batch normalisations use. ``"batch"``: those of the rows scored, as in NATS-Bench.
            ``"running"``: the averages that training left, which mix all architectures. ``"recalibrated"``: computed
            for each architecture from the training rows (at most the first 4,096), as in SPOS (Guo et al. 2020,
            section 3.4).

    Raises:
        UnknownName: There are no such statistics.
    """

    def __init__(self, supernet: Supernet, rows: Labels, train: Labels, statistics: str = "batch") -> None:
        if statistics not in STATISTICS:
            raise UnknownName(statistics, STATISTICS, of="statistics")
        self.supernet, self.rows, self.statistics = supernet, rows, statistics
        self._seen = torch.split(train[0][:RECALIBRATION_ROWS], ROWS_AT_ONCE)

    def accuracy(self, architecture: Architecture) -> float:
        """In percent, of all rows. It changes nothing that lasts."""
        with unmoved_statistics(self.supernet):
            if self.statistics != "recalibrated":
                return self._accuracy(architecture)
            with self._recalibrated(architecture):
                return self._accuracy(architecture)

    def _accuracy(self, architecture: Architecture) -> float:
        paths = self.paths()
        x, y = self.rows
        with torch.inference_mode():
            pairs = zip(torch.split(x, ROWS_AT_ONCE), torch.split(y, ROWS_AT_ONCE), strict=True)
            right = torch.stack(
                [right_of(paths(part, architecture)[:, None], labels)[0] for part, labels in pairs]
            ).sum()
        return 100.0 * number(right) / len(y)

    def paths(self) -> Supernet:
        """The single paths as they are scored; the caller recalibrates."""
        return self._paths(training=self.statistics == "batch")

    def _paths(self, *, training: bool) -> Supernet:
        """The single paths; in training mode they normalise by the batch whatever statistics there are."""
        paths = self.supernet.view("categorical").train(training)
        if self.supernet.drop_path is not None:
            self.supernet.drop_path.eval()
        return paths

    @contextmanager
    def _recalibrated(self, architecture: Architecture) -> Iterator[None]:
        paths = self._paths(training=True)
        norms = [each for each in self.supernet.modules() if isinstance(each, BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
        try:
            with torch.no_grad():
                for number_seen, part in enumerate(self._seen, start=1):
                    for norm in norms:
                        norm.momentum = 1 / number_seen  # the plain mean of all batches
                    paths(part, architecture)
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
