# SPDX-License-Identifier: Apache-2.0
"""How Sphinx makes the pages a site: ``make docs``. The pages are read at GitHub too, so all of this is kept here."""

from __future__ import annotations

from typing import Any

from airflow_provider_connectif import __version__

project = "airflow-provider-connectif"
author = "the contributors"
release = __version__

extensions = ["myst_parser"]
root_doc = "docs/index"
# As GitHub makes them, for links into a page.
myst_heading_anchors = 4

# The words stay as they are written, quotes and dashes too.
smartquotes = False

html_theme = "furo"
html_title = "Connectif for Apache Airflow"
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

# The site's navigation: its parts, and the pages of each. A page that is in none fails the build.
NAVIGATION: dict[str, list[str]] = {
    "Start": [
        "Start in five minutes </README>",
        "A tour in pictures <tour>",
        "connection",
        "sandbox",
        "cli",
    ],
    "How to": [
        "howto/create-export",
        "howto/wait-for-export",
        "howto/store-export",
        "howto/watch-for-exports",
        "howto/deferrable-trigger",
        "howto/use-the-hook",
        "howto/csv",
        "howto/csv-gz",
        "howto/archive",
    ],
    "Into the lake": [
        "storage",
        "loading",
        "schedules",
        "events",
        "lists",
        "migrating",
    ],
    "In production": [
        "scale",
        "compatibility",
        "troubleshooting",
        "guarantees",
        "benchmarks",
    ],
    "Project": [
        "api",
        "Changes </CHANGELOG>",
        "Contributing </CONTRIBUTING>",
        "Code of conduct </CODE_OF_CONDUCT>",
        "Security </SECURITY>",
    ],
}


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """Put the navigation below the first page's words, where GitHub need not show it."""
    # GitHub draws these; what draws them in a page elsewhere is loaded over the network.
    source[0] = source[0].replace("```mermaid", "```text")
    if name == root_doc:
        for caption, pages in NAVIGATION.items():
            listed = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
