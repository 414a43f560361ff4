# SPDX-License-Identifier: Apache-2.0
"""The site that ``make docs`` builds from the pages."""

from __future__ import annotations

import re
import subprocess

import pytest

from scripts import docs
from tests.docs.pages import PAGES, ROOT

LOADED = re.compile(r"<(?:script|img|iframe)[^>]*\bsrc=\"([^\"]+)\"|<link[^>]*\bhref=\"([^\"]+)\"")


pytest.importorskip("sphinx", reason="in the group dev, and not in the group test")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site; each warning fails."""
    into = tmp_path_factory.mktemp("site")
    try:
        said = docs.build(into)
    except subprocess.CalledProcessError as problem:
        pytest.fail(problem.output)
    assert said == ""
    return into


def test_every_page_is_in_it_and_in_its_navigation(site):
    first = (site / "docs/index.html").read_text()
    for page in PAGES:
        made = site / page.relative_to(ROOT).with_suffix(".html")
        assert made.exists()
        to_it = str(page.relative_to(ROOT).with_suffix(".html"))
        href = to_it.removeprefix("docs/") if to_it.startswith("docs/") else f"../{to_it}"
        assert page.name == "index.md" or f'class="reference internal" href="{href}"' in first, href


def test_nothing_is_loaded_from_elsewhere_when_a_page_is_looked_at(site):
    found = [
        address
        for page in site.rglob("*.html")
        for pair in LOADED.findall(page.read_text())
        for address in pair
        if address
    ]
    assert len(found) > 100
    assert [address for address in found if "//" in address] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", style.read_text()), style


def test_a_link_that_leads_nowhere_fails_the_build(site, tmp_path, monkeypatch):
    whole = docs.stage

    def with_a_mistake(folder):
        whole(folder)
        (folder / "docs/sandbox.md").write_text("# The sandbox\n\nSee [this](no-such-page.md).\n")

    monkeypatch.setattr(docs, "stage", with_a_mistake)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        docs.build(tmp_path / "site")
    assert "no-such-page" in caught.value.output
