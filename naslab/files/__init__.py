"""Files, and text from outside: read within bounds, written whole or not at all, locked while they are written.

A file may be damaged, hostile, or merely out of reach for a moment. Readers of every wing take it in here, so that one
rule holds everywhere: what a file claims is checked before memory or time is spent on it, and an error of the operating
system is reported as what it is, never as damage. Bounds are refused by a ``ValueError`` that says which. Nothing here
knows what a file is for. :mod:`naslab.files.arrays` needs NumPy and is imported from its file.
"""

from naslab.files.compressed import decompress
from naslab.files.failures import clipped, is_passing, reason, unreadable
from naslab.files.locking import BINARY, lock
from naslab.files.numbers import read_number, read_whole
from naslab.files.structured import load_json, load_toml, read_json, read_toml
from naslab.files.whole import remove_abandoned, sync_folder, written_whole

__all__ = [
    "BINARY",
    "clipped",
    "decompress",
    "is_passing",
    "load_json",
    "load_toml",
    "lock",
    "read_json",
    "read_number",
    "read_toml",
    "read_whole",
    "reason",
    "remove_abandoned",
    "sync_folder",
    "unreadable",
    "written_whole",
]
