# SPDX-License-Identifier: Apache-2.0
"""A folder with the sites of several versions. ``versions.js`` in it fills the list of versions on every page."""

from __future__ import annotations

import json
from pathlib import Path

from packaging.version import InvalidVersion, Version

# The pages of all versions load this file, so that older ones list newer ones too.
_SCRIPT = """\
const VERSIONS = {versions};
const list = document.getElementById("version-switcher");
const folder = new URL(list.dataset.folder, location.href);
const [current, ...path] = location.pathname.slice(folder.pathname.length).split("/");
for (const [version, pages] of Object.entries(VERSIONS)) {{
  const page = pages.includes(path.join("/")) ? path.join("/") : "docs/index.html";
  list.add(new Option(version, new URL(`${{version}}/${{page}}`, folder), false, version === current));
}}
list.addEventListener("change", () => {{ location.href = list.value; }});
"""


def built_versions(folder: Path) -> list[str]:
    """Return the versions in a folder, newest first."""
    found = {}
    for path in folder.iterdir():
        if (path / "docs" / "index.html").exists():
            try:
                found[path.name] = Version(path.name)
            except InvalidVersion:
                continue
    return sorted(found, key=found.__getitem__, reverse=True)


def write_versions(folder: Path) -> None:
    """Write the list of the versions in a folder, and a page that redirects to the newest version."""
    versions = built_versions(folder)
    pages = {
        version: sorted(str(page.relative_to(folder / version)) for page in (folder / version).rglob("*.html"))
        for version in versions
    }
    (folder / "versions.js").write_text(_SCRIPT.format(versions=json.dumps(pages)))
    newest = next((version for version in versions if not Version(version).is_prerelease), versions[0])
    redirect = f'<!doctype html><meta http-equiv="refresh" content="0; url={newest}/docs/index.html">\n'
    (folder / "index.html").write_text(redirect)
