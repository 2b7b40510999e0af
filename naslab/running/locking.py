"""Advisory locks on open files; they are made in :mod:`naslab.intake.locking`, because tables are locked, too."""

from naslab.intake.locking import lock

__all__ = ["lock"]
