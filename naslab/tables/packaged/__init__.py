"""Tables that need no import: they are made, when first asked for, of what naslab or a package ships.

One file per family. Each gives a :class:`~naslab.tables.packaged.base.Packaged`: a description that needs no data, for
listing, and a way to read the numbers. To add one, write such a file and list it here, and name its tasks in
``setup.cfg``.
"""

from __future__ import annotations

from naslab.tables.packaged import fcnet, hpobench_mlp, nasbench201, nasbench_graph, pocket
from naslab.tables.packaged.base import Packaged

__all__ = ["Packaged", "packaged_tables"]


def packaged_tables() -> dict[str, Packaged]:
    """The packaged tables by name; nothing of them is read."""
    found = [nasbench201.TABLE, fcnet.TABLE, hpobench_mlp.TABLE, *nasbench_graph.TABLES]
    found += [pocket.pocket_table(archive) for archive in pocket.shipped().values()]
    return {each.name: each for each in found}
