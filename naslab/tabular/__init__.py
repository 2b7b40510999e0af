"""A user's own table of data: reading it, preparing it, searching on it, and predicting with the network found.

Here lives everything about a user's CSV file. The public names (``search_csv``, ``load_model``, their results) are
exported by :mod:`naslab`. The search itself is an ordinary one, on a task made here.
"""
