"""Studies behind ``naslab reproduce``: one folder per paper or question, each with what is run and its page.

Here live the functions that experiment files name. What all studies share (work in processes, results that are kept)
is in :mod:`naslab.studies.base` and :mod:`naslab.running`; statistics and figures are in :mod:`naslab.analysis`.
"""
