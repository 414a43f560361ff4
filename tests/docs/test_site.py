# SPDX-License-Identifier: Apache-2.0
"""The site that ``make docs`` builds."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from scripts import docs
from scripts.docs_text import one_page
from scripts.docs_versions import built_versions, write_versions
from tests.docs.pages import PAGES, ROOT

LOADED = re.compile(r"<(?:script|img|iframe)[^>]*\bsrc=\"([^\"]+)\"|<link[^>]*\bhref=\"([^\"]+)\"")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


pytestmark = pytest.mark.system
pytest.importorskip("sphinx", reason="in the group dev, and not in the group test")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as a version in a folder of versions; any warning fails the build."""
    into = tmp_path_factory.mktemp("sites") / "1.10.0"
    try:
        output = docs.build(into, switcher=True)
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


def test_a_broken_link_fails_the_build(tmp_path, monkeypatch):
    def stage_a_mistake(folder):
        (folder / "docs").mkdir(parents=True)
        (folder / "docs/index.md").write_text("# Documentation\n\nSee [this](no-such-page.md).\n")

    monkeypatch.setattr(docs, "stage", stage_a_mistake)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        docs.build(tmp_path / "site")
    assert "no-such-page" in caught.value.output


def public_names() -> list[str]:
    """The full names in ``tests/public_api.txt``, with members of classes, without constructors."""
    found, module, owner = [], "", ""
    for line in (ROOT / "tests/public_api.txt").read_text().splitlines():
        if line.startswith("airflow_provider_connectif"):
            module = line
        elif (match := re.match(r"( {4}| {8})(?:async def |def |class )?(\w+)(?=[ (:])", line)) and module:
            if match[1] == " " * 4:
                owner = f"{module}.{match[2]}"
                found.append(owner)
            elif match[2] != "__init__":
                found.append(f"{owner}.{match[2]}")
    return found


def test_the_api_reference_has_every_public_name(site):
    data = (site / "objects.inv").read_bytes()
    entries = zlib.decompress(data.split(b"\n", 4)[4]).decode().splitlines()
    documented = {line.split(" ")[0] for line in entries if " py:" in line}
    names = public_names()
    assert len(names) > 250
    assert "airflow_provider_connectif.hooks.connectif.ConnectifHook.get_conn" in names
    assert [name for name in names if name not in documented] == []


def test_the_api_reference_has_the_docstrings_and_is_linked_from_the_guides(site):
    page = "api-reference/airflow_provider_connectif.sensors.connectif.html"
    assert "wait" in (site / "docs" / page).read_text()
    link = f'href="../{page}#airflow_provider_connectif.sensors.connectif.ConnectifExportSensor"'
    assert link in (site / "docs/guides/wait-for-export.html").read_text()


def test_llms_txt_lists_every_page(site):
    listed = LINK.findall((site / "llms.txt").read_text())
    assert [path for path in listed if not (site / path).exists()] == []
    pages = {str(page.relative_to(ROOT)) for page in PAGES} - {"docs/index.md"}
    references = {str(path.relative_to(site)) for path in site.glob("docs/api-reference/airflow*.txt")}
    assert len(references) > 15
    assert set(listed) == {"all-pages.md"} | pages | references


def test_one_file_has_all_pages_and_its_links_work(site):
    text = (site / "all-pages.md").read_text()
    for page in PAGES:
        assert f"<!-- {page.relative_to(ROOT)} -->" in text
        assert page.read_text().splitlines()[0] in text
    assert "class ConnectifExportSensor(" in text
    local = [path for path in LINK.findall(text) if ":" not in path]
    assert len(local) > 100
    assert [path for path in local if not (site / path).exists()] == []


def test_links_of_a_page_work_from_the_root_of_the_site():
    page = (
        "See [a][x] and [b](../README.md#top), [c](#here), [d](https://example.com).\n\n```\n[e](f)\n```\n\n[x]: y.md\n"
    )
    text = one_page("docs/guides/z.md", page)
    assert "[a](docs/guides/y.md) and [b](docs/README.md#top), [c](docs/guides/z.md#here), [d](https://ex" in text
    assert "[e](f)" in text
    assert "[x]:" not in text


class TestVersions:
    @pytest.fixture
    def versions(self, site) -> Path:
        """A folder in which the newest final version has no changelog, unlike older and newer ones."""
        for other in ("1.9.0", "1.11.0rc1"):
            shutil.copytree(site, site.parent / other, dirs_exist_ok=True)
        (site.parent / "1.9.0" / "CHANGELOG.html").unlink(missing_ok=True)
        (site.parent / "not-a-version").mkdir(exist_ok=True)
        write_versions(site.parent)
        return site.parent

    def test_are_listed_newest_first(self, versions):
        assert built_versions(versions) == ["1.11.0rc1", "1.10.0", "1.9.0"]

    def test_the_folder_opens_the_newest_final_version(self, versions):
        assert "url=1.10.0/docs/index.html" in (versions / "index.html").read_text()

    def test_a_site_alone_has_no_list_of_versions(self, monkeypatch, tmp_path):
        def stage_a_page(folder):
            (folder / "docs").mkdir(parents=True)
            (folder / "docs/index.md").write_text("# Documentation\n")

        monkeypatch.setattr(docs, "stage", stage_a_page)
        monkeypatch.setattr(docs, "_write_text", lambda into: None)
        with pytest.raises(subprocess.CalledProcessError):
            docs.build(tmp_path / "site")
        assert "versions.js" not in (tmp_path / "site/docs/index.html").read_text()

    def test_choosing_one_opens_the_same_page_or_else_the_first_one(self, versions):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import Select, WebDriverWait

        from scripts.browser import chromium

        with chromium() as browser:

            def choose(version: str, page: str) -> str:
                browser.get(f"file://{versions}/1.10.0/{page}")
                choice = Select(browser.find_element(By.ID, "version-switcher"))
                assert [option.text for option in choice.options] == ["1.11.0rc1", "1.10.0", "1.9.0"]
                assert choice.first_selected_option.text == "1.10.0"
                choice.select_by_visible_text(version)
                WebDriverWait(browser, 20).until(lambda _: f"/{version}/" in browser.current_url)
                return browser.current_url.removeprefix(f"file://{versions}/")

            assert choose("1.9.0", "docs/guides/schedules.html") == "1.9.0/docs/guides/schedules.html"
            assert choose("1.9.0", "CHANGELOG.html") == "1.9.0/docs/index.html"
