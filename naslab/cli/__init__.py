"""The ``naslab`` command: it reads arguments, prints tables, and says in one line what is wrong.

This wing holds what belongs to a terminal. A subcommand is a few lines over the Python interface; anything more
belongs in that interface.
"""

from naslab.cli.entry import main, run_command

__all__ = ["main", "run_command"]
