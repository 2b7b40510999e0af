"""Advisory locks on open files: two processes must not write one trace, one draft or one output folder.

The operating system drops a lock when its holder dies, however it dies: what is not locked has no living owner.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int, *, wait: bool) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def lock(descriptor: int, *, wait: bool) -> bool:
        """Lock an open file (or folder) for this process alone; returns whether it succeeded."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
