"""Ways of judging an architecture, one file each; :mod:`naslab.evaluators.base` holds the interface."""
