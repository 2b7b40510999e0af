"""Search strategies, one file each; :mod:`naslab.optimizers.base` holds the interface."""
