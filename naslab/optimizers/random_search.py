"""Random search."""

from __future__ import annotations

from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell
from naslab.space import Architecture


class RandomSearch(AskTell):
    """Uniform random architectures, drawn with replacement.

    Bergstra & Bengio 2012; the baseline of Li & Talwalkar 2019. As in the scripts of NAS-Bench-201 an architecture that
    is drawn again is evaluated and charged again. Under a constraint the draw is uniform over the feasible ones,
    as far as costs tell; what exceeds a limit on a metric is charged and not returned. With several objectives this is
    multi-objective random search: its front is that of all it drew.
    """

    concurrent = True

    def ask(self) -> Architecture:
        return self.problem.sample(self.rng)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass
