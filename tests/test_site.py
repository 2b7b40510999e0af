"""The documentation site is built as `make docs` builds it, in a plainer theme, which takes two thirds of the time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import naslab

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages; warnings (a link that leads nowhere, a page in no list, a malformed docstring) are errors."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", out / "read"]
    command += ["-D", "html_theme=basic", DOCS, out]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_on_the_site_and_every_public_name_is_described(site):
    assert {page.stem for page in DOCS.glob("*.md")} <= {page.stem for page in site.glob("*.html")}
    api = (site / "site" / "api.html").read_text()
    assert {name for name in naslab.__all__ if f'id="naslab.{name}"' not in api} == {"Architecture"}  # an alias
    wings = {init.parent.name for init in DOCS.parent.glob("naslab/*/__init__.py") if "__all__" in init.read_text()}
    assert wings == {page.suffixes[0][1:] for page in site.glob("site/api/naslab.*.html")} - {"errors"}
    assert 'href="#naslab.Constraint"' in api  # references lead to public names
