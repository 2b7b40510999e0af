"""Multi-fidelity search: whether it pays to train many architectures briefly, with one worker or several.

What is run (:mod:`~naslab.studies.multi_fidelity.study`) and its page (:mod:`~naslab.studies.multi_fidelity.page`).
Nothing here is needed to search: the strategies are in :mod:`naslab.optimizers.multi_fidelity`.
"""
