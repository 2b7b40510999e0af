"""Search spaces, one file each; get them by name with :func:`naslab.search_space`.

This package holds the builder of each space. The parts of a space come from :mod:`naslab.space` and :mod:`naslab.ops`.
"""
