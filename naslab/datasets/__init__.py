"""Rows and images to train on; :func:`naslab.datasets.catalogue.load_dataset` gets them by name."""
