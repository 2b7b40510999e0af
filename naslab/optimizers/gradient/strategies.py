"""The named strategies: published compositions of the parts, with their published settings for NAS-Bench-201.

Where a paper gives none, they are from the NAS-Bench-201 and NATS-Bench scripts (Dong & Yang 2020, Dong et al. 2021).
Deviation of all: weights learn from the training rows and architectures from the validation rows of the task, where
DARTS halves its training set.
"""

from __future__ import annotations

from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.named import named


@named()
class DARTS(OneShotSearch):
    """First-order DARTS (Liu et al. 2019): mixtures of all options, logits along the validation gradient."""


@named(update="second-order")
class DARTSv2(OneShotSearch):
    """Second-order DARTS (Liu et al. 2019): through one unrolled step of the weights, by finite differences."""


@named(weights="hard-gumbel", relaxation="hard-gumbel", epochs=250)
class GDAS(OneShotSearch):
    """GDAS (Dong & Yang 2019): one drawn option runs, with the gradient of a relaxed draw."""


@named(weights="gumbel-softmax", relaxation="gumbel-softmax", epochs=150)
class SNAS(OneShotSearch):
    """SNAS (Xie et al. 2019) without its resource term: relaxed draws.

    Deviation: logits learn from validation rows, as everywhere here; the paper trains both on the training rows.
    """


@named(weights="uniform", derivation="top-and-rank", epochs=250)
class SETN(OneShotSearch):
    """SETN (Dong & Yang 2019b): weights on uniform paths, logits by the mixture; the best of the 100 most probable.

    Deviation from the NAS-Bench-201 script: a path with a node that nothing leads to is not drawn again.
    """


@named(weights="uniform", update="none", derivation="sample-and-rank", epochs=250)
class RSPS(OneShotSearch):
    """Random search with parameter sharing (Li & Talwalkar 2019): uniform paths; the best of 100 random ones.

    Deviation from the NAS-Bench-201 script: a path with a node that nothing leads to is not drawn again.
    """


@named(weights="uniform", update="none", derivation="evolution", epochs=250, statistics="recalibrated")
class SPOS(OneShotSearch):
    """Single path one-shot (Guo et al. 2020): uniform paths, then evolution over the shared weights.

    Each candidate's batch normalisation is recalibrated. Deviation: operations are chosen, not channels.
    """


@named(weights="fair", update="none", derivation="sample-and-rank", epochs=250)
class FairNAS(OneShotSearch):
    """FairNAS' supernet (Chu et al. 2021): every option once in a step; the best of 100 random architectures.

    Deviation: the paper searches its supernet by NSGA-II.
    """


@named(partial=2, edges=True, warm_up=15, architecture_rate=6e-4)
class PCDARTS(OneShotSearch):
    """PC-DARTS (Xu et al. 2020): one channel in K passes through the mixture, edges are weighted among each other.

    K is 2: the paper's 4 would leave two channels of eight. Logits stay fixed for the first 15 epochs. Deviation:
    weights learn with DARTS' settings; the released ones are for batches of 256 (rate 0.1, decay 3e-4).
    """


@named(
    weights="sampled",
    relaxation="two-path",
    epochs=150,
    architecture_rate=1e-3,
    first_beta=0.0,
    architecture_decay=0.0,
    warm_up=25,
)
class ProxylessNAS(OneShotSearch):
    """ProxylessNAS (Cai et al. 2019) by gradients, without its latency term: weights on drawn paths, two-path gates.

    Deviation: logits learn in every step, in the released code in every fifth.
    """


@named(perturbation="random", epochs=100, weight_decay=3e-4)
class SmoothDARTSRandom(OneShotSearch):
    """SDARTS-RS (Chen & Hsieh 2020): DARTS whose weights are trained under random noise on the mixture."""


@named(perturbation="adversarial", epochs=100, weight_decay=3e-4)
class SmoothDARTSAdversarial(OneShotSearch):
    """SDARTS-ADV (Chen & Hsieh 2020): DARTS trained under the worst noise that seven steps find."""


@named(stopping="eigenvalue")
class RobustDARTS(OneShotSearch):
    """RobustDARTS (Zela et al. 2020): DARTS that stops when the dominant eigenvalue of the Hessian rises.

    ``stopping=adaptive-l2`` instead returns to an earlier epoch with more weight decay (DARTS-ADA).
    """


@named(penalty=0.1)
class FLOPsDARTS(OneShotSearch):
    """DARTS whose logits also pay for the expected multiply-accumulates of the mixture.

    The penalty's weight is our choice: cross-entropy plus 0.1 times the expected cost as a share of the largest
    network's. With 0.3 all three searches of ``pocket-cell/mnist`` that we tried ended in a cell without a path.
    """


@named(weights="plain", update="none", derivation="sample-and-rank")
class OneShotBaseline(OneShotSearch):
    """A plain supernet: all options added up and trained by SGD; the best of 100 random architectures."""


@named(weights="plain", update="none", derivation="sample-and-rank", drop_path=0.1)
class OneShotDropPath(OneShotSearch):
    """A supernet in which more and more options are dropped (Bender et al. 2018); the best of 100 random architectures.

    The rate at the end is our choice: 0.1 for dropping all that leads to a node, that is 0.79 for each of ten options.
    Deviations: weight decay is on all weights, not on those of the present path alone, and there is no ghost batch
    normalisation.
    """
