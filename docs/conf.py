# SPDX-License-Identifier: Apache-2.0
"""The Sphinx configuration for ``make docs``. GitHub shows the pages too, so what only Sphinx needs is here."""

from __future__ import annotations

from typing import Any

from airflow_provider_connectif import __version__

project = "airflow-provider-connectif"
author = "the contributors"
release = __version__

extensions = ["myst_parser"]
root_doc = "docs/index"
# Create anchors for headings as GitHub does, so that links into a page work on both.
myst_heading_anchors = 4

# Keep quotes and dashes as they are written.
smartquotes = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = "Connectif for Apache Airflow"
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
        "guides/list-exports",
        "guides/watch-for-exports",
        "guides/load-into-warehouse",
        "guides/own-code",
        "guides/migrate",
    ],
    "Reference": [
        "reference",
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


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
