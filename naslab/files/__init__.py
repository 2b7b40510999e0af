"""Files: written whole or not at all, and locked while they are written.

Here lives what every wing needs to read and write safely, whatever the file holds. Nothing here knows what is in it.
"""

from naslab.files.locking import lock
from naslab.files.whole import sync_folder, written_whole

__all__ = ["lock", "sync_folder", "written_whole"]
