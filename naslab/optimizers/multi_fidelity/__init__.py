"""Strategies that evaluate many architectures cheaply and few of them thoroughly.

All of them climb the same rungs (:mod:`~naslab.optimizers.multi_fidelity.rungs`): whole numbers of epochs that the task
records. Those with brackets (successive halving, Hyperband, DEHB) decide when a rung is full, those of ASHA's family
after every result. A trial that goes on continues its training where the task's evaluator can; else it starts from
scratch, and the trace's header says which. What failed, or exceeds a limit on a metric, never goes on.
"""
