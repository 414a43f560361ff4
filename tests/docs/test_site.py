# SPDX-License-Identifier: Apache-2.0
"""The site that ``make docs`` builds."""

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
    """The site; any warning fails the build."""
    into = tmp_path_factory.mktemp("site")
    try:
        output = docs.build(into)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.output)
    assert output == ""
    return into


def test_every_page_is_in_the_site_and_its_navigation(site):
    first = (site / "docs/index.html").read_text()
    for page in PAGES:
        built = site / page.relative_to(ROOT).with_suffix(".html")
        assert built.exists()
        path = str(page.relative_to(ROOT).with_suffix(".html"))
        href = path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"
        assert page.name == "index.md" or f'class="reference internal" href="{href}"' in first, href


def test_pages_load_nothing_from_other_hosts(site):
    found = [url for page in site.rglob("*.html") for pair in LOADED.findall(page.read_text()) for url in pair if url]
    assert len(found) > 100
    assert [url for url in found if "//" in url] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//", style.read_text()), style


def test_a_broken_link_fails_the_build(site, tmp_path, monkeypatch):
    stage = docs.stage

    def stage_with_a_mistake(folder):
        stage(folder)
        (folder / "docs/sandbox.md").write_text("# The sandbox\n\nSee [this](no-such-page.md).\n")

    monkeypatch.setattr(docs, "stage", stage_with_a_mistake)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        docs.build(tmp_path / "site")
    assert "no-such-page" in caught.value.output
