"""The documentation site: ``make docs``. The pages are plain Markdown and read as well on a forge.

What exists for the site alone is in ``site/``: the API from docstrings, and files from outside of this folder.
"""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import naslab

project = "naslab"
author = copyright = "The naslab developers"
version = release = naslab.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_static_path = ["site/static"]
html_css_files = ["tables.css"]
html_title = f"naslab {release}"
myst_heading_anchors = 3  # links to headings, as a forge makes them
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_type_aliases = {
    name: name for name in ("Architecture", "Fidelity", "Floats", "Logits", "Shape", "npt.ArrayLike")
}
autosummary_context = {"public": ", ".join(naslab.__all__)}  # described once, under their public names
napoleon_use_ivar = True  # attributes of named tuples are described once


def public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element) -> nodes.Node | None:
    """A reference to a name where it is defined, or to an exception as docstrings name it, leads to its description."""
    name = node.get("reftarget", "").rpartition(".")[2]
    for full in (f"naslab.{name}", f"naslab.errors.{name}"):
        if node.get("refdomain") == "py" and full in env.domains["py"].objects:
            return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, shown)
    return None


def sentence(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Napoleon takes what stands before a colon in an attribute's first line for its type; ours are sentences."""
    if what in ("attribute", "data", "property") and lines:
        lines[:1] = lines[0].split(" ", 1)  # the same paragraph; a word alone is no type


def accessible(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Captions of lists of pages say their level; a keyboard reaches code and tables wider than their box."""
    for part in ("body", "furo_navigation_tree"):
        if part in context:
            made = context[part].replace(' role="heading">', ' role="heading" aria-level="2">')
            made = made.replace("<pre>", '<pre tabindex="0">')
            context[part] = made.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", public_name)
    app.connect("autodoc-process-docstring", sentence, priority=400)  # before napoleon's
    app.connect("html-page-context", accessible, priority=900)  # after furo's, which makes the list of pages
