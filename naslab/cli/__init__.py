"""The ``naslab`` command: arguments in, one line for what is wrong with them, tables on the screen out.

Here lives what belongs to a terminal. A subcommand is a few lines over the Python interface; whatever else it would
need belongs into that interface.
"""

from naslab.cli.entry import main, run_command

__all__ = ["main", "run_command"]
