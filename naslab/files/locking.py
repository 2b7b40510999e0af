"""Advisory locks on open files: two processes must not write one trace, one draft or one output folder.

The operating system drops a lock when its holder dies, however it dies: what is not locked has no living owner. Windows
locks bytes, and keeps others from reading them: there it is one byte where no file of naslab's ends.
"""

from __future__ import annotations

import os
import sys

BINARY = getattr(os, "O_BINARY", 0)
"""For :func:`os.open`: Windows otherwise writes two bytes for the end of a line, and hashes differ."""

if sys.platform == "win32":
    import msvcrt
    import time

    _BEHIND_THE_END = 2**31 - 2  # the last that Windows' C library can be asked for

    def lock(descriptor: int, *, wait: bool) -> bool:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        while True:
            os.lseek(descriptor, _BEHIND_THE_END, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
                time.sleep(0.1)
            finally:
                os.lseek(descriptor, place, os.SEEK_SET)

else:
    import fcntl

    def lock(descriptor: int, *, wait: bool) -> bool:
        """Lock an open file (or folder) for this process alone; returns whether it succeeded."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
