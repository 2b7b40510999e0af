"""A library of results: the runs of the built-in strategies, to be compared with instead of run again.

Here live what the library holds (``plan.toml``), building and verifying it, reading it
(:mod:`naslab.baselines.library`), the table of who stands where (:mod:`naslab.baselines.standings`), and comparing new
strategies with it (:mod:`naslab.baselines.against`). Runs are made by :mod:`naslab.running` and judged by the task when
they are read; what they mean is decided in :mod:`naslab.analysis`, which is given the same frames as of any comparison.
"""
