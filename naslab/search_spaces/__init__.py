"""Search spaces, one file each; get them by name with :func:`naslab.search_space`."""
