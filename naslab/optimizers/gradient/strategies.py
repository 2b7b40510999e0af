"""The named strategies: published compositions of the parts, with their published settings for NAS-Bench-201.

Where a paper gives none, they are from the NAS-Bench-201 and NATS-Bench scripts (Dong & Yang 2020, Dong et al. 2021).
Deviations of all: weights learn from the training rows and architectures from the validation rows of the task, where
DARTS halves its training set. For SPOS, ProxylessNAS and SETN's script: gradients are clipped at norm 5 (there: not).
For the first two: the weights' rate changes from epoch to epoch (from step to step), and there is no label smoothing
(of 0.1).
"""

from __future__ import annotations

from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.named import named


@named()
class DARTS(OneShotSearch):
    """First-order DARTS (Liu et al. 2019): mixtures of all options, logits along the validation gradient.

    Logits learn first, as in the paper's algorithm 1; in the NAS-Bench-201 script DARTS-V1 the weights do
    (``order=weights-first``). No difference was seen in 20 epochs of ``pocket-cell/mnist``: regret 6.5 +- 2.7 and 6.9
    +- 2.3 (8 runs each, p .46; ``benchmarks/deviations.py darts --seeds 8``).
    """


@named(update="second-order")
class DARTSv2(OneShotSearch):
    """Second-order DARTS (Liu et al. 2019): through one unrolled step of the weights, by finite differences.

    The step unrolled is plain momentum's, as in the paper's code and the NAS-Bench-201 script DARTS-V2, though weights
    take Nesterov's and clip their gradient, as in that script. ``unroll=taken`` unrolls what is taken. Gradients
    through the two are 4 to 19 % apart on ``pocket-cell/mnist`` (docs/one-shot.md).
    """


@named(weights="hard-gumbel", relaxation="hard-gumbel", epochs=250, order="weights-first")
class GDAS(OneShotSearch):
    """GDAS (Dong & Yang 2019): one drawn option runs, with the gradient of a relaxed draw; weights learn first."""


@named(weights="gumbel-softmax", relaxation="gumbel-softmax", epochs=150)
class SNAS(OneShotSearch):
    """SNAS (Xie et al. 2019) without its resource term: relaxed draws.

    Deviation: logits learn from validation rows, as everywhere here; the paper trains both on the training rows.
    """


@named(weights="uniform", derivation="top-and-rank", epochs=250, order="weights-first")
class SETN(OneShotSearch):
    """SETN (Dong & Yang 2019b): weights on uniform paths, logits by the mixture; the best of the 100 most probable.

    Weights learn first, and paths may have a node that nothing leads to, both as in the NAS-Bench-201 script.
    """


@named(weights="uniform", update="none", derivation="sample-and-rank", epochs=250)
class RSPS(OneShotSearch):
    """Random search with parameter sharing (Li & Talwalkar 2019): uniform paths; the best of 100 random ones.

    Paths may have a node that nothing leads to, as in the NAS-Bench-201 script.
    """


@named(weights="uniform", update="none", derivation="evolution", epochs=250, statistics="recalibrated",
       learning_rate=0.03, end_rate=0.0, nesterov=False, weight_decay=4e-5)  # fmt: skip
class SPOS(OneShotSearch):
    """Single path one-shot (Guo et al. 2020): uniform paths, then evolution over the shared weights.

    Each candidate's batch normalisation is recalibrated. Weights learn as in the released code (plain momentum, decay
    4e-5, the rate down to 0) with its rate of 0.5 for batches of 1,024 brought to batches of 64. Deviations: operations
    are chosen, not channels; the rate falls along a cosine (released: a line); decay is on all weights (released: not
    on biases); paths are drawn without regard to their cost (released: from equal bins of MACs). A line and label
    smoothing of 0.1, as released, are not shown to be better in 20 epochs of ``pocket-cell/mnist``: regret 7.5 +- 0.6,
    ours 5.0 +- 1.0 (8 runs each, p .09; ``benchmarks/deviations.py spos --seeds 8``).
    """


@named(weights="fair", update="none", derivation="sample-and-rank", epochs=250)
class FairNAS(OneShotSearch):
    """FairNAS' supernet (Chu et al. 2021): every option once in a step; the best of 100 random architectures.

    Deviation: the paper searches its supernet by NSGA-II.
    """


@named(partial=2, edges=True, warm_up=15, architecture_rate=6e-4, nesterov=False)
class PCDARTS(OneShotSearch):
    """PC-DARTS (Xu et al. 2020): one channel in K passes through the mixture, edges are weighted among each other.

    K is 2: the paper's 4 would leave two channels of eight. Logits stay fixed for the first 15 epochs; momentum is
    plain. Deviation: otherwise weights learn with DARTS' settings; the released ones are for batches of 256 (rate 0.1,
    decay 3e-4). Weights of edges have a say in the result only in spaces with a rule of their own
    (:class:`~naslab.optimizers.gradient.derivations.Argmax`).
    """


@named(weights="sampled", relaxation="all-paths", order="weights-first", epochs=160, warm_up=40, warm_up_rate=0.05,
       end_rate=0.0, weight_decay=4e-5, architecture_rate=1e-3, first_beta=0.0, architecture_decay=0.0)  # fmt: skip
class ProxylessNAS(OneShotSearch):
    """ProxylessNAS (Cai et al. 2019) by gradients, without its latency term: weights on drawn paths, gates on all.

    Settings of the released code: 40 epochs for the weights alone, their rate from 0.05 to 0, then 120 from 0.025 to 0;
    a step updates the weights first; a choice of which no connection is drawn learns nothing. ``relaxation=two-path``
    is the paper's way to need less memory. Deviations: logits learn from epoch 41 on (released: 42) and in every step
    (in every fifth, which did better in 20 epochs of ``pocket-cell/mnist``: regret 2.2 against 3.5, 8 runs each, p .03;
    ``benchmarks/deviations.py proxylessnas --seeds 8``).
    """


@named(perturbation="random", epochs=100, weight_decay=3e-4, nesterov=False)
class SmoothDARTSRandom(OneShotSearch):
    """SDARTS-RS (Chen & Hsieh 2020): DARTS whose weights are trained under random noise on the mixture."""


@named(perturbation="adversarial", epochs=100, weight_decay=3e-4, nesterov=False)
class SmoothDARTSAdversarial(OneShotSearch):
    """SDARTS-ADV (Chen & Hsieh 2020): DARTS trained under the worst noise that seven steps find."""


@named(stopping="eigenvalue", update="second-order", weight_decay=3e-4, nesterov=False)
class RobustDARTS(OneShotSearch):
    """RobustDARTS (Zela et al. 2020): DARTS that stops when the dominant eigenvalue of the Hessian rises.

    ``stopping=adaptive-l2`` instead returns to an earlier epoch with more weight decay (DARTS-ADA). Both as the authors
    ran them: second order, weight decay 3e-4, plain momentum. ``update=first-order`` takes a fraction of the time.
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
