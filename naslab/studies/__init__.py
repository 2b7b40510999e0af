"""Studies behind ``naslab reproduce``: one folder per paper or question, each with what is run and its page.

Here lives what an experiment file names. What all studies do (work in processes, results that are kept) is in
:mod:`naslab.studies.base` and :mod:`naslab.running`; statistics and figures are :mod:`naslab.analysis`.
"""
