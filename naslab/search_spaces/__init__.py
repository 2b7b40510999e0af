"""Search spaces, one file each; get them by name with :func:`naslab.search_space`.

Here lives the builder of each space. What a space can be made of is in :mod:`naslab.space` and :mod:`naslab.ops`.
"""
