"""A person's own table of data: read, prepared, searched on, and the found network used to predict.

Here lives everything that is about a CSV file and a person who has one; its public names (``search_csv``,
``load_model``, their results) are those of :mod:`naslab`. A search on it is an ordinary one, on a task made here.
"""
