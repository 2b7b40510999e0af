"""Rows and images to train on, from Python packages and folders; nothing here knows what is trained.

:func:`naslab.datasets.catalogue.load_dataset` gets them by name.
"""

from naslab.datasets.rows import Dataset, Labelled, Rows

__all__ = ["Dataset", "Labelled", "Rows"]
