"""What comes from outside, taken in within bounds: numbers, JSON, TOML, compressed bytes, arrays, and failing files.

A file may be damaged, hostile, or merely out of reach for a moment. Readers of every wing take it in here, so that one
rule holds everywhere: what a file claims is checked before memory or time is spent on it, and an error of the operating
system is reported as what it is, never as damage. Bounds are refused by a ``ValueError`` that says which.
:mod:`naslab.intake.arrays` needs NumPy and is imported from its file.
"""

from naslab.intake.compressed import decompress
from naslab.intake.failures import clipped, is_passing, unreadable
from naslab.intake.locking import lock
from naslab.intake.numbers import read_number, read_whole
from naslab.intake.structured import load_json, load_toml, read_json, read_toml

__all__ = [
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
    "unreadable",
]
