# SPDX-License-Identifier: Apache-2.0
"""The Sphinx configuration for ``make docs``. GitHub shows the pages too, so what only Sphinx needs is here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes

from airflow_provider_connectif import __version__
from scripts.api_pages import public_classes

project = "airflow-provider-connectif"
author = "the contributors"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]

# The API reference, for which `scripts/api_pages.py` writes the pages.
autodoc_default_options = {"undoc-members": True, "show-inheritance": True, "exclude-members": "log"}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
add_module_names = False
# Two public classes have the same name. The annotation of a class means the one in its own module.
suppress_warnings = ["ref.python"]
maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"
root_doc = "docs/index"
# Create anchors for headings as GitHub does, so that links into a page work on both.
myst_heading_anchors = 4

# Keep quotes and dashes as they are written.
smartquotes = False

html_theme = "furo"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_title = "Connectif for Apache Airflow"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

# The site's navigation: its parts, and the pages of each. A page that is missing here fails the build.
NAVIGATION: dict[str, list[str]] = {
    "Getting started": [
        "Start in five minutes </README>",
        "tour",
        "connection",
        "sandbox",
    ],
    "Guides": [
        "guides/create-export",
        "guides/wait-for-export",
        "guides/store-export",
        "guides/schedules",
        "guides/partitions",
        "guides/list-exports",
        "guides/watch-for-exports",
        "guides/airflow-features",
        "guides/load-into-warehouse",
        "guides/own-code",
        "guides/migrate",
    ],
    "Reference": [
        "reference",
        "api-reference/index",
        "storage",
        "cli",
        "api",
    ],
    "Operations": [
        "scale",
        "compatibility",
        "policies",
        "troubleshooting",
        "guarantees",
        "benchmarks",
    ],
    "Project": [
        "Changelog </CHANGELOG>",
        "Contributing </CONTRIBUTING>",
        "Code of conduct </CODE_OF_CONDUCT>",
        "Security policy </SECURITY>",
    ],
}


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """Append the navigation to the first page, so that GitHub does not show it."""
    # GitHub renders Mermaid diagrams. Elsewhere the renderer would be loaded over the network, so show the text.
    source[0] = source[0].replace("```mermaid", "```text")
    if name == root_doc:
        for caption, pages in NAVIGATION.items():
            listed = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def link_classes(app: Any, page: nodes.document) -> None:
    """Link the name of each public class to the API reference, except in titles and links."""
    modules = public_classes()
    for name in list(page.findall(nodes.literal)):
        module = modules.get(name.astext())
        if module and not any(
            isinstance(above, (nodes.title, nodes.reference, addnodes.pending_xref)) for above in _ancestors(name)
        ):
            link = addnodes.pending_xref("", refdomain="py", reftype="class", reftarget=f"{module}.{name.astext()}")
            name.replace_self(link)
            link += name


def _ancestors(node: nodes.Node | None) -> Iterator[nodes.Node]:
    while node is not None and (node := node.parent) is not None:
        yield node


def tidy(app: Any, page: nodes.document) -> None:
    """Write dashes as dashes, which Sphinx leaves to ``smartquotes``, and do not list ``object`` as a base class."""
    for text in list(page.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))
    for paragraph in list(page.findall(nodes.paragraph)):
        if paragraph.astext() == "Bases: object":
            paragraph.parent.remove(paragraph)


def hide_types(app: Any, what: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Do not describe a value without a docstring by that of its type."""
    if what == "data" and lines[:1] == (inspect.getdoc(type(value)) or "").splitlines()[:1]:
        lines.clear()


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
    app.connect("doctree-read", link_classes)
    app.connect("doctree-read", tidy)
    app.connect("autodoc-process-docstring", hide_types)
