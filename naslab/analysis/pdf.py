"""A page as PDF, printed by a Chromium that is on this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from naslab.errors import OutputError
from naslab.files import written_whole

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
LIMIT = 120  # seconds


def print_page(page: Path) -> Path:
    """Print a page beside itself, as ``report.pdf`` for ``report.html``; returns the path.

    Raises:
        OutputError: No Chromium is found, or it does not print.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise OutputError(
            f"{page} is written; for a PDF there is no Chromium on the PATH ({', '.join(BROWSERS[:3])}...). "
            "Fix: print the page from any browser, or install Chromium"
        )
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as profile:
        printed = Path(profile) / target.name
        arguments = [
            "--headless", "--disable-gpu", "--no-sandbox", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-pdf-header-footer", f"--user-data-dir={profile}",
            f"--print-to-pdf={printed}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run([found, *arguments], capture_output=True, timeout=LIMIT, check=True)
            content = printed.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise OutputError(f"{page} is written; {found} does not print it ({type(error).__name__})") from None
    with written_whole(target) as draft:
        draft.write_bytes(content)
    return target
